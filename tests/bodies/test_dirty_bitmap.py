from __future__ import annotations

import sys
from pathlib import Path

import construct as c
import pytest
from bodyhelp import Chain, assert_tiles, facts, leaves, opened, survives
from hypothesis import given
from hypothesis import strategies as st

from qevm.bodies.dirty_bitmap import DirtyBitmapBody
from qevm.bodies.protocol import BadBody
from qevm.cursor import Cursor
from qevm.section import SectionKind
from qevm.source import BytesSource

START, PART, END = SectionKind.START, SectionKind.PART, SectionKind.END
NAME = c.Prefixed(c.Int8ub, c.GreedyBytes)
CHUNK = c.Struct(
    "flags" / c.Int8ub,
    "node" / c.If(c.this.flags & 0x08, NAME),
    "bitmap" / c.If(c.this.flags & 0x04, NAME),
    "start" / c.If(c.this.flags & 0x10, c.Struct("granularity" / c.Int32ub, "flags" / c.Int8ub)),
    "bits"
    / c.If(
        c.this.flags & 0x40,
        c.Struct(
            "first" / c.Int64ub,
            "sectors" / c.Int32ub,
            "data" / c.If((c.this._.flags & 0x02) == 0, c.Prefixed(c.Int64ub, c.GreedyBytes)),
        ),
    ),
)
# The example of stream-format §8.4.
START_BODY = bytes.fromhex("1c 05") + b"disk0" + b"\x03bm0" + bytes.fromhex("00010000 01 01")
END_BODY = (
    bytes.fromhex("40 0000000000000000 00008000 0000000000000020 06") + bytes(31) + bytes.fromhex("20 01")
)


def chunk(flags: int, node: bytes = b"", bitmap: bytes = b"", **rest: object) -> bytes:
    parts = {"start": None, "bits": None, **rest}
    return CHUNK.build({"flags": flags, "node": node, "bitmap": bitmap, **parts})


def test_the_example_of_the_reference() -> None:
    chain = Chain(DirtyBitmapBody, (START, START_BODY), (END, END_BODY))
    begin, eos = chain.fields(0)
    assert begin.name == "START"
    assert begin.child("node_name").value == "disk0"
    assert begin.child("bitmap_name").value == "bm0"
    assert begin.child("granularity").value == 65536
    assert begin.child("bitmap_flags").meaning == "enabled"
    assert eos.name == "EOS"
    bits, complete, _ = chain.fields(1)
    assert bits.child("nr_sectors").value == 32768
    # 64 KiB..192 KiB is what the test wrote.
    assert "2 dirty units, 131,072 bytes between 0x10000 and 0x30000" in bits.meaning
    assert complete.meaning == "disk0/bm0"
    (total,) = chain.body.chain_fields()
    assert total.name == "disk0/bm0"
    assert total.meaning.endswith("; complete")


def test_names_hold_on_from_section_to_section() -> None:
    rename = chunk(0x4C, b"disk1", b"other", bits={"first": 0, "sectors": 8, "data": b"\1" + bytes(7)})
    same = chunk(0x40, bits={"first": 8, "sectors": 8, "data": b"\1" + bytes(7)})
    sections = [(START, START_BODY)]
    sections += [(PART, same + b"\x01"), *[(PART, b"\x01")] * 50, (PART, rename + b"\x01")]
    sections += [*[(PART, b"\x01")] * 50, (PART, same + b"\x01"), (PART, b"\x01")]
    chain = Chain(DirtyBitmapBody, *sections)
    assert chain.fields(1)[0].meaning.startswith("disk0/bm0:")
    # Jumped to directly, without any other section looked at before.
    assert chain.fields(103)[0].meaning.startswith("disk1/other:")
    assert chain.fields(52)[0].meaning.startswith("disk1/other:")
    assert chain.fields(30)[0].name == "EOS"


def test_100000_empty_parts_cost_nothing() -> None:
    made = DirtyBitmapBody(facts(START_BODY))
    cursor = Cursor(BytesSource(START_BODY))
    list(made.scan(cursor, START, 0))
    # The walker skips empty bodies: the only thing kept is the row of START.
    assert len(made.tallies) == 1
    assert made.begin(100_000) == made.begin(1)
    assert sys.getsizeof(made.tallies) < 200


def test_granularity_and_size_of_the_bits_must_agree() -> None:
    wrong = chunk(0x40, bits={"first": 0, "sectors": 32768, "data": bytes(40)})
    chain = Chain(DirtyBitmapBody, (START, START_BODY), (PART, wrong + b"\x01"))
    (problem,) = chain.body.problems
    assert problem.offset == len(START_BODY) + 13
    assert "32 bytes" in problem.expected


