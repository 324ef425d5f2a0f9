"""What the section tree shows: the rows *by device* and *by stream*, made from the index when seen.

Both models answer the questions of an :class:`~qevm_tui.outline.Outline` (how many children has a
path) and describe the node at a path.  Neither keeps an object for each section.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from qevm.section import Device, Section, SectionKind
from qevm_tui.outline import FAN_OUT, Path

if TYPE_CHECKING:
    from qevm.capture import Capture
    from qevm.containers import ContainerPart


@dataclass(frozen=True, slots=True)
class Node:
    """One node of the tree.

    ``section`` is what choosing the node selects (for a device or a range: its first section);
    ``leaf`` tells that the node *is* this section.  ``first`` … ``last`` are the index rows that it
    stands for, for problems inside; -1 where there are none.  ``part`` is set for a part of the container.
    """

    label: str
    section: Section | None
    leaf: bool = False
    children: int = 0
    size: int = 0
    count: int = 0
    device: Device | None = None
    first: int = -1
    last: int = -1
    part: ContainerPart | None = None


class TreeModel(Protocol):
    """One of the two ways to show the sections."""

    name: str

    def count(self, path: Path) -> int:
        """How many children the node at ``path`` has; of the root for ``()``."""
        ...

    def node(self, path: Path) -> Node:
        """The node at ``path``."""
        ...

    def find(self, section: Section) -> Path | None:
        """Where ``section`` is shown."""
        ...

    def update(self) -> tuple[int, int]:
        """Take in what the walk has found.  Returns (first, by): top-level nodes that have moved."""
        ...


_OTHERS = re.compile(rb"[^\x02-\x05]")
_HEAD = (SectionKind.HEADER, SectionKind.CONFIGURATION)


def group_of(kind: int) -> str:
    """Where a section without a device is shown: ``head``, ``commands`` or ``end``."""
    return "head" if kind in _HEAD else "commands" if kind == SectionKind.COMMAND else "end"


class Located:
    """The device sections that the tail located and the walk has not reached yet."""

    def __init__(self, capture: Capture) -> None:
        self._capture = capture
        self._at = 0

    def pending(self) -> list[Section]:
        capture = self._capture
        if capture.complete or not capture.located:
            return []
        last = len(capture.index) - 1
        reached = capture.index.offsets[last] if last >= 0 else -1
        return [section for section in capture.located if section.offset > reached]


class ByDevice:
    """What begins the stream (header, configuration), one node a device, commands, and what ends it."""

    name = "by device"

    def __init__(self, capture: Capture) -> None:
        self._capture = capture
        self._index = capture.index
        self._others = {"head": array("Q"), "commands": array("Q"), "end": array("Q")}
        self._head = 1
        """How many nodes stand before the devices."""
        self._scanned = 0
        self._devices = 0
        self._located = Located(capture)
        self._pending: list[Section] = []
        self._tail: list[str] = []
        self.update()

    def update(self) -> tuple[int, int]:
        before = self._head + self._devices + len(self._pending)
        tail_before = list(self._tail)
        self._take_in()
        self._tail = [name for name in ("commands", "end") if self._others[name]]
        after = self._head + self._devices + len(self._pending)
        if self._tail != tail_before and tail_before == ["end"]:
            # "commands" came in before "end": the latter moves one place more.
            return before, after - before + 1
        return before, after - before

    def _take_in(self) -> None:
        """Sort what is new in the index into groups and devices."""
        count = len(self._index)
        if count > self._scanned:
            kinds = self._index.kinds[self._scanned : count].tobytes()
            for match in _OTHERS.finditer(kinds):
                self._others[group_of(kinds[match.start()])].append(self._scanned + match.start())
            self._scanned = count
        self._devices = len(self._index.devices)
        self._pending = self._located.pending()

    def count(self, path: Path) -> int:
        if not path:
            return self._head + self._devices + len(self._pending) + len(self._tail)
        group = self._group(path[0])
        if group is not None:
            return _ranges(len(group)) if len(path) == 1 else self._range_count(len(group), path)
        device = self._device(path[0])
        if device is None:
            return 0
        chain = len(self._chain(device))
        if len(path) == 1:
            return 0 if chain == 1 and not device.iterative else _ranges(chain)
        return self._range_count(chain, path)

    @staticmethod
    def _range_count(total: int, path: Path) -> int:
        if total <= FAN_OUT or len(path) != 2:
            return 0
        return min(FAN_OUT, total - path[1] * FAN_OUT)

    def _group(self, top: int) -> array[int] | None:
        if top < self._head:
            return self._others["head"]
        tail = top - self._head - self._devices - len(self._pending)
        return self._others[self._tail[tail]] if 0 <= tail < len(self._tail) else None

    def _device(self, top: int) -> Device | None:
        number = top - self._head
        return self._index.devices[number] if 0 <= number < self._devices else None

    def _top_of(self, device: Device) -> int | None:
        """The top-level node of a device; None where it has none yet."""
        return self._head + device.number if device.number < self._devices else None

    def _chain(self, device: Device) -> array[int]:
        """The rows that are shown below a device."""
        return device.sections

    def _size(self, device: Device) -> int:
        return device.size

    def node(self, path: Path) -> Node:
        top = path[0]
        group = self._group(top)
        if group is not None:
            return self._group_node(path, group)
        device = self._device(top)
        if device is None:
            section = self._pending[top - self._head - self._devices]
            return Node("", section, leaf=True, size=section.size, count=1)
        rows = self._chain(device)
        if len(path) == 1:
            first = self._index[rows[0]] if len(rows) else None
            leaf = len(rows) == 1 and not device.iterative
            return Node(
                "",
                first,
                leaf=leaf,
                children=self.count(path),
                size=self._size(device),
                count=len(rows),
                device=device,
                first=rows[0] if len(rows) else -1,
                last=rows[-1] if len(rows) else -1,
            )
        return self._child(path[1:], rows)

    def _group_node(self, path: Path, rows: array[int]) -> Node:
        if len(path) > 1:
            return self._child(path[1:], rows)
        top = path[0]
        tail = top - self._head - self._devices - len(self._pending)
        name = "head" if top < self._head else self._tail[tail]
        label = {"head": "start of stream", "commands": "commands", "end": "end of stream"}[name]
        if not rows:
            return Node(label, None)
        index = self._index
        size = sum(index.ends[r] - index.offsets[r] for r in rows) if len(rows) <= FAN_OUT else 0
        return Node(
            label,
            index[rows[0]],
            children=self.count(path),
            size=size,
            count=len(rows),
            first=rows[0],
            last=rows[-1],
        )

    def _child(self, path: Path, rows: array[int]) -> Node:
        index = self._index
        if len(rows) <= FAN_OUT or len(path) == 2:
            number = path[0] if len(path) == 1 else path[0] * FAN_OUT + path[1]
            row = rows[number]
            section = index[row]
            return Node("", section, leaf=True, size=section.size, count=1, first=row, last=row)
        low = path[0] * FAN_OUT
        high = min(low + FAN_OUT, len(rows)) - 1
        first = index[rows[low]]
        return Node(
            _range_label(first, index[rows[high]]),
            first,
            children=high - low + 1,
            size=index.ends[rows[high]] - first.offset,
            count=high - low + 1,
            first=rows[low],
            last=rows[high],
        )

    def find(self, section: Section) -> Path | None:
        if section.index < 0:
            for number, pending in enumerate(self._pending):
                if pending.offset == section.offset:
                    return (self._head + self._devices + number,)
            return None
        if section.device is not None:
            if section.device >= len(self._index.devices):
                return None
            device = self._index.devices[section.device]
            top = self._top_of(device)
            chain = self._chain(device)
            place = bisect_right(chain, section.index) - 1
            if top is None or place < 0 or chain[place] != section.index:
                return None
            if len(chain) == 1 and not device.iterative:
                return (top,)
            return (top, *_child_path(place, len(chain)))
        for name in ("head", *self._tail):
            rows = self._others[name]
            place = bisect_right(rows, section.index) - 1
            if place >= 0 and rows[place] == section.index:
                behind = self._head + self._devices + len(self._pending)
                top = 0 if name == "head" else behind + self._tail.index(name)
                return (top, *_child_path(place, len(rows)))
        return None


def _ranges(total: int) -> int:
    return total if total <= FAN_OUT else -(-total // FAN_OUT)


def _child_path(number: int, total: int) -> Path:
    return (number,) if total <= FAN_OUT else divmod(number, FAN_OUT)


def _range_label(first: Section, last: Section) -> str:
    if first.kind is SectionKind.START:
        return f"START, PART 1–{last.chunk:,}"
    if last.kind is SectionKind.END:
        return f"PART {first.chunk:,}–{last.chunk - 1:,}, END"
    if first.kind is SectionKind.PART:
        return f"PART {first.chunk:,}–{last.chunk:,}"
    return f"{first.index:,}–{last.index:,}"


GROUP_FROM = 100
"""A run of so many PARTs in a row is shown in ranges by stream."""

_PARTS = re.compile(rb"\x03{%d,}" % GROUP_FROM)
_LEADING_PARTS = re.compile(rb"\x03*")


class ByStream:
    """Every section in stream order; long runs of PARTs, of one chain or of several, in ranges.

    Top-level items are kept as spans (first item, first row, rows, grouped): a span of plain sections
    has an item for each row, a grouped span is one item.
    """

    name = "by stream"

    def __init__(self, capture: Capture) -> None:
        self._capture = capture
        self._index = capture.index
        self._items = array("Q")
        self._rows = array("Q")
        self._grouped = bytearray()
        self._known = 0
        self._run = 0
        """Where the run of PARTs begins that may still grow; equal to ``_known`` when there is none."""
        self._located = Located(capture)
        self._pending: list[Section] = []
        self.update()

    def update(self) -> tuple[int, int]:
        before = self._item_count()
        count = len(self._index)
        if count > self._known:
            self._take_in(count)
        self._pending = self._located.pending()
        return before, self._item_count() - before

    def _take_in(self, count: int) -> None:
        begin = self._run
        if self._grouped and self._grouped[-1] and self._rows[-1] >= begin:
            # The last range of a run that grows is made anew; the full ones before it stay.
            begin = self._rows[-1]
        while self._rows and self._rows[-1] >= begin:
            self._rows.pop()
            self._items.pop()
            self._grouped.pop()
        kinds = self._index.kinds[begin:count].tobytes()
        done = 0
        in_run = bool(kinds) and begin > self._run
        if in_run:
            leading = _LEADING_PARTS.match(kinds)
            done = leading.end() if leading is not None else 0
            self._group(begin, begin + done)
        for match in _PARTS.finditer(kinds, done):
            self._plain(begin + done, begin + match.start())
            self._group(begin + match.start(), begin + match.end())
            done = match.end()
        self._plain(begin + done, count)
        trailing = len(kinds) - len(kinds.rstrip(b"\x03"))
        if trailing < len(kinds) or not in_run:
            self._run = count - trailing
        self._known = count

    def _add(self, row: int, grouped: bool) -> None:
        item = 0
        if self._rows:
            item = self._items[-1] + (1 if self._grouped[-1] else row - self._rows[-1])
        self._items.append(item)
        self._rows.append(row)
        self._grouped.append(grouped)

    def _plain(self, first: int, end: int) -> None:
        # A plain span goes on behind another one by itself.
        if first < end and (not self._grouped or self._grouped[-1]):
            self._add(first, False)

    def _group(self, first: int, end: int) -> None:
        for row in range(first, end, FAN_OUT):
            self._add(row, True)

    def _span_end(self, span: int) -> int:
        if span + 1 < len(self._rows):
            return self._rows[span + 1]
        return self._known

    def _item_count(self) -> int:
        if not self._rows:
            return 0
        return self._items[-1] + (1 if self._grouped[-1] else self._known - self._rows[-1])

    def count(self, path: Path) -> int:
        if not path:
            return self._item_count() + len(self._pending)
        if len(path) > 1 or path[0] >= self._item_count():
            return 0
        span = bisect_right(self._items, path[0]) - 1
        return self._span_end(span) - self._rows[span] if self._grouped[span] else 0

    def node(self, path: Path) -> Node:
        items = self._item_count()
        if path[0] >= items:
            section = self._pending[path[0] - items]
            return Node("", section, leaf=True, size=section.size, count=1)
        span = bisect_right(self._items, path[0]) - 1
        row = self._rows[span]
        index = self._index
        if self._grouped[span] and len(path) == 1:
            last = self._span_end(span) - 1
            first = index[row]
            return Node(
                f"PART ×{last - row + 1:,}",
                first,
                children=last - row + 1,
                size=index.ends[last] - first.offset,
                count=last - row + 1,
                first=row,
                last=last,
            )
        row += path[1] if self._grouped[span] else path[0] - self._items[span]
        section = index[row]
        return Node("", section, leaf=True, size=section.size, count=1, first=row, last=row)

    def find(self, section: Section) -> Path | None:
        if section.index < 0:
            for number, pending in enumerate(self._pending):
                if pending.offset == section.offset:
                    return (self._item_count() + number,)
            return None
        if section.index >= self._known:
            return None
        span = bisect_right(self._rows, section.index) - 1
        inside = section.index - self._rows[span]
        if self._grouped[span]:
            return (self._items[span], inside)
        return (self._items[span] + inside,)
