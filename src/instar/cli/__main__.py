"""``python -m instar.cli``."""

import sys

from instar.cli import main

sys.exit(main())
