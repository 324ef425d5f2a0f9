"""XBZRLE against an encoder, and each of its rules."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qevm.bodies import xbzrle

PAGE = 4096


def uleb(value: int) -> bytes:
    return bytes((value,)) if value < 0x80 else bytes((value & 0x7F | 0x80, value >> 7))


def encode(old: bytes, new: bytes) -> bytes:
    """The delta that QEMU's encoder writes: runs of equal bytes, runs of different ones."""
    delta = bytearray()
    at = 0
    while at < len(old):
        begin = at
        while at < len(old) and old[at] == new[at]:
            at += 1
        if at == len(old):
            break
        delta += uleb(at - begin)
        begin = at
        while at < len(old) and old[at] != new[at]:
            at += 1
        delta += uleb(at - begin) + new[begin:at]
    return bytes(delta)


@given(st.data())
def test_what_was_encoded_comes_back(data: st.DataObject) -> None:
    old = bytearray(PAGE)
    new = bytearray(PAGE)
    for page in (old, new):
        for start, value in data.draw(
            st.lists(st.tuples(st.integers(0, PAGE - 1), st.binary(min_size=1, max_size=300)), max_size=8)
        ):
            page[start : start + len(value)] = value[: PAGE - start]
    assert xbzrle.apply(bytes(old), encode(bytes(old), bytes(new))) == bytes(new)


def test_the_example_of_the_format_reference() -> None:
    page = xbzrle.apply(bytes(PAGE), bytes.fromhex("1001dbef0f02dbc3"))
    assert {i: b for i, b in enumerate(page) if b} == {0x10: 0xDB, 0x800: 0xDB, 0x801: 0xC3}


@pytest.mark.parametrize(
    ("delta", "rule", "at"),
    [
        ("8080", "run length of more than two bytes", 0),
        ("0001aa0001bb", "zrun of 0 inside a delta", 3),
        ("0500", "nzrun of 0", 1),
        ("ff3f01aa", "zrun past the page: 0x1fff of 0x1000", 0),
        ("ff1f02aabb", "nzrun past the page: 0x1001 of 0x1000", 2),
        ("0005aa", "nzrun of 5 with 1 bytes left in the delta", 1),
        ("05", "the delta ends where a run length is due", 1),
        ("0501aa85", "the delta ends inside a run length", 3),
    ],
)
def test_a_broken_rule_is_named(delta: str, rule: str, at: int) -> None:
    with pytest.raises(xbzrle.BadDelta) as bad:
        xbzrle.apply(bytes(PAGE), bytes.fromhex(delta))
    assert (bad.value.rule, bad.value.at) == (rule, at)


@given(st.binary(max_size=600))
def test_any_bytes_are_applied_or_refused(delta: bytes) -> None:
    try:
        page = xbzrle.apply(bytes(PAGE), delta)
    except xbzrle.BadDelta:
        return
    assert len(page) == PAGE
