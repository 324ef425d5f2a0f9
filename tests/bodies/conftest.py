from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
# The layout library's generator is a script, not a package.
sys.path.insert(0, str(HERE.parent / "tools"))
