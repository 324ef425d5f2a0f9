"""``todclock``: the time-of-day clock of an s390 guest, a FULL section (stream-format §8.7)."""

from __future__ import annotations

from collections.abc import Iterator

from qevm.bodies.protocol import BadBody
from qevm.bodies.records import FieldReader, read_fields
from qevm.cursor import Cursor
from qevm.facts import StreamFacts
from qevm.field import Field, Role
from qevm.problems import Problem
from qevm.section import Section, SectionKind

MISSING, PRESENT = 0, 1
# The TOD clock counts 2^-12 microseconds from 1900-01-01.
_UNITS_PER_SECOND = 4096 * 1_000_000


def tod_meaning(value: int) -> str:
    """A TOD value (units of 2^-12 µs since 1900-01-01 UTC) in words."""
    seconds = value / _UNITS_PER_SECOND
    days, rest = divmod(int(seconds), 86400)
    clock = f"{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}"
    return f"{seconds:.6f} s since 1900-01-01 ({days:,} days {clock})"


class TodclockBody:
    """u8 1, u8 high (epoch index), be64 low; or u8 0 where the clock could not be read."""

    def __init__(self, facts: StreamFacts) -> None:
        self.facts = facts
        self.problems: list[Problem] = []

    def scan(self, cursor: Cursor, kind: SectionKind, row: int) -> Iterator[None]:
        """See Body."""
        at = cursor.position
        flag = cursor.u8()
        if flag == PRESENT:
            cursor.skip(9)
        elif flag != MISSING:
            raise BadBody(
                at, "todclock begins with a byte that cannot be", "01 present or 00 missing", f"{flag:02x}"
            )
        yield from ()

    def fields(self, section: Section) -> list[Field]:
        """See Body."""
        return read_fields(self.facts.source, section.body, section.body_end, _read)

    def summary(self, section: Section) -> str:
        """See Body."""
        flag = self.facts.source.read(section.body, 1)
        return "clock missing" if flag == b"\0" else ""

    def chain_fields(self) -> list[Field]:
        """See Body."""
        return []


def _read(reader: FieldReader) -> None:
    flag = reader.number("flag", 1, lambda value: "present" if value == PRESENT else "missing", Role.HEADER)
    if flag == PRESENT:
        reader.number("tod_high", 1, "epoch index")
        reader.number("tod_low", 8, tod_meaning)
