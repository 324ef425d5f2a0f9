"""The fast path against a plain reading of the same records, and against the declarations."""

from __future__ import annotations

import struct

from hypothesis import given, settings
from hypothesis import strategies as st
from streams import EOS, PAGE, block_list, normal, part, scan, start, xbzrle, zero

from qevm import layout

BLOCKS = {b"pc.ram": 4096 * PAGE, b"rom": 64 * PAGE}
DATA = bytes(range(256)) * 16


@st.composite
def sections(draw: st.DrawFn) -> list[bytes]:
    """START and some PARTs with runs of zero and normal pages, deltas and block changes between them."""
    found = [start(block_list(BLOCKS) + EOS)]
    named = False
    for _ in range(draw(st.integers(1, 3))):
        body = bytearray()
        for _ in range(draw(st.integers(0, 6))):
            name = draw(st.sampled_from([b"pc.ram", b"rom", None]))
            if name is None and not named:
                name = b"pc.ram"
            named = True
            kind = draw(st.sampled_from("zznx"))
            first = draw(st.integers(0, 40))
            step = draw(st.sampled_from([1, 1, 1, 2]))
            longest = {"z": 900, "n": 80, "x": 3}[kind] if name == b"pc.ram" else 20
            for number in range(draw(st.integers(1, longest))):
                page = first + number * step
                if page >= 64:
                    page = page % 64 if name != b"pc.ram" else page
                label = name if not number else None
                if kind == "z":
                    body += zero(page, label, draw(st.sampled_from([0] * 30 + [7])))
                elif kind == "n":
                    body += normal(page, DATA, label)
                else:
                    body += xbzrle(page, b"\x00\x01x", label)
        found.append(part(bytes(body) + EOS))
    return found


def plainly(section: bytes, base: int, current: int) -> tuple[list[tuple[int, int, str, int, int]], int]:
    """(offset, size, kind, block, page) of all records of a PART, one by one by the declarations."""
    names = list(BLOCKS)
    records = []
    at = 5
    while True:
        value = layout.RamRecord.parse(section[at : at + 8]).address_and_flags
        begin, flags, page = at, value & 0xFFF, value >> 12
        at += 8
        if flags == 0x10:
            return records, current
        if not flags & 0x20:
            name = layout.CountedString.parse(section[at:])
            current = names.index(name)
            at += 1 + len(name)
        if flags & 0x02:
            kind = "FILL" if section[at] else "ZERO"
            at += 1
        elif flags & 0x08:
            kind, at = "NORMAL", at + PAGE
        else:
            head = layout.XbzrleHeader.parse(section[at:])
            kind, at = "XBZRLE", at + 3 + head.length
        records.append((base + begin, at - begin, kind, current, page))


@settings(max_examples=120, deadline=None)
@given(sections(), st.sampled_from([1 << 13, 1 << 15, 1 << 20]))
def test_every_record_is_found_where_the_declarations_say(found: list[bytes], window: int) -> None:
    scanned = scan(found, window=window)
    expected = []
    current, base = -1, len(found[0])
    for section in found[1:]:
        records, current = plainly(section, base, current)
        expected += records
        base += len(section)
    inside = [r for r in expected if r[4] * PAGE < list(BLOCKS.values())[r[3]]]
    assert scanned.records == inside
    if inside == expected:
        assert scanned.ends == [len(section) - 5 for section in found]


def test_a_long_run_is_one_row_across_windows() -> None:
    body = b"".join(zero(i, b"pc.ram" if not i else None) for i in range(4000))
    body += b"".join(normal(i, DATA) for i in range(300))
    scanned = scan([start(block_list(BLOCKS) + EOS), part(body + EOS)], window=1 << 14)
    runs = scanned.body.runs
    assert list(runs.counts) == [1, 3999, 300]
    assert runs.records == 4300


def test_a_header_that_differs_inside_a_run_is_not_taken_for_the_next() -> None:
    for wrong in range(10, 700, 37):
        pages = [i if i != wrong else 3000 for i in range(800)]
        body = b"".join(zero(p, b"pc.ram" if not i else None) for i, p in enumerate(pages))
        scanned = scan([start(block_list(BLOCKS) + EOS), part(body + EOS)])
        assert [r[4] for r in scanned.records] == pages


def test_a_fill_byte_inside_a_run_is_seen() -> None:
    for wrong in range(9, 600, 61):
        body = b"".join(zero(i, b"pc.ram" if not i else None, 0x55 if i == wrong else 0) for i in range(700))
        scanned = scan([start(block_list(BLOCKS) + EOS), part(body + EOS)])
        assert [i for i, r in enumerate(scanned.records) if r[2] == "FILL"] == [wrong]
        offset, size = scanned.records[wrong][:2]
        assert [p.offset for p in scanned.body.problems] == [offset + size - 1]


def test_a_run_ends_at_the_end_of_its_block() -> None:
    body = b"".join(zero(i, b"rom" if not i else None) for i in range(70))
    scanned = scan([start(block_list(BLOCKS) + EOS), part(body + EOS)])
    assert len(scanned.records) == 64
    assert len(scanned.body.problems) == 6
    assert "rom+0x40000 is outside its block of 0x40000 bytes" in scanned.body.problems[0].message


@settings(max_examples=60, deadline=None)
@given(st.integers(0, (1 << 52) - 1), st.sampled_from([0x02, 0x08, 0x22, 0x28, 0x10, 0x120]))
def test_struct_reads_a_record_as_declared(page: int, flags: int) -> None:
    built = layout.RamRecord.build({"address_and_flags": page << 12 | flags})
    assert struct.unpack(">Q", built)[0] == page << 12 | flags
