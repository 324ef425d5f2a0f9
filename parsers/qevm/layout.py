"""Every fixed record of the stream, declared once with construct.

All integers of the migration core are big-endian, unaligned, without padding (stream-format
"Conventions").  The hot loops read the same records with ``struct`` or numpy; a property test holds each
of them against the declaration here.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import construct as c
from construct import Bytes, Const, Int8ub, Int16ub, Int32ub, Int64ub, Prefixed, Struct, this

from qevm.constants import FOOTER_MAGIC, MAGIC, SectionType
from qevm.field import Field, Role, Value
from qevm.safetext import decode

CountedString = Prefixed(Int8ub, c.GreedyBytes)
"""``cstr``: u8 length and that many bytes, no terminator, not guaranteed UTF-8."""

FileHeader = Struct(
    "magic" / Const(MAGIC),
    "version" / Int32ub,
)
"""Offset 0, 8 bytes (§1): ``QEVM`` and version 3 (2 is obsolete since 2009)."""

Configuration = Struct(
    "type" / Const(SectionType.CONFIGURATION, Int8ub),
    "name_length" / Int32ub,
    "name" / Bytes(this.name_length),
)
"""``07``, be32 length, machine type name without NUL (§3); machine types since 2.4."""

SubsectionHeader = Struct(
    "type" / Const(SectionType.SUBSECTION, Int8ub),
    "name_length" / Int8ub,
    "name" / Bytes(this.name_length),
    "version_id" / Int32ub,
)
"""``05``, cstr name, be32 version_id: only inside a body (§2.1, §4.4)."""

StartHeader = Struct(
    "type" / Int8ub,
    "section_id" / Int32ub,
    "idstr_length" / Int8ub,
    "idstr" / Bytes(this.idstr_length),
    "instance_id" / Int32ub,
    "version_id" / Int32ub,
)
"""Header of START (``01``) and FULL (``04``): 14 bytes and the idstr (§2.1, §2.2)."""

PartHeader = Struct(
    "type" / Int8ub,
    "section_id" / Int32ub,
)
"""Header of PART (``02``) and END (``03``): 5 bytes (§2.1)."""

Footer = Struct(
    "magic" / Const(FOOTER_MAGIC, Int8ub),
    "section_id" / Int32ub,
)
"""``7e``, be32 section id: after START, PART, END and FULL since machine types 2.4 (§2.3)."""

CommandHeader = Struct(
    "type" / Const(SectionType.COMMAND, Int8ub),
    "command" / Int16ub,
    "length" / Int16ub,
)
"""``08``, be16 command, be16 payload length (§9.1)."""

VmdescHeader = Struct(
    "type" / Const(SectionType.VMDESCRIPTION, Int8ub),
    "length" / Int32ub,
)
"""``06``, be32 length of the JSON that follows (§4.1)."""

TargetPageBits = Struct("page_bits" / Int32ub)
"""Body of ``configuration/target-page-bits`` v1: page size is 1 << bits (§3)."""

ConfigurationUuid = Struct("uuid" / Bytes(16))
"""Body of ``configuration/uuid`` v1: the VM's UUID in RFC byte order (§3)."""

Ping = Struct("sequence" / Int32ub)
"""Payload of COMMAND PING (§9.1)."""

PostcopyAdvise = Struct(
    "page_size_summary" / Int64ub,
    "target_page_size" / Int64ub,
)
"""Payload of COMMAND POSTCOPY_ADVISE with 16 bytes: OR of all RAM page sizes, target page size (§9.1)."""

DiscardHeader = Struct(
    "version" / Int8ub,
    "block_length" / Int8ub,
    "block" / Bytes(this.block_length),
    "terminator" / Int8ub,
)
"""Head of the payload of COMMAND POSTCOPY_RAM_DISCARD (§9.1)."""

DiscardRange = Struct("start" / Int64ub, "length" / Int64ub)
"""One range behind a DiscardHeader: byte offset in the block and length (§9.1)."""

