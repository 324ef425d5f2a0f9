"""Copying: the forms of the menu, what goes to the terminal, limits."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from pathlib import Path

import hexdump
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tuihelp import press, running, screen_text, type_text

from qevm.field import Field
from qevm.problems import QevmError
from qevm.source import BytesSource
from qevm_tui.clipboard import PAYLOAD_LIMIT, TEXT_LIMIT, TooMuchError, advice, sequence
from qevm_tui.copy_forms import Form, c_array, forms
from qevm_tui.selection import Selection
from qevm_tui.thin_line import Grid

Captures = Callable[[str], Path]


async def test_the_menu_shows_what_each_form_would_copy(microbit: Path):
    async with running(microbit) as (app, pilot):
        await press(app, pilot, "tab", "right", "Y")
        text = " ".join(screen_text(app).split())
        assert "v value QEVM" in text
        assert "f field HEADER magic = QEVM" in text
        assert "h hex 51 45 56 4d" in text
        assert "p Python bytes b'QEVM'" in text
        assert "o offset 0x1" in text
        assert "static const unsigned char HEADER_magic[4] = {" in text
        await press(app, pilot, "escape")
        assert app.clipboard == ""


@pytest.mark.parametrize(
    ("keys", "copied"),
    [
        (["v"], "QEVM"),
        (["f"], "HEADER magic = QEVM"),
        (["h"], "51 45 56 4d"),
        (["p"], "b'QEVM'"),
        (["b"], "UUVWTQ=="),
        (["o"], "0x0"),
        (["enter"], "QEVM"),
        (["down", "enter"], "HEADER magic = QEVM"),
    ],
)
async def test_a_letter_or_enter_copies(microbit: Path, keys: list[str], copied: str):
    async with running(microbit) as (app, pilot):
        await press(app, pilot, "tab", "right", "left", "Y", *keys)
        assert app.clipboard == copied
        assert "copied" in app.status_bar.plain
        assert not app.screen.is_modal


async def test_a_click_copies(microbit: Path):
    async with running(microbit) as (app, pilot):
        await press(app, pilot, "tab", "right", "Y")
        await pilot.click("#forms", offset=(5, 4))
        await pilot.pause()
        assert app.clipboard == "0x1"


async def test_the_row_is_that_of_qevm_show(microbit: Path):
    async with running(microbit) as (app, pilot):
        await press(app, pilot, "tab", "right", "Y", "r")
        assert app.clipboard == '0x00000000        4  magic (buffer) = "QEVM"'


async def test_a_marked_range_is_copied_as_marked(microbit: Path):
    async with running(microbit) as (app, pilot):
        await press(app, pilot, "tab", "shift+right", "shift+right", "Y", "c")
        assert "[3] = {\n    0x51, 0x45, 0x56,\n};" in app.clipboard


async def test_without_a_field_there_are_only_bytes_and_the_offset(microbit: Path):
    async with running(microbit) as (app, pilot):
        await press(app, pilot, "Y")
        text = screen_text(app)
        assert "offset" in text
        assert "v  value" not in text


async def test_too_much_is_said_in_the_menu_and_after_it(capture_path: Captures):
    async with running(capture_path("pc-live")) as (app, pilot):
        await press(app, pilot, "d")
        await type_text(app, pilot, "ram@0")
        await press(app, pilot, "enter", "right_square_bracket", "Y")
        assert "bytes are too many for a terminal" in screen_text(app)
        await press(app, pilot, "h")
        assert "too many for a terminal's clipboard" in app.status_bar.plain
        assert app.clipboard == ""


# -- forms ----------------------------------------------------------------------------------------


def text_of(form: str, data: bytes) -> str:
    entries = forms(BytesSource(data), Selection(start=0, end=len(data), marked=True), None)
    return next(entry.text() for entry in entries if entry.name == form)


@given(st.binary(min_size=1, max_size=300))
def test_every_form_of_bytes_gives_the_bytes_back(data: bytes) -> None:
    assert bytes.fromhex(text_of("hex", data)) == data
    assert hexdump.restore(text_of("hexdump", data)) == data
    assert eval(text_of("Python bytes", data)) == data
    assert base64.b64decode(text_of("base64", data)) == data
    array = text_of("C array", data)
    assert bytes(int(byte, 16) for byte in re.findall(r"0x[0-9a-f]{2}", array)) == data
    assert f"[{len(data)}]" in array


@pytest.mark.parametrize("form", ["hex", "hexdump", "C array", "Python bytes", "base64"])
def test_what_a_form_takes_fits_into_the_clipboard(form: str) -> None:
    low, high = 1, TEXT_LIMIT
    while low < high:
        middle = (low + high + 1) // 2
        try:
            text_of(form, b"\xff" * middle)
        except TooMuchError:
            high = middle - 1
        else:
            low = middle
    assert low > 5000
    assert len(base64.b64encode(text_of(form, b"\xff" * low).encode())) <= PAYLOAD_LIMIT


def test_nothing_is_not_copied() -> None:
    with pytest.raises(TooMuchError, match="no bytes"):
        text_of("hex", b"")


def test_bytes_that_are_gone_are_said() -> None:
    entries = forms(BytesSource(b"abc"), Selection(start=0, end=9), None)
    with pytest.raises(QevmError, match="only 3 of 9"):
        next(entry.text() for entry in entries if entry.name == "hex")


def field_forms(field: Field) -> dict[str, Form]:
    root = Field("cpu@0", 0, 9, children=[field])
    selection = Selection(None, (0,), field.offset, field.offset, field.end)
    return {entry.name: entry for entry in forms(BytesSource(bytes(9)), selection, root)}


@pytest.mark.parametrize(
    ("value", "copied"),
    [
        (5, "5"),
        (0x7CD4, "0x7cd4"),
        (-20, "-0x14"),
        (True, "true"),
        (1.5, "1.5"),
        ("a\x1b[31m", "a\\x1b[31m"),
        (b"QEVM\0\0", "QEVM"),
        (b"\x01\x02", "01 02"),
    ],
)
def test_a_value_is_copied_without_its_explanation_and_harmless(value: object, copied: str) -> None:
    found = field_forms(Field("x", 0, 4, value=value))  # type: ignore[arg-type]
    assert found["value"].text() == copied
    assert found["field"].text() == f"outside every section x = {copied}"


def test_a_name_that_c_does_not_take_is_changed() -> None:
    found = field_forms(Field("0:a b[1]\x1b", 2, 2, value=3))
    assert re.search(r"unsigned char [A-Za-z_]\w*\[2\]", found["C array"].text())
    assert c_array("x", b"\1" * 13).count("\n") == 4


# -- the terminal ---------------------------------------------------------------------------------

PLAIN = "\x1b]52;c;aGk=\x07"


def test_osc_52_is_wrapped_for_tmux_and_screen() -> None:
    assert sequence("hi", {}) == PLAIN
    assert sequence("hi", {"TMUX": "/tmp/x"}) == PLAIN + "\x1bPtmux;\x1b\x1b]52;c;aGk=\x07\x1b\\"
    assert sequence("hi", {"STY": "1.pts"}) == "\x1bP" + PLAIN + "\x1b\\"


def test_screen_gets_a_long_text_in_pieces() -> None:
    sent = sequence("x" * 3000, {"STY": "1.pts"})
    pieces = re.findall(r"\x1bP(.*?)\x1b\\", sent, re.DOTALL)
    assert all(len(piece) < 512 for piece in pieces)
    assert "".join(pieces) == sequence("x" * 3000, {})


@pytest.mark.parametrize("environment", [{}, {"TMUX": "x"}, {"STY": "x"}])
def test_the_thin_line_passes_it_on_unchanged(environment: dict[str, str]) -> None:
    sent = sequence("some text \U0001f600" * 200, environment)
    assert Grid().write(sent) == sent


def test_the_advice_says_what_to_set() -> None:
    assert "set-clipboard on" in advice({"TMUX": "x"})
    assert "screen" in advice({"STY": "x"})
    assert "no clipboard" in advice({"TERM": "linux"})
    assert "OSC 52" in advice({"TERM": "xterm"})
