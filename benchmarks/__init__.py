"""The measurements behind RESULTS.md: `python -m benchmarks.NAME` for one, `python -m benchmarks` for all."""
