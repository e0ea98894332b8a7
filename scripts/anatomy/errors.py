"""Errors that a user can act on; scripts print their message without a traceback."""


class AnatomyError(Exception):
    """What is wrong, where (file, field, value), and what to do about it."""
