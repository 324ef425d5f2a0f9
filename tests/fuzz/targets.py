"""What is fuzzed: each target takes any bytes and must neither raise nor run away."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from qevm.bodies.ram import RamBody
from qevm.bodies.xbzrle import BadDelta, apply
from qevm.capture import Capture
from qevm.containers import open_streams
from qevm.containers.decoders import DecodeError
from qevm.containers.lzop import LzopDecoder
from qevm.problems import QevmError
from qevm.source import BytesSource
from qevm.vmdesc import BadDescription, parse, parse_partial

FIELDS = 300
"""Fields of a section that are looked at."""


def walker(data: bytes) -> None:
    """A whole stream: walk, then decode, explain and analyze what was found."""
    try:
        capture = Capture(BytesSource(data))
    except QevmError:
        return
    capture.walk_all()
    at = capture.base
    for section in capture.index:
        if section.depth == 0:
            assert section.offset == at, "rows of depth 0 do not tile the stream"
            at = section.end
    for section in list(capture.index)[:60]:
        for _ in capture.decode(section).walk(FIELDS):
            pass
    capture.analyze()


def description(data: bytes) -> None:
    """The JSON of a description, whole or damaged."""
    for read in (parse, parse_partial):
        with contextlib.suppress(BadDescription):
            read(data)


def xbzrle(data: bytes) -> None:
    """An XBZRLE delta on a page."""
    with contextlib.suppress(BadDelta):
        page = apply(bytes(4096), data)
        assert len(page) == 4096


def mapped_ram(data: bytes) -> None:
    """The block list of a mapped-ram stream, behind a sound head."""
    head = bytes.fromhex("5145564d00000003070000000b") + b"pc-q35-10.0"
    head += b"\x05\x1aconfiguration/capabilities" + bytes.fromhex("00000001000000010a") + b"mapped-ram"
    head += bytes.fromhex("01000000010372616d0000000000000004")
    capture = Capture(BytesSource(head + data))
    capture.walk_all()
    for section in list(capture.index)[:20]:
        for _ in capture.decode(section).walk(FIELDS):
            pass
    for device in capture.index.devices:
        body = capture.body_of(capture.index[device.sections[0]])
        if isinstance(body, RamBody):
            body.block_list()


def containers(data: bytes) -> None:
    """Whatever the bytes look like: save image, qcow2, compressed."""
    try:
        opened = open_streams(BytesSource(data), wait=True)
    except QevmError:
        return
    for part in opened.container.parts:
        for _ in part.decode().walk(FIELDS):
            pass
    opened.stream.source.read(0, 1 << 16)
    opened.close()


def lzop(data: bytes) -> None:
    """An lzop file."""
    decoder = LzopDecoder()
    total = 0
    with contextlib.suppress(DecodeError, QevmError):
        for piece in decoder.feed(data):
            total += len(piece)
            if total > 1 << 24:
                return


TARGETS: dict[str, Callable[[bytes], None]] = {
    "walker": walker,
    "description": description,
    "xbzrle": xbzrle,
    "mapped-ram": mapped_ram,
    "containers": containers,
    "lzop": lzop,
}
