"""What a RAM section says, as Fields: block list, counts, runs of pages and each record below them."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import TYPE_CHECKING

from qevm.bodies import xbzrle
from qevm.bodies.mapped_ram import Bitmaps
from qevm.bodies.page_contents import Undecodable, inflate
from qevm.bodies.page_runs import KINDS, PageKind, PageRecord
from qevm.bodies.ram_blocks import RamBlock, mapped_blocks
from qevm.bodies.records import Bit, FieldReader, symbols
from qevm.constants import RamFlag
from qevm.cursor import Truncated
from qevm.field import Field, LazyFields, Role
from qevm.section import Section, SectionKind

if TYPE_CHECKING:
    from qevm.bodies.ram import RamBody

_FLAG_BITS: tuple[Bit, ...] = tuple(
    (int(flag).bit_length() - 1, 1, flag.name or "", meaning)
    for flag, meaning in (
        (RamFlag.FULL, "obsolete"),
        (RamFlag.ZERO, "the page is filled with one byte"),
        (RamFlag.MEM_SIZE, "the block list follows"),
        (RamFlag.PAGE, "the page follows"),
        (RamFlag.EOS, "end of the section's body"),
        (RamFlag.CONTINUE, "same block as the record before"),
        (RamFlag.XBZRLE, "a difference to the page's last contents follows"),
        (RamFlag.HOOK, "RDMA, never in a file"),
        (RamFlag.COMPRESS_PAGE, "the page follows as a zlib stream"),
        (RamFlag.MULTIFD_FLUSH, "wait for the page channels"),
    )
)


def size_text(size: int) -> str:
    """A size in bytes as people say it: ``48.6 MiB``."""
    if size < 1024:
        return f"{size} B"
    amount = float(size)
    for unit in ("KiB", "MiB", "GiB", "TiB", "PiB"):
        amount /= 1024
        if amount < 1024:
            return f"{amount:.0f} {unit}" if amount == int(amount) else f"{amount:.1f} {unit}"
    return f"{amount / 1024:.1f} EiB"


def section_summary(body: RamBody, section: Section) -> str:
    """One phrase for the tree: how many blocks or pages."""
    parts = []
    if section.kind is SectionKind.START and body.total is not None:
        listed = [block for block in body.blocks if block.listed]
        parts.append(f"{len(listed):,} block{'' if len(listed) == 1 else 's'}, {size_text(body.total)}")
        if body.is_mapped:
            parts.append("mapped-ram")
    parts += _counts(body.runs.section_totals(section.index))
    gaps = len(body.gaps.of_row(section.index))
    if gaps:
        parts.append(f"{gaps:,} damaged place{'' if gaps == 1 else 's'}")
    return ", ".join(parts)


def _counts(totals: Sequence[int]) -> list[str]:
    """``2,081 pages``, ``412 zero``: all pages, then each kind that is not plain."""
    pages = sum(totals)
    if not pages:
        return []
    return [f"{pages:,} page{'' if pages == 1 else 's'}"] + [
        f"{totals[kind]:,} {kind.label}" for kind in KINDS if totals[kind] and kind is not PageKind.NORMAL
    ]


def chain_fields(body: RamBody) -> list[Field]:
    """Totals of all sections so far: RAM, pages by kind, blocks."""
    at = body.list_offset
    fields = [
        Field(f"{kind.label} pages", at, 0, "total", body.runs.totals[kind])
        for kind in KINDS
        if body.runs.totals[kind]
    ]
    if body.total is not None:
        fields.insert(0, Field("RAM", at, 0, "total", body.total, size_text(body.total)))
    if len(body.gaps):
        fields.append(Field("damaged places", at, 0, "total", len(body.gaps), role=Role.PROBLEM))
    fields += [
        Field(
            block.text,
            block.offset,
            0,
            "total",
            block.length,
            "length unknown" if block.length is None else size_text(block.length),
            role=Role.NAME,
        )
        for block in body.blocks
    ]
    if body.pages_elsewhere:
        fields.append(
            Field(
                "note", at, 0, "note", meaning="pages were sent on multifd channels that are not in this file"
            )
        )
    return fields


def section_fields(body: RamBody, section: Section) -> list[Field]:
    """All records of one section in stream order; runs and their records are made when looked at."""
    fields: list[Field] = []
    if section.body <= body.list_offset < section.body_end and body.list_end:
        fields.append(_block_list(body, section))
    runs = body.runs.section_range(section.index)
    if runs:
        totals = body.runs.section_totals(section.index)
        first = body.runs.firsts[runs[0]]
        last = runs[-1]
        end = body.runs.firsts[last] + body.runs.counts[last] * body.runs.strides[last]
        fields.append(
            Field(
                "page records",
                first,
                end - first,
                "records",
                None,
                ", ".join(_counts(totals)),
                LazyFields(
                    len(runs),
                    lambda number: _run(body, runs[number]),
                    lambda offset: _run_number(body, runs, offset),
                ),
            )
        )
    first_flush = bisect_left(body.flushes, section.body)
    after_flush = bisect_right(body.flushes, section.body_end)
    fields += [_plain_record(body, at, "MULTIFD_FLUSH") for at in body.flushes[first_flush:after_flush]]
    for gap in body.gaps.of_row(section.index):
        end = section.body_end if gap.end is None else gap.end
        fields.append(
            Field("damaged bytes", gap.start, end - gap.start, "buffer", role=Role.PROBLEM, problem="skipped")
        )
    if body.cut_at is None or section.body_end < body.cut_at:
        data = body.facts.source.read(section.body_end - 8, 8)
        if section.body_end - section.body >= 8 and data[7:] == b"\x10":
            fields.append(_plain_record(body, section.body_end - 8, "EOS"))
    fields.sort(key=lambda field: field.offset)
    return fields


def _word(reader: FieldReader, page_size: int) -> int:
    """The be64 that every record begins with."""
    mask = page_size - 1
    at = reader.position
    value = reader.number("address_and_flags", 8)
    field = reader.fields[-1]
    flags = value & mask & 0x3FF
    names = symbols(flags, _FLAG_BITS)
    field.meaning = f"0x{value - (value & mask):x} | {names}"
    field.role = Role.ADDRESS
    field.children = [
        Field("address", at, 8, "uint64", value - (value & mask), role=Role.ADDRESS),
        Field("flags", at, 8, "bits", value & mask, names, bits=(0, mask.bit_length())),
    ]
    return flags


def _plain_record(body: RamBody, offset: int, name: str) -> Field:
    reader = FieldReader(body.facts.source, offset, offset + 8, 8)
    try:
        _word(reader, body.page_size)
    except Truncated:
        reader.rest("cut off")
    return Field(name, offset, 8, "record", children=reader.fields, role=Role.HEADER)


# ---------------------------------------------------------------------- pages


def _run_number(body: RamBody, runs: range, offset: int) -> int | None:
    run = body.runs.run_at(offset)
    return run - runs.start if run is not None and run in runs else None


def _run(body: RamBody, run: int) -> Field:
    """One run: a group of records, or the record itself when there is only one."""
    runs = body.runs
    count = runs.counts[run]
    if count == 1:
        return _record(body, runs.record(run, 0))
    first = runs.record(run, 0)
    block = body.blocks[first.block].text
    last = first.address + (count - 1) * runs.page_size
    return Field(
        f"{block}+0x{first.address:x}…0x{last:x}",
        first.offset,
        count * first.size,
        f"{first.kind.label} pages",
        None,
        f"{count:,} pages, {size_text(count * runs.page_size)}",
        LazyFields(
            count,
            lambda number: _record(body, runs.record(run, number)),
            lambda offset: (
                (offset - first.offset) // first.size
                if 0 <= offset - first.offset < count * first.size
                else None
            ),
        ),
        role=Role.PAGE,
    )


def _record(body: RamBody, record: PageRecord) -> Field:
    """One page record with all its parts."""
    block = body.blocks[record.block]
    field = Field(
        f"{block.text}+0x{record.address:x}",
        record.offset,
        record.size,
        f"{record.kind.label} page",
        role=Role.PAGE,
    )
    reader = FieldReader(body.facts.source, record.offset, record.offset + record.size, 512)
    try:
        flags = _word(reader, body.page_size)
        if not flags & RamFlag.CONTINUE:
            reader.text("block")
        _payload(body, record, reader, field)
    except Truncated as cut:
        reader.rest(f"cut off: needs {cut.needed:,} bytes, has {cut.left:,}")
    field.children = reader.fields
    return field


def _payload(body: RamBody, record: PageRecord, reader: FieldReader, field: Field) -> None:
    kind = record.kind
    if kind in (PageKind.ZERO, PageKind.FILL):
        reader.number("fill", 1, "every byte of the page")
        return
    if kind is PageKind.NORMAL:
        reader.raw("data", record.length, role=Role.PAGE)
        return
    try:
        if kind is PageKind.XBZRLE:
            reader.number("encoding", 1, "XBZRLE")
            length = reader.number("length", 2, role=Role.LENGTH)
            reader.raw("delta", length)
            delta = body.facts.source.read(record.payload, length)
            reader.fields[-1].children = _delta_fields(delta, record.payload, body.page_size)
        else:
            length = reader.number("length", 4, role=Role.LENGTH)
            reader.raw("data", length, "zlib stream")
            inflate(body.facts.source.read(record.payload, length), body.page_size, record.payload)
    except xbzrle.BadDelta as bad:
        field.problem = reader.fields[-1].problem = f"XBZRLE: {bad.rule}"
    except Undecodable as bad:
        field.problem = reader.fields[-1].problem = bad.reason


def _delta_fields(delta: bytes, offset: int, page_size: int) -> list[Field]:
    """The literal runs of an XBZRLE delta.  Raises BadDelta."""
    return [
        Field(
            f"0x{place:03x}",
            offset + at,
            length,
            "buffer",
            delta[at : at + length],
            f"{length} new byte{'' if length == 1 else 's'}",
            role=Role.PAGE,
        )
        for place, at, length in xbzrle.runs(delta, page_size)
    ]


# ---------------------------------------------------------------------- block list


def _block_list(body: RamBody, section: Section) -> Field:
    source = body.facts.source
    reader = FieldReader(source, body.list_offset, body.list_offset + 8, 8)
    _word(reader, body.page_size)
    total = body.total or 0
    listed = [block for block in body.blocks if block.listed]
    bitmaps = Bitmaps(source, mapped_blocks(listed))
    children = [
        *reader.fields,
        *(_block(body, block, bitmaps, min(body.list_end, section.body_end)) for block in listed),
    ]
    return Field(
        "MEM_SIZE",
        body.list_offset,
        min(body.list_end, section.body_end) - body.list_offset,
        "record",
        None,
        f"{len(listed)} blocks, {size_text(total)}",
        children,
        Role.HEADER,
    )


def _block(body: RamBody, block: RamBlock, bitmaps: Bitmaps, limit: int) -> Field:
    """One entry of the block list; with mapped-ram the bitmap and the pages are in it."""
    reader = FieldReader(body.facts.source, block.offset, min(block.offset + block.size, limit), 512)
    end = block.offset + block.size
    try:
        reader.text("name")
        at = reader.position
        length = reader.number("used_length", 8)
        reader.fields[-1].meaning = size_text(length)
        if block.length != length:
            shown = "unknown" if block.length is None else size_text(block.length)
            reader.fields[-1].problem = f"cannot be; read as {shown}"
            reader.fields[-1].offset = at
        if block.host_page_size is not None:
            reader.number("page_size", 8, "of the host memory behind the block")
        if block.address is not None:
            reader.number("address", 8, "of the block in its region", Role.ADDRESS)
        if block.mapped is not None:
            reader.number("header_version", 4)
            reader.number("page_size", 8)
            reader.number("bitmap_offset", 8, "in the file that QEMU wrote", Role.ADDRESS)
            reader.number("pages_offset", 8, "in the file that QEMU wrote", Role.ADDRESS)
            end = _mapped_fields(block, bitmaps, reader.fields, limit)
    except Truncated as cut:
        reader.rest(f"cut off: needs {cut.needed:,} bytes, has {cut.left:,}")
    meaning = "length unknown" if block.length is None else size_text(block.length)
    return Field(
        block.text,
        block.offset,
        min(end, limit) - block.offset,
        "RAM block",
        None,
        meaning,
        reader.fields,
        Role.NAME,
    )


def _mapped_fields(block: RamBlock, bitmaps: Bitmaps, fields: list[Field], limit: int) -> int:
    mapped = block.mapped
    assert mapped is not None
    if mapped.problem:
        fields[-1].problem = mapped.problem
        return block.offset + block.size
    present = bitmaps.count(mapped)
    order = "big" if bitmaps.big_endian else "little"
    fields.append(
        Field(
            "bitmap",
            mapped.bitmap_at,
            mapped.bitmap_size,
            "bitmap",
            None,
            f"{present:,} of {mapped.pages:,} pages are in the file; 64-bit words, {order}-endian",
        )
    )
    pages = Field(
        "pages",
        mapped.pages_at,
        max(0, min(mapped.length, limit - mapped.pages_at)),
        "pages",
        None,
        f"{size_text(present * mapped.page_size)} in {size_text(mapped.length)}",
        role=Role.PAGE,
    )
    pages.children = LazyFields(
        mapped.pages,
        lambda page: _mapped_page(block, bitmaps, page),
        lambda offset: (
            (offset - mapped.pages_at) // mapped.page_size if mapped.pages_at <= offset < mapped.end else None
        ),
    )
    fields.append(pages)
    return mapped.end


def _mapped_page(block: RamBlock, bitmaps: Bitmaps, page: int) -> Field:
    mapped = block.mapped
    assert mapped is not None
    address = page * mapped.page_size
    present = bitmaps.is_present(mapped, page)
    return Field(
        f"{block.text}+0x{address:x}",
        mapped.pages_at + address,
        min(mapped.page_size, mapped.length - address),
        "normal page" if present else "zero page",
        None,
        "" if present else "not in the file: zero, whatever stands here",
        role=Role.PAGE,
    )
