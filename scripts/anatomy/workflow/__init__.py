"""What rules ask of a study: files, params, resources, and digests of code."""
