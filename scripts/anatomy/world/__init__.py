"""The embedded world: problems whose every step is exact, texts about them, and their checker."""
