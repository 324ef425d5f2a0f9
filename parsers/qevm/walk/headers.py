"""Section headers read fast, and the tests of what can begin at an offset (stream-format §2, §12.3).

The struct reads here are held against the declarations of ``layout`` by a property test.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Collection
from dataclasses import dataclass

from qevm.constants import FOOTER_MAGIC, Command, SectionType
from qevm.source import Source

_ID = struct.Struct(">I")
_COMMAND = struct.Struct(">HH")

# Lengths of the payloads of fixed-length commands (§9.1); None: any.
COMMAND_LENGTHS: dict[int, tuple[int, ...] | None] = {
    Command.OPEN_RETURN_PATH: (0,),
    Command.PING: (4,),
    Command.POSTCOPY_ADVISE: (0, 16),
    Command.POSTCOPY_LISTEN: (0,),
    Command.POSTCOPY_RUN: (0,),
    Command.POSTCOPY_RAM_DISCARD: None,
    Command.PACKAGED: (4,),
    Command.ENABLE_COLO: (0,),
    Command.POSTCOPY_RESUME: (0,),
    Command.RECV_BITMAP: None,
    Command.SWITCHOVER_START: (0,),
}

_IDSTR = re.compile(rb"[\x21-\x7e]{2,255}\Z")
# Nearly all names hold a lowercase letter; the others (PCIBUS, …/I440FX) are a path or a whole word.
_WORD = re.compile(rb"[a-z]|/[A-Z0-9_]{3,}\Z|\A[A-Z][A-Z0-9_]{3,}\Z")

# What there may be of a START or FULL header that is cut off: id below 65536, a name of 2 bytes and more.
_HEAD_BEGINS = re.compile(
    rb"[\x01\x04](?:\Z|\0(?:\Z|\0.{0,2}\Z|\0..[\x02-\xff][\x21-\x7e]{0,255}.{0,8}\Z))", re.DOTALL
)

MAX_HEADER = 14 + 255


@dataclass(frozen=True, slots=True)
class Head:
    """A START or FULL header that was read.  ``body`` is the offset of the first byte behind it."""

    type: int
    section_id: int
    idstr: bytes
    instance_id: int
    version_id: int
    offset: int

    @property
    def body(self) -> int:
        """Offset of the first byte behind the header."""
        return self.offset + 14 + len(self.idstr)

    @property
    def plausible(self) -> bool:
        """The rule that made no mistake on 112 MB of real streams (§12.3)."""
        return (
            self.section_id < 1 << 16
            and self.version_id < 256
            and (self.instance_id < 1 << 16 or b"iommu" in self.idstr)
            and _IDSTR.match(self.idstr) is not None
            and _WORD.search(self.idstr) is not None
        )


def parse_head(data: bytes, index: int, offset: int) -> Head | None:
    """The START or FULL header at ``data[index]``; None when ``data`` does not hold all of it."""
    if len(data) < index + 14:
        return None
    length = data[index + 5]
    end = index + 14 + length
    if len(data) < end:
        return None
    return Head(
        data[index],
        _ID.unpack_from(data, index + 1)[0],
        data[index + 6 : index + 6 + length],
        _ID.unpack_from(data, end - 8)[0],
        _ID.unpack_from(data, end - 4)[0],
        offset,
    )


class Plausibility:
    """Answers "can an item of the stream begin here?" for recovery.

    ``chains`` holds the ids that a START opened; it is the walker's own mapping, looked at live.
    ``devices`` are the (idstr, instance id) of the description: they are plausible whatever they look like.
    """

    def __init__(
        self,
        source: Source,
        chains: Collection[int],
        devices: Collection[tuple[bytes, int]] = frozenset(),
    ) -> None:
        self._source = source
        self._chains = chains
        self._devices = devices

    def open_ids(self) -> list[int]:
        """The section ids that a START opened."""
        return list(self._chains)

    def item(self, offset: int, limit: int, in_package: bool) -> bool:
        """True when what is at ``offset`` passes the test for its type (§12.3).

        ``limit`` is the end of the data or of the package, which is a good place too; ``in_package``
        allows no EOF.  A header that the end of the data cuts off passes when what is there of it would.
        """
        if offset >= limit:
            return offset == limit
        data = self._source.read(offset, min(MAX_HEADER, limit - offset))
        return self._test(data, offset, limit, in_package)

    def _test(self, data: bytes, offset: int, limit: int, in_package: bool) -> bool:
        kind = data[0]
        cut = offset + len(data) == self._source.size
        if kind in (SectionType.START, SectionType.FULL):
            head = parse_head(data, 0, offset)
            if head is None:
                return cut and _HEAD_BEGINS.match(data) is not None
            return head.plausible or (head.idstr, head.instance_id) in self._devices
        if kind in (SectionType.PART, SectionType.END):
            if len(data) < 5:
                return cut and any(_ID.pack(number).startswith(data[1:]) for number in self._chains)
            return int.from_bytes(data[1:5], "big") in self._chains
        if kind == SectionType.COMMAND:
            if len(data) < 5:
                return cut and data[1:2] in (b"", b"\0")
            return _command_fits(data)
        if kind == SectionType.EOF and not in_package:
            return self.eof(data, offset, limit)
        return False

    def eof(self, data: bytes, offset: int, limit: int) -> bool:
        """True when the ``00`` at ``offset`` is followed by what may follow EOF (§10)."""
        behind = data[1:10]
        left = limit - offset - 1
        if left == 0 or behind[:4] == b"QEVM":
            return True
        if behind[0] == SectionType.VMDESCRIPTION:
            length = int.from_bytes(behind[1:5], "big")
            return left < 6 or behind[5:6] == b"{" or 5 + length == left
        if left <= len(data) - 1:
            return not data[1:].strip(b"\0")
        return False


def _command_fits(data: bytes) -> bool:
    command, length = _COMMAND.unpack_from(data, 1)
    allowed = COMMAND_LENGTHS.get(command, ())
    return allowed is None or length in allowed


def footer(section_id: int) -> bytes:
    """The five bytes of the footer of ``section_id``."""
    return bytes((FOOTER_MAGIC,)) + _ID.pack(section_id)
