"""The command line: parses, calls, prints. Results go to stdout, progress and messages to stderr.

Exit codes: 0 success, 1 failure, 2 usage, 3 bad data, 4 divergence, 5 bad model folder, 6 folder, 130/143 signals.
Nothing heavy is imported before a command needs it, so that ``--help`` answers at once.
"""

from instar.cli.entry import main

__all__ = ["main"]
