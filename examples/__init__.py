"""The gallery: what Instar is for, a folder each. `python -m examples NAME` runs one, and writes figure and picture."""
