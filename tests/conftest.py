"""Settings of all tests: the same examples every time, and no failure because a machine is slow."""

from hypothesis import settings

settings.register_profile("reproducible", deadline=None, derandomize=True)
settings.load_profile("reproducible")
