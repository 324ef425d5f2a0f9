"""What a file is, told by its first bytes, never by its name (containers §11.1, stream-format §1 and §14)."""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass

from qevm.containers import growing
from qevm.problems import CannotOpen
from qevm.source import Source

SCAN = 1 << 20
"""How far a stream behind something unknown is looked for."""

SNIFF = 16
"""Bytes that tell what something is."""

MAGIC = b"QEVM"
HEADER = b"QEVM\0\0\0\3"
_HEAD = 4096


class Kind(enum.Enum):
    """What begins at an offset of a source."""

    STREAM = "stream"
    LIBVIRT = "libvirt save image"
    QCOW2 = "qcow2"
    COMPRESSED = "compressed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Found:
    """The kind at an offset; ``format`` names the compression."""

    kind: Kind
    format: str = ""


_COMPRESSED = (
    (b"\x1f\x8b", "gzip"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\0", "xz"),
    (b"\x89LZO\0\r\n\x1a\n", "lzop"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\x04\x22\x4d\x18", "lz4"),
)

_FOREIGN = (
    (b"\x7fELF", "an ELF core dump (dump-guest-memory, virsh dump --memory-only) or program"),
    (b"KDUMP   ", "a kdump-compressed memory dump (dump-guest-memory)"),
    (b"makedumpfile", "a flattened kdump file (makedumpfile -F)"),
    (b"PAGEDUMP", "a Windows memory dump (dump-guest-memory -w)"),
    (b"PAGEDU64", "a Windows memory dump (dump-guest-memory -w)"),
    (b"QCPR", "the CPR state side channel of a cpr-transfer migration"),
    (b"\x11\x22\x33\x44", "a multifd channel; open the main channel and give this one as --channel"),
    (b"MVEQ", "a migration stream whose bytes were swapped (MVEQ for QEVM); swap them back"),
    (b"QED\0", "a qed disk image; it holds no VM state"),
    (b"KDMV", "a VMware disk image"),
    (b"COWD", "a VMware disk image"),
    (b"vhdxfile", "a Hyper-V disk image (VHDX)"),
    (b"conectix", "a Virtual PC disk image"),
    (b"LUKS\xba\xbe", "a LUKS-encrypted volume"),
    (b"PK\x03\x04", "a zip archive; unpack it first"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive; unpack it first"),
    (b"\x02\x21\x4c\x18", "a legacy lz4 file (lz4 -l); unpack it with lz4 -d"),
    (b"LRZI", "an lrzip file; unpack it first"),
    (b"<domain", "a libvirt domain XML"),
)


def look(source: Source, offset: int = 0) -> Found:
    """What begins at ``offset``.  Waits for the first bytes of a source that grows."""
    growing.wait_for(source, offset + 16)
    head = source.read(offset, 16)
    if head.startswith(MAGIC):
        return Found(Kind.STREAM)
    if head.startswith(b"LibvirtQemud"):
        return Found(Kind.LIBVIRT)
    if head.startswith(b"QFI\xfb"):
        return Found(Kind.QCOW2)
    name = compression(source, offset)
    return Found(Kind.COMPRESSED, name) if name else Found(Kind.UNKNOWN)


def compression(source: Source, offset: int) -> str:
    """The compression format that begins at ``offset``, or an empty string.

    Looks behind the skippable frames that zstd and lz4 share (``5x 2a 4d 18``, le32 length).
    """
    for _ in range(16):
        growing.wait_for(source, offset + 16)
        head = source.read(offset, 16)
        for magic, name in _COMPRESSED:
            if head.startswith(magic):
                return name
        if len(head) < 8 or head[1:4] != b"\x2a\x4d\x18" or not 0x50 <= head[0] <= 0x5F:
            return ""
        offset += 8 + int.from_bytes(head[4:8], "little")
    return ""


def check_header(source: Source, offset: int) -> None:
    """Check magic and version of a stream header; CannotOpen says what is there instead (§1)."""
    growing.wait_for(source, offset + 8)
    head = source.read(offset, 8)
    if len(head) < 8:
        raise CannotOpen(f"not a migration stream: {_has(source, offset)}, the header needs 8")
    if head[:4] != MAGIC:
        raise CannotOpen(
            f"no migration stream at 0x{offset:x}: expected 51 45 56 4d (QEVM), found {head[:4].hex(' ')}"
        )
    version = int.from_bytes(head[4:], "big")
    if version != 3:
        word = "obsolete (QEMU of 2009 and before)" if version == 2 else "unknown"
        raise CannotOpen(f"stream version {version} at 0x{offset + 4:x} is {word}, expected 3")


def plausible(head: bytes) -> bool:
    """Whether these bytes (behind ``QEVM`` and the version) can begin the first section of a stream.

    A configuration with a printable name, a START or FULL with a printable idstr, or a COMMAND; nothing
    at all when the stream is cut off there.
    """
    if not head:
        return True
    kind = head[0]
    if kind == 7:
        length = int.from_bytes(head[1:5], "big")
        return 0 < length < 256 and _printable(head[5 : 5 + length])
    if kind in (1, 4):
        return len(head) < 6 or (head[5] > 0 and _printable(head[6 : 6 + head[5]]))
    if kind == 8:
        return int.from_bytes(head[1:3], "big") <= 11
    return False


def _printable(data: bytes) -> bool:
    return all(0x20 <= byte < 0x7F for byte in data)


def find_stream(source: Source, start: int, limit: int | None = SCAN) -> int | None:
    """Offset of the next stream header with a plausible section behind it, at or after ``start``.

    Looks at offsets up to ``start + limit`` inclusive; None for the whole source.  Reads bounded windows.
    Guest memory may hold a saved stream of its own: between ``start`` and the end of a known stream
    this would find it, so begin where a stream has ended.
    """
    end = None if limit is None else start + limit
    position, window = start, 1 << 18
    while end is None or position <= end:
        growing.wait_for(source, position + window)
        data = source.read(position, window)
        at = data.find(HEADER)
        while at >= 0:
            found = position + at
            if end is not None and found > end:
                return None
            if plausible(source.read(found + 8, 262)):
                return found
            at = data.find(HEADER, at + 1)
        if len(data) < window:
            return None
        position += window - len(HEADER) + 1
    return None


_BEHIND_PADDING = re.compile(
    rb"\0(\x1f\x8b\x08|BZh[1-9]1AY&SY|\xfd7zXZ\0|\x89LZO\0\r\n\x1a\n|\x28\xb5\x2f\xfd|\x04\x22\x4d\x18)"
)


def find_compressed(source: Source, start: int) -> int | None:
    """Offset of a compressed stream behind zero padding, within SCAN bytes of ``start``."""
    growing.wait_for(source, start + SCAN)
    found = _BEHIND_PADDING.search(source.read(start, SCAN))
    return start + found.start(1) if found else None


def may_hold_stream(source: Source, offset: int) -> bool:
    """False for what is known to be something else: nobody's stream begins inside an ELF core."""
    head = source.read(offset, 16)
    return len(head) >= 8 and not any(head.startswith(magic) for magic, _ in _FOREIGN)


def refuse(source: Source, offset: int = 0) -> CannotOpen:
    """The one line that says what a file is that holds no stream, and where it was looked for."""
    growing.wait_for(source, offset + SCAN)
    head = source.read(offset, _HEAD)
    if len(head) < 8:
        return CannotOpen(f"not a migration stream: {_has(source, offset)}, the header needs 8")
    for magic, what in _FOREIGN:
        if head.startswith(magic):
            return CannotOpen(
                f"this is {what}, not a migration stream"
                f" ({magic[:8].hex(' ')} at 0x{offset:x}, expected 51 45 56 4d)"
            )
    if head[257:262] == b"ustar":
        return CannotOpen("this is a tar archive (ustar at 0x101), not a migration stream; unpack it first")
    looked = min(source.size - offset, SCAN)
    tail = f"no QEVM in the first {looked} bytes; if a stream begins further on, give --offset"
    if not any(head) and _all_zero(source, offset, looked):
        return CannotOpen(f"not a migration stream: zeros only, {tail}")
    if _is_text(head):
        return CannotOpen(
            f"not a migration stream: this is text ({_quote(head)}),"
            f" expected 51 45 56 4d (QEVM) at 0x{offset:x}"
        )
    if head[510:512] == b"\x55\xaa":
        return CannotOpen(
            f"not a migration stream: this looks like a raw disk image (55 aa at 0x1fe); {tail}"
        )
    return CannotOpen(
        f"not a migration stream: expected 51 45 56 4d (QEVM) at 0x{offset:x},"
        f" found {head[:4].hex(' ')}; {tail}"
    )


def _has(source: Source, offset: int) -> str:
    left = max(0, source.size - offset)
    if not offset:
        return "the file is empty" if not left else f"the file has {left} byte{'s' * (left != 1)}"
    return f"the file has {left} byte{'s' * (left != 1)} from 0x{offset:x} on"


def _all_zero(source: Source, offset: int, length: int) -> bool:
    data = source.read(offset, length)
    return data.count(0) == len(data)


def _is_text(head: bytes) -> bool:
    try:
        text = head[:_HEAD].decode("utf-8")
    except UnicodeDecodeError as error:
        # The window may cut the last character in two.
        if error.start < len(head) - 3:
            return False
        text = head[: error.start].decode("utf-8")
    return all(c.isprintable() or c in "\t\n\r\f\x1b" for c in text)


def _quote(head: bytes) -> str:
    line = head.lstrip().split(b"\n", 1)[0][:24].decode("utf-8", "replace").strip()
    return repr(line)
