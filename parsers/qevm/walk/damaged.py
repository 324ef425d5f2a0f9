"""Headers of iterative sections that do not read well: what they must have been (stream-format §12.3).

A START whose header is damaged would take the whole chain with it: all of RAM.  Its name, its version and
what its body begins with tell it all the same.
"""

from __future__ import annotations

from qevm.bodies.protocol import Body
from qevm.bodies.ram import RamBody
from qevm.constants import RamFlag, SectionType
from qevm.source import Source
from qevm.walk.headers import Head, parse_head

# The iterative devices that have a name of their own, and the version that all QEMUs since 2014 write (§8.1).
_STARTS = {
    b"ram": 4,
    b"block": 1,
    b"dirty-bitmap": 1,
    b"spapr/htab": 1,
    b"s390-storage_attributes": 0,
}
_PAGES = RamFlag.ZERO, RamFlag.PAGE, RamFlag.XBZRLE, RamFlag.COMPRESS_PAGE
_ALONE = int(RamFlag.EOS), int(RamFlag.MULTIFD_FLUSH)


def known_start(source: Source, offset: int, limit: int) -> tuple[Head, int] | None:
    """The START of a known device whose header at ``offset`` has up to three wrong bytes, and their first.

    None when no known name fits, or when nothing is wrong.
    """
    for name, version in _STARTS.items():
        size = 14 + len(name)
        data = source.read(offset, min(size + 8, limit - offset))
        if len(data) < size + 8 or data[1:3] != b"\0\0":
            continue
        wanted = bytes((SectionType.START,)) + data[1:5] + bytes((len(name),)) + name
        wanted += bytes(4) + version.to_bytes(4, "big")
        wrong = [i for i in range(size) if data[i] != wanted[i]]
        # A short name needs a witness: the block list behind it.
        sure = len(wrong) <= 3 if name == b"ram" and data[-1] == RamFlag.MEM_SIZE else len(wrong) == 1
        head = parse_head(wanted, 0, offset)
        if wrong and sure and head is not None:
            return head, wrong[0]
    return None


def looks_like_ram(source: Source, offset: int, body: Body | None) -> bool:
    """True when a record of RAM stands at ``offset`` that ``body``, the RAM chain so far, would take.

    ``body`` None: the chain is not known, any record that begins a chain will do.
    """
    if body is not None and not isinstance(body, RamBody):
        return False
    data = source.read(offset, 8 + 256)
    if len(data) < 8:
        return False
    word = int.from_bytes(data[:8], "big")
    if word in _ALONE:
        return True
    flags = word & ((body.page_size if body is not None else 256) - 1)
    address = word - flags
    if flags & ~RamFlag.CONTINUE not in _PAGES:
        return False
    if flags & RamFlag.CONTINUE:
        return body is not None and any(address < block.limit for block in body.blocks)
    name = data[9 : 9 + data[8]] if len(data) > 8 else b""
    if body is not None:
        return any(name == block.name and address < block.limit for block in body.blocks)
    return len(name) > 1 and all(0x20 <= byte < 0x7F for byte in name)
