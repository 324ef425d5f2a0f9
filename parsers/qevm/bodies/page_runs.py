"""Where the pages of guest RAM are in a stream: a columnar index of page records, kept as runs.

A live migration of a big guest holds hundreds of millions of page records, so no record is an object.
Records that follow each other without a gap, have the same kind and size and go up page by page in one
block are one *run*: a row in a few growing arrays.  Memory is proportional to the number of runs
(about 40 bytes each), looking something up takes logarithmic time (stream-format §5.4).
"""

from __future__ import annotations

import enum
from array import array
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass


class PageKind(enum.IntEnum):
    """How a record says what is in its page (stream-format §5.1)."""

    ZERO = 0
    FILL = 1
    """A ZERO record with a fill byte other than 0, as only very old QEMUs write."""
    NORMAL = 2
    XBZRLE = 3
    COMPRESSED = 4

    @property
    def label(self) -> str:
        """The word that summaries use, e.g. "412 zero"."""
        return ("zero", "filled", "normal", "xbzrle", "compressed")[self]


KINDS = tuple(PageKind)


@dataclass(frozen=True, slots=True)
class PageRecord:
    """One page record: where it is, which page it is for, and where its data are.

    ``offset`` and ``size`` cover the whole record in the source.  ``payload`` is the source offset of
    what follows its header: the fill byte, the page, the XBZRLE delta or the zlib stream; ``length`` is
    the size of that in bytes.  ``block`` is the number of the RAM block, ``address`` the byte
    offset of the page in it.  ``run`` is the row in :class:`PageRuns`.
    """

    offset: int
    size: int
    kind: PageKind
    block: int
    address: int
    payload: int
    run: int

    @property
    def length(self) -> int:
        """Bytes of the payload."""
        return self.offset + self.size - self.payload


class PageRuns:
    """Runs of page records in stream order, as columns.  One thread appends, others may read.

    ``firsts`` is the source offset of a run's first record, ``strides`` the bytes from one record to the
    next, ``addresses`` the byte offset of its first page in the block ``blocks``, ``counts`` the number
    of records, ``payloads`` the offset of the data inside a record.  ``page_size`` (bytes) is the
    distance of the pages of a run.
    """

    def __init__(self) -> None:
        self.firsts = array("Q")
        self.strides = array("I")
        self.blocks = array("I")
        self.addresses = array("Q")
        self.counts = array("Q")
        self.kinds = array("B")
        self.payloads = array("H")
        self.page_size = 4096
        self.totals = [0] * len(KINDS)
        self._rows = array("Q")
        self._row_firsts = array("Q")
        self.row_totals = tuple(array("Q") for _ in KINDS)

    def __len__(self) -> int:
        return len(self.payloads)

    @property
    def records(self) -> int:
        """How many page records there are in all runs."""
        return sum(self.totals)

    def begin_section(self, row: int) -> None:
        """Runs that are appended from here on belong to section ``row`` (rows only go up)."""
        if self._rows and self._row_firsts[-1] == len(self):
            # The section before held no page: a stream can have 100,000 of those (§2.5).
            self._rows.pop()
            self._row_firsts.pop()
            for column in self.row_totals:
                column.pop()
        self._rows.append(row)
        self._row_firsts.append(len(self))
        for column, total in zip(self.row_totals, self.totals, strict=True):
            column.append(total)

    def append(
        self, first: int, stride: int, kind: PageKind, block: int, address: int, payload: int, count: int = 1
    ) -> None:
        """Add a run behind the others, or lengthen the last one when it goes on."""
        self.totals[kind] += count
        last = len(self) - 1
        if last >= 0 and self._goes_on(last, first, stride, kind, block, address, payload):
            self.counts[last] += count
            return
        self.firsts.append(first)
        self.strides.append(stride)
        self.blocks.append(block)
        self.addresses.append(address)
        self.counts.append(count)
        self.kinds.append(kind)
        self.payloads.append(payload)

    def begin_run(self, first: int, stride: int, kind: int, block: int, address: int) -> None:
        """Add a run of records without a name (8 bytes before the data) whose count :meth:`end_run` sets.

        For the scan, which has just seen that no run goes on here.
        """
        self.firsts.append(first)
        self.strides.append(stride)
        self.blocks.append(block)
        self.addresses.append(address)
        self.counts.append(0)
        self.kinds.append(kind)
        self.payloads.append(8)

    def resume_run(self, first: int, stride: int, kind: int, block: int, address: int) -> None:
        """As :meth:`begin_run`, or nothing when the last run goes on here."""
        last = len(self) - 1
        if last < 0 or not self._goes_on(last, first, stride, kind, block, address, 8):
            self.begin_run(first, stride, kind, block, address)

    def end_run(self, count: int) -> None:
        """The last run has ``count`` more records than it had."""
        self.counts[-1] += count
        self.totals[self.kinds[-1]] += count

    def _goes_on(
        self, last: int, first: int, stride: int, kind: int, block: int, address: int, payload: int
    ) -> bool:
        count = self.counts[last]
        return (
            self.firsts[last] + count * stride == first
            and self.strides[last] == stride
            and self.kinds[last] == kind
            and self.blocks[last] == block
            and self.payloads[last] == payload
            and self.addresses[last] + count * self.page_size == address
        )

    def section_range(self, row: int) -> range:
        """The runs of section ``row``; empty when it holds no page record."""
        place = bisect_right(self._rows, row) - 1
        if place < 0 or self._rows[place] != row:
            return range(0)
        first = self._row_firsts[place]
        after = self._row_firsts[place + 1] if place + 1 < len(self._row_firsts) else len(self)
        return range(first, after)

    def runs_until(self, row: int) -> int:
        """How many runs there are in the sections up to and with ``row``."""
        place = bisect_right(self._rows, row)
        return self._row_firsts[place] if place < len(self._row_firsts) else len(self)

    def row_of(self, run: int) -> int:
        """The section row that holds run ``run``."""
        return self._rows[bisect_right(self._row_firsts, run) - 1]

    def section_totals(self, row: int) -> list[int]:
        """How many records of each :class:`PageKind` section ``row`` holds."""
        place = bisect_right(self._rows, row) - 1
        if place < 0 or self._rows[place] != row:
            return [0] * len(KINDS)
        after = place + 1 < len(self._rows)
        return [
            (column[place + 1] if after else total) - column[place]
            for column, total in zip(self.row_totals, self.totals, strict=True)
        ]

    def run_at(self, offset: int) -> int | None:
        """The run that covers source offset ``offset``, or None."""
        run = bisect_right(self.firsts, offset, 0, len(self)) - 1
        if run < 0 or offset >= self.firsts[run] + self.counts[run] * self.strides[run]:
            return None
        return run

    def record(self, run: int, number: int) -> PageRecord:
        """Record ``number`` (from 0) of run ``run``."""
        stride = self.strides[run]
        offset = self.firsts[run] + number * stride
        return PageRecord(
            offset,
            stride,
            KINDS[self.kinds[run]],
            self.blocks[run],
            self.addresses[run] + number * self.page_size,
            offset + self.payloads[run],
            run,
        )

    def record_at(self, offset: int) -> PageRecord | None:
        """The page record that covers source offset ``offset``, or None.  Logarithmic."""
        run = self.run_at(offset)
        if run is None:
            return None
        return self.record(run, (offset - self.firsts[run]) // self.strides[run])

    def __iter__(self) -> Iterator[PageRecord]:
        for run in range(len(self)):
            for number in range(self.counts[run]):
                yield self.record(run, number)
