"""The audit as a static site."""