def test_a_million_chunks_without_flags_are_a_few_records() -> None:
    """QEMU takes them (its ``nothing``); zeros where a chunk should be are what a damaged file has."""
    body = START_BODY[:-1] + bytes(1_000_000) + b"\x01"
    chain = Chain(DirtyBitmapBody, (START, body))
    begin, *nothing, eos = chain.fields(0)
    assert (begin.name, eos.name) == ("START", "EOS")
    assert 0 < len(nothing) < 100
    assert sum(field.size for field in nothing) == 1_000_000
    assert nothing[0].meaning == f"{nothing[0].size:,} chunks without flags"
    assert_tiles(nothing, begin.end, eos.offset)


@pytest.mark.parametrize("flags", [0x30, 0x50, 0x70])
def test_two_kinds_in_one_chunk_are_refused(flags: int) -> None:
    data = START_BODY[:-1] + bytes([flags]) + bytes(30)
    with pytest.raises(BadBody):
        list(DirtyBitmapBody(facts(data)).scan(Cursor(BytesSource(data)), START, 0))


def test_bits_before_any_name_are_refused() -> None:
    with pytest.raises(BadBody) as error:
        list(DirtyBitmapBody(facts(END_BODY)).scan(Cursor(BytesSource(END_BODY)), START, 0))
    assert error.value.offset == 0


def test_a_huge_size_is_refused_where_it_stands() -> None:
    data = START_BODY[:-1] + bytes.fromhex("40 0000000000000000 00008000 1000000000000000")
    with pytest.raises(BadBody) as error:
        list(DirtyBitmapBody(facts(data)).scan(Cursor(BytesSource(data)), START, 0))
    assert error.value.offset == len(data) - 8


def test_many_chunks_come_lazily() -> None:
    one = chunk(0x42, bits={"first": 0, "sectors": 8, "data": None})
    chain = Chain(DirtyBitmapBody, (START, START_BODY), (PART, one * 5000 + b"\x01"))
    (records,) = chain.fields(1)
    assert len(records.children) == 5001
    start = len(START_BODY)
    assert records.at(start + 13 * 4000 + 2)[1].offset == start + 13 * 4000
    assert chain.body.summary(chain.sections[1]) == "disk0/bm0: 5,000 chunks for 20,480,000 bytes"


def test_real_bitmaps(tmp_path: Path) -> None:
    capture = opened("dirty-bitmaps", tmp_path)
    device = next(d for d in capture.index.devices if d.idstr == "dirty-bitmap")
    assert len(device.sections) > 50_000
    made = capture.body_of(capture.index[device.sections[0]])
    assert isinstance(made, DirtyBitmapBody)
    assert len(made.tallies) < 10
    names = []
    for row in (*device.sections[:3], device.sections[-2], device.sections[-1]):
        section = capture.index[row]
        fields = made.fields(section)
        assert_tiles(fields, section.body, section.body_end)
        names += [field.name for field in fields]
    assert "BITS" in names or "ZEROES" in names or "COMPLETE" in names
    assert all(field.meaning.endswith("; complete") for field in made.chain_fields())


name = st.binary(min_size=1, max_size=255)
granularities = st.integers(9, 31).map(lambda bits: 1 << bits)


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    granularity = draw(granularities)
    parts = [chunk(0x1C, draw(name), draw(name), start={"granularity": granularity, "flags": 3})]
    for _ in range(draw(st.integers(0, 6))):
        which = draw(st.sampled_from([0x20, 0x40, 0x42, 0x48, 0x44]))
        node, bitmap = draw(name), draw(name)
        bits = None
        if which & 0x40:
            sectors = draw(st.integers(1, 1 << 20))
            units = (sectors * 512 + granularity - 1) // granularity
            needed = (units + 63) // 64 * 8
            if needed > 4096:
                which = 0x42
            padded = (needed + 31) // 32 * 32
            bits = {"first": draw(st.integers(0, 2**40)), "sectors": sectors, "data": bytes(padded)}
            if which & 2:
                bits["data"] = None
        parts.append(chunk(which, node, bitmap, bits=bits))
    return b"".join(parts) + b"\x01"


@given(bodies())
def test_any_valid_body_is_tiled(data: bytes) -> None:
    chain = Chain(DirtyBitmapBody, (START, data))
    fields = chain.fields(0)
    assert_tiles(fields, 0, len(data))
    assert leaves(fields)


@given(st.data(), bodies())
def test_any_damage_is_survived(data: st.DataObject, whole: bytes) -> None:
    raw = bytearray(whole)
    for at in data.draw(st.lists(st.integers(0, len(raw) - 1), max_size=4)):
        raw[at] = data.draw(st.integers(0, 255))
    survives(DirtyBitmapBody, START, bytes(raw[: data.draw(st.integers(0, len(raw)))]))
