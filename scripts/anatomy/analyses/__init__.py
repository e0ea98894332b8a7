"""One module a table: ``rows(inputs)`` turns what the table is made from into its rows."""
