"""Tables of results: one a module, whose `rows` computes it; `inputs` is what they compute from."""
