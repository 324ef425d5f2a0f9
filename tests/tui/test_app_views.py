"""Data inspector, map, themes, other keys, and what the app remembers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tuihelp import press, running, screen_text, selected, settled, type_text

from qevm.capture import Capture
from qevm_tui.app import QevmApp
from qevm_tui.palette import DARK, LIGHT, MONO, THEMES, Palette, palette_of, theme_for
from qevm_tui.panes.map_strip import MapStrip
from qevm_tui.settings import Settings

Captures = Callable[[str], Path]


# -- the data inspector ---------------------------------------------------------------------------


async def test_i_shows_the_bytes_at_the_cursor_and_hides_them_again(microbit: Path):
    async with running(microbit) as (app, pilot):
        rows = app.hex_pane.size.height
        await press(app, pilot, "i")
        text = screen_text(app)
        assert "little endian" in text
        assert "u32    1297499473" in " ".join(text.split("  ")) or "1297499473" in text
        assert "1363498573" in text
        assert app.hex_pane.size.height < rows
        await press(app, pilot, "i")
        assert "little endian" not in screen_text(app)
        assert app.hex_pane.size.height == rows


async def test_the_inspector_follows_the_cursor_and_the_container(capture_path: Captures):
    async with running(capture_path("libvirt-real-raw")) as (app, pilot):
        await press(app, pilot, "i", "tab", "ctrl+home", "right")
        assert "u8 69" in app.inspector.plain
        await press(app, pilot, "ctrl+end", "right")
        assert "u8 125" in app.inspector.plain
        assert "–" in app.inspector.plain
        await press(app, pilot, "shift+tab", "home", "down")
        assert "'L'" in app.inspector.plain


@pytest.mark.parametrize("size", [(80, 24), (110, 30), (140, 40), (200, 50), (40, 12)])
async def test_inspector_and_map_leave_room_for_the_panes(microbit: Path, size: tuple[int, int]):
    async with running(microbit, size) as (app, pilot):
        await press(app, pilot, "i", "o", "tab", "down", "down")
        assert app.hex_pane.size.height >= 3
        assert app.inspector.size.height >= 3
        lines = screen_text(app).splitlines()
        assert all(len(line) <= size[0] for line in lines)
        assert "00" in screen_text(app)


async def test_on_a_narrow_screen_inspector_and_detail_take_turns(microbit: Path):
    async with running(microbit, (80, 24)) as (app, pilot):
        await press(app, pilot, "i")
        assert app.detail_pane.size.height == 0 or app.detail_pane.has_class("hidden")
        await press(app, pilot, "tab", "tab")
        assert app.focused is app.tree_pane
        await press(app, pilot, "tab", "enter")
        assert app.focused is app.detail_pane
        assert not app.settings.inspector


# -- the map --------------------------------------------------------------------------------------


async def test_o_shows_the_map_with_a_legend(capture_path: Captures):
    async with running(capture_path("pc-live")) as (app, pilot):
        await press(app, pilot, "o")
        lines = screen_text(app).splitlines()
        assert lines[1].startswith("H")
        assert lines[1].count("R") > 100
        assert lines[1].endswith("DV")
        assert "R ram" in lines[2]
        assert "D devices" in lines[2]
        await press(app, pilot, "o")
        assert "R ram" not in screen_text(app)


async def test_the_map_jumps_by_mouse_and_keys(capture_path: Captures):
    async with running(capture_path("pc-live")) as (app, pilot):
        await press(app, pilot, "o", "shift+tab")
        assert isinstance(app.focused, MapStrip)
        await press(app, pilot, "end")
        assert selected(app) == "VMDESCRIPTION"
        await press(app, pilot, "left")
        assert selected(app).startswith("FULL")
        await press(app, pilot, "up", "up")
        assert selected(app).endswith("ram@0")
        await press(app, pilot, "home", "right")
        assert app.selection.cursor == app.capture.source.size // 140
        before = app.selection
        await pilot.click("#map", offset=(70, 0))
        await settled(app, pilot)
        assert app.selection.cursor == app.capture.source.size * 70 // 140
        await press(app, pilot, "backspace")
        assert app.selection.cursor == before.cursor


async def test_the_map_is_made_once_while_nothing_changes(
    capture_path: Captures, monkeypatch: pytest.MonkeyPatch
):
    import qevm_tui.arranging as arranging

    made: list[int] = []

    class Counting(arranging.Buckets):
        def __init__(self, capture: Capture, width: int) -> None:
            made.append(width)
            super().__init__(capture, width)

    monkeypatch.setattr(arranging, "Buckets", Counting)
    async with running(capture_path("pc-live")) as (app, pilot):
        await press(app, pilot, "o", "tab", *["pagedown"] * 5, "end", "e", "s")
        assert made == [140]
        await pilot.resize_terminal(100, 30)
        await settled(app, pilot)
        assert made == [140, 100]


async def test_a_jump_on_the_map_leaves_the_container(capture_path: Captures):
    async with running(capture_path("libvirt-gzip")) as (app, pilot):
        await press(app, pilot, "o", "home", "down")
        assert app.selection.source is not None
        await pilot.click("#map", offset=(0, 0))
        await settled(app, pilot)
        assert app.selection.source is None
        assert selected(app) == "HEADER"


# -- themes ---------------------------------------------------------------------------------------


def test_every_terminal_gets_a_theme_that_it_can_show():
    assert theme_for("auto", "256", False) == "dark"
    assert theme_for("auto", "standard", False) == "ansi"
    assert theme_for("light", "standard", False) == "ansi"
    assert theme_for("light", "truecolor", False) == "light"
    assert theme_for("contrast", "standard", False) == "contrast"
    assert theme_for("light", "truecolor", True) == "mono"
    assert theme_for("auto", None, False) == "mono"


def test_no_theme_says_anything_by_colour_alone():
    for name, palette in THEMES.items():
        cursor = palette.cursor
        assert cursor.reverse or cursor.bgcolor is not None or cursor.underline, name
    assert all(style.color is None for style in (*MONO.roles, *MONO.cells))


def test_a_palette_becomes_another_and_leaves_the_themes_alone():
    palette: Palette = palette_of("dark")
    palette.become(palette_of("light"))
    assert palette == LIGHT
    assert palette_of("dark") == DARK


async def test_a_theme_is_chosen_in_the_palette(microbit: Path):
    async with running(microbit) as (app, pilot):
        await press(app, pilot, "ctrl+p")
        await type_text(app, pilot, "theme light")
        await pilot.pause(0.3)
        await press(app, pilot, "enter")
        assert app.settings.theme == "light"
        assert app.theme == f"qevm-{theme_for('light', app.console.color_system, app.no_color)}"
        for pane in (app.tree_pane, app.hex_pane, app.detail_pane):
            assert pane.palette is app.palette


# -- keys, and what is remembered -----------------------------------------------------------------


async def test_other_keys_do_what_they_were_given_and_the_help_shows_them(microbit: Path):
    settings = Settings(keymap={"jump": "f5", "up": "w", "goto": "ctrl+j,G"})
    app = QevmApp(Capture.open(microbit), settings=settings)
    app.tree_pane.follow_delay = 0
    async with app.run_test(size=(140, 60)) as pilot:
        await settled(app, pilot)
        await press(app, pilot, "d")
        assert not app.screen.is_modal
        await press(app, pilot, "f5")
        assert app.screen.is_modal
        await press(app, pilot, "escape", "G", "escape", "down", "down")
        row = app.tree_pane.cursor_row
        await press(app, pilot, "w")
        assert app.tree_pane.cursor_row == row - 1
        assert "F5 device" in screen_text(app)
        await press(app, pilot, "question_mark")
        text = screen_text(app)
        assert "  F5                jump to a device" in text
        assert "  ctrl+j  G         go to an offset" in text
    app.capture.close()


async def test_the_palette_shows_the_keys_that_one_has(microbit: Path):
    app = QevmApp(Capture.open(microbit), settings=Settings(keymap={"zoom": "f9"}))
    async with app.run_test(size=(140, 40)) as pilot:
        await settled(app, pilot)
        await press(app, pilot, "ctrl+p")
        await type_text(app, pilot, "whole screen")
        await pilot.pause(0.3)
        assert "one pane on the whole screen, and back  F9" in screen_text(app)
    app.capture.close()


async def test_the_palette_does_what_belongs_to_a_pane_too(microbit: Path):
    async with running(microbit) as (app, pilot):
        await press(app, pilot, "ctrl+p")
        await type_text(app, pilot, "last byte of the capture")
        await pilot.pause(0.3)
        await press(app, pilot, "enter")
        assert app.selection.cursor == app.capture.source.size - 1


async def test_an_app_starts_as_the_last_one_ended(microbit: Path):
    settings = Settings()
    for _ in range(2):
        app = QevmApp(Capture.open(microbit), settings=settings)
        async with app.run_test(size=(140, 40)) as pilot:
            await settled(app, pilot)
            if not settings.inspector:
                await press(app, pilot, "i", "o", "t", "greater_than_sign", "greater_than_sign")
                width = app.tree_pane.size.width
            else:
                text = screen_text(app)
                assert "sections by stream" in text
                assert "little endian" in text
                assert "D devices" in text
                assert app.tree_pane.size.width == width
        app.capture.close()
