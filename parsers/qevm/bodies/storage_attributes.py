"""``s390-storage_attributes``: the CMMA state of each guest page (stream-format §8.3)."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from qevm.bodies.protocol import BadBody
from qevm.bodies.records import FieldReader, Reading, RecordBody
from qevm.cursor import Cursor
from qevm.field import Field, LazyFields, Role
from qevm.section import SectionKind

EOS, MORE, ERROR, DONE = 0x01, 0x02, 0x04, 0x08
# s390 pages are 4 KiB always: the low 12 bits hold the flags.
_FLAGS = 0xFFF
_FLAG_NAMES = {EOS: "EOS", MORE: "MORE", ERROR: "ERROR", DONE: "DONE"}
_USAGE = ("stable", "unused", "potentially volatile", "volatile")
_NO_DAT = 0x40


def attribute_meaning(value: int) -> str:
    """One attribute byte in words: the usage state of the page, and whether it is free of tables."""
    text = _USAGE[value & 3]
    if value & _NO_DAT:
        text += ", holds no DAT tables"
    if value & ~(3 | _NO_DAT):
        text += f", unknown bits 0x{value & ~(3 | _NO_DAT):02x}"
    return text


class StorageAttributesBody(RecordBody):
    """be64 ``address | flag`` records; MORE is followed by be64 count and a byte for each page."""

    columns = ("records", "attributes")
    empty_body: ClassVar[bytes] = EOS.to_bytes(8, "big")

    def step(self, cursor: Cursor, reading: Reading) -> bool:
        """One record."""
        at = cursor.position
        word = cursor.be64()
        flag = word & _FLAGS
        if flag == EOS:
            return False
        if flag == MORE:
            cursor.skip(cursor.be64())
            reading.tally[0] += 1
            reading.tally[1] += cursor.position - at - 16
            return True
        if flag == DONE:
            # QEMU's analyser knows END sections that stop here, without EOS (§8.3).
            return not (reading.kind is SectionKind.END and cursor.peek(1) in (b"", b"\x7e"))
        if flag == ERROR:
            raise BadBody(at, "the source could not read the storage attributes", "EOS", "ERROR")
        raise BadBody(
            at,
            "storage attributes with a flag that cannot be",
            "01 EOS, 02 MORE, 04 ERROR or 08 DONE",
            f"{flag:03x}",
        )

    def record(self, reader: FieldReader, context: int) -> tuple[str, str]:
        """One record with its attribute bytes."""
        word = reader.number("address_and_flag", 8, role=Role.ADDRESS)
        flag = word & _FLAGS
        name = _FLAG_NAMES.get(flag, f"{flag:03x}")
        reader.fields[-1].meaning = f"{name} at page 0x{word >> 12:x}" if flag == MORE else name
        if flag != MORE:
            return name, "end of the body" if flag == EOS else "nothing more will be sent"
        count = reader.number("count", 8, "pages, one byte each", Role.LENGTH)
        values = page_bytes(reader, "attributes", count, word >> 12, attribute_meaning)
        used = len(values.strip(b"\0"))
        return "MORE", f"{count:,} pages from 0x{word & ~_FLAGS:x}" + ("" if used else ", all stable")


def page_bytes(
    reader: FieldReader, name: str, count: int, first: int, meaning: Callable[[int], str]
) -> bytes:
    """A buffer of one byte for each page from page number ``first``, as a lazy field.

    Returns the head of it (64 KiB at most), enough to tell an empty one.
    """
    at = reader.position
    reader.raw(name, count)
    source = reader.cursor.source

    def make(number: int) -> Field:
        value = source.read(at + number, 1)[0]
        return Field(f"page {first + number:x}", at + number, 1, "uint8", value, meaning(value))

    buffer = reader.fields[-1]
    buffer.children = LazyFields(buffer.size, make, lambda offset: offset - at)
    return source.read(at, min(buffer.size, 1 << 16))
