"""Tables of what the papers published: their numbers, checked and tested."""
