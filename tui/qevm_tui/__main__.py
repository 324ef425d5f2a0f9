"""``python -m qevm_tui`` and the ``qevm`` command."""

from __future__ import annotations

import sys

from qevm_tui.cli import main

if __name__ == "__main__":
    sys.exit(main())
