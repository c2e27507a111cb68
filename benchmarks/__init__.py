"""The benchmark program: ``python -m benchmarks``, or ``make bench``. What it measures and why: docs/performance.md."""
