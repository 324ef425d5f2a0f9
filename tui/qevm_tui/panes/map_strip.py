"""The map: the whole capture from left to right in one line, a legend below it."""

from __future__ import annotations

from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import BindingType
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from qevm_tui.keys import bindings
from qevm_tui.map_buckets import Buckets, Cell
from qevm_tui.palette import Palette
from qevm_tui.panes.columns import RowText
from qevm_tui.words import human

HEIGHT = 2

_HERE = Style(reverse=True, bold=True)
"""Where one is: an attribute, which every terminal has."""


class MapStrip(Widget, can_focus=True):
    """Above the panes.  A click or the arrow keys jump; nothing is computed while nothing changes."""

    ALLOW_SELECT = False
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("map")]

    class Jumped(Message):
        """The user wants to be at this offset of the stream; ``jump``: and perhaps back again."""

        def __init__(self, offset: int, *, jump: bool) -> None:
            super().__init__()
            self.offset = offset
            self.jump = jump

    def __init__(self, palette: Palette) -> None:
        super().__init__(id="map")
        self.palette = palette
        self._buckets: Buckets | None = None
        self._cursor: int | None = None
        self._cell: int | None = None

    def put(self, buckets: Buckets) -> None:
        """Show another map."""
        before = self._buckets
        self._buckets = buckets
        cell = None if self._cursor is None else buckets.of(self._cursor)
        if before is None or before.cells != buckets.cells or cell != self._cell:
            self._cell = cell
            self.refresh()

    def follow(self, cursor: int | None) -> None:
        """Show where one is; None outside of the stream."""
        self._cursor = cursor
        cell = None if cursor is None or self._buckets is None else self._buckets.of(cursor)
        if cell != self._cell:
            self._cell = cell
            self.refresh()

    @property
    def plain(self) -> str:
        """The map without legend, as text."""
        return "" if self._buckets is None else "".join(Cell(c).glyph for c in self._buckets.cells)

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        if self._buckets is None:
            return Strip(
                [Segment(" the map is being made" if y else "", self.palette.dim)]
            ).adjust_cell_length(width)
        return self._map(self._buckets, width) if y == 0 else self._legend(self._buckets, width)

    def _map(self, buckets: Buckets, width: int) -> Strip:
        segments: list[Segment] = []
        cells = buckets.cells
        start = 0
        for end in range(1, len(cells) + 1):
            if end == len(cells) or cells[end] != cells[start] or self._cell in (end, end - 1):
                style = self.palette.cells[cells[start]]
                if start == self._cell:
                    style = style + _HERE
                segments.append(Segment(Cell(cells[start]).glyph * (end - start), style))
                start = end
        return Strip(segments).adjust_cell_length(width)

    def _legend(self, buckets: Buckets, width: int) -> Strip:
        text = RowText(width)
        here = ""
        if self._cell is not None:
            low, high = buckets.edges[self._cell], buckets.edges[self._cell + 1]
            here = f"0x{low:x} + {human(high - low)} "
        room = width - len(here) - 1
        text.add(" ")
        for cell in sorted({*buckets.cells}):
            words = f" {Cell(cell).word}  "
            if len(words) + 1 > room - (width - text.left):
                break
            text.add(Cell(cell).glyph, self.palette.cells[cell])
            text.add(words, self.palette.dim)
        text.right(here, self.palette.accent if self.has_focus else self.palette.dim, width)
        return Strip(text.segments(), width)

    # -- jumping ----------------------------------------------------------------------------------

    def _jump(self, cell: int, *, jump: bool = False) -> None:
        buckets = self._buckets
        if buckets is not None:
            cell = min(max(cell, 0), buckets.width - 1)
            self.post_message(self.Jumped(buckets.target(cell), jump=jump))

    def action_cell(self, step: int) -> None:
        """To the next or previous cell."""
        self._jump((self._cell or 0) + step)

    def action_kind(self, step: int) -> None:
        """To where something else begins."""
        buckets = self._buckets
        if buckets is None:
            return
        here = cell = self._cell or 0
        while 0 <= cell + step < buckets.width:
            cell += step
            if buckets.cells[cell] != buckets.cells[here]:
                break
        self._jump(cell)

    def action_edge(self, side: int) -> None:
        """To the first or last cell."""
        if self._buckets is not None:
            self._jump(0 if side < 0 else self._buckets.width - 1)

    def on_mouse_down(self, event: events.MouseDown) -> None:
        event.stop()
        if event.y == 0:
            self._jump(event.x, jump=True)

    def on_focus(self) -> None:
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()
