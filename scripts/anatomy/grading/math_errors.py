"""Why two answers cannot be compared."""


class UnparsableError(Exception):
    """A text that is no mathematics, or a comparison that cannot be decided."""


class TooLargeError(Exception):
    """A number that would take too long to evaluate."""
