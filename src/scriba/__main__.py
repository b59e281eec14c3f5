"""``python -m scriba``."""

from __future__ import annotations

import sys

from scriba.cli import main

if __name__ == "__main__":
    sys.exit(main())
