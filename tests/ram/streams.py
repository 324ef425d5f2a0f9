"""Small RAM sections made of declared records, and the way they are scanned."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import construct as c

from qevm import layout
from qevm.bodies.ram import RamBody
from qevm.cursor import Cursor
from qevm.facts import StreamFacts
from qevm.section import SectionKind
from qevm.source import BytesSource

PAGE = 4096
EOS = bytes(7) + b"\x10"


def word(address: int, flags: int) -> bytes:
    """The be64 of a record, by its declaration."""
    return layout.RamRecord.build({"address_and_flags": address | flags})


def zero(page: int, name: bytes | None = None, fill: int = 0, size: int = PAGE) -> bytes:
    """A ZERO record."""
    flags = 0x02 if name is not None else 0x22
    return word(page * size, flags) + counted(name) + bytes((fill,))


def normal(page: int, data: bytes, name: bytes | None = None, size: int = PAGE) -> bytes:
    """A PAGE record."""
    flags = 0x08 if name is not None else 0x28
    return word(page * size, flags) + counted(name) + data


def xbzrle(page: int, delta: bytes, name: bytes | None = None) -> bytes:
    """An XBZRLE record."""
    head = layout.XbzrleHeader.build({"encoding": 1, "length": len(delta)})
    return word(page * PAGE, 0x40 if name is not None else 0x60) + counted(name) + head + delta


def compressed(page: int, data: bytes, name: bytes | None = None) -> bytes:
    """A COMPRESS_PAGE record."""
    head = layout.CompressHeader.build({"length": len(data)})
    return word(page * PAGE, 0x100 if name is not None else 0x120) + counted(name) + head + data


def counted(name: bytes | None) -> bytes:
    """A block's name as records carry it; nothing for CONTINUE."""
    return b"" if name is None else bytes((len(name),)) + name


def block_list(blocks: dict[bytes, int], total: int | None = None) -> bytes:
    """A MEM_SIZE record."""
    entries = [
        layout.RamBlock.build({"name_length": len(name), "name": name, "used_length": length})
        for name, length in blocks.items()
    ]
    return word(sum(blocks.values()) if total is None else total, 4) + b"".join(entries)


def start(body: bytes, section_id: int = 2) -> bytes:
    """A ram START section with footer."""
    head = struct.pack(">BIB3sII", 1, section_id, 3, b"ram", 0, 4)
    return head + body + footer(section_id)


def part(body: bytes, section_id: int = 2, kind: int = 2) -> bytes:
    """A PART (or with ``kind`` 3 an END) section with footer."""
    return struct.pack(">BI", kind, section_id) + body + footer(section_id)


def footer(section_id: int = 2) -> bytes:
    """``7e`` and the id."""
    return layout.Footer.build({"section_id": section_id})


def stream(*sections: bytes, tail: bytes = b"\0") -> bytes:
    """A whole stream: header, configuration, sections, EOF."""
    machine = b"pc-test"
    configuration = c.Struct("t" / c.Int8ub, "l" / c.Int32ub, "n" / c.GreedyBytes).build(
        {"t": 7, "l": len(machine), "n": machine}
    )
    return b"QEVM\0\0\0\3" + configuration + b"".join(sections) + tail


@dataclass
class Scanned:
    """A chain whose sections were scanned one after the other, without a walker."""

    body: RamBody
    data: bytes
    ends: list[int] = field(default_factory=list)

    @property
    def records(self) -> list[tuple[int, int, str, int, int]]:
        """(offset, size, kind, block, page) of every record."""
        size = self.body.runs.page_size
        return [(r.offset, r.size, r.kind.name, r.block, r.address // size) for r in self.body.runs]


def scan(
    sections: Sequence[bytes],
    *,
    page_size: int | None = PAGE,
    window: int = 1 << 18,
    facts: dict | None = None,
) -> Scanned:
    """Scan START, PART, … (their bytes with headers and footers) as the walker would."""
    data = b"".join(sections)
    source = BytesSource(data)
    body = RamBody(StreamFacts(source, page_size=page_size, footers=True, **(facts or {})))
    scanned = Scanned(body, data)
    at = 0
    for row, section in enumerate(sections):
        kind = {1: SectionKind.START, 2: SectionKind.PART, 3: SectionKind.END}[section[0]]
        cursor = Cursor(source, at + (17 if section[0] == 1 else 5), window=window)
        for _ in body.scan(cursor, kind, row):
            pass
        scanned.ends.append(cursor.position - at)
        at += len(section)
    return scanned


def totals(records: Iterable[tuple[int, int, str, int, int]]) -> dict[str, int]:
    """How many records of each kind."""
    found: dict[str, int] = {}
    for record in records:
        found[record[2]] = found.get(record[2], 0) + 1
    return found
