"""Which sections have problems, kept up to date while the walk finds more."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from typing import TYPE_CHECKING

from qevm.problems import Problem, Severity

if TYPE_CHECKING:
    from qevm.capture import Capture


class ProblemRows:
    """Problems by index row, by device and by offset.  Logarithmic to ask, linear in problems to hold."""

    def __init__(self, capture: Capture) -> None:
        self._capture = capture
        self._generation = capture.generation
        self._known = 0
        self._by_row: dict[int, list[Problem]] = {}
        self._rows: list[int] = []
        self._worst_of_device: dict[int, Severity] = {}
        self._ordered: list[Problem] = []
        self.bad = 0
        """How many are worse than a note."""

    def update(self) -> bool:
        """Take in new problems; returns whether there were any."""
        if self._generation != self._capture.generation:
            # The walk began anew; what was known is void.
            self.__init__(self._capture)  # type: ignore[misc]
        if self._capture.growing or (self._capture.follow and not self._capture.finished):
            # The end of what is there now is no end of the stream.
            return False
        problems = self._capture.problems
        count = len(problems)
        if count == self._known:
            return False
        for problem in problems[self._known : count]:
            self._take(problem)
        self._known = count
        return True

    def _take(self, problem: Problem) -> None:
        index = self._capture.index
        insort(self._ordered, problem, key=lambda p: p.offset)
        self.bad += problem.severity > Severity.NOTE
        row = problem.section
        if row is None:
            # What nothing covers is shown at the last section before it.
            row = index.at(problem.offset)
            if row is None:
                row = bisect_right(index.offsets, problem.offset, 0, len(index)) - 1
        if not 0 <= row < len(index):
            return
        if row not in self._by_row:
            insort(self._rows, row)
        self._by_row.setdefault(row, []).append(problem)
        device = index[row].device
        if device is not None:
            worst = self._worst_of_device.get(device, Severity.NOTE)
            self._worst_of_device[device] = max(worst, problem.severity)

    def worst_by_row(self) -> dict[int, Severity]:
        """The worst problem of each section that has any."""
        return {row: max(p.severity for p in problems) for row, problems in self._by_row.items()}

    def of_row(self, row: int) -> list[Problem]:
        """The problems of one section."""
        return self._by_row.get(row, [])

    def worst_of_device(self, device: int) -> Severity | None:
        """The worst problem in any section of a device; None when it has none."""
        return self._worst_of_device.get(device)

    def worst_between(self, first: int, last: int) -> Severity | None:
        """The worst problem in index rows ``first`` … ``last``; None when there is none."""
        low = bisect_left(self._rows, first)
        high = bisect_right(self._rows, last)
        # A look at a few is enough for a sign; thousands of problems must not slow a row down.
        rows = self._rows[low : min(high, low + 64)]
        return max((p.severity for row in rows for p in self._by_row[row]), default=None)

    def after(self, offset: int, last: Problem | None = None) -> tuple[Problem, int] | None:
        """The first problem behind ``offset``, from the start again after the last, and its number from 1.

        ``last`` is the one that was shown before: of several at ``offset`` the next one follows it.
        """
        if not self._ordered:
            return None
        place = bisect_right(self._ordered, offset, key=lambda p: p.offset)
        if last is not None and last.offset == offset:
            here = bisect_left(self._ordered, offset, key=lambda p: p.offset)
            told = [number for number in range(here, place) if self._ordered[number] is last]
            place = told[0] + 1 if told else place
        place = place if place < len(self._ordered) else 0
        return self._ordered[place], place + 1

    def __len__(self) -> int:
        return len(self._ordered)
