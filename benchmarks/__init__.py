"""Measurements against the field: `python -m benchmarks`."""
