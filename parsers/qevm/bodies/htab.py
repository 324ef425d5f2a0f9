"""``spapr/htab``: the hashed page table of a ppc64 pseries guest (stream-format §8.2)."""

from __future__ import annotations

import struct
from typing import ClassVar

from qevm.bodies.protocol import BadBody
from qevm.bodies.records import Bit, FieldReader, Reading, RecordBody, bit_fields
from qevm.cursor import Cursor
from qevm.facts import StreamFacts
from qevm.field import Field, LazyFields, Role
from qevm.section import SectionKind

NO_HPT = 0xFFFFFFFF
"""Header of a guest without a hashed page table (it runs with radix translation)."""

PTE_SIZE = 16
# QEMU's own bounds: the ISA's smallest table is 2^18 bytes, the largest 2^46.
_MIN_SHIFT, _MAX_SHIFT = 18, 46
_CHUNK = struct.Struct(">IHH")

_V_BITS: tuple[Bit, ...] = (
    (62, 2, "B", "segment size: 0 is 256 MiB, 1 is 1 TiB"),
    (7, 55, "AVPN", "abbreviated virtual page number"),
    (6, 1, "dirty", "changed since it was last sent (QEMU's own mark)"),
    (4, 1, "bolted", "never evicted by the guest's kernel (software bit)"),
    (2, 1, "large", "a large page"),
    (1, 1, "secondary", "found through the secondary hash"),
    (0, 1, "valid", "the entry translates"),
)
_R_BITS: tuple[Bit, ...] = (
    (63, 1, "PP0", "high bit of the page protection"),
    (60, 2, "KEY_high", "storage key, high 2 bits"),
    (12, 48, "RPN", "real page number: guest-physical address >> 12"),
    (9, 3, "KEY_low", "storage key, low 3 bits"),
    (8, 1, "R", "referenced"),
    (7, 1, "C", "changed"),
    (6, 1, "W", "write through"),
    (5, 1, "I", "caching inhibited"),
    (4, 1, "M", "memory coherence"),
    (3, 1, "G", "guarded"),
    (2, 1, "N", "no execute"),
    (0, 2, "PP", "page protection"),
)


def _header_meaning(kind: SectionKind, value: int) -> str:
    if value == NO_HPT:
        return "no hashed page table (radix guest)"
    if kind is not SectionKind.START and not value:
        return "chunks follow"
    return f"htab_shift: a table of {1 << min(value, 63):,} bytes"


class HtabBody(RecordBody):
    """START announces the table's size; PART and END bring chunks of its entries.

    A chunk is be32 index, be16 n_valid, be16 n_invalid and n_valid entries of 16 bytes; a chunk of
    three zeros ends the body.  ``shift`` is log2 of the table's size in bytes, None while unknown.
    """

    columns = ("chunks", "valid entries", "invalid entries")
    empty_body: ClassVar[bytes] = bytes(12)

    def __init__(self, facts: StreamFacts) -> None:
        super().__init__(facts)
        self.shift: int | None = None

    def head(self, cursor: Cursor, reading: Reading) -> bool:
        """be32: 0 before chunks, a shift or ``ffffffff`` alone."""
        at = cursor.position
        value = cursor.be32()
        if value == NO_HPT:
            return False
        if value:
            if not _MIN_SHIFT <= value <= _MAX_SHIFT:
                raise BadBody(
                    at,
                    "the size of the hashed page table cannot be",
                    f"a shift of {_MIN_SHIFT}..{_MAX_SHIFT}, 0 or ffffffff",
                    f"{value:08x}",
                )
            self.shift = value
            return False
        if reading.kind is SectionKind.START:
            raise BadBody(at, "START of spapr/htab announces no table", "a shift or ffffffff", "00000000")
        return True

    def head_fields(self, reader: FieldReader, kind: SectionKind) -> bool:
        """As :meth:`head`."""
        value = reader.number("header", 4, lambda number: _header_meaning(kind, number), Role.HEADER)
        return value == 0 and kind is not SectionKind.START

    def step(self, cursor: Cursor, reading: Reading) -> bool:
        """One chunk."""
        at = cursor.position
        index, valid, invalid = _CHUNK.unpack(cursor.take(_CHUNK.size))
        if not (index or valid or invalid):
            return False
        if self.shift is not None:
            entries = 1 << (self.shift - 4)
            if index + valid + invalid > entries:
                raise BadBody(
                    at,
                    "a chunk of the hashed page table lies outside of the table",
                    f"at most {entries:,} entries",
                    f"index {index:,} + {valid:,} valid + {invalid:,} invalid",
                )
        cursor.skip(valid * PTE_SIZE)
        reading.tally[0] += 1
        reading.tally[1] += valid
        reading.tally[2] += invalid
        return True

    def record(self, reader: FieldReader, context: int) -> tuple[str, str]:
        """One chunk with its entries."""
        index = reader.number("index", 4, "number of the first entry", Role.ADDRESS)
        valid = reader.number("n_valid", 2, "entries that follow", Role.LENGTH)
        invalid = reader.number("n_invalid", 2, "empty entries behind them, not in the stream", Role.LENGTH)
        if not (index or valid or invalid):
            return "terminator", "end of the chunks"
        first = reader.position
        if valid:
            reader.raw("entries", valid * PTE_SIZE)
            entries = reader.fields[-1]
            entries.meaning = f"{valid:,} page table entries"
            entries.children = LazyFields(
                valid,
                lambda number: self._entry(first + number * PTE_SIZE, index + number),
                lambda offset: (offset - first) // PTE_SIZE,
            )
        return (
            "chunk",
            f"entries {index:,}..{index + valid + invalid - 1:,}: {valid:,} valid, {invalid:,} empty",
        )

    def _entry(self, offset: int, number: int) -> Field:
        raw = self.facts.source.read(offset, PTE_SIZE).ljust(PTE_SIZE, b"\0")
        v, r = int.from_bytes(raw[:8], "big"), int.from_bytes(raw[8:], "big")
        address = r & 0x0FFFFFFFFFFFF000
        meaning = f"slot {number % 8} of group {number // 8}: real address 0x{address:x}"
        if not v & 1:
            meaning = f"slot {number % 8} of group {number // 8}: not valid"
        key = (r >> 60 & 3) << 3 | r >> 9 & 7
        words = [
            Field("v", offset, 8, "uint64", v, "", bit_fields(offset, 8, v, _V_BITS), Role.ADDRESS),
            Field(
                "r",
                offset + 8,
                8,
                "uint64",
                r,
                f"storage key {key}" if key else "",
                bit_fields(offset + 8, 8, r, _R_BITS),
                Role.ADDRESS,
            ),
        ]
        return Field(f"pte {number}", offset, PTE_SIZE, "struct", None, meaning, words)
