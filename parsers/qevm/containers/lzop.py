"""The lzop file format: a header, then blocks of up to 256 KiB of LZO1X with checksums (containers §11.3)."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from qevm.containers import lzo
from qevm.containers.decoders import DecodeError

MAGIC = b"\x89LZO\x00\x0d\x0a\x1a\x0a"

MAX_BLOCK = 16 << 20
"""lzop writes 256 KiB blocks; its format would allow 64 MiB, which nothing ever wrote."""

_ADLER_D, _ADLER_C, _EXTRA, _CRC_D, _CRC_C = 0x1, 0x2, 0x40, 0x100, 0x200
_FILTER, _HEADER_CRC = 0x800, 0x1000


class _MoreError(Exception):
    """More input is needed."""


@dataclass(slots=True)
class _Take:
    """Big-endian reads from the front of a buffer."""

    data: bytes
    position: int = 0

    def bytes(self, length: int) -> bytes:
        end = self.position + length
        if end > len(self.data):
            raise _MoreError
        piece = self.data[self.position : end]
        self.position = end
        return piece

    def number(self, length: int) -> int:
        return int.from_bytes(self.bytes(length), "big")


class LzopDecoder:
    """Several members one after the other; every checksum that is there is checked."""

    kind = "lzop"

    def __init__(self) -> None:
        self.trailing = b""
        self._buffer = b""
        self._flags: int | None = None
        self._members = 0

    @property
    def in_the_middle(self) -> bool:
        """A member has begun and its end mark (a block of length 0) has not come."""
        return self._flags is not None or bool(self._buffer) or not self._members

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Whole blocks, as they are complete."""
        self._buffer += data
        try:
            while self._buffer and not self.trailing:
                if self._flags is None:
                    self._header()
                else:
                    yield from self._block(self._flags)
        except _MoreError:
            return

    def _header(self) -> None:
        self._buffer = self._buffer.lstrip(b"\0")
        if self._members and not MAGIC.startswith(self._buffer[:9]):
            self.trailing, self._buffer = self._buffer, b""
            return
        take = _Take(self._buffer)
        if take.bytes(9) != MAGIC:
            raise DecodeError("no lzop magic")
        version = take.number(2)
        take.number(2)
        modern = version >= 0x940
        if modern:
            take.number(2)
        method = take.number(1)
        if modern:
            take.number(1)
        flags = take.number(4)
        if flags & _FILTER:
            take.number(4)
        take.number(12 if modern else 8)
        take.bytes(take.number(1))
        covered = take.data[9 : take.position]
        found = take.number(4)
        expected = zlib.crc32(covered) if flags & _HEADER_CRC else zlib.adler32(covered)
        if found != expected:
            raise DecodeError(f"damaged lzop header: checksum {found:08x}, expected {expected:08x}")
        if method not in (1, 2, 3):
            raise DecodeError(f"lzop method {method} is not LZO1X")
        if flags & _FILTER:
            raise DecodeError("lzop filters are not supported: unpack it with lzop -d")
        if flags & _EXTRA:
            length = take.number(4)
            if length > MAX_BLOCK:
                raise DecodeError(f"lzop extra field of {length} bytes")
            take.bytes(length + 4)
        self._flags = flags
        self._buffer = self._buffer[take.position :]

    def _block(self, flags: int) -> Iterator[bytes]:
        take = _Take(self._buffer)
        size = take.number(4)
        if not size:
            self._flags = None
            self._members += 1
            self._buffer = self._buffer[4:]
            return
        packed = take.number(4)
        if size > MAX_BLOCK or packed > size:
            raise DecodeError(f"damaged lzop block: {packed} bytes that unpack to {size}")
        sums = [(zlib.adler32, take.number(4))] if flags & _ADLER_D else []
        if flags & _CRC_D:
            sums.append((zlib.crc32, take.number(4)))
        packed_sums = []
        if packed < size:
            if flags & _ADLER_C:
                packed_sums.append((zlib.adler32, take.number(4)))
            if flags & _CRC_C:
                packed_sums.append((zlib.crc32, take.number(4)))
        data = take.bytes(packed)
        for check, expected in packed_sums:
            if check(data) != expected:
                raise DecodeError("damaged lzop block: checksum of the packed bytes")
        if packed < size:
            try:
                data = lzo.decompress(data, size)
            except lzo.LzoError as error:
                raise DecodeError(f"damaged lzop block: {error}") from error
        for check, expected in sums:
            if check(data) != expected:
                raise DecodeError("damaged lzop block: checksum of the unpacked bytes")
        self._buffer = self._buffer[take.position :]
        yield data
