"""Rows of text cells with styles, cut to a width."""

from __future__ import annotations

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style


class RowText:
    """Collects the segments of one row that is ``width`` cells wide.

    ``over`` is laid over every style (a cursor).  Text that does not fit ends in ``…``.
    """

    __slots__ = ("_over", "_segments", "_used", "width")

    def __init__(self, width: int, over: Style | None = None) -> None:
        self.width = width
        self._over = over
        self._segments: list[Segment] = []
        self._used = 0

    @property
    def left(self) -> int:
        """Cells that are free."""
        return self.width - self._used

    def add(self, text: str, style: Style | None = None, limit: int | None = None) -> None:
        """Append text, at most ``limit`` cells of it."""
        room = self.left if limit is None else min(limit, self.left)
        if room <= 0 or not text:
            return
        text = fit(text, room)
        self._put(text, style)

    def pad_to(self, column: int) -> None:
        """Append blanks up to a column."""
        if column > self._used:
            self._put(" " * (min(column, self.width) - self._used), None)

    def right(self, text: str, style: Style | None, column: int) -> None:
        """Append text so that it ends before ``column``."""
        self.pad_to(column - cell_len(text))
        self.add(text, style)

    def segments(self) -> list[Segment]:
        """What was collected, filled up to the width when something is laid over."""
        if self._over is not None:
            self.pad_to(self.width)
        return self._segments

    def _put(self, text: str, style: Style | None) -> None:
        if self._over is not None:
            style = self._over if style is None else style + self._over
        self._segments.append(Segment(text, style))
        self._used += cell_len(text)


def fit(text: str, room: int) -> str:
    """``text`` in at most ``room`` cells, cut with ``…`` when it is longer."""
    if cell_len(text) <= room:
        return text
    return set_cell_size(text, max(0, room - 1)).rstrip() + "…" if room > 0 else ""


def tail_fit(text: str, room: int) -> str:
    """A device id in at most ``room`` cells.

    Its end says more than the bus address at its front, and the instance more than the end of its name.
    """
    if cell_len(text) <= room or room < 5:
        return text
    if "/" not in text:
        name, at, instance = text.rpartition("@")
        left = room - len(at + instance)
        return fit(name, left) + at + instance if at and left >= 3 else text
    while text and cell_len(text) > room - 1:
        text = text[1:]
    return "…" + text
