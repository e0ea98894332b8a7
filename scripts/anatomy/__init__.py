"""The library of rlvr-anatomy: plain importable Python, with no Snakemake in it."""
