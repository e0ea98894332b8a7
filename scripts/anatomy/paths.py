"""Where the parts of the repository lie."""

from pathlib import Path

LIBRARY = Path(__file__).resolve().parent
"""The library, of which every module is importable as ``anatomy.…``."""
SCRIPTS = LIBRARY.parent
ROOT = SCRIPTS.parent
