"""The study as its files declare it: settings, sheets, artifacts and claims, checked."""
