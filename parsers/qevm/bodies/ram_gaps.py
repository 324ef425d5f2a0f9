"""The damaged places of a RAM chain: bytes between two sound records that nothing explains."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass

from qevm.bodies.ram_blocks import RamBlock


@dataclass(frozen=True, slots=True)
class Gap:
    """Bytes ``start`` to ``end`` (exclusive) of section ``row`` that could not be read.

    ``end`` is None when nothing more of the section could be read.  ``run`` is the number of the first run
    behind the gap, ``block`` the block that was current before it.
    """

    start: int
    end: int | None
    row: int
    run: int
    block: RamBlock | None


class Gaps:
    """Gaps in stream order."""

    def __init__(self) -> None:
        self._gaps: list[Gap] = []

    def __len__(self) -> int:
        return len(self._gaps)

    def __getitem__(self, number: int) -> Gap:
        return self._gaps[number]

    def append(self, gap: Gap) -> None:
        """Add a gap behind the others."""
        self._gaps.append(gap)

    def of_row(self, row: int) -> list[Gap]:
        """The gaps of section ``row``."""
        first = bisect_left(self._gaps, row, key=lambda gap: gap.row)
        after = bisect_left(self._gaps, row + 1, key=lambda gap: gap.row)
        return self._gaps[first:after]
