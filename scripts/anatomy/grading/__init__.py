"""Grading: what a completion's answer is, whether it is right, and what it earns."""
