"""Benchmarks: what one sync costs at 1 000 to 10 000 roles, and how soon a value becomes a replica count.

`python -m tests.bench` runs them all; `docs/benchmarks.md` has what was measured and how.
"""
