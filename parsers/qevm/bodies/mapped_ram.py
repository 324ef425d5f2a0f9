"""mapped-ram: pages at fixed places of the file, with a bitmap that says which are there (stream-format §7).

Nothing is scanned: a header says where a block's bitmap and pages lie, and the bitmap is read when
somebody asks, in pieces.  Offsets in the header are absolute in the file that QEMU wrote.  When the
stream was cut out of that file (or is seen through a window of it) they are all wrong by the same amount;
QEMU writes the bitmap right behind the header, which gives the amount away.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qevm.cursor import Cursor, Truncated
from qevm.problems import Problem
from qevm.source import Source

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

HEADER_SIZE = 28
"""Of ``layout.MappedRamHeader``."""

ALIGNMENT = 1 << 20
"""pages_offset is a multiple of this in the file that QEMU wrote, bytes."""

_SMALL_BLOCK = 16 << 20
_PAGES_AT_ONCE = 1 << 20
_SAMPLES = 256
_PAGE_SIZES = frozenset(1 << bits for bits in range(8, 17))


@dataclass(slots=True)
class MappedBlock:
    """The mapped-ram header of one block, and where it leads.

    ``offset`` is where the header stands, ``length`` the block's used length in bytes; ``bitmap_offset`` and
    ``pages_offset`` are as written, ``delta`` is what to add for an offset in the source.  ``problem`` is why
    the pages cannot be used, empty when they can.
    """

    offset: int
    length: int
    version: int
    page_size: int
    bitmap_offset: int
    pages_offset: int
    delta: int = 0
    problem: str = ""

    @property
    def bitmap_at(self) -> int:
        """Source offset of the bitmap."""
        return self.bitmap_offset + self.delta

    @property
    def pages_at(self) -> int:
        """Source offset of page 0."""
        return self.pages_offset + self.delta

    @property
    def pages(self) -> int:
        """Number of pages of the block."""
        return -(-self.length // self.page_size) if self.page_size else 0

    @property
    def bitmap_size(self) -> int:
        """Bytes of the bitmap: whole 64-bit words."""
        return -(-self.pages // 64) * 8

    @property
    def end(self) -> int:
        """Source offset behind the block's pages."""
        return self.pages_at + self.length


