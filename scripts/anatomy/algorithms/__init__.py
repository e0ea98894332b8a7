"""Algorithms of reinforcement learning: one a module, found by its name."""
