"""All records of one guest page, found in logarithmic time (stream-format §5.4).

The runs of a block overlap freely: a page that the guest keeps writing to is in a run of every round.
They are sorted by their first page, with the highest end of every 2, 4, 8, … neighbours beside them: a
search goes down only where a run can reach the page.  Built on the first question, and again when many
runs were added since; the few newest are looked at one by one.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING

from qevm.bodies.page_runs import PageRecord, PageRuns

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_NEWEST = 1024


class _Block:
    """The sorted runs of one block: numbers, first addresses, and levels of highest ends."""

    def __init__(
        self,
        numbers: NDArray[np.int64],
        starts: NDArray[np.uint64],
        counts: NDArray[np.uint64],
        page_size: int,
    ) -> None:
        import numpy as np

        order = np.argsort(starts, kind="stable")
        self.numbers = numbers[order]
        self.starts = starts[order]
        ends = (starts + counts * np.uint64(page_size))[order]
        self.levels = [ends]
        while len(ends) > 1:
            if len(ends) % 2:
                ends = np.append(ends, np.uint64(0))
            ends = ends.reshape(-1, 2).max(axis=1)
            self.levels.append(ends)

    def covering(self, address: int) -> list[int]:
        """Numbers of the runs that hold ``address``."""
        before = bisect_right(self.starts, address)
        found: list[int] = []
        stack = [(len(self.levels) - 1, 0)]
        while stack:
            level, place = stack.pop()
            if place << level >= before or self.levels[level][place] <= address:
                continue
            if not level:
                found.append(int(self.numbers[place]))
                continue
            stack.append((level - 1, 2 * place))
            if 2 * place + 1 < len(self.levels[level - 1]):
                stack.append((level - 1, 2 * place + 1))
        return found


class PageLookup:
    """Finds the records of a page among ``runs``, which may go on growing."""

    def __init__(self, runs: PageRuns) -> None:
        self._runs = runs
        self._blocks: dict[int, _Block] = {}
        self._sorted = 0

    def records(self, block: int, address: int, until: int | None = None) -> list[PageRecord]:
        """The records of the page at ``address`` of block number ``block`` in stream order.

        The last one wins.  ``until`` leaves out runs from that number on.
        """
        runs = self._runs
        stop = len(runs)
        if stop - self._sorted > max(_NEWEST, self._sorted // 8):
            self._sort(stop)
        known = self._blocks.get(block)
        numbers = known.covering(address) if known is not None else []
        page_size = runs.page_size
        for run in range(self._sorted, stop):
            if runs.blocks[run] == block:
                first = runs.addresses[run]
                if first <= address < first + runs.counts[run] * page_size:
                    numbers.append(run)
        numbers.sort()
        return [
            runs.record(run, (address - runs.addresses[run]) // page_size)
            for run in numbers
            if until is None or run < until
        ]

    def _sort(self, stop: int) -> None:
        import numpy as np

        # The last run may still become longer: it stays among those that are looked at one by one.
        stop -= 1
        # Copies: a view of an array that grows would forbid it to grow.
        blocks = np.array(self._runs.blocks[:stop], "u4")
        starts = np.array(self._runs.addresses[:stop], "u8")
        counts = np.array(self._runs.counts[:stop], "u8")
        order = np.argsort(blocks, kind="stable")
        edges = np.flatnonzero(np.diff(blocks[order])) + 1
        self._blocks = {
            int(blocks[numbers[0]]): _Block(numbers, starts[numbers], counts[numbers], self._runs.page_size)
            for numbers in np.split(order, edges)
            if len(numbers)
        }
        self._sorted = stop
