"""``dirty-bitmap``: dirty bitmaps of block nodes (capability dirty-bitmaps, stream-format §8.4)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

from qevm.bodies.protocol import BadBody
from qevm.bodies.records import Bit, FieldReader, Reading, RecordBody, symbols
from qevm.cursor import Cursor
from qevm.facts import StreamFacts
from qevm.field import Field, Role
from qevm.problems import Problem
from qevm.safetext import decode

EOS, ZEROES, BITMAP_NAME, DEVICE_NAME = 0x01, 0x02, 0x04, 0x08
START, COMPLETE, BITS, EXTRA_FLAGS = 0x10, 0x20, 0x40, 0x80
SECTOR = 512

_FLAGS: tuple[Bit, ...] = (
    (6, 1, "BITS", "a part of the bitmap follows"),
    (5, 1, "COMPLETE", "the bitmap is complete"),
    (4, 1, "START", "a bitmap begins: granularity and flags follow"),
    (3, 1, "DEVICE_NAME", "the node's name (or alias) follows"),
    (2, 1, "BITMAP_NAME", "the bitmap's name (or alias) follows"),
    (1, 1, "ZEROES", "the range is all zero, no bits follow"),
    (0, 1, "EOS", "end of the body"),
)
_BITMAP_FLAGS: tuple[Bit, ...] = (
    (2, 1, "autoload", "loaded with the image (obsolete)"),
    (1, 1, "persistent", "stored in the image"),
    (0, 1, "enabled", "records writes"),
)
_KINDS = START | COMPLETE | BITS
_KNOWN = _KINDS | EOS | ZEROES | BITMAP_NAME | DEVICE_NAME

# Columns of the tally.  Names are numbers in ``_names``; 0 is "none yet".
_NODE, _BITMAP, _CHUNKS, _SECTORS = range(4)
# A chunk's dirty units are counted for its meaning only up to this many bytes of bits.
_COUNTED = 1 << 20


@dataclass(slots=True)
class _Bitmap:
    """What START said of one bitmap, and how much of it came.  ``granularity`` in bytes."""

    node: int
    bitmap: int
    offset: int
    granularity: int
    flags: int
    sectors: int = 0
    complete: bool = False


class DirtyBitmapBody(RecordBody):
    """Chunks: flags, names where they change, then what the flags announce; EOS in the last one.

    The current node and bitmap hold on from chunk to chunk and from section to section.  A stream can have
    100,000 PART sections that are a lone EOS byte: the walker skips those by ``empty_body`` and
    nothing is kept for them; the names that hold at a section are those of the nearest section before it
    that was not empty.
    """

    columns = ("node", "bitmap", "chunks", "sectors")
    empty_body: ClassVar[bytes] = b"\x01"

    def __init__(self, facts: StreamFacts) -> None:
        super().__init__(facts)
        self._names: list[bytes] = [b""]
        self._numbers: dict[bytes, int] = {b"": 0}
        self._bitmaps: dict[tuple[int, int], _Bitmap] = {}

    def begin(self, row: int) -> list[int]:
        """The names that hold where section ``row`` begins."""
        before = self.tallies.before(row)
        return [0, 0, 0, 0] if before is None else [before[_NODE], before[_BITMAP], 0, 0]

    def context(self, tally: list[int]) -> int:
        """Node and bitmap numbers in front of a chunk."""
        return tally[_NODE] << 32 | tally[_BITMAP]

    def _number(self, name: bytes) -> int:
        number = self._numbers.get(name)
        if number is None:
            # The number is published after the name: another thread may be reading.
            self._names.append(name)
            number = self._numbers[name] = len(self._names) - 1
        return number

    def step(self, cursor: Cursor, reading: Reading) -> bool:
        """One chunk."""
        at = cursor.position
        flags = _read_flags(cursor)
        if not flags:
            # QEMU takes a chunk without flags, and does nothing.  Damaged files have millions: a run is one.
            data, index, end = cursor.buffered()
            nothing = _NOTHING.match(data, index, end)
            cursor.skip(nothing.end() - index if nothing else 0)
            return True
        tally = reading.tally
        kind = flags & _KINDS
        if flags & ~_KNOWN or kind & (kind - 1):
            raise BadBody(
                at,
                "dirty bitmap chunk with flags that cannot be",
                "at most one of START 10, COMPLETE 20, BITS 40",
                f"{flags:02x}",
            )
        if flags & DEVICE_NAME:
            tally[_NODE] = self._number(cursor.cstr())
        if flags & BITMAP_NAME:
            tally[_BITMAP] = self._number(cursor.cstr())
        if kind and not (tally[_NODE] and tally[_BITMAP]):
            raise BadBody(
                at, "dirty bitmap chunk before any name", "node and bitmap name", f"flags {flags:02x}"
            )
        key = tally[_NODE], tally[_BITMAP]
        if kind == START:
            granularity = cursor.be32()
            bitmap_flags = cursor.u8()
            if granularity < SECTOR or granularity & (granularity - 1):
                reading.problems.append(
                    Problem(
                        cursor.position - 5,
                        f"dirty bitmap {self._title(*key)} has a granularity that cannot be",
                        "a power of two, 512 at least",
                        str(granularity),
                    )
                )
            self._bitmaps.setdefault(key, _Bitmap(*key, at, granularity, bitmap_flags))
        elif kind == COMPLETE and key in self._bitmaps:
            self._bitmaps[key].complete = True
        elif kind == BITS:
            self._bits(cursor, reading, flags, key)
        if kind:
            tally[_CHUNKS] += 1
        return not flags & EOS

    def _bits(self, cursor: Cursor, reading: Reading, flags: int, key: tuple[int, int]) -> None:
        cursor.skip(8)
        sectors = cursor.be32()
        reading.tally[_SECTORS] += sectors
        bitmap = self._bitmaps.get(key)
        if flags & ZEROES:
            return
        at = cursor.position
        size = cursor.be64()
        granularity = bitmap.granularity if bitmap is not None else 0
        if granularity:
            # Whole words of the host, 4 or 8 bytes, padded to four of them.
            units = -(-sectors * SECTOR // granularity)
            needed = -(-units // 64) * 8
            most = -(-needed // 32) * 32
            if not needed - 4 <= size <= most:
                message = f"bits of dirty bitmap {self._title(*key)} do not fit its granularity"
                expected = f"{needed} bytes for {sectors:,} sectors"
                if size > cursor.left or size > 2 * most + 64:
                    raise BadBody(at, message, expected, f"{size:,}")
                reading.problems.append(Problem(at, message, expected, f"{size:,}"))
        cursor.skip(size)

    def _title(self, node: int, bitmap: int) -> str:
        return f"{decode(self._names[node])}/{decode(self._names[bitmap])}"

    def record(self, reader: FieldReader, context: int) -> tuple[str, str]:
        """One chunk.  ``context`` is what :meth:`context` gave in front of it."""
        node, bitmap = context >> 32, context & 0xFFFFFFFF
        size = 1
        first = reader.cursor.peek(2)
        if first[0] & EXTRA_FLAGS and len(first) > 1:
            size = 4 if first[1] & EXTRA_FLAGS else 2
        flags = reader.number("flags", size, lambda value: symbols(value, _FLAGS), Role.HEADER, _FLAGS)
        if flags & DEVICE_NAME:
            node = self._numbers.get(reader.text("node_name", "block node, or its alias"), 0)
        if flags & BITMAP_NAME:
            bitmap = self._numbers.get(reader.text("bitmap_name", "bitmap, or its alias"), 0)
        title = self._title(node, bitmap)
        if flags & START:
            granularity = reader.number("granularity", 4, "bytes that one bit stands for")
            reader.number(
                "bitmap_flags", 1, lambda value: symbols(value, _BITMAP_FLAGS), Role.NUMBER, _BITMAP_FLAGS
            )
            return "START", f"{title}: one bit for {granularity:,} bytes"
        if flags & COMPLETE:
            return "COMPLETE", title
        if flags & BITS:
            known = self._bitmaps.get((node, bitmap))
            return "BITS", f"{title}: {_read_bits(reader, flags, known.granularity if known else 0)}"
        if flags & EOS:
            return "EOS", "end of the body"
        more = reader.cursor.left
        if more:
            reader.raw("more", more, "further chunks without flags", Role.PADDING)
        return "nothing", f"{more + 1:,} chunks without flags" if more else "a chunk without flags"

    def phrase(self, tally: list[int]) -> str:
        """See RecordBody."""
        if not tally[_CHUNKS]:
            return ""
        name = self._title(tally[_NODE], tally[_BITMAP])
        size = tally[_SECTORS] * SECTOR
        return f"{name}: {tally[_CHUNKS]:,} chunks" + (f" for {size:,} bytes" if size else "")

    def chain_fields(self) -> list[Field]:
        """See Body: one line for each bitmap that was begun."""
        return [
            Field(
                self._title(item.node, item.bitmap),
                item.offset,
                0,
                "bitmap",
                item.granularity,
                f"bit = {item.granularity:,} bytes; {symbols(item.flags, _BITMAP_FLAGS) or 'disabled'}; "
                + ("complete" if item.complete else "not complete"),
            )
            for item in list(self._bitmaps.values())
        ]


_NOTHING = re.compile(rb"\0+")


def _read_flags(cursor: Cursor) -> int:
    flags = cursor.u8()
    if flags & EXTRA_FLAGS:
        flags = flags << 8 | cursor.u8()
        if flags & EXTRA_FLAGS:
            flags = flags << 16 | cursor.be16()
    return flags


def _read_bits(reader: FieldReader, flags: int, granularity: int) -> str:
    first = reader.number("first_sector", 8, "in units of 512 bytes", Role.ADDRESS)
    sectors = reader.number("nr_sectors", 4, "sectors that the chunk covers", Role.LENGTH)
    extent = f"bytes 0x{first * SECTOR:x}..0x{(first + sectors) * SECTOR:x}"
    if flags & ZEROES:
        return f"{extent} all clean"
    size = reader.number("buf_size", 8, "bytes of bits", Role.LENGTH)
    at = reader.position
    reader.raw("bits", size, "little-endian 64-bit words, one bit a unit", Role.BUFFER)
    if size > _COUNTED:
        return extent
    raw = reader.cursor.source.read(at, reader.fields[-1].size)
    dirty = int.from_bytes(raw, "little")
    count = dirty.bit_count()
    text = f"{count:,} dirty units"
    if count and granularity:
        low = first * SECTOR + ((dirty & -dirty).bit_length() - 1) * granularity
        high = first * SECTOR + dirty.bit_length() * granularity
        text += f", {count * granularity:,} bytes between 0x{low:x} and 0x{high:x}"
    reader.fields[-1].meaning = text
    return f"{extent}, {text}"
