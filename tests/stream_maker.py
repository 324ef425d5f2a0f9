"""Valid streams made at random from the declarations of ``qevm.layout``, for property tests.

What is made is written down row by row as it is made: that is what a walk has to find.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from qevm import layout
from qevm.constants import Command, RamFlag, SectionType
from qevm.section import SectionKind

EXACT_TYPES = {
    "uint8": 1, "uint16": 2, "uint32": 4, "uint64": 8, "int8": 1, "int16": 2, "int32": 4, "int64": 8,
    "bool": 1, "timer": 8, "uint32 equal": 4,
}  # fmt: skip


@dataclass(frozen=True)
class Row:
    """One section as it was made."""

    kind: SectionKind
    offset: int
    body: int
    body_end: int
    end: int
    section_id: int | None = None
    idstr: str | None = None
    instance_id: int | None = None
    depth: int = 0


@dataclass
class Stream:
    """A stream under construction, and in the end."""

    footers: bool
    page_size: int
    data: bytearray = field(default_factory=bytearray)
    rows: list[Row] = field(default_factory=list)
    described: list[dict[str, Any]] = field(default_factory=list)
    structure: list[range] = field(default_factory=list)
    """Bytes of which a reader must notice any change: types, ids, footers, end marks."""
    depth: int = 0

    def add(self, raw: bytes, *, structure: bool = False) -> None:
        """Append bytes."""
        if structure:
            self.structure.append(range(len(self.data), len(self.data) + len(raw)))
        self.data += raw

    def row(self, kind: SectionKind, offset: int, body: int, body_end: int, **identity: Any) -> None:
        """Note the section that ends here."""
        self.rows.append(Row(kind, offset, body, body_end, len(self.data), depth=self.depth, **identity))

    def section(
        self, kind: SectionKind, section_id: int, idstr: str, instance_id: int, version_id: int, body: bytes
    ) -> None:
        """Append a whole START, PART, END or FULL."""
        start = len(self.data)
        number = SectionType[kind.name]
        if kind in (SectionKind.START, SectionKind.FULL):
            header = layout.StartHeader.build(
                {
                    "type": number,
                    "section_id": section_id,
                    "idstr_length": len(idstr),
                    "idstr": idstr.encode(),
                    "instance_id": instance_id,
                    "version_id": version_id,
                }
            )
        else:
            header = layout.PartHeader.build({"type": number, "section_id": section_id})
        self.add(header[:5], structure=True)
        self.add(header[5:])
        body_start = len(self.data)
        self.add(body)
        body_end = len(self.data)
        if self.footers:
            self.add(layout.Footer.build({"section_id": section_id}), structure=True)
        self.row(
            kind, start, body_start, body_end, section_id=section_id, idstr=idstr, instance_id=instance_id
        )

    def command(self, command: Command, payload: bytes = b"") -> None:
        """Append a COMMAND."""
        start = len(self.data)
        self.add(layout.CommandHeader.build({"command": command, "length": len(payload)}), structure=True)
        self.add(payload)
        self.row(SectionKind.COMMAND, start, start + 5, len(self.data))


names = st.from_regex(r"\A[a-z][a-z0-9_-]{1,10}\Z")
paths = st.one_of(names, st.builds("0000:00:{:02x}.0/{}".format, st.integers(0, 31), names))


@st.composite
def vmsds(
    draw: st.DrawFn, name: str, contents: st.SearchStrategy[bytes], depth: int = 0
) -> tuple[dict[str, Any], bytes]:
    """A vmstate description as QEMU writes one, and bytes that it describes."""
    fields = []
    raw = b""
    for number in range(draw(st.integers(0 if depth else 1, 4))):
        entry: dict[str, Any] = {"name": f"{draw(names)}[{number}]"}
        kind = draw(st.sampled_from([*EXACT_TYPES, "buffer", "struct", "unused_buffer"]))
        if kind == "struct" and depth < 2:
            struct, inner = draw(vmsds(draw(names), contents, depth + 1))
            entry |= {"type": "struct", "struct": struct, "size": len(inner)}
            raw += inner
        else:
            size = EXACT_TYPES.get(kind) or draw(st.integers(0, 24))
            count = draw(st.sampled_from([1, 1, 1, 2, 7]))
            entry |= {"type": "buffer" if kind == "struct" else kind, "size": size}
            if count > 1:
                entry["array_len"] = count
            raw += _filled(draw(contents), size * count)
        fields.append(entry)
    made: dict[str, Any] = {"vmsd_name": name, "version": draw(st.integers(0, 9)), "fields": fields}
    if depth < 2 and draw(st.booleans()):
        made["subsections"] = []
        for _ in range(draw(st.integers(1, 2))):
            sub, inner = draw(vmsds(f"{name}/{draw(names)}", contents, depth + 1))
            made["subsections"].append(sub)
            title = sub["vmsd_name"].encode()
            header = {"name_length": len(title), "name": title, "version_id": sub["version"]}
            raw += layout.SubsectionHeader.build(header) + inner
    return made, raw


def _filled(pattern: bytes, size: int) -> bytes:
    return (pattern * (size // len(pattern) + 1))[:size]


@dataclass
class _Ram:
    blocks: list[tuple[str, int]]
    current: int | None = None


@st.composite
def _records(draw: st.DrawFn, ram: _Ram, page_size: int, contents: st.SearchStrategy[bytes]) -> bytes:
    raw = b""
    for _ in range(draw(st.integers(0, 6))):
        number = draw(st.integers(0, len(ram.blocks) - 1))
        name, length = ram.blocks[number]
        flags = RamFlag.ZERO if draw(st.booleans()) else RamFlag.PAGE
        address = draw(st.integers(0, length // page_size - 1)) * page_size
        goes_on = ram.current == number and draw(st.booleans())
        word = address | flags | (RamFlag.CONTINUE if goes_on else 0)
        raw += layout.RamRecord.build({"address_and_flags": word})
        raw += b"" if goes_on else layout.CountedString.build(name.encode())
        raw += b"\0" if flags == RamFlag.ZERO else _filled(draw(contents), page_size)
        ram.current = number
    return raw + layout.RamRecord.build({"address_and_flags": int(RamFlag.EOS)})


def _block_list(ram: _Ram) -> bytes:
    total = sum(length for _, length in ram.blocks)
    raw = layout.RamRecord.build({"address_and_flags": total | RamFlag.MEM_SIZE})
    for name, length in ram.blocks:
        raw += layout.RamBlock.build({"name_length": len(name), "name": name.encode(), "used_length": length})
    return raw + layout.RamRecord.build({"address_and_flags": int(RamFlag.EOS)})


@st.composite
def streams(draw: st.DrawFn, *, described: bool | None = None, footers: bool | None = None) -> Stream:
    """A whole stream.  None: with or without."""
    with_description = draw(st.booleans()) if described is None else described
    with_footers = draw(st.booleans()) if footers is None else footers
    # Without a description, what begins the next section must not stand in a body: nobody could tell.
    low = 0 if with_description else 0x80
    contents = st.binary(min_size=1, max_size=9).map(lambda raw: bytes(byte | low for byte in raw))
    page_size = draw(st.sampled_from([1024, 4096, 8192])) if with_description else 4096
    made = Stream(with_footers, page_size)
    made.add(layout.FileHeader.build({"magic": b"QEVM", "version": 3}))
    made.row(SectionKind.HEADER, 0, 0, 8)
    if draw(st.booleans()):
        _configuration(made, draw(names), with_bits=draw(st.booleans()))
    for _ in range(draw(st.integers(0, 2))):
        made.command(Command.PING, layout.Ping.build({"sequence": draw(st.integers(0, 1 << 31))}))
    ids = draw(st.permutations(range(20)))
    if draw(st.booleans()):
        _memory(draw, made, ids[0], contents)
    package = not with_description and with_footers and draw(st.booleans())
    count = draw(st.integers(1, 4))
    keys = draw(st.lists(st.tuples(paths, st.integers(0, 3)), min_size=count, max_size=count, unique=True))
    if package:
        _package(draw, made, keys, ids, contents)
    else:
        _devices(draw, made, keys, ids, contents)
    eof = len(made.data)
    made.add(b"\0")
    made.row(SectionKind.EOF, eof, eof + 1, eof + 1)
    if with_description:
        _description(made, draw(st.sampled_from([None, (", ", ": "), (" , ", " : ")])))
    return made


def _configuration(made: Stream, name: str, *, with_bits: bool) -> None:
    start = len(made.data)
    made.add(layout.Configuration.build({"name_length": len(name), "name": name.encode()}))
    if with_bits:
        title = b"configuration/target-page-bits"
        made.add(
            layout.SubsectionHeader.build({"name_length": len(title), "name": title, "version_id": 1})
            + layout.TargetPageBits.build({"page_bits": made.page_size.bit_length() - 1})
        )
    made.row(SectionKind.CONFIGURATION, start, start + 1, len(made.data))


def _memory(draw: st.DrawFn, made: Stream, section_id: int, contents: st.SearchStrategy[bytes]) -> None:
    block_names = draw(st.lists(paths, min_size=1, max_size=3, unique=True))
    ram = _Ram([(name, draw(st.integers(1, 16)) * made.page_size) for name in block_names])
    made.section(SectionKind.START, section_id, "ram", 0, 4, _block_list(ram))
    for kind in [SectionKind.PART] * draw(st.integers(0, 3)) + [SectionKind.END]:
        made.section(kind, section_id, "ram", 0, 4, draw(_records(ram, made.page_size, contents)))


def _devices(
    draw: st.DrawFn,
    made: Stream,
    keys: list[tuple[str, int]],
    ids: list[int],
    contents: st.SearchStrategy[bytes],
) -> None:
    for (idstr, instance), section_id in zip(keys, ids[1:], strict=False):
        vmsd, body = draw(vmsds(idstr.rpartition("/")[2], contents))
        made.section(SectionKind.FULL, section_id, idstr, instance, vmsd["version"], body)
        made.described.append({"name": idstr, "instance_id": instance} | vmsd)


def _package(
    draw: st.DrawFn,
    made: Stream,
    keys: list[tuple[str, int]],
    ids: list[int],
    contents: st.SearchStrategy[bytes],
) -> None:
    inside = Stream(made.footers, made.page_size, depth=1)
    inside.command(Command.POSTCOPY_LISTEN)
    _devices(draw, inside, keys, ids, contents)
    inside.command(Command.POSTCOPY_RUN)
    start = len(made.data)
    made.command(Command.PACKAGED, layout.Packaged.build({"length": len(inside.data)}))
    made.rows.pop()
    base = len(made.data)
    made.data += inside.data
    made.row(SectionKind.COMMAND, start, start + 5, base + len(inside.data))
    made.structure += [range(base + r.start, base + r.stop) for r in inside.structure]
    for row in inside.rows:
        places = (base + place for place in (row.offset, row.body, row.body_end, row.end))
        made.rows.append(Row(row.kind, *places, row.section_id, row.idstr, row.instance_id, depth=1))


def _description(made: Stream, separators: tuple[str, str] | None) -> None:
    start = len(made.data)
    top = {"page_size": made.page_size, "devices": made.described}
    text = json.dumps(top, separators=separators).encode()
    made.add(layout.VmdescHeader.build({"length": len(text)}))
    made.add(text)
    made.row(SectionKind.VMDESCRIPTION, start, start + 5, len(made.data))
