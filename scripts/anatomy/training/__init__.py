"""Training: supervised and by reinforcement, in one process or in many."""
