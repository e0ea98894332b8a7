"""Problems: real test sets, selections of them, and their annotation."""
