"""``python -m instar``: the command line."""

from instar.cli import main

raise SystemExit(main())
