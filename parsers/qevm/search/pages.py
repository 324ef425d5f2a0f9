"""Where the contents of guest pages are in a stream, for a search that leaves out the records around them.

Contents are what a page record carries: a page, an XBZRLE delta, a compressed page.  Zero pages carry none.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterator
from typing import Protocol

from qevm.bodies.mapped_ram import Bitmaps
from qevm.bodies.page_runs import PageKind, PageRuns
from qevm.bodies.ram import RamBody

_WITHOUT_CONTENT = (PageKind.ZERO, PageKind.FILL)


class GuestPages(Protocol):
    """Finds places where so many bytes lie inside the contents of one page (or of pages without a gap)."""

    def next_fit(self, offset: int, length: int) -> int | None:
        """The first such place at or behind ``offset``; None when there is none."""
        ...

    def last_fit(self, offset: int, length: int) -> int | None:
        """The last such place at or before ``offset``; None when there is none."""
        ...

    def pieces(self, low: int, high: int) -> Iterator[tuple[int, int]]:
        """The contents in ``low`` … ``high`` (exclusive) as (start, end), cut at both."""
        ...


def guest_pages(body: RamBody) -> GuestPages:
    """The pages of a RAM chain, as far as it is indexed."""
    mapped = [block.mapped for block in body.blocks if block.mapped is not None]
    if not mapped:
        return RecordPages(body.runs)
    bitmaps = Bitmaps(body.facts.source, mapped)
    starts, ends = array("Q"), array("Q")
    for block in sorted(mapped, key=lambda one: one.pages_at):
        if not block.problem:
            for first, count in bitmaps.runs(block):
                starts.append(block.pages_at + first * block.page_size)
                ends.append(starts[-1] + count * block.page_size)
    return PlacedPages(starts, ends)


class RecordPages:
    """Pages in records (stream-format §5.4): the runs of the page index."""

    def __init__(self, runs: PageRuns) -> None:
        self._runs = runs

    def next_fit(self, offset: int, length: int) -> int | None:
        """See :meth:`GuestPages.next_fit`."""
        runs = self._runs
        count = len(runs)
        for run in range(max(bisect_right(runs.firsts, offset, 0, count) - 1, 0), count):
            stride, payload = runs.strides[run], runs.payloads[run]
            if runs.kinds[run] in _WITHOUT_CONTENT or stride - payload < length:
                continue
            first = runs.firsts[run]
            number = max(0, (offset - first) // stride)
            if number >= runs.counts[run]:
                continue
            begin = first + number * stride
            if offset <= begin + payload:
                return begin + payload
            if offset + length <= begin + stride:
                return offset
            if number + 1 < runs.counts[run]:
                return begin + stride + payload
        return None

    def last_fit(self, offset: int, length: int) -> int | None:
        """See :meth:`GuestPages.last_fit`."""
        runs = self._runs
        for run in range(bisect_right(runs.firsts, offset, 0, len(runs)) - 1, -1, -1):
            stride, payload = runs.strides[run], runs.payloads[run]
            if runs.kinds[run] in _WITHOUT_CONTENT or stride - payload < length:
                continue
            first = runs.firsts[run]
            number = min((offset - first) // stride, runs.counts[run] - 1)
            begin = first + number * stride
            if offset >= begin + payload:
                return min(offset, begin + stride - length)
            if number:
                return begin - length
        return None

    def pieces(self, low: int, high: int) -> Iterator[tuple[int, int]]:
        """See :meth:`GuestPages.pieces`."""
        place = self.next_fit(low, 1)
        while place is not None and place < high:
            record = self._runs.record_at(place)
            if record is None:
                return
            end = record.offset + record.size
            yield place, min(end, high)
            place = self.next_fit(end, 1)


class PlacedPages:
    """Pages at fixed places of the file (stream-format §7): stretches of present pages, ascending."""

    def __init__(self, starts: array[int], ends: array[int]) -> None:
        self._starts = starts
        self._ends = ends

    def next_fit(self, offset: int, length: int) -> int | None:
        """See :meth:`GuestPages.next_fit`."""
        for number in range(max(bisect_right(self._starts, offset) - 1, 0), len(self._starts)):
            place = max(offset, self._starts[number])
            if place + length <= self._ends[number]:
                return place
        return None

    def last_fit(self, offset: int, length: int) -> int | None:
        """See :meth:`GuestPages.last_fit`."""
        for number in range(bisect_right(self._starts, offset) - 1, -1, -1):
            place = min(offset, self._ends[number] - length)
            if place >= self._starts[number]:
                return place
        return None

    def pieces(self, low: int, high: int) -> Iterator[tuple[int, int]]:
        """See :meth:`GuestPages.pieces`."""
        for number in range(max(bisect_right(self._starts, low) - 1, 0), len(self._starts)):
            if self._starts[number] >= high:
                return
            start, end = max(low, self._starts[number]), min(high, self._ends[number])
            if start < end:
                yield start, end
