"""A position in a source, with typed reads, over a window that is refilled as it moves.

The walk reads a capture from front to back in small steps; the window turns them into few large reads.
"""

from __future__ import annotations

import struct

from qevm.source import Source

_U16 = struct.Struct(">H").unpack_from
_U32 = struct.Struct(">I").unpack_from
_U64 = struct.Struct(">Q").unpack_from


class Truncated(Exception):
    """The data ends inside something.  Caught inside the parser, never seen by a caller.

    ``offset`` is where the thing begins, ``needed`` how many bytes it has, ``left`` how many there are.
    ``message`` is a sentence for the user from somebody who knows what was cut, else empty.
    """

    def __init__(self, offset: int, needed: int, left: int, message: str = "") -> None:
        super().__init__(offset, needed, left)
        self.offset = offset
        self.needed = needed
        self.left = left
        self.message = message


class Cursor:
    """Reads ``source`` from ``offset`` up to ``limit`` (exclusive; default: the source's size)."""

    __slots__ = ("_base", "_data", "limit", "position", "source", "window")

    def __init__(
        self, source: Source, offset: int = 0, limit: int | None = None, window: int = 1 << 18
    ) -> None:
        self.source = source
        self.position = offset
        self.limit = source.size if limit is None else limit
        self.window = window
        self._data = b""
        self._base = 0

    @property
    def left(self) -> int:
        """Bytes between here and the limit."""
        return self.limit - self.position

    def at(self, length: int) -> tuple[bytes, int]:
        """(buffer, index): ``length`` bytes from here are in ``buffer`` at ``index``.  Does not move.

        Raises Truncated when they are not all there.
        """
        index = self.position - self._base
        if index >= 0 and index + length <= len(self._data) and length <= self.limit - self.position:
            return self._data, index
        left = self.limit - self.position
        if length > left:
            raise Truncated(self.position, length, max(left, 0))
        self._data = self.source.read(self.position, min(max(length, self.window), left))
        self._base = self.position
        if len(self._data) < length:
            raise Truncated(self.position, length, len(self._data))
        return self._data, 0

    def buffered(self) -> tuple[bytes, int, int]:
        """(buffer, index, end): what is in the window from here on, refilled when it is empty.

        ``end`` is where usable bytes end in ``buffer`` (the limit may lie inside it).
        """
        index = self.position - self._base
        if not 0 <= index < len(self._data):
            self._data = self.source.read(self.position, min(self.window, max(self.left, 0)))
            self._base = self.position
            index = 0
        return self._data, index, min(len(self._data), index + max(self.left, 0))

    def refill(self) -> tuple[bytes, int, int]:
        """As :meth:`buffered`, with the window begun anew here."""
        self._data = self.source.read(self.position, min(self.window, max(self.left, 0)))
        self._base = self.position
        return self._data, 0, len(self._data)

    def peek(self, length: int) -> bytes:
        """Up to ``length`` bytes from here, fewer at the limit.  Does not move."""
        length = min(length, max(self.left, 0))
        if not length:
            return b""
        try:
            data, index = self.at(length)
        except Truncated:
            return self.source.read(self.position, length)
        return data[index : index + length]

    def take(self, length: int) -> bytes:
        """``length`` bytes.  Only for lengths that are known to be small: it allocates them."""
        data, index = self.at(length)
        self.position += length
        return data[index : index + length]

    def skip(self, length: int) -> None:
        """Move over ``length`` bytes without reading them.  Raises Truncated past the limit."""
        if length > self.limit - self.position:
            raise Truncated(self.position, length, max(self.left, 0))
        self.position += length

    def u8(self) -> int:
        """One byte.  Raises Truncated."""
        data, index = self.at(1)
        self.position += 1
        return data[index]

    def be16(self) -> int:
        """Two bytes, big-endian.  Raises Truncated."""
        data, index = self.at(2)
        self.position += 2
        return int(_U16(data, index)[0])

    def be32(self) -> int:
        """Four bytes, big-endian.  Raises Truncated."""
        data, index = self.at(4)
        self.position += 4
        return int(_U32(data, index)[0])

    def be64(self) -> int:
        """Eight bytes, big-endian.  Raises Truncated."""
        data, index = self.at(8)
        self.position += 8
        return int(_U64(data, index)[0])

    def cstr(self) -> bytes:
        """A counted string: u8 length and that many bytes."""
        start = self.position
        length = self.u8()
        try:
            return self.take(length)
        except Truncated:
            self.position = start
            raise
