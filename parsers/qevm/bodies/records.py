"""What the record-shaped bodies share: a head, then records up to an end marker.

``htab``, ``dirty-bitmap``, ``block``, ``s390-storage_attributes``, ``s390-skeys`` and ``vfio`` all look like
that (stream-format §8).  Each of them reads one record at a time in :meth:`RecordBody.step`; the scan counts
them, and the Field tree is made from where they begin, when somebody looks.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from qevm.bodies.protocol import BadBody
from qevm.cursor import Cursor, Truncated
from qevm.facts import StreamFacts
from qevm.field import Field, LazyFields, Role
from qevm.problems import Problem
from qevm.safetext import decode
from qevm.section import Section, SectionKind
from qevm.source import Source

DIRECT_RECORDS = 256
"""More records than this stand in one lazy "records" field instead of directly in the body."""

_UINT = {1: "uint8", 2: "uint16", 4: "uint32", 8: "uint64"}

Bit = tuple[int, int, str, str]
"""A named bit range: lowest bit, width, name, meaning when it is set (or of its value)."""


class FieldReader:
    """Reads bytes front to back and notes each thing that it reads as a Field.  Big-endian."""

    def __init__(self, source: Source, offset: int, limit: int, window: int = 4096) -> None:
        self.cursor = Cursor(source, offset, limit, window)
        self.fields: list[Field] = []

    @property
    def position(self) -> int:
        """Offset of the next byte."""
        return self.cursor.position

    def number(
        self,
        name: str,
        size: int,
        meaning: str | Callable[[int], str] = "",
        role: Role = Role.NUMBER,
        bits: Sequence[Bit] = (),
        *,
        signed: bool = False,
    ) -> int:
        """An integer of ``size`` bytes, with a child for each named bit range."""
        at = self.cursor.position
        value = int.from_bytes(self.cursor.take(size), "big", signed=signed)
        text = meaning if isinstance(meaning, str) else meaning(value)
        kind = _UINT.get(size, "buffer")
        children = bit_fields(at, size, value, bits) if bits else ()
        self.fields.append(Field(name, at, size, kind[1:] if signed else kind, value, text, children, role))
        return value

    def text(self, name: str, meaning: str = "") -> bytes:
        """A counted string: one field for the length byte, one for the text."""
        at = self.cursor.position
        raw = self.cursor.cstr()
        self.fields.append(Field(f"{name}_length", at, 1, "uint8", len(raw), role=Role.LENGTH))
        self.fields.append(Field(name, at + 1, len(raw), "string", decode(raw), meaning, role=Role.NAME))
        return raw

    def raw(self, name: str, size: int, meaning: str = "", role: Role = Role.BUFFER) -> None:
        """``size`` bytes that are not read; cut where the data ends, and said so."""
        at = self.cursor.position
        there = min(size, max(self.cursor.left, 0))
        self.cursor.position += there
        problem = "" if there == size else f"cut off: {size:,} bytes announced, {there:,} here"
        self.fields.append(Field(name, at, there, "buffer", None, meaning, (), role, problem=problem))

    def rest(self, problem: str) -> None:
        """Whatever is left up to the limit, as one field that says why it was not read."""
        left = self.cursor.left
        if left > 0:
            self.fields.append(
                Field("unread", self.position, left, "buffer", role=Role.PROBLEM, problem=problem)
            )
            self.cursor.position += left


def bit_fields(offset: int, size: int, value: int, bits: Sequence[Bit]) -> list[Field]:
    """One Field for each named bit range of the integer ``value`` that stands at ``offset``."""
    found = []
    for low, width, name, meaning in bits:
        part = (value >> low) & ((1 << width) - 1)
        shown = meaning if part or width > 1 else ""
        found.append(
            Field(name, offset, size, "bits", bool(part) if width == 1 else part, shown, bits=(low, width))
        )
    return found


def symbols(value: int, bits: Sequence[Bit]) -> str:
    """The names of the one-bit ranges that are set, e.g. ``START DEVICE_NAME``."""
    return " ".join(name for low, width, name, _ in bits if width == 1 and value >> low & 1)


def read_fields(source: Source, offset: int, end: int, read: Callable[[FieldReader], None]) -> list[Field]:
    """The Fields that ``read`` makes of one extent.  They cover all of it, sound or not."""
    reader = FieldReader(source, offset, end)
    try:
        read(reader)
    except Truncated as error:
        reader.rest(f"cut off: needs {error.needed:,} bytes, has {error.left:,}")
    except BadBody as error:
        reader.rest(error.message)
    reader.rest("bytes behind the end of the body")
    return reader.fields


class Tallies:
    """Small numbers for each section of a chain, in columns: no object for a section.

    Rows come in ascending order (the walk goes forward).  Sections without a row had nothing to count.
    """

    def __init__(self, columns: int) -> None:
        self._rows = array("Q")
        self._columns = [array("Q") for _ in range(columns)]

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, row: int, tally: Sequence[int]) -> None:
        """Note the numbers of section ``row``."""
        self._rows.append(row)
        for column, number in zip(self._columns, tally, strict=True):
            column.append(min(number, (1 << 64) - 1))

    def of(self, row: int) -> list[int] | None:
        """The numbers of section ``row``."""
        place = bisect_left(self._rows, row)
        if place == len(self._rows) or self._rows[place] != row:
            return None
        return [column[place] for column in self._columns]

    def before(self, row: int) -> list[int] | None:
        """The numbers of the nearest section in front of ``row`` that has any."""
        place = bisect_left(self._rows, row) - 1
        return None if place < 0 else [column[place] for column in self._columns]

    def total(self, column: int) -> int:
        """The sum of one column over all sections."""
        return sum(self._columns[column])


@dataclass(slots=True)
class Reading:
    """One pass over one body.  ``tally`` has a number for each of the body's ``columns``.

    ``problems`` takes what is wrong and does not stop the pass: the walker's list in a scan, a list
    that nobody reads when the Fields are made (the scan has reported it).
    """

    kind: SectionKind
    tally: list[int]
    problems: list[Problem] = field(default_factory=list)


class RecordBody(ABC):
    """A body of a head and records.  One object serves one chain, as the Body protocol says."""

    columns: ClassVar[tuple[str, ...]] = ()
    window: ClassVar[int] = 0
    """Bytes to read ahead in the scan; 0: as the walk does.  Small where payloads are skipped."""

    def __init__(self, facts: StreamFacts) -> None:
        self.facts = facts
        self.tallies = Tallies(len(self.columns))
        self._problems: list[Problem] = []
        self._first = 0

    @property
    def problems(self) -> list[Problem]:
        """Problems that did not stop the scan; the walker takes and clears them."""
        return self._problems

    def head(self, cursor: Cursor, reading: Reading) -> bool:
        """Read what stands before the records; False when there are none."""
        return True

    def head_fields(self, reader: FieldReader, kind: SectionKind) -> bool:
        """As :meth:`head`, for the Field tree."""
        return True

    @abstractmethod
    def step(self, cursor: Cursor, reading: Reading) -> bool:
        """Read one record; False when it was the last one.  Raises BadBody and Truncated."""

    @abstractmethod
    def record(self, reader: FieldReader, context: int) -> tuple[str, str]:
        """Read one sound record; its name and meaning."""

    def begin(self, row: int) -> list[int]:
        """The tally that the scan of section ``row`` starts from."""
        return [0] * len(self.columns)

    def context(self, tally: list[int]) -> int:
        """What :meth:`record` must know of the records before, as one number."""
        return 0

    def scan(self, cursor: Cursor, kind: SectionKind, row: int) -> Iterator[None]:
        """See Body."""
        inner = cursor
        if self.window:
            inner = Cursor(cursor.source, cursor.position, cursor.limit, self.window)
        if not self._first:
            self._first = cursor.position
        reading = Reading(kind, self.begin(row), self._problems)
        steps = 0
        try:
            going = self.head(inner, reading)
            while going:
                going = self.step(inner, reading)
                steps += 1
                if not steps & 0x3FF:
                    yield
        finally:
            cursor.position = inner.position
            self.tallies.add(row, reading.tally)

    def fields(self, section: Section) -> list[Field]:
        """See Body."""
        source = self.facts.source
        reader = FieldReader(source, section.body, section.body_end, self.window or 1 << 16)
        problem = "bytes behind the end of the body"
        starts, contexts = array("Q"), array("Q")
        stop = section.body
        try:
            going = self.head_fields(reader, section.kind)
            stop = reader.position
            reading = Reading(section.kind, self.begin(section.index))
            while going:
                starts.append(reader.position)
                contexts.append(self.context(reading.tally))
                going = self.step(reader.cursor, reading)
                stop = reader.position
        except Truncated as error:
            problem = f"cut off at 0x{error.offset:x}: needs {error.needed:,} bytes, has {error.left:,}"
        except BadBody as error:
            problem = error.message
        if starts and starts[-1] == stop:
            starts.pop()
        reader.cursor.position = stop
        self._add_records(reader.fields, starts, contexts, stop)
        reader.rest(problem)
        return reader.fields

    def _add_records(self, found: list[Field], starts: array[int], contexts: array[int], stop: int) -> None:
        def make(number: int) -> Field:
            start = starts[number]
            end = starts[number + 1] if number + 1 < len(starts) else stop
            inner = FieldReader(self.facts.source, start, end, 512)
            name, meaning = self.record(inner, contexts[number])
            return Field(name, start, end - start, "struct", None, meaning, inner.fields)

        if len(starts) <= DIRECT_RECORDS:
            found.extend(make(number) for number in range(len(starts)))
            return
        found.append(
            Field(
                "records",
                starts[0],
                stop - starts[0],
                "struct",
                meaning=f"{len(starts):,} records",
                children=LazyFields(len(starts), make, lambda offset: _place(starts, stop, offset)),
            )
        )

    def summary(self, section: Section) -> str:
        """See Body."""
        tally = self.tallies.of(section.index)
        if tally is None and section.kind is SectionKind.FULL:
            tally = self._count(section)
        return "" if tally is None else self.phrase(tally)

    def _count(self, section: Section) -> list[int]:
        """The tally of a FULL section that was located by its description and not scanned."""
        reading = Reading(section.kind, self.begin(section.index))
        cursor = Cursor(self.facts.source, section.body, section.body_end, 512)
        try:
            going = self.head(cursor, reading)
            while going:
                going = self.step(cursor, reading)
        except (BadBody, Truncated):
            pass
        return reading.tally

    def phrase(self, tally: list[int]) -> str:
        """The tally of one section in words, e.g. ``2 records, 40 keys``."""
        parts = [f"{number:,} {name}" for name, number in zip(self.columns, tally, strict=True) if number]
        return ", ".join(parts)

    def chain_fields(self) -> list[Field]:
        """See Body: the totals of all columns."""
        return [
            Field(name, self._first, 0, "total", self.tallies.total(number))
            for number, name in enumerate(self.columns)
        ]


def _place(starts: array[int], stop: int, offset: int) -> int | None:
    if not starts or not starts[0] <= offset < stop:
        return None
    return bisect_right(starts, offset) - 1
