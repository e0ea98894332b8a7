"""Reported numbers, and the paper that they stand in."""
