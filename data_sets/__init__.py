"""Real data that ships in packages, and data made with a known law: what `examples/` and `benchmarks/` learn from.

A module for each set says what it is, where it comes from and under which license; its functions give the path of what
they fetched or made once, below `data/`. Nothing of it is in the repository, and no set-up script of a package runs.
"""
