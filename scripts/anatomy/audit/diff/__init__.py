"""Two studies compared, down to what caused each difference."""
