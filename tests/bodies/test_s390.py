"""s390-storage_attributes, s390-skeys and todclock."""

from __future__ import annotations

from pathlib import Path

import construct as c
import pytest
from bodyhelp import Chain, assert_tiles, facts, opened, section, survives
from hypothesis import given
from hypothesis import strategies as st

from qevm.bodies.protocol import BadBody
from qevm.bodies.skeys import SkeysBody
from qevm.bodies.storage_attributes import StorageAttributesBody
from qevm.bodies.todclock import TodclockBody
from qevm.cursor import Cursor, Truncated
from qevm.section import SectionKind
from qevm.source import BytesSource

START, PART, END, FULL = SectionKind.START, SectionKind.PART, SectionKind.END, SectionKind.FULL
EOS = bytes.fromhex("0000000000000001")
DONE = bytes.fromhex("0000000000000008")
RUN = c.Struct("address" / c.Int64ub, "values" / c.Prefixed(c.Int64ub, c.GreedyBytes))


def run(page: int, values: bytes) -> bytes:
    return RUN.build({"address": page << 12 | 2, "values": values})


def test_attributes_of_pages() -> None:
    chain = Chain(StorageAttributesBody, (START, EOS), (PART, run(16, b"\0\1\x43") + EOS), (END, DONE + EOS))
    more, eos = chain.fields(1)
    assert more.meaning == "3 pages from 0x10000"
    attributes = more.child("attributes").children
    assert [field.meaning for field in attributes] == ["stable", "unused", "volatile, holds no DAT tables"]
    assert attributes[2].name == "page 12"
    assert eos.name == "EOS"
    assert [field.name for field in chain.fields(2)] == ["DONE", "EOS"]
    assert chain.body.summary(chain.sections[1]) == "1 records, 3 attributes"


@pytest.mark.parametrize("after", [b"", b"\x7e\0\0\0\2"])
def test_an_end_section_may_stop_after_done(after: bytes) -> None:
    data = DONE + after
    cursor = Cursor(BytesSource(data))
    list(StorageAttributesBody(facts(data)).scan(cursor, END, 0))
    assert cursor.position == 8


@pytest.mark.parametrize(
    ("make", "word"), [(StorageAttributesBody, 4), (StorageAttributesBody, 3), (SkeysBody, 8)]
)
def test_a_flag_that_cannot_be_is_refused(make: type[SkeysBody], word: int) -> None:
    data = word.to_bytes(8, "big")
    with pytest.raises(BadBody):
        list(make(facts(data)).scan(Cursor(BytesSource(data)), PART, 0))


@pytest.mark.parametrize("make", [StorageAttributesBody, SkeysBody])
def test_a_count_beyond_the_data_allocates_nothing(make: type[SkeysBody]) -> None:
    data = bytes.fromhex("0000000000001002 1000000000000000") + bytes(10)
    with pytest.raises(Truncated):
        list(make(facts(data)).scan(Cursor(BytesSource(data)), PART, 0))
    survives(make, PART, data)


def test_keys_of_pages() -> None:
    chain = Chain(SkeysBody, (FULL, run(0, b"\x00\x96\x08") + EOS))
    keys, eos = chain.fields(0)
    assert [field.meaning for field in keys.child("keys").children] == [
        "access key 0",
        "access key 9, referenced, changed",
        "access key 0, fetch-protected",
    ]
    assert eos.name == "EOS"
    assert chain.body.summary(chain.sections[0]) == "3 keys"


def test_a_section_that_was_not_scanned_has_a_summary_too() -> None:
    data = run(0, bytes(500)) + EOS
    assert SkeysBody(facts(data)).summary(section(FULL, 0, len(data))) == "500 keys"


def test_a_guest_without_keys() -> None:
    chain = Chain(SkeysBody, (FULL, EOS))
    assert chain.body.summary(chain.sections[0]) == "no storage keys in use"


def test_keys_that_could_not_be_read_are_a_problem() -> None:
    chain = Chain(SkeysBody, (FULL, run(0, bytes(4)) + bytes.fromhex("0000000000000004")))
    (problem,) = chain.body.problems
    assert problem.offset == 20


def test_a_clock() -> None:
    # One day, one hour, one minute, one second after 1900-01-01.
    ticks = (86400 + 3600 + 60 + 1) * 4096 * 1_000_000
    chain = Chain(TodclockBody, (FULL, b"\x01\x00" + ticks.to_bytes(8, "big")))
    flag, high, low = chain.fields(0)
    assert flag.meaning == "present"
    assert high.value == 0
    assert low.meaning == "90061.000000 s since 1900-01-01 (1 days 01:01:01)"


def test_a_missing_clock() -> None:
    chain = Chain(TodclockBody, (FULL, b"\0"))
    assert chain.body.summary(chain.sections[0]) == "clock missing"
    with pytest.raises(BadBody):
        list(TodclockBody(facts(b"\2")).scan(Cursor(BytesSource(b"\2")), FULL, 0))


@pytest.mark.parametrize("name", ["s390x-ccw", "s390x-ccw-q72"])
def test_a_real_guest(name: str, tmp_path: Path) -> None:
    capture = opened(name, tmp_path)
    found = set()
    for row in capture.index:
        if row.idstr in ("s390-storage_attributes", "s390-skeys", "todclock"):
            made = capture.body_of(row)
            assert made is not None
            assert_tiles(made.fields(row), row.body, row.body_end)
            cursor = Cursor(capture.source, row.body)
            list(made.scan(cursor, row.kind, row.index))
            assert cursor.position == row.body_end
            found.add(row.idstr)
    assert "todclock" in found


runs = st.lists(st.tuples(st.integers(0, 2**40), st.binary(max_size=300)), max_size=6)


@given(runs, st.sampled_from([StorageAttributesBody, SkeysBody]))
def test_any_valid_body_is_tiled(parts: list[tuple[int, bytes]], make: type[SkeysBody]) -> None:
    data = b"".join(run(*part) for part in parts) + EOS
    assert_tiles(Chain(make, (FULL, data)).fields(0), 0, len(data))


@given(st.data(), runs, st.sampled_from([StorageAttributesBody, SkeysBody, TodclockBody]))
def test_any_damage_is_survived(
    data: st.DataObject, parts: list[tuple[int, bytes]], make: type[SkeysBody]
) -> None:
    raw = bytearray(b"".join(run(*part) for part in parts) + EOS)
    for at in data.draw(st.lists(st.integers(0, len(raw) - 1), max_size=4)):
        raw[at] = data.draw(st.integers(0, 255))
    survives(
        make, data.draw(st.sampled_from([PART, END, FULL])), bytes(raw[: data.draw(st.integers(0, len(raw)))])
    )
