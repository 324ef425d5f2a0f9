"""The description at the end of the file, and the devices located from it (stream-format §4.2, §4.10).

Nothing of RAM is read: a few hundred KB at the end tell where every device of a 100 GB capture lies.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from qevm.constants import FOOTER_MAGIC, SectionType
from qevm.source import Source
from qevm.vmdesc import BadDescription, Description, DeviceDescription, parse, parse_partial

_FIRST_WINDOW = 64 << 10
_LAST_WINDOW = 64 << 20
_SECTION_SEARCH = 1 << 20

# EOF byte, 06, any length, then the first key that QEMU writes: for descriptions that are cut off or
# followed by something else, where the cheap test (length reaches exactly the end of the data) cannot work.
_START = re.compile(
    rb"\x00\x06(....)(?=\{\s*\"(?:configuration|page_size|devices|vmschkmachine)\")", re.DOTALL
)


@dataclass(frozen=True, slots=True)
class FoundDescription:
    """A description and where the search found it.

    ``offset`` is that of the ``06`` byte; ``trailing`` the number of bytes behind the JSON;
    ``problem`` says what is wrong with it ("" when it is whole and ends the data) and ``problem_at`` where.
    """

    description: Description
    offset: int
    end: int
    trailing: int
    problem: str = ""
    problem_at: int = 0


def find_description(source: Source, base: int = 0, end: int | None = None) -> FoundDescription | None:
    """The description of the stream that ends at ``end`` (default: the source's end), or None.

    First the strict way: a ``06`` whose length reaches exactly the end of the data (padding of
    zeros or newlines aside).  Else the last place that begins like a description: cut off, with a
    wrong length, or followed by other bytes; then ``problem`` says so.
    """
    end = source.size if end is None else end
    window = _FIRST_WINDOW
    while True:
        start = max(base, end - window)
        data = source.read(start, end - start)
        found = _strict(data, start)
        if found is not None:
            return found
        # Only a description ends in a brace; without one a larger window cannot help the strict way.
        looks_whole = data.rstrip(b"\0\r\n").endswith(b"}")
        if start == base or window >= _LAST_WINDOW or (not looks_whole and window >= 4 << 20):
            return _lenient(data, start)
        window *= 4


def _strict(data: bytes, start: int) -> FoundDescription | None:
    content = len(data.rstrip(b"\0\r\n"))
    if not content or data[content - 1] != ord("}"):
        return None
    at = content
    while True:
        at = data.rfind(b"\x06", 1, at)
        if at < 0:
            return None
        if data[at - 1] != SectionType.EOF or data[at + 5 : at + 6] != b"{":
            continue
        length = int.from_bytes(data[at + 1 : at + 5], "big")
        if at + 5 + length != content:
            continue
        try:
            description = parse(data[at + 5 : content], start + at)
        except BadDescription:
            return None
        return FoundDescription(description, start + at, start + content, len(data) - content)


def _lenient(data: bytes, start: int) -> FoundDescription | None:
    last = None
    for match in _START.finditer(data):
        last = match
    if last is None:
        return None
    at = last.start() + 1
    length = int.from_bytes(last.group(1), "big")
    return read_at(data[at:], start + at, length)


def read_at(data: bytes, offset: int, length: int) -> FoundDescription | None:
    """The description whose ``06`` byte is ``data[0]`` at ``offset``, however damaged.  None if hopeless."""
    rest = data[5:]
    body = rest[:length]
    first = offset + 5
    damage = BadDescription("", len(body))
    if len(body) == length:
        try:
            return FoundDescription(parse(body, offset), offset, first + length, len(rest) - length)
        except BadDescription as error:
            damage = error
    # A wrong length field: the JSON itself may be whole.
    end = _json_end(rest)
    if end is not None and end != length:
        try:
            description = parse(rest[:end], offset)
        except BadDescription:
            pass
        else:
            problem = f"the description announces {length} bytes, its JSON has {end}"
            return FoundDescription(description, offset, first + end, len(rest) - end, problem, offset + 1)
    try:
        description = parse_partial(rest, offset)
    except BadDescription:
        return None
    known = f"the fields of {len(description.devices)} devices can be decoded"
    if len(body) < length:
        problem = f"the description announces {length} bytes, {len(body)} are present: {known}"
        return FoundDescription(description, offset, first + len(body), 0, problem, first + len(body))
    problem = f"the description is damaged ({damage}): {known}"
    at = first + (damage.at or 0)
    return FoundDescription(description, offset, first + length, len(rest) - length, problem, at)


def _json_end(data: bytes) -> int | None:
    """Where the first balanced JSON object of ``data`` ends.  QEMU's strings hold no braces or quotes."""
    depth = 0
    for match in re.finditer(rb"[{}]", data):
        depth += 1 if match.group() == b"{" else -1
        if depth == 0:
            return match.end()
    return None


@dataclass(frozen=True, slots=True)
class LocatedSection:
    """A FULL section found backwards from EOF.  ``by_footer``: its length is not the described one."""

    device: DeviceDescription
    section_id: int
    version_id: int
    offset: int
    body: int
    body_end: int
    end: int
    by_footer: bool = False


def locate_devices(
    source: Source, description: Description, eof: int, floor: int = 0
) -> list[LocatedSection]:
    """The device sections before the EOF byte at ``eof``, in file order, as many as can be had (§4.10).

    Stops where the description does not fit: early sections, which lie before RAM, are not found
    here.  Costs one read of all device sections, nothing of RAM.
    """
    reader = _Backwards(source, floor)
    if reader.read(eof, 1) != b"\0":
        return []
    found: list[LocatedSection] = []
    footers: bool | None = None
    end = eof
    for device in reversed(description.devices):
        section = _locate_one(reader, device, end, footers)
        if section is None:
            break
        if footers is None:
            footers = section.end > section.body_end
        found.append(section)
        end = section.offset
    found.reverse()
    return found


def _locate_one(
    reader: _Backwards, device: DeviceDescription, end: int, footers: bool | None
) -> LocatedSection | None:
    name = device.name.encode("utf-8", "replace")
    tail = bytes((len(name) & 0xFF,)) + name + device.instance_id.to_bytes(4, "big")
    header = 13 + len(name) + 1
    for footer in (5, 0) if footers is None else (5,) if footers else (0,):
        start = end - footer - device.length - header
        section = _check(reader, device, start, tail, end, footer)
        if section is not None:
            return section
    if footers is not False:
        return _search_header(reader, device, tail, end)
    return None


def _check(
    reader: _Backwards, device: DeviceDescription, start: int, tail: bytes, end: int, footer: int
) -> LocatedSection | None:
    if start < reader.floor:
        return None
    head = reader.read(start, 9 + len(tail))
    if len(head) < 9 + len(tail) or head[0] != SectionType.FULL or head[5:-4] != tail:
        return None
    if footer and reader.read(end - 5, 5) != bytes((FOOTER_MAGIC,)) + head[1:5]:
        return None
    version = int.from_bytes(head[-4:], "big")
    if not device.legacy and device.vmsd.version is not None and device.vmsd.version != version:
        return None
    return LocatedSection(
        device,
        int.from_bytes(head[1:5], "big"),
        version,
        start,
        start + len(head),
        end - footer,
        end,
        by_footer=end - footer - start - len(head) != device.length,
    )


def _search_header(
    reader: _Backwards, device: DeviceDescription, tail: bytes, end: int
) -> LocatedSection | None:
    """The length of an array of pointers is not described (§4.8): look backwards for the header whose
    id is that of the footer before ``end``."""
    footer = reader.read(end - 5, 5)
    if len(footer) < 5 or footer[0] != FOOTER_MAGIC:
        return None
    wanted = bytes((SectionType.FULL,)) + footer[1:] + tail
    low = max(reader.floor, end - _SECTION_SEARCH)
    data = reader.read(low, end - low)
    at = data.rfind(wanted)
    if at < 0:
        return None
    return _check(reader, device, low + at, tail, end, 5)


class _Backwards:
    """Reads towards the front with a window, so that each byte is fetched about once."""

    def __init__(self, source: Source, floor: int) -> None:
        self._source = source
        self.floor = floor
        self._data = b""
        self._base = 0

    def read(self, offset: int, length: int) -> bytes:
        index = offset - self._base
        if index < 0 or index + length > len(self._data):
            window = 128 << 10
            self._base = max(self.floor, min(offset, offset + length - window))
            self._data = self._source.read(self._base, max(window, offset + length - self._base))
            index = offset - self._base
        return self._data[index : index + length]
