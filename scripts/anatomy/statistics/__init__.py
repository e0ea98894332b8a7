"""Statistics: estimates, intervals and tests."""
