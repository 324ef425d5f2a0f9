"""What a user can set: the values that the app starts with and that it remembers."""

from __future__ import annotations

from dataclasses import dataclass, field

from qevm_tui.palette import AUTO, THEMES
from qevm_tui.sizes import PaneSizes

TREE_MODES = ("by device", "by stream")
THEME_NAMES = (AUTO, *THEMES)


@dataclass(slots=True)
class Settings:
    """The app changes these as the user does; ``keymap`` maps names of actions to their keys."""

    theme: str = AUTO
    tree: str = TREE_MODES[0]
    inspector: bool = False
    map: bool = False
    panes: PaneSizes = field(default_factory=PaneSizes)
    keymap: dict[str, str] = field(default_factory=dict)


SIZES = {"tree": "tree", "hex": "hex", "hex-height": "hex_height"}
"""Names of sizes in files, and the attribute of PaneSizes."""

LARGEST = 10_000


def is_size(value: object) -> bool:
    """A number of rows or columns; 0 leaves the division to qevm."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LARGEST
