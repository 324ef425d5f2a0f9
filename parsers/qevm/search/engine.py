"""One search in one capture: which bytes or sections it covers, and its matches in both directions."""

from __future__ import annotations

import enum
from array import array
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from qevm.bodies.ram import RamBody
from qevm.problems import QevmError
from qevm.search.bytescan import PatternScan, Scan, Span
from qevm.search.fieldscan import DeviceScan, FieldScan, Sections
from qevm.search.pages import GuestPages, guest_pages
from qevm.search.query import Kind, Query
from qevm.search.regex import RegexScan
from qevm.search.result import Match, Origin, Step
from qevm.section import Device, Section

if TYPE_CHECKING:
    from qevm.capture import Capture

_EVERYWHERE = 1 << 63


class Scope(enum.Enum):
    """Where is searched.  The values are the words for it."""

    CAPTURE = "whole capture"
    SECTION = "this section"
    DEVICE = "this device"
    RAM = "RAM pages"


class Search:
    """Finds the matches of ``query``; for SECTION and DEVICE those of ``section``.

    Raises QevmError where the scope is empty: no section is there, no RAM is indexed.
    """

    def __init__(
        self, capture: Capture, query: Query, scope: Scope = Scope.CAPTURE, section: Section | None = None
    ) -> None:
        self._capture = capture
        self.query = query
        self.scope = scope
        if scope in (Scope.SECTION, Scope.DEVICE) and section is None:
            raise QevmError(f"no section is selected: {scope.value} is nothing to search")
        self._section = section
        self._pages: GuestPages | None = None
        self._scan: Scan | FieldScan | DeviceScan
        if query.kind is Kind.DEVICE:
            self._scan = DeviceScan(capture, query.device)
        elif query.test is not None:
            self._scan = FieldScan(capture, self._sections(), query.test, records=scope is not Scope.CAPTURE)
        else:
            spans = self._spans()
            if query.kind is Kind.REGEX:
                self._scan = RegexScan(capture.source, query.expression, spans, self._pages)
            else:
                self._scan = PatternScan(capture.source, query.patterns, spans, self._pages)

    @property
    def left_out(self) -> str:
        """What this search does not look at, in words; empty when it sees all of its scope."""
        capture = self._capture
        if self.query.test is not None and self.scope is Scope.CAPTURE and self._ram_devices():
            return "page records only with a smaller scope"
        if not self.query.kind.of_bytes and not capture.complete:
            return "only what is indexed so far"
        if self.scope in (Scope.RAM, Scope.DEVICE) and not capture.complete:
            return "only what is indexed so far"
        return ""

    def steps(self, origin: Origin, *, backward: bool = False) -> Iterator[Step]:
        """Every match once, the nearest to ``origin`` first, from the other end again when that is reached.

        Leave the iterator to cancel.  Raises SourceError where the file changed, TooSlow for an expression.
        """
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

        None when that cannot be said at once: only byte patterns can be looked for in passing.
        """
        if not isinstance(self._scan, PatternScan):
            return None
        longest = max(pattern.length for pattern in self.query.patterns)
        steps = self._scan.forward(max(0, low - longest + 1), high)
        found = [step.match for step in steps if step.match is not None]
        return [(match.start, match.end) for match in found if match.end > low]

    # -- what is searched -------------------------------------------------------------------------

    def _device(self) -> Device | None:
        section = self._section
        if section is None or section.device is None:
            return None
        return self._capture.index.devices[section.device]

    def _ram_devices(self) -> list[Device]:
        capture = self._capture
        return [
            device
            for device in capture.index.devices
            if device.sections and isinstance(capture.body_of(capture.index[device.sections[0]]), RamBody)
        ]

    def _sections(self) -> Sections:
        capture, section = self._capture, self._section
        if self.scope is Scope.CAPTURE:
            count = len(capture.index)
            reached = capture.index.offsets[count - 1] if count else -1
            pending = [one for one in capture.located if one.offset > reached]
            return Sections(capture, range(count), pending if not capture.complete else ())
        if self.scope is Scope.RAM:
            rows = array("Q", sorted(row for device in self._ram_devices() for row in device.sections))
            if not rows:
                raise QevmError("no RAM section is indexed")
            return Sections(capture, rows)
        assert section is not None
        device = self._device()
        if self.scope is Scope.DEVICE and device is not None:
            return Sections(capture, device.sections[:])
        return Sections(
            capture, () if section.index < 0 else (section.index,), [section] if section.index < 0 else ()
        )

    def _spans(self) -> Sequence[Span]:
        capture, section = self._capture, self._section
        if self.scope is Scope.CAPTURE:
            return ((0, capture.source.size),)
        if self.scope is Scope.RAM:
            return self._ram_spans()
        assert section is not None
        device = self._device()
        if self.scope is Scope.DEVICE and device is not None:
            index = capture.index
            return _merged((index.offsets[row], index.ends[row]) for row in device.sections[:])
        return ((section.offset, section.end),)

    def _ram_spans(self) -> Sequence[Span]:
        devices = self._ram_devices()
        if not devices:
            raise QevmError("no RAM section is indexed")
        capture = self._capture
        index = capture.index
        # QEMU has one RAM chain; of several the first is meant.
        rows = devices[0].sections[:]
        body = capture.body_of(index[rows[0]])
        assert isinstance(body, RamBody)
        self._pages = guest_pages(body)
        return _merged((index.bodies[row], index.body_ends[row]) for row in rows)


def _merged(ranges: Iterator[Span]) -> list[Span]:
    """Ranges in order, those that touch as one."""
    spans: list[Span] = []
    for start, end in ranges:
        if spans and start <= spans[-1][1]:
            spans[-1] = (spans[-1][0], max(end, spans[-1][1]))
        elif end > start:
            spans.append((start, end))
    return spans
