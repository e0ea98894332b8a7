"""Figures: one a module, whose `draw` draws tables and computes nothing; `plotting` is their style."""
