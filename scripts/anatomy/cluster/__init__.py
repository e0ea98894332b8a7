"""The cluster: asked before a study starts, and tidied after it was killed."""
