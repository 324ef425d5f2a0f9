"""Bookmarks in the app: made with a note, listed, edited, removed, kept for the next session."""

from __future__ import annotations

from pathlib import Path

import pytest
from tuihelp import press, running, screen_text, selected, type_text

from qevm.bookmarks import Bookmarks
from qevm.capture import Capture


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("QEVM_DATA_DIR", str(tmp_path / "data"))
    return tmp_path / "data" / "bookmarks"


def kept(path: Path) -> list[tuple[int, str]]:
    capture = Capture.open(path)
    marks = Bookmarks.of(capture).load()
    capture.close()
    return [(mark.offset, mark.note) for mark in marks]


async def test_m_keeps_a_place_with_a_note_for_the_next_session(microbit: Path):
    async with running(microbit) as (app, pilot):
        await press(app, pilot, "d")
        await type_text(app, pilot, "timer2")
        await press(app, pilot, "enter", "m")
        assert "bookmark at 0x3376 nrf51_soc.timer@2" in screen_text(app)
        await type_text(app, pilot, "odd prescaler")
        await press(app, pilot, "enter")
        assert "bookmark at 0x3376 kept" in app.status_bar.plain
    assert kept(microbit) == [(0x3376, "odd prescaler")]
    async with running(microbit) as (app, pilot):
        await press(app, pilot, "apostrophe")
        text = screen_text(app)
        assert "1 bookmark" in text
        assert "0x3376" in text
        assert "odd prescaler" in text
        await press(app, pilot, "enter")
        assert selected(app) == "FULL nrf51_soc.timer@2"
        assert app.selection.cursor == 0x3376
        assert "odd prescaler" in app.status_bar.plain
        await press(app, pilot, "backspace")
        assert selected(app) == "HEADER"


async def test_m_at_a_bookmark_changes_its_note_and_escape_keeps_it(microbit: Path):
    async with running(microbit) as (app, pilot):
        await press(app, pilot, "m", "a", "enter", "m", "b", "enter")
        assert kept(microbit) == [(0, "ab")]
        await press(app, pilot, "m", "c", "escape")
        assert kept(microbit) == [(0, "ab")]


async def test_the_list_edits_and_removes(microbit: Path):
    async with running(microbit) as (app, pilot):
        for letter in "xy":
            await press(app, pilot, "m", letter, "enter", "down", "down")
        await press(app, pilot, "apostrophe", "down", "e", "z", "enter")
        assert [note for _, note in kept(microbit)] == ["x", "yz"]
        assert "yz" in screen_text(app)
        await press(app, pilot, "e", "q", "escape", "up", "delete")
        assert [note for _, note in kept(microbit)] == ["yz"]
        await press(app, pilot, "x")
        assert kept(microbit) == []
        assert "no bookmarks yet" in screen_text(app)
        await press(app, pilot, "x", "e", "enter", "escape")
        assert not app.screen.is_modal


async def test_an_empty_list_says_how_to_make_one(microbit: Path):
    async with running(microbit) as (app, pilot):
        await press(app, pilot, "apostrophe")
        assert "no bookmarks yet: m makes one" in screen_text(app)
        await press(app, pilot, "apostrophe")
        assert not app.screen.is_modal


async def test_a_damaged_file_is_said_and_does_not_stop_one(microbit: Path, place: Path):
    async with running(microbit) as (app, pilot):
        await press(app, pilot, "m", "a", "enter")
        [file] = place.iterdir()
        file.write_bytes(b"\x1b]52;c;x\x07")
        await press(app, pilot, "apostrophe")
        assert "no bookmarks yet" in screen_text(app)
        await press(app, pilot, "escape")
        assert "damaged" in app.status_bar.plain
        await press(app, pilot, "m", "n", "e", "w", "enter")
    assert kept(microbit) == [(0, "new")]


async def test_a_folder_that_cannot_be_written_is_said(microbit: Path, place: Path):
    place.parent.mkdir()
    place.write_text("")
    async with running(microbit) as (app, pilot):
        await press(app, pilot, "m", "a", "enter")
        assert "cannot be read" in app.status_bar.plain or "not kept" in app.status_bar.plain


async def test_a_hostile_note_is_harmless_on_the_screen(microbit: Path, place: Path):
    async with running(microbit) as (app, pilot):
        await press(app, pilot, "m", "a", "enter")
        [file] = place.iterdir()
        file.write_text(file.read_text().replace('"note": "a"', '"note": "\\u001b]52;c;[red]\\u202e"'))
        await press(app, pilot, "apostrophe")
        assert "\x1b" not in screen_text(app)
        assert "\\x1b]52;c;[red]\\u202e" in screen_text(app)
        await press(app, pilot, "enter")
        assert "\\x1b]52;c;[red]" in app.status_bar.plain
