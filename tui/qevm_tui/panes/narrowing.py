"""The section tree narrowed by a filter: which sections it takes, and the two ways to show those.

The filter looks at each section once, in columns; a model keeps the numbers of the rows that were taken, and
makes nodes of them when they are seen.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from typing import TYPE_CHECKING

from qevm.filter import Filter
from qevm.section import Device, Section
from qevm.section_columns import Columns
from qevm_tui.outline import Path
from qevm_tui.panes.tree_model import ByDevice, Located, Node, group_of
from qevm_tui.problem_rows import ProblemRows

if TYPE_CHECKING:
    from qevm.capture import Capture


class Narrowing:
    """The rows that a filter takes, as far as the walk has come."""

    def __init__(self, capture: Capture, wanted: Filter, problems: ProblemRows) -> None:
        self._capture = capture
        self._problems = problems
        self.filter = wanted
        self.rows = array("Q")
        self._seen = 0
        self._asked_of = len(problems)
        self._complete = capture.complete
        self._newest: tuple[bool, int] | None = None
        self._pending_of: tuple[int, int] | None = None
        self._pending: list[Section] = []
        self.update()

    @property
    def seen(self) -> int:
        """How many sections the filter has looked at."""
        return self._seen

    def update(self) -> None:
        """Look at the sections that are new in the index."""
        index = self._capture.index
        count = len(index)
        if count == self._seen:
            return
        taken = self._taken(self._seen, count)
        self.rows.extend(self._seen + number for number, one in enumerate(taken) if one)
        self._newest = (taken[-1], index.ends[count - 1])
        self._seen = count

    def _taken(self, first: int, end: int) -> list[bool]:
        columns = Columns.of_index(self._capture.index, first, end, self._problems.worst_by_row())
        taken: list[bool] = self.filter.takes(columns).tolist()
        return taken

    def outdated(self) -> bool:
        """True when sections that were looked at have changed so that all must be looked at again.

        The newest section gets its end late, one around others when those are read; problems come by the way.
        """
        if self.filter.asks_problems and len(self._problems) != self._asked_of:
            return True
        if self._capture.complete and not self._complete:
            self._complete = True
            return self._taken(0, self._seen).count(True) != len(self.rows)
        if self._newest is not None and self._seen:
            taken, end = self._newest
            if self._capture.index.ends[self._seen - 1] != end:
                return self._taken(self._seen - 1, self._seen) != [taken]
        return False

    def pending(self, located: Located) -> list[Section]:
        """Those of the sections that are only located which the filter takes."""
        sections = located.pending()
        if not sections:
            return []
        key = (len(sections), sections[0].offset)
        if key != self._pending_of:
            taken = self.filter.takes(Columns.of_sections(sections)).tolist()
            self._pending_of = key
            self._pending = [one for one, good in zip(sections, taken, strict=True) if good]
        return self._pending


class NarrowedByDevice(ByDevice):
    """The devices that have sections which were taken, with those sections only."""

    def __init__(self, capture: Capture, narrowing: Narrowing) -> None:
        self._narrowing = narrowing
        self._chains: dict[int, array[int]] = {}
        self._sizes: dict[int, int] = {}
        self._tops: list[int] = []
        self._places: dict[int, int] = {}
        self._used = 0
        super().__init__(capture)

    def _take_in(self) -> None:
        narrowing, index = self._narrowing, self._index
        narrowing.update()
        for row in narrowing.rows[self._used :]:
            number = index.device_numbers[row]
            if number >= len(index.devices):
                group = group_of(index.kinds[row])
                # What belongs at the head but comes behind devices must not push those down.
                late = group == "head" and bool(self._tops) and not self._others["head"]
                self._others["end" if late else group].append(row)
                continue
            if number not in self._chains:
                # In the order of their first match, so that none comes in between later.
                self._places[number] = len(self._tops)
                self._tops.append(number)
                self._chains[number] = array("Q")
                self._sizes[number] = 0
            chain = self._chains[number]
            if chain:
                # Of the newest section the end may not be known yet.
                self._sizes[number] += index.ends[chain[-1]] - index.offsets[chain[-1]]
            chain.append(row)
        self._head = 1 if self._others["head"] else 0
        self._used = len(narrowing.rows)
        self._devices = len(self._tops)
        self._pending = narrowing.pending(self._located)

    def _device(self, top: int) -> Device | None:
        number = top - self._head
        return self._index.devices[self._tops[number]] if 0 <= number < self._devices else None

    def _top_of(self, device: Device) -> int | None:
        place = self._places.get(device.number)
        return None if place is None else self._head + place

    def _chain(self, device: Device) -> array[int]:
        return self._chains.get(device.number, array("Q"))

    def _size(self, device: Device) -> int:
        newest = self._chains[device.number][-1]
        return self._sizes[device.number] + self._index.ends[newest] - self._index.offsets[newest]


class NarrowedByStream:
    """The sections that were taken, one after the other."""

    name = "by stream"

    def __init__(self, capture: Capture, narrowing: Narrowing) -> None:
        self._index = capture.index
        self._narrowing = narrowing
        self._located = Located(capture)
        self._known = 0
        self._pending: list[Section] = []
        self.update()

    def update(self) -> tuple[int, int]:
        before = self._known
        self._narrowing.update()
        self._known = len(self._narrowing.rows)
        self._pending = self._narrowing.pending(self._located)
        return before, self._known - before

    def count(self, path: Path) -> int:
        return 0 if path else self._known + len(self._pending)

    def node(self, path: Path) -> Node:
        if path[0] >= self._known:
            section = self._pending[path[0] - self._known]
            return Node("", section, leaf=True, size=section.size, count=1)
        row = self._narrowing.rows[path[0]]
        section = self._index[row]
        return Node("", section, leaf=True, size=section.size, count=1, first=row, last=row)

    def find(self, section: Section) -> Path | None:
        if section.index < 0:
            for number, pending in enumerate(self._pending):
                if pending.offset == section.offset:
                    return (self._known + number,)
            return None
        place = bisect_left(self._narrowing.rows, section.index, 0, self._known)
        if place < self._known and self._narrowing.rows[place] == section.index:
            return (place,)
        return None
