from __future__ import annotations

from pathlib import Path

import construct as c
import pytest
from bodyhelp import Chain, assert_tiles, facts, opened, survives
from hypothesis import given
from hypothesis import strategies as st

from qevm.bodies.htab import HtabBody
from qevm.bodies.protocol import BadBody
from qevm.cursor import Cursor
from qevm.section import SectionKind
from qevm.source import BytesSource

START, PART, END = SectionKind.START, SectionKind.PART, SectionKind.END

CHUNK = c.Struct(
    "index" / c.Int32ub,
    "n_valid" / c.Int16ub,
    "n_invalid" / c.Int16ub,
    "entries" / c.Array(c.this.n_valid, c.Struct("v" / c.Int64ub, "r" / c.Int64ub)),
)
BODY = c.Struct("header" / c.Int32ub, "chunks" / c.GreedyRange(CHUNK))
TERMINATOR = bytes(8)
START_BODY = bytes.fromhex("00000015")

# A 4 KiB page of the kernel: VSID part of AVPN 0x123, bolted, secondary, valid; RPN 0x2000, R, C, M.
PTE_V = (0x1 << 62) | (0x123 << 7) | 0x10 | 0x02 | 0x01
PTE_R = (0x2 << 60) | (0x2000 << 12) | (0x5 << 9) | 0x100 | 0x80 | 0x10 | 0x02


def body(*chunks: tuple[int, list[tuple[int, int]], int]) -> bytes:
    made = [
        {
            "index": index,
            "n_valid": len(entries),
            "n_invalid": invalid,
            "entries": [{"v": v, "r": r} for v, r in entries],
        }
        for index, entries, invalid in chunks
    ]
    return BODY.build({"header": 0, "chunks": made}) + TERMINATOR


def test_start_announces_the_size_of_the_table_and_nothing_else() -> None:
    chain = Chain(HtabBody, (START, START_BODY))
    (header,) = chain.fields(0)
    assert header.value == 0x15
    assert "2,097,152 bytes" in header.meaning


def test_a_radix_guest_has_no_table() -> None:
    chain = Chain(HtabBody, (START, b"\xff" * 4), (PART, b"\xff" * 4), (END, b"\xff" * 4))
    assert "no hashed page table" in chain.fields(2)[0].meaning


def test_a_resize_in_a_part_stands_alone() -> None:
    chain = Chain(HtabBody, (START, START_BODY), (PART, bytes.fromhex("00000018")))
    assert len(chain.fields(1)) == 1


def test_entries_are_decoded_to_their_bits() -> None:
    chain = Chain(HtabBody, (START, START_BODY), (PART, body((8, [(PTE_V, PTE_R)], 3))))
    header, chunk, terminator = chain.fields(1)
    assert header.value == 0
    assert terminator.name == "terminator"
    assert [chunk.child(name).value for name in ("index", "n_valid", "n_invalid")] == [8, 1, 3]
    (pte,) = chunk.child("entries").children
    v, r = pte.children
    bits = {field.name: field.value for field in (*v.children, *r.children)}
    assert bits["AVPN"] == 0x123
    assert bits["B"] == 1
    assert (bits["bolted"], bits["large"], bits["secondary"], bits["valid"]) == (True, False, True, True)
    assert bits["RPN"] == 0x2000
    assert (bits["R"], bits["C"], bits["W"], bits["I"], bits["M"], bits["G"], bits["N"]) == (
        True, True, False, False, True, False, False,
    )  # fmt: skip
    assert bits["PP"] == 2
    # Key bits 4:3 are 2, bits 2:0 are 5.
    assert r.meaning == "storage key 21"
    assert "0x2000000" in pte.meaning
    assert "group 1" in pte.meaning


def test_the_summary_counts() -> None:
    chain = Chain(HtabBody, (START, START_BODY), (PART, body((8, [(PTE_V, PTE_R)] * 2, 3))))
    assert chain.body.summary(chain.sections[1]) == "1 chunks, 2 valid entries, 3 invalid entries"
    assert [field.value for field in chain.body.chain_fields()] == [1, 2, 3]


def test_an_empty_part_is_the_empty_body() -> None:
    assert body() == HtabBody.empty_body


@pytest.mark.parametrize("header", ["00000005", "0000002f", "80000000"])
def test_a_table_size_that_cannot_be_is_refused(header: str) -> None:
    data = bytes.fromhex(header)
    with pytest.raises(BadBody) as error:
        list(HtabBody(facts(data)).scan(Cursor(BytesSource(data)), START, 0))
    assert error.value.offset == 0


def test_a_chunk_outside_of_the_table_is_refused() -> None:
    chunk = bytes.fromhex("0001ffff 0001 0001") + bytes(16)
    data = START_BODY + bytes(4) + chunk + TERMINATOR
    made = HtabBody(facts(data))
    cursor = Cursor(BytesSource(data))
    list(made.scan(cursor, START, 0))
    with pytest.raises(BadBody) as error:
        list(made.scan(cursor, PART, 1))
    assert error.value.offset == 8


def test_a_real_guest(tmp_path: Path) -> None:
    capture = opened("ppc64-pseries", tmp_path)
    device = next(d for d in capture.index.devices if d.idstr == "spapr/htab")
    sections = [capture.index[row] for row in device.sections]
    assert [s.kind for s in sections] == [START, PART, END]
    made = capture.body_of(sections[0])
    assert made is not None
    for section in sections:
        assert_tiles(made.fields(section), section.body, section.body_end)


chunks = st.lists(
    st.tuples(
        st.integers(1, 60000),
        st.lists(st.tuples(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1)), max_size=5),
        st.integers(0, 500),
    ),
    max_size=8,
)


@given(chunks)
def test_any_valid_body_is_tiled(made: list[tuple[int, list[tuple[int, int]], int]]) -> None:
    data = body(*made)
    chain = Chain(HtabBody, (START, START_BODY), (PART, data))
    assert_tiles(chain.fields(1), 4, 4 + len(data))


@given(st.data(), chunks)
def test_any_damage_is_survived(
    data: st.DataObject, made: list[tuple[int, list[tuple[int, int]], int]]
) -> None:
    raw = bytearray(body(*made))
    for at in data.draw(st.lists(st.integers(0, len(raw) - 1), max_size=4)):
        raw[at] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(raw)))
    survives(HtabBody, PART, bytes(raw[:cut]))
