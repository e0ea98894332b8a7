"""Tables and files between stages: whole, of their schema, and unaltered."""
