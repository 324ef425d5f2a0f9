"""The data inspector's readings, held against struct and against known values."""

from __future__ import annotations

import struct
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qevm_tui.inspect_bytes import ROWS, Reading, readings


def reading(data: bytes, label: str) -> Reading:
    return next(line for line in readings(data) if line.label == label)


@given(st.binary(min_size=16, max_size=16))
def test_integers_and_floats_are_those_of_struct(data: bytes):
    codes = {"u16": "H", "i16": "h", "u32": "I", "i32": "i", "u64": "Q", "i64": "q"}
    for label, code in codes.items():
        size = struct.calcsize("<" + code)
        line = reading(data, label)
        assert line.little[0] == str(struct.unpack("<" + code, data[:size])[0])
        assert line.big[0] == str(struct.unpack(">" + code, data[:size])[0])
    for label, code in {"f16": "e", "f32": "f", "f64": "d"}.items():
        size = struct.calcsize("<" + code)
        assert reading(data, label).big[0] == str(struct.unpack(">" + code, data[:size])[0])
    assert reading(data, "uuid").whole == (str(uuid.UUID(bytes=data)),)


@given(st.binary(max_size=16))
def test_there_are_always_as_many_lines_and_all_are_harmless(data: bytes):
    lines = readings(data)
    assert len(lines) == ROWS
    for line in lines:
        for words in (line.little, line.big, line.whole):
            assert all(text.isprintable() for text in words)


@pytest.mark.parametrize(
    ("data", "label", "little", "big"),
    [
        (struct.pack("<I", 1_700_000_000), "unix32", "2023-11-14 22:13:20", None),
        (struct.pack(">Q", 1_700_000_000), "unix64", "–", "2023-11-14 22:13:20"),
        (struct.pack(">Q", 1_700_000_000 * 10**9), "unix ns", None, "2023-11-14 22:13:20"),
        (struct.pack(">Q", 3_008_500_000), "uptime", None, "00:00:03.008500"),
        (struct.pack("<q", -(90_000 * 10**9)), "uptime", "-1 d 01:00:00.000000", None),
        (b"\x01\x02", "u32", "–", "–"),
    ],
)
def test_times_and_what_is_too_short(data: bytes, label: str, little: str | None, big: str | None):
    line = reading(data, label)
    if little is not None:
        assert line.little[0] == little
    if big is not None:
        assert line.big[0] == big


def test_one_byte_says_all_that_it_is():
    assert reading(b"A", "byte").whole[0] == "u8 65  i8 65  01000001  no bool  'A'"
    assert reading(b"\x01", "byte").whole[0] == "u8 1  i8 1  00000001  true  no ASCII"
    assert reading(b"\xff", "byte").whole[0].startswith("u8 255  i8 -1  11111111")


def test_characters_and_uleb128():
    text = reading("é".encode() + b"\0" * 8, "text").whole[0]
    assert text.startswith("utf-8 'é'")
    assert "uleb128 624485 (3 B)" in reading(b"\xe5\x8e\x26\0", "text").whole[0]
    assert "uleb128 –" in reading(b"\x80" * 16, "text").whole[0]
    assert "utf-16 le 'A'" in reading(b"A\0\0\0", "text").whole[0]
    hostile = reading(b"\x1b]52;c;", "text").whole[0]
    assert "utf-8 U+001B" in hostile