Packaged = Struct("length" / Int32ub)
"""Payload of COMMAND PACKAGED: that many bytes of a nested stream follow (§9.1, §9.3)."""

RecvBitmap = Struct("block_length" / Int8ub, "block" / Bytes(this.block_length))
"""Payload of COMMAND RECV_BITMAP (§9.1)."""

RamRecord = Struct("address_and_flags" / Int64ub)
"""Every RAM record begins with a be64: byte offset in the block | flags (§5.1)."""

RamBlock = Struct(
    "name_length" / Int8ub,
    "name" / Bytes(this.name_length),
    "used_length" / Int64ub,
)
"""One entry of the block list in the MEM_SIZE record (§5.2); more may follow with some capabilities."""

MappedRamHeader = Struct(
    "header_version" / Int32ub,
    "page_size" / Int64ub,
    "bitmap_offset" / Int64ub,
    "pages_offset" / Int64ub,
)
"""28 bytes behind each block's entry with mapped-ram; offsets are absolute in the file (§7)."""

XbzrleHeader = Struct("encoding" / Const(1, Int8ub), "length" / Int16ub)
"""Behind the be64 (and name) of an XBZRLE record; ``length`` bytes of delta follow (§5.5)."""

CompressHeader = Struct("length" / Int32ub)
"""Behind the be64 (and name) of a COMPRESS_PAGE record; a zlib stream of that length follows (§5.6)."""

MultifdGreeting = Struct(
    "magic" / Int32ub,
    "version" / Int32ub,
    "uuid" / Bytes(16),
    "channel" / Int8ub,
    "reserved" / Bytes(39),
)
"""The first 64 bytes of a multifd page channel (§6)."""

MultifdPacket = Struct(
    "magic" / Int32ub,
    "version" / Int32ub,
    "flags" / Int32ub,
    "pages_alloc" / Int32ub,
    "normal_pages" / Int32ub,
    "next_packet_size" / Int32ub,
    "packet_num" / Int64ub,
    "zero_pages" / Int32ub,
    "reserved" / Bytes(28),
    "block" / Bytes(256),
)
"""Head of a multifd packet (§6); be64 addresses of normal and then zero pages follow."""

_TYPE_NAMES = {1: "uint8", 2: "uint16", 4: "uint32", 8: "uint64"}

_TEXTS = frozenset({"idstr", "name", "block"})

_ROLES = {
    "type": Role.HEADER,
    "magic": Role.HEADER,
    "section_id": Role.NUMBER,
    "idstr": Role.NAME,
    "name": Role.NAME,
    "block": Role.NAME,
}


def fields_of(record: Struct, data: bytes, offset: int, role: Role | None = None) -> list[Field]:
    """The Fields of one declared record: ``data`` begins at ``offset`` of the source.

    Stops quietly where ``data`` ends or a constant does not match: the fields before that are
    returned.
    """
    return list(_parse_fields(record, data, offset, role))


def _parse_fields(record: Struct, data: bytes, offset: int, role: Role | None) -> Iterator[Field]:
    stream = io.BytesIO(data)
    seen: dict[str, Any] = {}
    for part in record.subcons:
        start = stream.tell()
        try:
            value = part.parse_stream(stream, **seen)
        except c.ConstructError:
            return
        size = stream.tell() - start
        name = str(part.name)
        seen[name] = value
        shown: Value
        if name in _TEXTS:
            kind, shown = "string", decode(value)
        elif isinstance(value, bytes):
            kind, shown = "buffer", value
        else:
            kind, shown = _TYPE_NAMES.get(size, "buffer"), int(value)
        if name.endswith("_length") or name == "length":
            default = Role.LENGTH
        else:
            default = _ROLES.get(name, Role.NUMBER if kind != "buffer" else Role.BUFFER)
        yield Field(name, offset + start, size, kind, shown, role=default if role is None else role)
