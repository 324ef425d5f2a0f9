"""One search in one capture: which bytes or sections it covers, and its matches in both directions."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from qevm.bodies.ram import RamBody
from qevm.problems import QevmError
from qevm.search.bytescan import PatternScan, Scan, Span
from qevm.search.fieldscan import DeviceScan, FieldScan, Sections
from qevm.search.pages import guest_pages
from qevm.search.query import Kind, Query
from qevm.search.regex import RegexScan
from qevm.search.result import Match, Origin, Step
from qevm.section import Device, Section

if TYPE_CHECKING:
    from qevm.capture import Capture
    from qevm.containers import ContainerPart

_EVERYWHERE = 1 << 63


class Scope(enum.Enum):
    """Where is searched.  The values are the words for it."""

    CAPTURE = "whole capture"
    SECTION = "this section"
    DEVICE = "this device"
    RAM = "RAM pages"
    PART = "this part"


class Search:
    """Finds the matches of ``query``; for SECTION and DEVICE those of ``section``, for PART of ``part``.

    What is known of the sections is taken when the first steps are asked for.  Raises QevmError where the
    scope is empty: no section is there, no RAM is indexed, a part of the container has no such fields.
    ``source`` is whose bytes the offsets of the matches count.
    """

    def __init__(
        self,
        capture: Capture,
        query: Query,
        scope: Scope = Scope.CAPTURE,
        section: Section | None = None,
        part: ContainerPart | None = None,
    ) -> None:
        self._capture = capture
        self.query = query
        self.scope = scope
        self._section = section
        self._part = part if scope is Scope.PART else None
        self.source = capture.source if self._part is None else self._part.source
        self._complete = capture.complete
        self._scan: Scan | FieldScan | DeviceScan | None = None
        if scope in (Scope.SECTION, Scope.DEVICE) and section is None:
            raise QevmError(f"no section is selected: {scope.value} is nothing to search")
        if scope is Scope.RAM and self._ram() is None:
            raise QevmError("no RAM section is indexed")
        if scope is Scope.PART and part is None:
            raise QevmError("no part of the container is selected")
        if scope is Scope.PART and not query.kind.of_bytes:
            raise QevmError(f"not in a part of the container: {query.how}")

    @property
    def left_out(self) -> str:
        """What this search does not look at, in words; empty when it sees all of its scope."""
        if self.query.test is not None and self.scope is Scope.CAPTURE and self._ram() is not None:
            return "page records only with a smaller scope"
        by_index = self.scope in (Scope.RAM, Scope.DEVICE) or not self.query.kind.of_bytes
        return "only what was indexed so far" if by_index and not self._complete else ""

    def steps(self, origin: Origin, *, backward: bool = False) -> Iterator[Step]:
        """Every match once, the nearest to ``origin`` first, from the other end again when that is reached.

        Leave the iterator to cancel.  Raises SourceError where the file changed, TooSlow for an expression.
        """
        if self._scan is None:
            self._scan = self._make_scan()
        scan = self._scan
        if isinstance(scan, FieldScan | DeviceScan):
            yield from scan.steps(origin, backward)
            return
        if origin.match is not None:
            border = origin.match.start + (not backward)
        else:
            border = origin.offset + (origin.inclusive == backward)
        if backward:
            yield from scan.backward(0, border)
            for step in scan.backward(border, _EVERYWHERE):
                yield Step(step.reached, step.match, wrapped=True)
        else:
            yield from scan.forward(border, _EVERYWHERE)
            for step in scan.forward(0, border):
                yield Step(step.reached, step.match, wrapped=True)

    def all(self) -> Iterator[Step]:
        """Every match once, from the first to the last, without going round."""
        return self.steps(Origin(0, inclusive=True))

    def place_of(self, match: Match) -> tuple[Section | None, tuple[int, ...]]:
        """The section and, for a field, its path; of bytes the section that covers the first of them."""
        if match.section is not None:
            return match.section, match.path
        return self._capture.section_at(match.start), ()

    def near(self, low: int, high: int) -> list[tuple[int, int]] | None:
        """(start, end) of the matches that overlap ``low`` … ``high``, a screen's worth of bytes.

        None when that cannot be said at once: only byte patterns can be looked for in passing, and only when
        the search has begun.
        """
        if not isinstance(self._scan, PatternScan):
            return None
        longest = max(pattern.length for pattern in self.query.patterns)
        steps = self._scan.forward(max(0, low - longest + 1), high)
        found = [step.match for step in steps if step.match is not None]
        return [(match.start, match.end) for match in found if match.end > low]

    # -- what is searched -------------------------------------------------------------------------

    def _make_scan(self) -> Scan | FieldScan | DeviceScan:
        capture, query = self._capture, self.query
        if query.kind is Kind.DEVICE:
            return DeviceScan(capture, query.device)
        if query.test is not None:
            records = self.scope is not Scope.CAPTURE
            return FieldScan(capture, self._sections(), query.test, records=records)
        ram = self._ram() if self.scope is Scope.RAM else None
        pages = None if ram is None else guest_pages(ram[1])
        if query.kind is Kind.REGEX:
            return RegexScan(self.source, query.expression, self._spans(), pages)
        return PatternScan(self.source, query.patterns, self._spans(), pages)

    def _rows(self) -> Sequence[int] | None:
        """The rows of the index that are searched; None for a section that is only located."""
        capture, section = self._capture, self._section
        if self.scope is Scope.CAPTURE:
            return range(len(capture.index))
        if self.scope is Scope.RAM:
            ram = self._ram()
            return () if ram is None else ram[0].sections[:]
        if section is None or section.index < 0:
            return None
        if self.scope is Scope.DEVICE and section.device is not None:
            return capture.index.devices[section.device].sections[:]
        return (section.index,)

    def _sections(self) -> Sections:
        capture, rows = self._capture, self._rows()
        if rows is None:
            return Sections(capture, (), [] if self._section is None else [self._section])
        pending: list[Section] = []
        if self.scope is Scope.CAPTURE and not capture.complete:
            reached = capture.index.offsets[len(rows) - 1] if rows else -1
            pending = [one for one in capture.located if one.offset > reached]
        return Sections(capture, rows, pending)

    def _spans(self) -> Sequence[Span]:
        index, section = self._capture.index, self._section
        if self._part is not None:
            return ((self._part.offset, self._part.offset + self._part.size),)
        if self.scope is Scope.CAPTURE:
            return ((0, self._capture.source.size),)
        if self.scope is Scope.SECTION and section is not None:
            return ((section.offset, section.end),)
        rows = self._rows()
        if rows is None:
            return () if section is None else ((section.offset, section.end),)
        if self.scope is Scope.RAM:
            return _merged((index.bodies[row], index.body_ends[row]) for row in rows)
        return _merged((index.offsets[row], index.ends[row]) for row in rows)

    def _ram(self) -> tuple[Device, RamBody] | None:
        """The RAM chain and how it is read.  QEMU has one; of several the first is meant."""
        capture = self._capture
        for device in capture.index.devices:
            body = capture.body_of(capture.index[device.sections[0]]) if device.sections else None
            if isinstance(body, RamBody):
                return device, body
        return None


def _merged(ranges: Iterable[Span]) -> list[Span]:
    """Ranges in order, those that touch as one."""
    spans: list[Span] = []
    for start, end in ranges:
        if spans and start <= spans[-1][1]:
            spans[-1] = (spans[-1][0], max(end, spans[-1][1]))
        elif end > start:
            spans.append((start, end))
    return spans
