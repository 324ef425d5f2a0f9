"""mapped-ram: pages at fixed places of the file, with a bitmap that says which are there (stream-format §7).

Nothing is scanned: a header says where a block's bitmap and pages lie, and the bitmap is read when
somebody asks.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from qevm.cursor import Cursor

HEADER_SIZE = 28


@dataclass(slots=True)
class MappedBlock:
    """The mapped-ram header of one block.

    ``offset`` is where the header stands.  ``bitmap_offset`` and ``pages_offset`` are as written: absolute
    in the file that QEMU wrote.  ``problem`` is why the block cannot be used, empty when it can.
    """

    offset: int
    version: int
    page_size: int
    bitmap_offset: int
    pages_offset: int
    problem: str = ""


def read_header(cursor: Cursor, length: int) -> MappedBlock:
    """Read the 28 bytes of a mapped-ram header at ``cursor``; raises Truncated."""
    offset = cursor.position
    return MappedBlock(offset, cursor.be32(), cursor.be64(), cursor.be64(), cursor.be64())
