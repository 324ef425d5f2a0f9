"""What is fuzzed: each target takes any bytes and must neither raise nor run away."""

from __future__ import annotations

import contextlib
import io
import json
import zlib
from collections.abc import Callable
from itertools import islice

from counting_source import CountingSource

from qevm import fieldjson
from qevm.bodies.xbzrle import BadDelta, apply
from qevm.capture import Capture
from qevm.containers import lzo, open_streams
from qevm.containers.decoders import DecodeError
from qevm.containers.lzop import MAGIC, LzopDecoder
from qevm.guest_memory import GuestMemory
from qevm.problems import QevmError
from qevm.source import BytesSource
from qevm.vmdesc import BadDescription, parse, parse_partial

SECTIONS = 60
"""Sections that are decoded."""

FIELDS = 300
"""Fields of a section that are looked at."""

PAGES = 40
"""Pages of guest memory that are rebuilt."""

READS = 16
LOOKS = 4
"""How often the bytes of an input may be read, and how much oftener for each section: a lost one may look
through all that follows it.  Large captures have a budget for that (``qevm.walk.recovery``)."""

BEHIND = 1 << 20
"""Where mapped-ram begins its pages."""

MAPPED_HEAD = (
    bytes.fromhex("5145564d00000003070000000b") + b"pc-q35-10.0"
    b"\x05\x1aconfiguration/capabilities" + bytes.fromhex("00000001000000010a") + b"mapped-ram"
    + bytes.fromhex("01000000010372616d0000000000000004")
)  # fmt: skip
"""Up to where the block list of a mapped-ram stream begins."""


def walker(data: bytes) -> None:
    """A whole stream: walk, then decode, explain and analyze what was found, and rebuild its memory."""
    source = CountingSource(data)
    try:
        capture = Capture(source)
    except QevmError:
        return
    capture.walk_all()
    often = READS + LOOKS * len(capture.index)
    assert source.bytes_read <= often * len(data) + 4096 * len(capture.index) + (1 << 16), "reads too much"
    at = capture.base
    for section in capture.index:
        if section.depth == 0:
            assert section.offset == at, "rows of depth 0 do not tile the stream"
            at = section.end
    assert at == len(data), "rows of depth 0 do not end where the stream does"
    for section in islice(capture.index, SECTIONS):
        root = capture.decode(section)
        assert (root.offset, root.end) == (section.offset, section.end), "a section is not decoded whole"
        for _, field in root.walk(FIELDS):
            assert field.size >= 0, "a field of a negative size"
        if section.size < 200:
            json.loads("".join(fieldjson.sections_text([(section, root)])))
    json.dump(capture.analyze(), io.StringIO())
    capture.packed_page_problems()
    _memory(capture)


def _memory(capture: Capture) -> None:
    try:
        memory = GuestMemory.of(capture)
    except QevmError:
        return
    for block in islice(memory.blocks, 4):
        length = memory.length(block)
        for address in range(0, min(length, PAGES * memory.page_size), memory.page_size):
            memory.page(block, address)


def description(data: bytes) -> None:
    """The JSON of a description, whole or damaged."""
    for read in (parse, parse_partial):
        with contextlib.suppress(BadDescription):
            for device in read(data).devices:
                device.vmsd.inconsistent()


def xbzrle(data: bytes) -> None:
    """An XBZRLE delta on a page."""
    with contextlib.suppress(BadDelta):
        page = apply(bytes(4096), data)
        assert len(page) == 4096


def mapped_ram(data: bytes) -> None:
    """The block list of a mapped-ram stream behind a sound head.

    The first byte says how much of the rest stands there (in units of 4); what is left stands where the
    pages of the first block begin.
    """
    front = 1 + 4 * (data[0] if data else 0)
    stream = (MAPPED_HEAD + data[1:front]).ljust(BEHIND, b"\0") + data[front:]
    capture = Capture(BytesSource(stream))
    capture.walk_all()
    for section in islice(capture.index, SECTIONS):
        for _ in capture.decode(section).walk(FIELDS):
            pass
    _memory(capture)


def containers(data: bytes) -> None:
    """Whatever the bytes look like: save image, qcow2, compressed."""
    try:
        opened = open_streams(BytesSource(data), wait=True)
    except QevmError:
        return
    try:
        for part in opened.container.parts:
            for _ in part.decode().walk(FIELDS):
                pass
        source = opened.stream.source
        for offset in (0, 4096, source.size - 16):
            source.read(offset, 1 << 12)
            opened.stream.file_offset(offset)
    finally:
        opened.close()


def lzop(data: bytes) -> None:
    """The blocks of an lzop file without checksums, and bare LZO1X."""
    decoder = LzopDecoder()
    # Versions, method, level, no flags, mode and times, no name.
    header = bytes.fromhex("1030 20a0 0940 03 09 00000000") + bytes(12) + b"\0"
    total = 0
    with contextlib.suppress(DecodeError):
        for piece in decoder.feed(MAGIC + header + zlib.adler32(header).to_bytes(4, "big") + data):
            total += len(piece)
            if total > 1 << 22:
                break
    with contextlib.suppress(lzo.LzoError):
        assert len(lzo.decompress(data, 4096)) <= 4096


TARGETS: dict[str, Callable[[bytes], None]] = {
    "walker": walker,
    "description": description,
    "xbzrle": xbzrle,
    "mapped-ram": mapped_ram,
    "containers": containers,
    "lzop": lzop,
}
