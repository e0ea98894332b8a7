"""A study as an RO-Crate."""
