"""Values as text: expected by hand, from what the issue asks for."""

from __future__ import annotations

import pytest

from qevm.explain.render import bytes_text, details, value_text
from qevm.explain.rules import Bit, bit_summary, listed
from qevm.explain.units import duration, size_text
from qevm.field import Field, Role


@pytest.mark.parametrize(
    ("item", "text"),
    [
        (Field("a", 0, 4, "uint32", 0), "0"),
        (Field("a", 0, 4, "uint32", 31956), "0x00007cd4 (31956)"),
        (Field("a", 0, 1, "uint8", 0xC0), "0xc0 (192)"),
        (Field("a", 0, 4, "int32", -1), "0xffffffff (-1, unsigned 4294967295)"),
        (Field("a", 0, 4, "uint32", 0xFFFFFFFF), "0xffffffff (4294967295, signed -1)"),
        (Field("a", 0, 4, "uint32", 0xFEE00000), "0xfee00000 (4276092928)"),
        (Field("a", 0, 8, "uint64", 0x1000, role=Role.ADDRESS), "0x0000000000001000"),
        (Field("a", 0, 8, "uint64", 300, bits=(0, 10)), "0x12c (300)"),
        (Field("a", 0, 1, "bool", True), "true"),
        (Field("a", 0, 8, "CPU_Double_U", 1.5), "1.5 (0x3ff8000000000000)"),
        (Field("a", 0, 5, "str", "a\x1b[1m"), '"a\\x1b[1m"'),
        (Field("a", 0, 4, "struct"), ""),
    ],
)
def test_value_in_one_line(item: Field, text: str) -> None:
    assert value_text(item) == text


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "empty"),
        (bytes(4096), "4096 bytes, all zero"),
        (b"\xff" * 512, "512 bytes, all ff"),
        (b"\x20" * 3, "3 bytes, all 20"),
        (b"\x01\x02\x03", "01 02 03"),
        (b"running" + bytes(25), '"running" (32 bytes)'),
        (bytes.fromhex("05126f5c") + bytes(60), "05 12 6f 5c, 60 × 00 (64 bytes)"),
        (bytes(20) + b"\x41\xc0" + bytes(10), "20 × 00, 41 c0, 10 × 00 (32 bytes)"),
        (bytes(range(128, 160)), "80 81 82 83 84 85 86 87 88 89 8a 8b 8c 8d 8e 8f … (32 bytes)"),
    ],
)
def test_bytes_in_one_line(data: bytes, text: str) -> None:
    assert bytes_text(data) == text


def test_array_says_when_all_of_it_is_zero() -> None:
    item = Field(
        "a", 0, 8, "uint32[2]", children=[Field("[0]", 0, 4, "uint32", 0), Field("[1]", 4, 4, "uint32", 0)]
    )
    assert value_text(item) == "2 × uint32, all zero"


def test_details_give_hex_both_signs_and_place() -> None:
    item = Field("RIP", 0x1234, 2, "uint16", 0xFFFE, "where it runs", alias="env.eip")
    assert details(item, 0x1200) == [
        ("name", "RIP"), ("vmstate name", "env.eip"), ("type", "uint16"),
        ("offset", "0x1234, 0x34 in the section"), ("size", "2 bytes"), ("hex", "0xfffe"),
        ("unsigned", "65534"),
        ("signed", "-2"), ("binary", "0b1111111111111110"), ("meaning", "where it runs"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (0, "0 ns"), (999, "999 ns"), (1500, "1.5 µs"), (12_300_000, "12.3 ms"), (4_560_000_000, "4.56 s"),
        (-2_000_000, "-2 ms"), (125 * 10**9, "2 min 5 s"), (11_520 * 10**9, "3 h 12 min"),
        (5 * 86400 * 10**9 + 7 * 3600 * 10**9, "5 d 7 h"),
    ],
)  # fmt: skip
def test_durations(ns: int, text: str) -> None:
    assert duration(ns) == text


def test_sizes() -> None:
    assert [size_text(n) for n in (1, 17, 1024, 1536, 1 << 30)] == [
        "1 byte",
        "17 bytes",
        "1 KiB",
        "1.5 KiB",
        "1 GiB",
    ]


def test_bits_that_no_table_knows_are_named_by_a_mask() -> None:
    table = [Bit(0, "A"), Bit(1, "mode", 2, {2: "two"})]
    assert bit_summary(0b1101, table, 0b111) == "A mode=two +0x8"
    assert bit_summary(0, table, 0b111) == ""


def test_numbers_are_listed_in_runs() -> None:
    assert listed([1, 2, 4, 5, 6, 9]) == "1, 2, 4–6, 9"
