"""Where every number comes from: records of jobs, their chains, and the ledger under them."""
