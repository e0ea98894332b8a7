"""Models: kept with their checksums, and decoded."""
