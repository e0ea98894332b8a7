"""What a study costs: cores, memory, time and disk of its jobs."""
