"""``block``: disk contents of the old block migration, ``migrate -b`` up to QEMU 9.0 (stream-format §8.5)."""

from __future__ import annotations

from typing import ClassVar

from qevm.bodies.protocol import BadBody
from qevm.bodies.records import Bit, FieldReader, Reading, RecordBody, symbols
from qevm.cursor import Cursor
from qevm.field import Role
from qevm.safetext import decode

DEVICE_BLOCK, EOS, PROGRESS, ZERO_BLOCK = 0x01, 0x02, 0x04, 0x08
SECTOR_BITS = 9
CHUNK = 1 << 20
"""Bytes of a chunk's data: always all of it, for the last partial chunk of a drive too."""

_FLAG_MASK = (1 << SECTOR_BITS) - 1
_FLAGS: tuple[Bit, ...] = (
    (3, 1, "ZERO_BLOCK", "the chunk is all zero, no data follows"),
    (2, 1, "PROGRESS", "the number is a percentage"),
    (1, 1, "EOS", "end of the body"),
    (0, 1, "DEVICE_BLOCK", "a chunk of a drive"),
)


class BlockBody(RecordBody):
    """be64 ``sector << 9 | flags`` records; a chunk has the drive's name and 1 MiB of data."""

    columns = ("chunks", "zero chunks", "percent")
    empty_body: ClassVar[bytes] = EOS.to_bytes(8, "big")
    # Payloads are skipped: reading ahead would read a quarter of them.
    window: ClassVar[int] = 512

    def step(self, cursor: Cursor, reading: Reading) -> bool:
        """One record."""
        at = cursor.position
        word = cursor.be64()
        flags = word & _FLAG_MASK
        if flags & DEVICE_BLOCK:
            if flags & ~(DEVICE_BLOCK | ZERO_BLOCK | EOS):
                raise _bad(at, flags)
            if not cursor.cstr():
                raise BadBody(at + 8, "chunk of a drive without a name", "a name", "length 0")
            if flags & ZERO_BLOCK:
                reading.tally[1] += 1
            else:
                cursor.skip(CHUNK)
                reading.tally[0] += 1
        elif flags & PROGRESS:
            percent = word >> SECTOR_BITS
            if flags & ~(PROGRESS | EOS) or percent > 100:
                raise _bad(at, flags)
            reading.tally[2] = percent
        elif flags != EOS:
            raise _bad(at, flags)
        return not flags & EOS

    def record(self, reader: FieldReader, context: int) -> tuple[str, str]:
        """One record; the data is not read."""
        word = reader.number("sector_and_flags", 8, role=Role.ADDRESS, bits=_FLAGS)
        flags, sector = word & _FLAG_MASK, word >> SECTOR_BITS
        reader.fields[-1].meaning = symbols(flags, _FLAGS)
        if flags & DEVICE_BLOCK:
            name = decode(reader.text("drive"))
            if flags & ZERO_BLOCK:
                return "zero chunk", f"{name} sector {sector:,}: 1 MiB of zeros"
            reader.raw("data", CHUNK, f"drive contents from byte 0x{sector << SECTOR_BITS:x}", Role.PAGE)
            return "chunk", f"{name} sector {sector:,}: 1 MiB"
        if flags & PROGRESS:
            return "progress", f"{sector} percent"
        return "EOS", "end of the body"

    def phrase(self, tally: list[int]) -> str:
        """See RecordBody."""
        parts = [f"{tally[0]:,} chunks of 1 MiB"] if tally[0] else []
        if tally[1]:
            parts.append(f"{tally[1]:,} zero chunks")
        if tally[2]:
            parts.append(f"{tally[2]} %")
        return ", ".join(parts)


def _bad(at: int, flags: int) -> BadBody:
    return BadBody(
        at,
        "block migration record with flags that cannot be",
        "01 DEVICE_BLOCK [| 08 ZERO_BLOCK], 02 EOS or 04 PROGRESS up to 100",
        f"{flags:03x}",
    )
