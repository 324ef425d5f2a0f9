"""The data inspector: the bytes at the cursor as numbers, times, text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.segment import Segment
from textual.strip import Strip
from textual.widget import Widget

from qevm.problems import SourceError
from qevm_tui.inspect_bytes import NEEDED, ROWS, Reading, Words, readings
from qevm_tui.palette import Palette
from qevm_tui.panes.columns import RowText

if TYPE_CHECKING:
    from qevm.source import Source

HEIGHT = ROWS + 1
"""Rows for everything, with the title."""

_LABEL = 9


class Inspector(Widget):
    """Below the hex pane.  Follows the cursor, takes no keys."""

    ALLOW_SELECT = False

    def __init__(self, palette: Palette) -> None:
        super().__init__(id="inspector")
        self.palette = palette
        self._at: tuple[int, bytes] = (0, b"")
        self._lines = readings(b"")

    def inspect(self, source: Source, offset: int) -> None:
        """Show the bytes of ``source`` at ``offset``."""
        try:
            data = source.read(offset, NEEDED)
        except SourceError:
            # The hex pane says why it cannot be read.
            data = b""
        if (offset, data) != self._at:
            self._at = (offset, data)
            self._lines = readings(data)
            self.refresh()

    @property
    def plain(self) -> str:
        """What is shown, as text."""
        return "\n".join(self.render_line(y).text for y in range(HEIGHT))

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        column = max(6, (width - _LABEL) // 2)
        if y == 0:
            return self._title(width, column)
        text = RowText(width)
        if y - 1 < len(self._lines):
            self._put(text, self._lines[y - 1], column)
        text.pad_to(width)
        return Strip(text.segments(), width)

    def _put(self, text: RowText, line: Reading, column: int) -> None:
        text.add(f" {line.label}", self.palette.dim)
        text.pad_to(_LABEL)
        if line.whole:
            text.add(_fitting(line.whole, text.left), self.palette.number)
            return
        text.add(_fitting(line.little, column - 1), self.palette.number)
        text.pad_to(_LABEL + column)
        text.add(_fitting(line.big, text.left), self.palette.number)

    def _title(self, width: int, column: int) -> Strip:
        # The rules are cells of the two headings: the columns below them begin where the words do.
        cells = ["─ data ".ljust(_LABEL - 1, "─") + " ", "little endian ".ljust(column, "─"), "big endian "]
        text = "".join(cells).ljust(width, "─")[:width]
        return Strip([Segment(text, self.palette.rule)], width)


def _fitting(words: Words, room: int) -> str:
    return next((text for text in words if len(text) <= room), min(words, key=len))
