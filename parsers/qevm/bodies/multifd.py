"""Recorded multifd page channels (stream-format §6): files that hold the pages of a main stream.

A channel begins with a 64-byte greeting; packets follow: a header with the RAM block and the addresses of
its pages, then the normal pages themselves, plain or compressed.  Compression is one zlib or zstd
stream that runs through the whole channel and is flushed behind each packet, so a packet
cannot be read without those before it: compressed pages are unpacked once, into a temporary file.
"""

from __future__ import annotations

import os
import struct
import tempfile
import zlib
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import FileIO
from typing import Protocol

from qevm.layout import MultifdGreeting
from qevm.problems import CannotOpen, Problem, QevmError
from qevm.source import Source

MAGIC = 0x11223344
PACKET_BYTES = 512 << 10
"""A packet has room for the addresses of this many bytes of pages, also when it carries none."""

_PACKET = struct.Struct(">IIIIIIQIIQQQ256s")
_DEVICE = struct.Struct(">III256sII")
_SYNC = 1
_DEVICE_STATE = 0x40
_METHODS = {0: "nocomp", 1: "zlib", 2: "zstd", 4: "qpl", 8: "uadk", 16: "qatzip"}
_INPUT = 1 << 20


class NeedsZstandard(QevmError):
    """A channel is compressed with zstd and nothing that unpacks it is installed."""


@dataclass(frozen=True, slots=True)
class Packet:
    """One packet with pages.  ``epoch`` counts the SYNC packets of the channel before it.

    ``pages`` is the number of the packet's first page in the channel's columns, ``normal`` and ``zero`` how
    many it has.  ``data`` and ``size`` are where its payload lies in the channel's file.
    """

    offset: int
    number: int
    epoch: int
    block: bytes
    pages: int
    normal: int
    zero: int
    data: int
    size: int


class Channel:
    """One page channel.  Opening reads the packet headers, no pages.

    ``addresses`` holds the byte offsets of all pages in their blocks, packet by packet, normal pages before
    zero ones.  ``problems`` have offsets in the channel's own file.  Raises CannotOpen when
    ``source`` is not a page channel.
    """

    def __init__(self, source: Source, page_size: int) -> None:
        self.source = source
        self.page_size = page_size
        self.packets: list[Packet] = []
        self.addresses = array("Q")
        self.problems: list[Problem] = []
        self.syncs = 0
        self.method = "nocomp"
        self._unpacked: FileIO | None = None
        self._unpacked_to = 0
        self._greet()
        self._index()

    def _greet(self) -> None:
        greeting = self.source.read(0, MultifdGreeting.sizeof())
        name = self.source.name
        if len(greeting) < MultifdGreeting.sizeof() or int.from_bytes(greeting[:4], "big") != MAGIC:
            raise CannotOpen(
                f"{name}: not a multifd page channel: it begins with {greeting[:4].hex(' ') or 'nothing'}, "
                "expected 11 22 33 44"
            )
        parsed = MultifdGreeting.parse(greeting)
        if parsed.version != 1:
            raise CannotOpen(f"{name}: multifd version {parsed.version} unknown, expected 1")
        self.number: int = parsed.channel
        self.uuid = bytes(parsed.uuid)

    def _index(self) -> None:
        offset = MultifdGreeting.sizeof()
        size = self.source.size
        slots = PACKET_BYTES // self.page_size
        length = _PACKET.size + 8 * slots
        while offset < size:
            head = self.source.read(offset, length)
            magic, version, flags = struct.unpack(">III", head[:12].ljust(12, b"\0"))
            if magic != MAGIC or version != 1:
                self._problem(offset, "no multifd packet here", "11 22 33 44 00 00 00 01", head[:8].hex(" "))
                return
            if flags & _DEVICE_STATE:
                if len(head) < _DEVICE.size:
                    self._cut(offset, _DEVICE.size, len(head))
                    return
                offset += _DEVICE.size + _DEVICE.unpack_from(head)[5]
                continue
            if len(head) < length:
                self._cut(offset, length, len(head))
                return
            _, _, _, _, normal, payload, number, zero, _, _, _, _, name = _PACKET.unpack_from(head)
            if normal + zero > slots:
                self._problem(
                    offset + 16,
                    "multifd packet with more pages than it has room for",
                    f"up to {slots}",
                    str(normal + zero),
                )
                return
            data = offset + length
            # QEMU 7.2 leaves the size of the packet before in one without pages.
            offset = data + (payload if normal else 0)
            if normal and not self._set_method(flags >> 1 & 0x1F, data - length, normal, payload):
                return
            if offset > size:
                self._cut(data, payload, size - data)
                return
            if normal or zero:
                words = array("Q", head[_PACKET.size : _PACKET.size + 8 * (normal + zero)])
                words.byteswap()
                block = name.split(b"\0")[0]
                self.packets.append(
                    Packet(
                        data - length,
                        number,
                        self.syncs,
                        block,
                        len(self.addresses),
                        normal,
                        zero,
                        data,
                        payload,
                    )
                )
                self.addresses.extend(words)
            self.syncs += flags & _SYNC

    def _set_method(self, code: int, offset: int, normal: int, payload: int) -> bool:
        """Learn how pages are packed; False when the packet cannot be."""
        method = _METHODS.get(code, f"compression {code}")
        if not any(packet.normal for packet in self.packets):
            self.method = method
        if method != self.method:
            self._problem(offset + 8, "multifd compression changes inside a channel", self.method, method)
            return False
        if method == "nocomp" and payload != normal * self.page_size:
            self._problem(
                offset + 20, "multifd payload of the wrong size", str(normal * self.page_size), str(payload)
            )
            return False
        return True

    def _problem(self, offset: int, message: str, expected: str, found: str) -> None:
        text = f"{message}; {len(self.packets):,} packets read before it"
        self.problems.append(Problem(offset, text, expected, found))

    def _cut(self, offset: int, needed: int, left: int) -> None:
        self._problem(
            offset,
            f"channel {self.source.name} is truncated in a packet",
            f"{needed} bytes",
            str(max(left, 0)),
        )

    # ------------------------------------------------------------------ pages

    def place(self, packet: Packet, number: int) -> int | None:
        """Where normal page ``number`` of ``packet`` lies in :attr:`plain`; None when it cannot be unpacked.

        Compressed channels are unpacked on the first call.  Raises NeedsZstandard.
        """
        if self.method == "nocomp":
            return packet.data + number * self.page_size
        if self._unpacked is None:
            self._unpack()
        place = self._places[packet.offset] + number * self.page_size
        return place if place + self.page_size <= self._unpacked_to else None

    def read(self, place: int, length: int) -> bytes:
        """Bytes of plain pages at ``place`` (see :meth:`place`)."""
        if self._unpacked is None:
            return self.source.read(place, length)
        return os.pread(self._unpacked.fileno(), length, place)

    def _unpack(self) -> None:
        """Unpack all pages into a temporary file, packet by packet; stops where a packet is damaged."""
        self._places: dict[int, int] = {}
        total = 0
        for packet in self.packets:
            self._places[packet.offset] = total
            total += packet.normal * self.page_size
        read = self._reader()
        self._unpacked = tempfile.TemporaryFile(prefix="qevm-multifd-", buffering=0)  # noqa: SIM115
        for packet in self.packets:
            wanted = packet.normal * self.page_size
            if not wanted:
                continue
            try:
                data = read(wanted)
            except (zlib.error, _BadZstandard) as error:
                self._problem(packet.data, f"{self.method}: {error}", f"{wanted} bytes", "damaged data")
                return
            if len(data) != wanted:
                self._problem(
                    packet.data,
                    f"{self.method} data of a packet end early",
                    f"{wanted} bytes",
                    str(len(data)),
                )
                return
            self._unpacked.write(data)
            self._unpacked_to += wanted

    def _reader(self) -> Callable[[int], bytes]:
        """A function that gives the next n plain bytes of the channel."""
        payloads = _Payloads(self.source, (p for p in self.packets if p.normal))
        if self.method == "zlib":
            return _Inflater(payloads).read
        if self.method == "zstd":
            return _zstd_reader(payloads, self.source.name)
        raise QevmError(f"{self.source.name}: pages compressed with {self.method} cannot be unpacked")

    def close(self) -> None:
        """Release the file and what was unpacked."""
        self.source.close()
        if self._unpacked is not None:
            self._unpacked.close()


