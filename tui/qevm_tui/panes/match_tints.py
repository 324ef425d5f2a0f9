"""Which bytes of the screen a search has found."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qevm.source import Source

MatchesNear = Callable[["Source", int, int], list[tuple[int, int]]]
"""(start, end) of what a search has found and that overlaps given bytes of a source."""


class MatchTints:
    """Marks of found bytes, asked for again only when the screen shows others."""

    def __init__(self, source: Source, near: MatchesNear | None = None) -> None:
        self._source = source
        self._near = near
        self._known: tuple[int, int, bytearray] = (0, 0, bytearray())

    def within(self, low: int, high: int) -> bytearray:
        """1 for each byte of ``low`` … ``high`` that was found, else 0."""
        first, end, found = self._known
        if (first, end) != (low, high):
            found = bytearray(high - low)
            for begin, behind in self._near(self._source, low, high) if self._near is not None else ():
                start, stop = max(begin - low, 0), min(behind - low, len(found))
                found[start:stop] = b"\x01" * (stop - start)
            self._known = (low, high, found)
        return found

    def of(self, source: Source) -> MatchTints:
        """The same search's marks in another source."""
        return MatchTints(source, self._near)

    def part(self, low: int, high: int, first: int, end: int) -> bytearray:
        """The same for some bytes of a screen that shows ``first`` … ``end``."""
        return self.within(first, end)[low - first : high - first]
