"""libvirt save images: ``virsh save``, managed save, the memory of external snapshots (containers §11.2)."""

from __future__ import annotations

import construct as c
from construct import Bytes, Int32ub, Int32ul, Struct

from qevm.containers import detect, growing, xmlview
from qevm.containers.detect import Kind
from qevm.containers.model import ContainerPart
from qevm.field import Field, Value
from qevm.layout import fields_of
from qevm.problems import CannotOpen, Problem, Severity
from qevm.source import Source

HEADER_SIZE = 92
RAW, SPARSE = 0, 6

FORMATS = ("raw", "gzip", "bzip2", "xz", "lzop", "zstd", "sparse")
"""``virQEMUSaveFormat`` by number."""


def _header(integer: c.FormatField) -> Struct:
    return Struct(
        "magic" / Bytes(16),
        "version" / integer,
        "data_len" / integer,
        "was_running" / integer,
        "format" / integer,
        "cookieOffset" / integer,
        "unused" / Bytes(56),
    )


HeaderLE = _header(Int32ul)
"""The header of a little-endian host: 92 bytes, byte order of the host that wrote it (§11.2)."""

HeaderBE = _header(Int32ub)
"""The header of a big-endian host (s390x)."""


class SaveImage:
    """The save image that begins at ``base`` of ``source``.

    ``payload`` is the offset of the stream (or what it was compressed to), ``format`` the number that
    the header gives, ``problems`` what is wrong with the frame; offsets are those of ``source``.
    Raises CannotOpen when there is no payload to open.
    """

    def __init__(self, source: Source, base: int = 0) -> None:
        self.source = source
        self.base = base
        self.problems: list[Problem] = []
        growing.wait_for(source, base + HEADER_SIZE)
        self._data = source.read(base, HEADER_SIZE)
        if len(self._data) < HEADER_SIZE:
            raise CannotOpen(
                f"libvirt save image cut inside its header: {len(self._data)} bytes,"
                f" the header has {HEADER_SIZE}"
            )
        self.byte_order, self._layout = self._choose_order()
        values = self._layout.parse(self._data)
        self.version = int(values.version)
        self.data_len = int(values.data_len)
        # Version 1 is older than compression: what is there now was unused then.
        self.format = int(values.format) if self.version >= 2 else RAW
        self.cookie_offset = int(values.cookieOffset) if self.version >= 2 else 0
        self._check(bytes(values.magic))
        self.payload = self._find_payload()

    @property
    def format_name(self) -> str:
        """The header's format in libvirt's words."""
        return FORMATS[self.format] if self.format < len(FORMATS) else f"format {self.format}"

    def _choose_order(self) -> tuple[str, Struct]:
        little = int.from_bytes(self._data[16:20], "little")
        big = int.from_bytes(self._data[16:20], "big")
        if little not in (1, 2) and big in (1, 2):
            return "big", HeaderBE
        if little not in (1, 2):
            self._problem(16, "unknown version of a libvirt save image", "1 or 2", str(little))
            return ("little", HeaderLE) if little <= big else ("big", HeaderBE)
        return "little", HeaderLE

    def _problem(
        self, at: int, message: str, expected: str, found: str, severity: Severity = Severity.WARNING
    ) -> None:
        self.problems.append(Problem(self.base + at, message, expected, found, severity=severity))

    def _check(self, magic: bytes) -> None:
        if magic == b"LibvirtQemudPart":
            self._problem(
                0,
                "libvirt did not finish this save image: the stream in it may be incomplete",
                "LibvirtQemudSave",
                "LibvirtQemudPart",
            )
        elif magic != b"LibvirtQemudSave":
            self._problem(0, "unknown magic of a libvirt save image", "LibvirtQemudSave", repr(magic)[2:-1])
        if self.format >= len(FORMATS):
            self._problem(28, "unknown format: the payload's own magic decides", "0…6", str(self.format))
        if self.cookie_offset >= self.data_len > 0:
            self._problem(
                32,
                "the cookie would lie outside of the data: not shown",
                f"less than {self.data_len}",
                str(self.cookie_offset),
            )
            self.cookie_offset = 0

    def _find_payload(self) -> int:
        at = self.base + HEADER_SIZE + self.data_len
        growing.wait_for(self.source, at + 16)
        if self._is_payload(at):
            if not self.data_len:
                self._problem(20, "data_len is 0: the image holds no domain XML", "more than 0", "0")
            return at
        found = self._search()
        if found is not None:
            self._problem(
                20,
                "the stream is not where data_len says",
                f"a stream at 0x{at:x}",
                f"one at 0x{found:x}",
                Severity.ERROR,
            )
            self.data_len = found - self.base - HEADER_SIZE
            return found
        if at >= self.source.size:
            raise CannotOpen(
                f"libvirt save image without a stream: it should begin at 0x{at:x}"
                f" (data_len 0x{self.data_len:x}), the file ends at 0x{self.source.size:x}"
            )
        raise CannotOpen(
            f"libvirt save image without a stream: expected QEVM or a compressed stream at 0x{at:x}"
            f" (format {self.format_name}), found {self.source.read(at, 4).hex(' ')}"
        )

    def _is_payload(self, at: int) -> bool:
        return detect.look(self.source, at).kind in (Kind.STREAM, Kind.COMPRESSED)

    def _search(self) -> int | None:
        """A payload elsewhere: at a page boundary (old sparse files), or a stream anywhere near."""
        start = self.base + HEADER_SIZE
        if self.format == SPARSE:
            first = -(-(start + min(self.data_len, detect.SCAN)) // 4096) * 4096
            for at in range(first, min(first + detect.SCAN, self.source.size), 4096):
                if self.source.read(at, 8) == detect.HEADER:
                    return at
        found = detect.find_stream(self.source, start)
        return detect.find_compressed(self.source, start) if found is None else found

    def believed_format(self) -> str:
        """The format of the payload by its own magic; notes where the header says another one."""
        found = detect.look(self.source, self.payload)
        name = found.format if found.kind is Kind.COMPRESSED else "raw"
        said = "raw" if self.format == SPARSE else self.format_name
        if name != said and self.format < len(FORMATS):
            self._problem(
                28, "the header's format is not what the payload is; the payload is believed", name, said
            )
        return name

    # -- what is shown beside the stream

    def parts(self) -> list[ContainerPart]:
        """The header, the domain XML and the cookie."""
        parts = [ContainerPart("libvirt header", self.source, self.base, HEADER_SIZE, self._decode_header)]
        start = self.base + HEADER_SIZE
        room = min(self.cookie_offset or self.data_len, max(0, self.source.size - start))
        if room:
            parts.append(self._text("domain XML", start, room))
        if self.cookie_offset:
            room = min(self.data_len, self.source.size - start) - self.cookie_offset
            if room > 0:
                parts.append(self._text("cookie", start + self.cookie_offset, room))
        return parts

    def _text(self, name: str, start: int, room: int) -> ContainerPart:
        size = self._length(start, room)
        if size is None:
            self._problem(start - self.base, f"the {name} has no NUL at its end", "a NUL byte", "none")
            size = room

        def decode() -> Field:
            data = self.source.read(start, min(size, xmlview.MAX_TEXT))
            return xmlview.decode_xml(name, data, start, size)

        return ContainerPart(name, self.source, start, size, decode)

    def _length(self, start: int, room: int) -> int | None:
        """Bytes before the NUL, looked for in MAX_TEXT bytes at most."""
        position = 0
        while position < min(room, xmlview.MAX_TEXT):
            data = self.source.read(start + position, min(1 << 16, room - position))
            at = data.find(0)
            if at >= 0:
                return position + at
            if not data:
                break
            position += len(data)
        return None

    def _decode_header(self) -> Field:
        fields = fields_of(self._layout, self._data, self.base)
        for item in fields:
            item.meaning = self._meaning(item.name, item.value)
        order = f"{self.byte_order}-endian host"
        return Field("libvirt header", self.base, HEADER_SIZE, "struct", None, order, fields)

    def _meaning(self, name: str, value: Value) -> str:
        if name == "magic":
            return "complete" if value == b"LibvirtQemudSave" else "the save was interrupted"
        if not isinstance(value, int):
            return ""
        start = self.base + HEADER_SIZE
        if name == "data_len":
            return f"XML, cookie and padding: up to 0x{start + value:x}"
        if name == "was_running":
            return "resume running" if value else "stay paused"
        if name == "format":
            return FORMATS[value] if value < len(FORMATS) else "unknown"
        if name == "cookieOffset":
            return f"at 0x{start + value:x}" if value else "no cookie"
        return ""
