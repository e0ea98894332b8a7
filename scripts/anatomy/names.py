"""Names of files and folders that several stages know, some of which import neither torch nor each other."""

MANIFEST = "manifest.json"
"""The checksums of a model's files, in its folder."""
AT_TOKENS = "tokens"
"""The checkpoint at a run's budget of tokens, beside those at steps, and an arm's step there."""
