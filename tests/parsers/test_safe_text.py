"""Text out of a capture: nothing of it may steer a terminal."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qevm.safetext import decode, printable, safe

FORBIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


@given(st.text(st.characters(), max_size=80) | st.binary(max_size=80).map(decode), st.integers(0, 50))
def test_no_control_character_comes_out(text: str, limit: int):
    shown = safe(text, limit)
    assert not [c for c in shown if unicodedata.category(c) in FORBIDDEN]
    assert not limit or len(shown) <= limit
    shown.encode("utf-8")


@given(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E)))
def test_plain_text_stays_as_it_is(text: str):
    assert safe(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b]52;c;ZWNobyBoaQ==\x07", "\\x1b]52;c;ZWNobyBoaQ==\\x07"),
        ("\x9b2J", "\\x9b2J"),
        ("a\u202eb\u2066c", "a\\u202eb\\u2066c"),
        ("zero\u200bwidth\ufeff", "zero\\u200bwidth\\ufeff"),
        ("line\u2028break\n", "line\\u2028break\\x0a"),
        ("\U000e0041tag", "\\U000e0041tag"),
        ("Gerät", "Gerät"),
    ],
)
def test_escapes_name_the_character(text: str, shown: str):
    assert safe(text) == shown


def test_bytes_that_are_no_utf8_are_shown_as_escapes():
    assert decode(b"disk\xff\xc3\xa4") == "disk\\xffä"


@given(st.binary(max_size=64))
def test_the_ascii_column_has_one_printable_character_a_byte(raw: bytes):
    shown = printable(raw)
    assert len(shown) == len(raw)
    assert all(" " <= c <= "~" for c in shown)
