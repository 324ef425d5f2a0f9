"""How wide the panes are: a good division for each screen, and what the user made of it."""

from __future__ import annotations

from dataclasses import dataclass

from qevm_tui.panes.hex_pane import row_width

STACK_BELOW = 108
"""Narrower screens show the detail below the hex pane."""

_LEAST = 12


@dataclass(slots=True)
class PaneSizes:
    """Sizes that the user chose; None where the division is ours."""

    tree: int | None = None
    hex: int | None = None
    hex_height: int | None = None

    def stacked(self, width: int) -> bool:
        """True when hex and detail stand one above the other."""
        return width < STACK_BELOW

    def tree_width(self, width: int, digits: int) -> int:
        """Columns of the section tree."""
        if self.stacked(width):
            best = max(26, width * 35 // 100)
        else:
            best = min(54, max(28, (width - self._own_hex(width, digits) - 2) * 48 // 100))
        return self._within(self.tree or best, width - 2 * _LEAST)

    def hex_width(self, width: int, digits: int) -> int:
        """Columns of the hex pane, when it stands beside the detail."""
        right = width - self.tree_width(width, digits) - 1
        return self._within(self.hex or self._own_hex(width, digits), right - 1 - _LEAST)

    def hex_rows(self, height: int) -> int:
        """Rows of the hex pane, when it stands above the detail."""
        return max(3, min(self.hex_height or height // 2, height - 3))

    @staticmethod
    def _own_hex(width: int, digits: int) -> int:
        # 16 bytes a row only where tree and detail keep enough; the last column is the scrollbar.
        sixteen = row_width(16, digits) + 1
        return sixteen if width - sixteen >= 62 else row_width(8, digits) + 1

    @staticmethod
    def _within(value: int, greatest: int) -> int:
        return max(_LEAST, min(value, max(greatest, _LEAST)))
