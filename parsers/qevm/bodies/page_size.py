"""Finding the target page size from the page records themselves (stream-format §5.7)."""

from __future__ import annotations

from collections.abc import Sequence

from qevm.bodies.ram_blocks import RamBlock
from qevm.source import Source

CANDIDATES = (4096, 1024, 8192, 16384, 65536, 256, 2048)
_ENOUGH = 16
_NAME = 257


def probe_page_size(source: Source, start: int, limit: int, blocks: Sequence[RamBlock]) -> int:
    """The page size in bytes that explains the records from ``start`` on best; 4096 when none does.

    Each candidate is tried on up to 16 records.  What counts is how many are legal, then how many
    are exactly one page behind the one before.
    """
    best = (0, 0)
    chosen = CANDIDATES[0]
    lengths = {block.name: block.limit for block in blocks}
    for size in CANDIDATES:
        score = _try(source, start, limit, lengths, size)
        if score > best:
            best, chosen = score, size
    return chosen


def _try(source: Source, start: int, limit: int, lengths: dict[bytes, int], size: int) -> tuple[int, int]:
    """(legal records up to 16, records one page behind the one before) with pages of ``size`` bytes."""
    legal = steps = 0
    block_limit = max(lengths.values(), default=1 << 48)
    expected = -1
    at = start
    while legal < _ENOUGH:
        head = source.read(at, min(8 + _NAME + 4, limit - at))
        if len(head) < 8:
            break
        word = int.from_bytes(head[:8], "big")
        flags = word & (size - 1)
        address = word - flags
        if flags == 0x10 and not address:
            return _ENOUGH, steps
        place = 8
        kind = flags & ~0x20
        if kind not in (0x02, 0x08, 0x40, 0x100) or len(head) < 9:
            return 0 if legal < 2 else legal, steps
        if not flags & 0x20:
            name = head[9 : 9 + head[8]]
            if lengths and name not in lengths:
                return legal, steps
            block_limit = lengths.get(name, block_limit)
            place = 9 + len(name)
        if address >= block_limit:
            return legal, steps
        steps += address == expected
        expected = address + size
        legal += 1
        if kind == 0x02:
            place += 1
        elif kind == 0x08:
            place += size
        elif kind == 0x40:
            place += 3 + int.from_bytes(head[place + 1 : place + 3], "big")
        else:
            place += 4 + int.from_bytes(head[place : place + 4], "big")
        at += place
    return legal, steps