class MappedReader:
    """Reads the headers of one block list in order, and holds each against what QEMU would write.

    ``limit`` is the end of the data, ``page_size`` the stream's page size in bytes when it is known.
    """

    def __init__(self, limit: int, page_size: int | None, problem: Callable[[Problem], None]) -> None:
        self._limit = limit
        self._page_size = page_size
        self._report = problem
        self._delta: int | None = None

    def read(self, cursor: Cursor, name: str, length: int) -> MappedBlock:
        """Read the header of block ``name``.  Raises Truncated where the data end inside it."""
        at = cursor.position
        block = MappedBlock(at, length, cursor.be32(), cursor.be64(), cursor.be64(), cursor.be64())
        if block.version != 1:
            self._bad(block, name, 0, "mapped-ram header version", "1", str(block.version))
        self._check_page_size(block, name)
        self._check_places(cursor, block, name)
        return block

    def skip_pages(self, cursor: Cursor, block: MappedBlock, name: str) -> None:
        """Move the cursor behind the block's pages.  Raises Truncated where the data end."""
        left = max(0, self._limit - block.pages_at)
        if left < block.length:
            raise Truncated(
                min(block.pages_at, self._limit),
                block.length,
                left,
                f"truncated at 0x{self._limit:x}: "
                f"the pages of RAM block '{name}' need {block.length:,} bytes, {left:,} left",
            )
        cursor.skip(max(0, block.end - cursor.position))

    def end_of(self, header: int, length: int) -> int:
        """Where QEMU ends the pages of a block of ``length`` bytes whose header is at ``header``."""
        delta = self._delta or 0
        bitmap = -(-length // (64 * (self._page_size or 4096))) * 8
        return _round_up(header + HEADER_SIZE - delta + bitmap) + delta + length

    def possible_lengths(self, most: int) -> Iterator[int]:
        """Lengths that a block with a damaged length may have: whole MiB, then pages up to 16 MiB."""
        unit = self._page_size or 4096
        yield from range(ALIGNMENT, most + 1, ALIGNMENT)
        yield from (size for size in range(unit, min(most, _SMALL_BLOCK) + 1, unit) if size % ALIGNMENT)

    def _bad(self, block: MappedBlock, name: str, field: int, what: str, expected: str, found: str) -> None:
        message = f"{what}: pages of RAM block '{name}' cannot be used"
        block.problem = block.problem or what
        self._report(Problem(block.offset + field, message, expected, found))

    def _check_page_size(self, block: MappedBlock, name: str) -> None:
        wanted = self._page_size
        if block.page_size in _PAGE_SIZES and wanted in (None, block.page_size):
            self._page_size = block.page_size
            return
        expected = "a power of two from 256 to 65536" if wanted is None else str(wanted)
        found = str(block.page_size)
        block.page_size = wanted or 4096
        self._bad(block, name, 4, "mapped-ram page size", expected, found)

    def _check_places(self, cursor: Cursor, block: MappedBlock, name: str) -> None:
        """Both offsets follow from where the header stands; what is written must agree (§7)."""
        behind = block.offset + HEADER_SIZE
        if self._delta is None:
            self._delta = self._find_delta(cursor, block, behind)
        block.delta = self._delta
        expected_pages = _round_up(behind - block.delta + block.bitmap_size)
        if block.bitmap_at == behind and block.pages_offset == expected_pages:
            return
        bitmap, pages = block.bitmap_offset, block.pages_offset
        if pages % block.page_size or not behind <= block.pages_at <= self._limit:
            block.pages_offset = expected_pages
            what = "mapped-ram pages offset outside its place"
            self._bad(block, name, 20, what, f"0x{expected_pages:x}", f"0x{pages:x}")
        if block.bitmap_at < behind or block.bitmap_at + block.bitmap_size > min(block.pages_at, self._limit):
            block.bitmap_offset = behind - block.delta
            what = "mapped-ram bitmap offset outside its place"
            self._bad(block, name, 12, what, f"0x{block.bitmap_offset:x}", f"0x{bitmap:x}")

    def _find_delta(self, cursor: Cursor, block: MappedBlock, behind: int) -> int:
        """How far the stream lies from where it was written: the first header decides, if it is sound."""
        delta = behind - block.bitmap_offset
        if block.pages_offset != _round_up(block.bitmap_offset + block.bitmap_size):
            return 0
        return delta if not delta or _entry_begins(cursor.source, block.end + delta) else 0


def _entry_begins(source: Source, offset: int) -> bool:
    """True when a block list can go on or end at ``offset``: a printable counted name, or EOS."""
    data = source.read(offset, 256)
    name = data[1 : 1 + data[0]] if data else b""
    return data[:8] == b"\0\0\0\0\0\0\0\x10" or (
        bool(name) and name.isascii() and name.decode().isprintable()
    )


def _round_up(offset: int) -> int:
    return -(-offset // ALIGNMENT) * ALIGNMENT


class Bitmaps:
    """The page bitmaps of all mapped blocks of a stream, read on demand."""

    def __init__(self, source: Source, blocks: list[MappedBlock]) -> None:
        self._source = source
        self._blocks = [block for block in blocks if not block.problem]
        self._big_endian: bool | None = None

    @property
    def big_endian(self) -> bool:
        """The host that wrote the bitmaps was big-endian: each 64-bit word has its bytes the other way round.

        Nothing says so.  Bits behind the last page must be clear in the right reading; if that does not
        decide, pages on which the readings differ are looked at: data speak for "present".
        """
        if self._big_endian is None:
            self._big_endian = self._guess_byte_order()
        return self._big_endian

    @property
    def empty(self) -> bool:
        """No page at all is marked as present."""
        for block in self._blocks:
            for start in range(0, block.bitmap_size, 1 << 20):
                data = self._source.read(block.bitmap_at + start, min(1 << 20, block.bitmap_size - start))
                if data.strip(b"\0"):
                    return False
        return True

    def present(self, block: MappedBlock, first: int, count: int) -> NDArray[np.bool_]:
        """Which of the ``count`` pages from number ``first`` on are in the file."""
        return self._read(block, first, count, self.big_endian)

    def is_present(self, block: MappedBlock, page: int) -> bool:
        """True when page number ``page`` is in the file; False when it is zero, whatever the file holds."""
        byte = page >> 3
        if self.big_endian:
            byte ^= 7
        data = self._source.read(block.bitmap_at + byte, 1)
        return bool(data) and bool(data[0] >> (page & 7) & 1)

    def count(self, block: MappedBlock) -> int:
        """How many pages of ``block`` are in the file."""
        total = 0
        for start in range(0, block.bitmap_size, 1 << 20):
            data = self._source.read(block.bitmap_at + start, min(1 << 20, block.bitmap_size - start))
            total += int.from_bytes(data, "big").bit_count()
        return total

    def runs(self, block: MappedBlock) -> Iterator[tuple[int, int]]:
        """(first page, count) of the present pages of ``block``, in order."""
        import numpy as np

        open_at = -1
        for first in range(0, block.pages, _PAGES_AT_ONCE):
            bits = self.present(block, first, min(_PAGES_AT_ONCE, block.pages - first))
            edges = np.flatnonzero(np.diff(bits, prepend=open_at >= 0))
            for edge in edges.tolist():
                if open_at < 0:
                    open_at = first + edge
                else:
                    yield open_at, first + edge - open_at
                    open_at = -1
        if open_at >= 0:
            yield open_at, block.pages - open_at

    def _read(self, block: MappedBlock, first: int, count: int, big_endian: bool) -> NDArray[np.bool_]:
        import numpy as np

        begin = first // 64
        words = -(-(first + count) // 64) - begin
        data = self._source.read(block.bitmap_at + begin * 8, words * 8).ljust(words * 8, b"\0")
        array = np.frombuffer(data, "u1")
        if big_endian:
            array = array.reshape(-1, 8)[:, ::-1].reshape(-1)
        bits = np.unpackbits(array, bitorder="little")
        return bits[first - begin * 64 :][:count].astype(bool)

    def _guess_byte_order(self) -> bool:
        votes = 0
        for block in self._blocks:
            spare = -block.pages % 64
            if spare:
                word = self._source.read(block.bitmap_at + block.bitmap_size - 8, 8)
                little, big = (int.from_bytes(word, order) >> (64 - spare) for order in ("little", "big"))
                if bool(little) != bool(big):
                    return bool(little)
            votes += self._votes(block)
        return votes > 0

    def _votes(self, block: MappedBlock) -> int:
        """Pages with data that only the big-endian reading marks, minus those that only the other marks."""
        import numpy as np

        votes = looked = 0
        for first in range(0, block.pages, _PAGES_AT_ONCE):
            count = min(_PAGES_AT_ONCE, block.pages - first)
            little = self._read(block, first, count, False)
            big = self._read(block, first, count, True)
            for page in np.flatnonzero(little != big)[:_SAMPLES].tolist():
                at = block.pages_at + (first + page) * block.page_size
                if self._source.read(at, block.page_size).strip(b"\0"):
                    votes += 1 if big[page] else -1
                looked += 1
            if looked >= _SAMPLES:
                break
        return votes