class _Readable(Protocol):
    def read(self, size: int = ..., /) -> bytes: ...


class _Payloads:
    """The payloads of packets as one file to read from."""

    def __init__(self, source: Source, packets: Iterator[Packet]) -> None:
        self._source = source
        self._packets = packets
        self._at = self._end = 0

    def read(self, size: int = -1, /) -> bytes:
        """Up to ``size`` bytes; none at the end."""
        while self._at >= self._end:
            packet = next(self._packets, None)
            if packet is None:
                return b""
            self._at, self._end = packet.data, packet.data + packet.size
        length = min(_INPUT if size < 0 else size, self._end - self._at)
        data = self._source.read(self._at, length)
        self._at += max(len(data), 1)
        return data


class _Inflater:
    """Reads a zlib stream without making more than is asked for."""

    def __init__(self, source: _Readable) -> None:
        self._source = source
        self._stream = zlib.decompressobj()
        self._left = b""

    def read(self, size: int) -> bytes:
        """The next ``size`` bytes, fewer at the end."""
        parts = []
        while size and not self._stream.eof:
            self._left = self._left or self._source.read(_INPUT)
            data = self._stream.decompress(self._left, size)
            if not data and not self._left:
                break
            self._left = self._stream.unconsumed_tail
            parts.append(data)
            size -= len(data)
        return b"".join(parts)


class _BadZstandard(Exception):
    """Damaged zstd data."""


def _zstd_reader(source: _Readable, name: str) -> Callable[[int], bytes]:
    """A function that gives the next n plain bytes, fewer at the end."""
    from qevm.containers import decoders

    try:
        decoder = decoders.zstd()
    except CannotOpen:
        raise NeedsZstandard(
            f"{name}: this channel is compressed with zstd: pip install 'qevm[zstd]'"
        ) from None
    pieces: Iterator[bytes] = iter(())
    left = b""

    def read(size: int) -> bytes:
        nonlocal pieces, left
        parts = []
        try:
            while size:
                if not left:
                    left = next((piece for piece in pieces if piece), b"")
                if not left:
                    packed = source.read(_INPUT)
                    if not packed:
                        break
                    pieces = decoder.feed(packed)
                    continue
                parts.append(left[:size])
                left = left[size:]
                size -= len(parts[-1])
        except decoders.DecodeError as error:
            raise _BadZstandard(str(error)) from None
        return b"".join(parts)

    return read
