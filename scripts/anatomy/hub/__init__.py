"""Models and datasets of the hub, pinned and verified."""
