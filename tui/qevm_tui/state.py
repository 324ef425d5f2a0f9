"""What qevm remembers from run to run, in the user's state directory; a user's own wishes are in the config.

A file that is missing or damaged is no error: one starts with what is usual.
"""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

from qevm.atomic import keep_file
from qevm.userfolders import user_folder
from qevm_tui.settings import SIZES, THEME_NAMES, TREE_MODES, Settings, is_size

NAME = "state.json"


def folder() -> Path:
    """Where the state lies; ``$QEVM_STATE_DIR`` wins over the platform's place."""
    return user_folder("state")


def load(settings: Settings) -> None:
    """Take what was remembered into ``settings``, each value only when it is one."""
    try:
        values = json.loads((folder() / NAME).read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return
    if isinstance(values, dict):
        _take(values, settings)


def _take(values: dict[str, Any], settings: Settings) -> None:
    if values.get("theme") in THEME_NAMES:
        settings.theme = values["theme"]
    if values.get("tree") in TREE_MODES:
        settings.tree = values["tree"]
    for name in ("inspector", "map"):
        if isinstance(values.get(name), bool):
            setattr(settings, name, values[name])
    sizes = values.get("panes")
    if isinstance(sizes, dict):
        for name, attribute in SIZES.items():
            if is_size(sizes.get(name)):
                setattr(settings.panes, attribute, sizes[name] or None)


def save(settings: Settings) -> None:
    """Remember ``settings``; whoever cannot write goes without."""
    values = {
        "theme": settings.theme,
        "tree": settings.tree,
        "inspector": settings.inspector,
        "map": settings.map,
        "panes": {name: getattr(settings.panes, attribute) or 0 for name, attribute in SIZES.items()},
    }
    with contextlib.suppress(OSError):
        keep_file(folder() / NAME, json.dumps(values).encode())
