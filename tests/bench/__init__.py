"""Benchmarks: `make bench`. They print tables and assert no time; pytest does not collect them."""
