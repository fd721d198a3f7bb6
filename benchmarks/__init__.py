"""Benchmarks, run by hand from a checkout; not part of the installed package."""
