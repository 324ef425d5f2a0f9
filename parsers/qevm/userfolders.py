"""Where qevm keeps its own files: one folder of each kind, on every platform."""

from __future__ import annotations

import os
from pathlib import Path


def user_folder(kind: str) -> Path:
    """The user's folder for ``cache``, ``config``, ``data`` or ``state``; ``$QEVM_KIND_DIR`` wins."""
    own = os.environ.get(f"QEVM_{kind.upper()}_DIR")
    if own:
        return Path(own)
    import platformdirs

    return Path(getattr(platformdirs, f"user_{kind}_dir")("qevm"))
