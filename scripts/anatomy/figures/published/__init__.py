"""Figures of what the papers published."""
