"""Finding the next sound record in a damaged RAM section (stream-format §12.3, "Corrupted RAM").

A single record proves nothing: page contents are arbitrary bytes.  A place is accepted when several
records in a row are legal there, or when the section's end is there: an EOS record with the footer behind
it, or the footer alone with a plausible next section.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from qevm.bodies.ram_blocks import RamBlock
from qevm.constants import FOOTER_MAGIC
from qevm.source import Source, behind_hole

_FIRST_WINDOW = 1 << 10
_WINDOW = 1 << 20
_RECORDS_IN_A_ROW = 4
_U64 = struct.Struct(">Q")
_LONGEST_HEADER = 8 + 256 + 4


def compressed_bound(page_size: int) -> int:
    """The longest zlib stream that a page of ``page_size`` bytes can become (zlib's compressBound)."""
    return page_size + (page_size >> 12) + (page_size >> 14) + (page_size >> 25) + 13


@dataclass(frozen=True, slots=True)
class Found:
    """Where a damaged section goes on.

    ``offset`` is the next sound record, or the footer when ``at_footer``.  ``block`` is the block that a
    named record inside the skipped bytes switched to, None when there was none.
    """

    offset: int
    at_footer: bool = False
    block: RamBlock | None = None


class Resynchroniser:
    """Searches one section's bytes from a damaged record on, up to ``limit``.

    ``section_id`` is the id that the section's footer carries, None when it is not known;
    ``footers`` as in StreamFacts.
    """

    def __init__(
        self,
        source: Source,
        blocks: Iterable[RamBlock],
        page_size: int,
        limit: int,
        section_id: int | None,
        footers: bool | None,
    ) -> None:
        self._source = source
        self._blocks = {block.name: block for block in blocks}
        self._page_size = page_size
        self._limit = limit
        self._footer = None if section_id is None else b"\x7e" + section_id.to_bytes(4, "big")
        self._footers = footers
        self._highest = max((block.limit for block in self._blocks.values()), default=1 << 48)
        self._data = b""
        self._base = 0
        self.found: Found | None = None

    def search(self, start: int, current: RamBlock | None, hints: Iterable[int]) -> Iterator[None]:
        """Set ``found`` to where the section goes on, None when nowhere.  Yields in long searches.

        ``hints`` are places that are tried first: where the next record is if only the header at
        ``start`` is damaged.  Every byte up to the place is looked at once.
        """
        self.found = None
        if self._at_footer(start) and self._sound(start, current):
            # Only the EOS record is missing.
            self.found = Found(start, at_footer=True)
            return
        for place in hints:
            if start < place < self._limit and self._sound(place, current):
                self.found = Found(place, self._at_footer(place))
                return
        candidates = self._candidates()
        block: RamBlock | None = None
        base = start + 1
        # Most damage is short: look at little first, then at more.
        window = _FIRST_WINDOW
        while base < self._limit:
            base = self._over_hole(base)
            data = self._source.read(base, min(window + _LONGEST_HEADER, self._limit - base))
            if not data:
                return
            self._data, self._base = data, base
            for match in candidates.finditer(data):
                at = match.start() if data[match.start()] == FOOTER_MAGIC else match.start() - 7
                if at >= window:
                    break
                if at >= 0 and self._sound(base + at, block or current):
                    place = base + at
                    self.found = Found(place, self._at_footer(place), self._last_named(at, block))
                    return
            block = self._last_named(window, block)
            base += window
            window = min(window * 4, _WINDOW)
            yield

    def _at_footer(self, place: int) -> bool:
        return self._footer is not None and self._peek(place, 5) == self._footer

    def _over_hole(self, offset: int) -> int:
        """``offset``, or the end of the hole of a sparse file that it lies in: a hole holds no record."""
        data = min(behind_hole(self._source, offset), self._limit)
        return max(offset, data if data == self._limit else data - _LONGEST_HEADER)

    def _candidates(self) -> re.Pattern[bytes]:
        """A pattern for places worth a closer look: the lowest byte of a record's be64, or a footer's first.

        It begins with the few values of that byte, which the regex engine searches for fast, and looks
        back at the bytes before it.
        """
        zeros = 8 - max(2, ((self._highest - 1).bit_length() + 7) // 8)
        high = rb"\x00" * zeros + rb"[\x00-\xff]" * (6 - zeros)
        plain = packed = rb"[\x00-\xff]"
        if self._page_size >= 1024:
            # The low bits of the byte above are flags, too: 0x100 for compressed pages.
            step = max(1, self._page_size >> 8) if self._page_size < 65536 else 256
            plain, packed = (
                b"[" + b"".join(b"\\x%02x" % value for value in range(low, 256, step)) + b"]"
                for low in (0, 1)
            )
        patterns = [
            rb"(?<=" + high + plain + rb"[\x02\x08\x22\x28\x40\x60])",
            rb"(?<=" + high + packed + rb"\x20)",
            rb"(?<=\x00{7}\x10)",
        ]
        if self._footer is not None and self._footers is not False:
            patterns.append(rb"(?<=\x7e)" + re.escape(self._footer[1:]))
        return re.compile(
            rb"[\x02\x08\x10\x20\x22\x28\x40\x60\x7e](?:" + rb"|".join(patterns) + rb")", re.DOTALL
        )

    def _last_named(self, stop: int, before: RamBlock | None) -> RamBlock | None:
        """The block that the last named record in the first ``stop`` bytes of the window switched to."""
        last, found = 7, before
        for name, block in self._blocks.items():
            counted = bytes((len(name),)) + name
            at = self._data.rfind(counted, 0, stop)
            while at > last:
                if self._record(self._base + at - 8, None) is not None:
                    last, found = at, block
                    break
                at = self._data.rfind(counted, 0, at)
        return found

    def _peek(self, offset: int, length: int) -> bytes:
        index = offset - self._base
        length = min(length, self._limit - offset)
        if index >= 0 and index + length <= len(self._data):
            return self._data[index : index + length]
        return self._source.read(offset, length) if length > 0 else b""

    def _sound(self, place: int, block: RamBlock | None) -> bool:
        """True when the section can go on at ``place``: enough legal records in a row, or its end."""
        records = 0
        # A name that is in the block list is strong evidence by itself.
        while records < _RECORDS_IN_A_ROW:
            head = self._peek(place, 8)
            if self._is_end(place, head):
                return True
            if head == b"\0\0\0\0\0\0\x02\0":
                place += 8
                records += 1
                continue
            record = self._record(place, block)
            if record is None:
                return False
            size, named = record
            if named is not None:
                block = named
                records += 2
            records += 1
            place += size
        return place <= self._limit

    def _is_end(self, place: int, head: bytes) -> bool:
        if head == b"\0\0\0\0\0\0\0\x10":
            after = self._peek(place + 8, 10)
            if self._footer is not None and after.startswith(self._footer):
                return True
            return not self._footers and _begins_item(after)
        if self._footer is not None and self._footers is not False and head.startswith(self._footer):
            return _begins_item(self._peek(place + 5, 10))
        return False

    def _record(self, place: int, block: RamBlock | None) -> tuple[int, RamBlock | None] | None:
        """(size, block if it is named) of the page record at ``place``; None when there is none."""
        data = self._peek(place, _LONGEST_HEADER)
        if len(data) < 9:
            return None
        word = _U64.unpack_from(data)[0]
        flags = word & (self._page_size - 1)
        at = 8
        named = None
        if not flags & 0x20:
            at += 1 + data[8]
            name = data[9:at]
            named = self._blocks.get(name)
            if named is None and (self._blocks or not name.isascii() or not name.decode().isprintable()):
                return None
            block = named
        flags &= ~0x20
        if word - (word & (self._page_size - 1)) >= (self._highest if block is None else block.limit):
            return None
        if flags == 0x02:
            return (at + 1, named) if data[at : at + 1] == b"\0" else None
        if flags == 0x08:
            return at + self._page_size, named
        if flags == 0x40:
            length = int.from_bytes(data[at + 1 : at + 3], "big")
            if data[at : at + 1] == b"\x01" and 0 < length <= self._page_size:
                return at + 3 + length, named
        if flags == 0x100:
            length = int.from_bytes(data[at : at + 4], "big")
            if 0 < length <= compressed_bound(self._page_size):
                return at + 4 + length, named
        return None


def _begins_item(data: bytes) -> bool:
    """True when ``data`` can begin the item behind a section: a header, a command or EOF (§12.3)."""
    if not data:
        return True
    kind = data[0]
    if kind in (1, 4):
        return data[1:3] == b"\0\0" and len(data) > 6 and data[5] > 0 and 0x21 <= data[6] < 0x7F
    if kind in (2, 3):
        return data[1:3] == b"\0\0" and len(data) >= 5
    if kind == 8:
        return data[1:2] == b"\0" and 0 < data[2] < 12 and data[3:4] == b"\0"
    return kind == 0 and (len(data) == 1 or data[1] == 6 or data[1:9] == b"QEVM\0\0\0\3")
