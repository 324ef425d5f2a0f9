"""How a search is read from what a user types."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qevm.search import Kind, QueryError, read_query
from qevm.search.patterns import Literal


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("cpu_common", Kind.TEXT),
        ("grüße", Kind.TEXT),
        ("2024", Kind.TEXT),
        ("cafe", Kind.TEXT),
        ("text:7e 00", Kind.TEXT),
        ("7e 00 00 00 2a", Kind.HEX),
        ("7e ?? ?? 00 2a", Kind.HEX),
        ("7?", Kind.TEXT),
        ("hex:7?", Kind.HEX),
        ("7e0000002a", Kind.HEX),
        ("deadbeef", Kind.HEX),
        ("0xfee00000", Kind.HEX),
        ("hex:cafe", Kind.HEX),
        ("re:QEVM.{4}", Kind.REGEX),
        ("field:eip", Kind.FIELD),
        ("value=0xfee00000", Kind.VALUE),
        ("value < 5", Kind.VALUE),
        ("env.eip=0x7cd4", Kind.VALUE),
        ("env.regs[0]>=1", Kind.VALUE),
        ("cpu@0", Kind.DEVICE),
        ("0000:00:01.1/ide@0", Kind.DEVICE),
        ("device:virtio*", Kind.DEVICE),
    ],
)
def test_the_kind_is_seen_or_said(text: str, kind: Kind) -> None:
    assert read_query(text).kind is kind


def test_how_it_was_read_is_said() -> None:
    assert read_query("7e ?? 00").how == "hex with wildcards, 3 bytes"
    assert read_query("abc").how == "text, ASCII and UTF-16, 3 characters"
    assert read_query("value=-1").how == "any field equal to -1 (0xffffffffffffffff)"
    assert read_query("mac=52:54:00:12:34:56").how == "fields named mac equal to the bytes 52 54 00 12 34 56"


def test_text_is_looked_for_in_three_encodings() -> None:
    patterns = read_query("text:hé").patterns
    assert [p.wanted for p in patterns if isinstance(p, Literal)] == [
        "hé".encode(),
        b"h\0\xe9\0",
        b"\0h\0\xe9",
    ]


@pytest.mark.parametrize(
    ("text", "column"),
    [
        ("hex:7e 0", 8),
        ("hex:7e xx", 8),
        ("hex:?? ??", 5),
        ("re:a(b", 5),
        ("re:", 4),
        ("size>big", 6),
        ("name=", 6),
        ("   ", 1),
        ("x" * 5000, 1),
    ],
)
def test_errors_name_the_column(text: str, column: int) -> None:
    with pytest.raises(QueryError) as caught:
        read_query(text)
    assert caught.value.column == column
    assert column == 1 or str(caught.value).startswith(f"column {column}: ")


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused_in_one_line(text: str) -> None:
    refused: QueryError | None = None
    try:
        query = read_query(text)
    except QueryError as error:
        refused = error
    if refused is None:
        assert query.how
    else:
        assert str(refused)
        assert 1 <= refused.column <= max(1, len(text) + 1)


@given(st.binary(min_size=1, max_size=20))
def test_hex_of_bytes_is_read_as_those_bytes(wanted: bytes) -> None:
    [pattern] = read_query("hex:" + wanted.hex(" ")).patterns
    assert isinstance(pattern, Literal)
    assert pattern.wanted == wanted
