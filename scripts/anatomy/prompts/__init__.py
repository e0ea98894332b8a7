"""Prompts: templates, conditions, and the chunks and plans that scaffolds give."""
