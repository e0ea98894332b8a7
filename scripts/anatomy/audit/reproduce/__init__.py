"""A chain of jobs run again from its records, and what came out compared."""
