"""Sampling: engines that draw completions, entropies that are matched, likelihoods that are scored."""
