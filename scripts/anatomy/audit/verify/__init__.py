"""Whether a study is what its records say."""
