"""The RAM block list at the head of the ram START section (stream-format §5.2), and the blocks it names.

The list has no count and no end mark of its own: it ends when the lengths sum up to the announced
total.  A damaged length or total must not lose the list, so it is read by the shape of its entries
instead, and the sum is checked afterwards.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass

from qevm.bodies.mapped_ram import HEADER_SIZE, MappedBlock, MappedReader
from qevm.cursor import Cursor
from qevm.facts import StreamFacts
from qevm.problems import Problem
from qevm.safetext import decode

MINIMUM_PAGE = 256
"""The smallest target page of any target (AVR), bytes."""

MAX_BLOCKS = 16384
"""More entries than this are not read: real streams have some dozens."""

_EOS = b"\0\0\0\0\0\0\0\x10"
_U64 = struct.Struct(">Q").unpack


@dataclass(slots=True)
class RamBlock:
    """One RAM block.

    ``length`` is its used length in bytes, None when no block list said so.  ``offset`` and
    ``size`` cover its entry in the list (without the pages of mapped-ram).  ``host_page_size`` is there for
    blocks of huge pages when postcopy was announced, ``address`` with x-ignore-shared, ``mapped``
    with mapped-ram.  ``listed`` is False for a block that only a page record named.
    """

    number: int
    name: bytes
    length: int | None
    offset: int = 0
    size: int = 0
    host_page_size: int | None = None
    address: int | None = None
    mapped: MappedBlock | None = None
    listed: bool = True

    @property
    def text(self) -> str:
        """The name as text, not yet passed through safetext.safe."""
        return decode(self.name)

    @property
    def limit(self) -> int:
        """Addresses in the block are below this."""
        return (1 << 63) if self.length is None else self.length


def mapped_blocks(blocks: Iterable[RamBlock]) -> list[MappedBlock]:
    """The mapped-ram headers of ``blocks``."""
    return [block.mapped for block in blocks if block.mapped is not None]


class BlockListReader:
    """Reads one MEM_SIZE record's block list.  After :meth:`read`, ``blocks`` and ``problems`` are set."""

    def __init__(self, facts: StreamFacts, page_size: int | None) -> None:
        self._facts = facts
        self._unit = page_size or MINIMUM_PAGE
        self._has_address = "x-ignore-shared" in facts.capabilities
        self._has_mapped = "mapped-ram" in facts.capabilities
        self._page_size = page_size
        self._mapped: MappedReader | None = None
        self.blocks: list[RamBlock] = []
        self.problems: list[Problem] = []

    def read(self, cursor: Cursor, total: int, total_offset: int) -> None:
        """Move ``cursor`` from behind the MEM_SIZE be64 to the record behind the list.

        ``total`` is the announced sum in bytes, ``total_offset`` where it stands.  Raises Truncated
        where the data ends; the entries before that are kept.
        """
        suspects: list[RamBlock] = []
        if self._has_mapped:
            self._mapped = MappedReader(cursor.limit, self._page_size, self.problems.append)
        try:
            while not self._list_ends(cursor):
                if len(self.blocks) >= MAX_BLOCKS or not self._entry(cursor, total, suspects):
                    break
            else:
                self._check_sum(total, total_offset, suspects)
                suspects = [block for block in suspects if not self._fits(block.length, total)]
        finally:
            for block in suspects:
                block.length = None

    @staticmethod
    def _list_ends(cursor: Cursor) -> bool:
        # A name length of 0 is never written, and every record that can follow begins with the high
        # byte of an address: 0 unless a block has 2^56 bytes.
        return cursor.peek(1) in (b"\0", b"")

    def _entry(self, cursor: Cursor, total: int, suspects: list[RamBlock]) -> bool:
        """Read one entry; False when there is none here."""
        offset = cursor.position
        name = self._name(cursor, total)
        if name is None:
            cursor.position = offset
            return False
        at = cursor.position
        length = cursor.be64()
        block = RamBlock(len(self.blocks), name, length, offset)
        self._extra(cursor, block)
        block.size = cursor.position - offset
        self.blocks.append(block)
        if not self._fits(length, total):
            suspects.append(block)
            self._bad_length(block, at, total)
        if self._mapped is not None:
            self._mapped_entry(cursor, block, total)
        return True

    def _mapped_entry(self, cursor: Cursor, block: RamBlock, total: int) -> None:
        """Read the mapped-ram header of ``block`` and go behind its pages, where the next entry is."""
        assert self._mapped is not None
        start = cursor.position
        if not self._fits(block.length, total):
            for length in self._mapped.possible_lengths(min(total, cursor.limit)):
                if self._goes_on(cursor, self._mapped.end_of(start, length), total):
                    block.length = length
                    break
        block.mapped = self._mapped.read(cursor, block.text, block.length or 0)
        block.size = start + HEADER_SIZE - block.offset
        self._mapped.skip_pages(cursor, block.mapped, block.text)

    def _goes_on(self, cursor: Cursor, offset: int, total: int) -> bool:
        """True when the next entry of a mapped-ram list, or the record behind the list, is at ``offset``."""
        data = cursor.source.read(offset, 256 + 8)
        if data[:8] == _EOS:
            return True
        name = data[1 : 1 + data[0]] if data else b""
        length = _be64(data[1 + len(name) : 9 + len(name)])
        return self._good_name(name, data[0] if data else 0) and self._fits(length, total)

    def _fits(self, length: int | None, total: int) -> bool:
        return length is not None and 0 < length <= total and not length % self._unit

    def _bad_length(self, block: RamBlock, at: int, total: int) -> None:
        length = block.length or 0
        if not length:
            why = "it is 0"
        elif length % self._unit:
            why = f"it is not a multiple of the page size {self._unit}"
        else:
            why = f"all RAM is 0x{total:x}"
        self.problems.append(
            Problem(
                at,
                f"RAM block '{block.text}' cannot have this length: {why}",
                f"a multiple of {self._unit} up to 0x{total:x}",
                f"0x{length:x}",
            )
        )

    def _name(self, cursor: Cursor, total: int) -> bytes | None:
        """Read the counted name of an entry, None when there is none.  A length that lies is seen through."""
        offset = cursor.position
        length = cursor.u8()
        name = cursor.peek(length)
        if len(name) < length and name.isascii() and name.decode().isprintable():
            # Nothing but the end of the data is wrong: raises Truncated.
            cursor.position = offset
            cursor.cstr()
        if not self._good_name(name, length):
            found = self._guess_name(cursor, offset, total)
            if found is None:
                message = f"RAM block list: no block name here, {len(self.blocks)} blocks read before it"
                expected, shown = "a printable block name of 1..255 bytes", f"length {length}"
            else:
                message = f"RAM block name length does not fit: read as '{decode(found)}'"
                expected, shown = str(len(found)), str(length)
            self.problems.append(Problem(offset, message, expected, shown))
            if found is None:
                return None
            name = found
        cursor.position = offset + 1
        cursor.skip(len(name))
        return name

    def _extra(self, cursor: Cursor, block: RamBlock) -> None:
        summary = self._facts.page_size_summary
        if summary is not None and not self._has_mapped:
            # Only blocks of huge pages carry their page size; nothing but the value itself says so.
            size = _be64(cursor.peek(8))
            if size is not None and size and size & summary == size and not size & (size - 1):
                block.host_page_size = cursor.be64()
        if self._has_address:
            block.address = cursor.be64()

    @staticmethod
    def _good_name(name: bytes, length: int) -> bool:
        return 0 < length == len(name) and all(0x20 <= c < 0x7F or c >= 0x80 for c in name)

    def _guess_name(self, cursor: Cursor, offset: int, total: int) -> bytes | None:
        """The name at ``offset`` when its length byte lies: the shortest that makes a sound entry."""
        data = cursor.source.read(offset + 1, 256 + 8)
        for size in range(1, min(len(data) - 8, 255) + 1):
            if not 0x20 <= data[size - 1] < 0x7F:
                return None
            length = _be64(data[size : size + 8])
            if length and not length % self._unit and length <= total:
                return data[:size]
        return None

    def _check_sum(self, total: int, total_offset: int, suspects: list[RamBlock]) -> None:
        """Hold the sum of all lengths against ``total``; the one length that cannot be follows from it."""
        found = sum(block.length or 0 for block in self.blocks)
        if found == total:
            return
        if len(suspects) == 1:
            missing = total - (found - (suspects[0].length or 0))
            if self._fits(missing, total):
                suspects[0].length = missing
        elif not suspects:
            self.problems.append(
                Problem(
                    total_offset,
                    f"block list sums to 0x{found:x} but announces 0x{total:x}",
                    f"0x{found:x}",
                    f"0x{total:x}",
                )
            )


def _be64(data: bytes) -> int | None:
    return int(_U64(data)[0]) if len(data) == 8 else None
