"""Writing bytes, hex, JSON: whole or not at all."""

from __future__ import annotations

import enum
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import hexdump

from qevm import fieldjson
from qevm.atomic import ExportError, TargetExists, whole_file
from qevm.capture import Capture
from qevm.section import Section
from qevm.source import Source

_CHUNK = 1 << 20
_UNSAFE = re.compile(r"[^A-Za-z0-9._@+=-]+")

Ranges = Sequence[tuple[int, int]]
"""Byte ranges (start, end), end exclusive, in the order in which they are written."""


__all__ = [
    "ExportError",
    "Format",
    "TargetExists",
    "blocks",
    "byte_blocks",
    "hex_blocks",
    "json_blocks",
    "propose_name",
    "propose_part_name",
    "propose_range_name",
    "ranges_of",
    "raw_blocks",
    "safe_name",
    "sections_in",
    "write_file",
]


class Format(enum.StrEnum):
    """What an export holds: the bytes, hexdump text that restores them, or the decoded fields."""

    RAW = "raw"
    HEX = "hex"
    JSON = "json"

    @property
    def suffix(self) -> str:
        """Of a proposed file name."""
        return {"raw": ".bin", "hex": ".hex", "json": ".json"}[self.value]


def safe_name(text: str) -> str:
    """``text`` as a file name of at most 120 characters.

    It has no separators and no control characters, and begins with neither a dot nor a dash.
    """
    name = _UNSAFE.sub("_", text).strip("._").lstrip("-._") or "section"
    return name[:120]


def propose_name(sections: Sequence[Section], form: Format, *, chain: bool = False) -> str:
    """A file name from the device id: ``cpu@0.bin``, ``ram@0.PART3.hex``, ``ram@0.chain.bin``."""
    first = sections[0]
    stem = safe_name(first.device_id or first.kind.name.lower())
    if chain or len(sections) > 1:
        stem += ".chain"
    elif first.device_id and first.kind.name != "FULL":
        stem += f".{first.kind.name}" + (str(first.chunk) if first.kind.name == "PART" else "")
    elif not first.device_id:
        stem += f"-0x{first.offset:x}"
    return stem + form.suffix


def propose_range_name(start: int, end: int, form: Format) -> str:
    """A file name for a byte range: ``bytes-0x100-0x1ff.bin``."""
    return f"bytes-0x{start:x}-0x{end - 1:x}{form.suffix}"


def propose_part_name(name: str, form: Format) -> str:
    """A file name for a part of the container: ``domain-XML.xml``, ``libvirt-header.bin``."""
    is_text = form is Format.RAW and name.endswith("XML")
    return safe_name(name.replace(" ", "-")) + (".xml" if is_text else form.suffix)


def ranges_of(sections: Sequence[Section]) -> list[tuple[int, int]]:
    """The byte ranges of sections: header, body and footer of each."""
    return [(section.offset, section.end) for section in sections]


def raw_blocks(source: Source, ranges: Ranges) -> Iterator[bytes]:
    """The bytes of ``ranges`` one after the other, in blocks of at most 1 MiB."""
    for start, end in ranges:
        while start < end:
            data = source.read(start, min(_CHUNK, end - start))
            if not data:
                raise ExportError(f"no bytes at 0x{start:x}: the data end before the section does")
            yield data
            start += len(data)


def hex_blocks(source: Source, ranges: Ranges) -> Iterator[bytes]:
    """hexdump text of ``ranges`` as one dump from address 0; ``hexdump.restore`` gives the bytes back."""
    for line in hexdump.dumpgen(_Reader(raw_blocks(source, ranges))):
        if line.partition(":")[2].strip() == "20":
            # hexdump.restore strips blanks off the end of the text, then fails on a line of two digits.
            line = line[:-1] + "."
        yield line.encode("ascii") + b"\n"


def json_blocks(capture: Capture, sections: Sequence[Section]) -> Iterator[bytes]:
    """The decoded fields of ``sections`` as JSON."""
    for piece in fieldjson.sections_text([(s, capture.decode(s)) for s in sections]):
        yield piece.encode("ascii")


def blocks(capture: Capture, what: Sequence[Section] | tuple[int, int], form: Format) -> Iterator[bytes]:
    """What an export of sections, or of one byte range (start, end), holds."""
    if isinstance(what, tuple) and len(what) == 2 and isinstance(what[0], int):
        start, end = int(what[0]), int(what[1])
        if form is Format.JSON:
            return json_blocks(capture, sections_in(capture, start, end))
        ranges: Ranges = [(start, end)]
    else:
        sections = [item for item in what if isinstance(item, Section)]
        if form is Format.JSON:
            return json_blocks(capture, sections)
        ranges = ranges_of(sections)
    return byte_blocks(capture.source, ranges, form)


def byte_blocks(source: Source, ranges: Ranges, form: Format) -> Iterator[bytes]:
    """The bytes of ``ranges`` as they are or as hexdump text; JSON is of sections only."""
    if form is Format.JSON:
        raise ExportError("only sections of the stream have fields as JSON")
    return raw_blocks(source, ranges) if form is Format.RAW else hex_blocks(source, ranges)


def sections_in(capture: Capture, start: int, end: int) -> list[Section]:
    """The innermost sections that a byte range touches."""
    found: list[Section] = []
    at = start
    while at < end:
        section = capture.section_at(at)
        if section is None:
            break
        found.append(section)
        at = max(section.end, at + 1)
    if not found:
        raise ExportError(f"no section at 0x{start:x}")
    return found


def write_file(target: Path, pieces: Iterable[bytes], *, force: bool = False) -> int:
    """Write ``pieces`` to ``target``, whole or not at all; the number of bytes.

    Raises TargetExists without ``force``, ExportError when it cannot be written.
    """
    total = 0
    with whole_file(target, force=force) as descriptor, open(descriptor, "wb", closefd=False) as file:
        for piece in pieces:
            file.write(piece)
            total += len(piece)
        file.flush()
        os.fsync(descriptor)
    return total


class _Reader:
    """A file-like view of blocks of bytes, for the hexdump library, which reads 16 at a time."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._data = b""
        self._at = 0

    def read(self, size: int) -> bytes:
        while len(self._data) - self._at < size:
            more = next(self._pieces, None)
            if more is None:
                break
            self._data = self._data[self._at :] + more
            self._at = 0
        piece = self._data[self._at : self._at + size]
        self._at += len(piece)
        return piece
