"""The panes with keys and mouse: bytes, fields, sizes, files that change."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import hexdump
import pytest
from tuihelp import press, running, screen_text, selected, settled, type_text

from qevm_tui.clipboard import BYTES_LIMIT, PAYLOAD_LIMIT

Captures = Callable[[str], Path]


async def test_choosing_a_field_selects_its_bytes(microbit: Path):
    async with running(microbit) as (app, pilot):
        await press(app, pilot, "d")
        await type_text(app, pilot, "globalstate")
        await press(app, pilot, "enter", "tab", "tab", "down")
        selection = app.selection
        assert selection.path
        assert selection.size < (selection.section.size if selection.section else 0)
        assert f"sel {selection.size:,} B @ 0x{selection.start:x}" in app.status_bar.plain
        assert selection.section is not None
        inside = selection.cursor - selection.section.offset
        assert f"0x{selection.cursor:x} +0x{inside:x}  " in app.status_bar.plain


async def test_the_hex_cursor_selects_section_and_field(microbit: Path):
    async with running(microbit) as (app, pilot):
        await press(app, pilot, "tab", *["down"] * 2)
        assert selected(app) == "START ram@0"
        assert "ram@0 START ›" in app.status_bar.plain
        assert app.tree_pane.cursor_row == 2 or "START" in screen_text(app)


async def test_hex_keys_move_as_one_expects(microbit: Path):
    async with running(microbit) as (app, pilot):
        size = app.capture.source.size
        await press(app, pilot, "tab", "right", "right")
        assert app.selection.cursor == 2
        await press(app, pilot, "end")
        assert app.selection.cursor == 15
        await press(app, pilot, "home", "ctrl+end")
        assert app.selection.cursor == size - 1
        await press(app, pilot, "ctrl+home", "pagedown")
        assert app.selection.cursor == (app.hex_pane.view_height - 1) * 16
        await press(app, pilot, "pageup", "up", "left")
        assert app.selection.cursor == 0


async def test_shift_and_arrows_mark_bytes(microbit: Path):
    async with running(microbit) as (app, pilot):
        await press(app, pilot, "tab", "shift+right", "shift+right", "shift+down")
        assert (app.selection.start, app.selection.end, app.selection.marked) == (0, 19, True)
        await press(app, pilot, "shift+up", "shift+left")
        assert (app.selection.start, app.selection.end, app.selection.marked) == (0, 2, True)
        await press(app, pilot, "right")
        assert not app.selection.marked


async def test_v_begins_and_ends_marking_and_escape_drops_it(microbit: Path):
    async with running(microbit) as (app, pilot):
        await press(app, pilot, "tab", "v", "right", "right", "right")
        assert (app.selection.start, app.selection.end) == (0, 4)
        await press(app, pilot, "escape")
        assert not app.selection.marked


async def test_the_mouse_chooses_rows_bytes_and_ranges(microbit: Path):
    async with running(microbit) as (app, pilot):
        await pilot.click("#tree", offset=(8, 3))
        await settled(app, pilot)
        assert selected(app) == "FULL timer@0"
        left = app.hex_pane.digits + 1
        top = app.hex_pane.top * 16
        await pilot.click("#hex", offset=(left + 3 * 3, 2))
        await settled(app, pilot)
        assert app.selection.cursor == top + 16 + 3
        await pilot.mouse_down("#hex", offset=(left, 1))
        await pilot.hover("#hex", offset=(left + 6, 1))
        await pilot.mouse_up("#hex", offset=(left + 6, 1))
        await settled(app, pilot)
        assert (app.selection.start, app.selection.end) == (top, top + 3)


async def test_a_click_on_the_sign_opens_a_chain(microbit: Path):
    async with running(microbit) as (app, pilot):
        await pilot.click("#tree", offset=(1, 2))
        await settled(app, pilot)
        assert "PART 1" in screen_text(app)


async def test_the_wheel_scrolls_without_moving_the_selection(microbit: Path):
    async with running(microbit) as (app, pilot):
        before = app.selection
        app.hex_pane.post_message(_wheel(app.hex_pane))
        await settled(app, pilot)
        assert app.hex_pane.top == 3
        assert app.selection == before


def _wheel(widget: object):
    from textual.events import MouseScrollDown

    return MouseScrollDown(widget, 1, 1, 0, 0, 0, False, False, False)  # type: ignore[arg-type]


async def test_dragging_the_line_between_panes_resizes_them(microbit: Path):
    async with running(microbit) as (app, pilot):
        width = app.tree_pane.size.width
        await pilot.mouse_down("#split-tree", offset=(0, 5))
        await pilot.hover("#hex", offset=(5, 5))
        await pilot.mouse_up("#hex", offset=(5, 5))
        await settled(app, pilot)
        assert app.tree_pane.size.width > width


@pytest.mark.parametrize("size", [(80, 24), (140, 40), (200, 50), (40, 10)])
async def test_every_size_shows_three_panes_and_the_status(microbit: Path, size: tuple[int, int]):
    async with running(microbit, size) as (app, pilot):
        await press(app, pilot, "d", "enter")
        for pane in (app.tree_pane, app.hex_pane, app.detail_pane):
            assert pane.size.width >= 8
            assert pane.size.height >= 3
        assert "ram@0 START" in app.status_bar.plain
        assert all(len(line) <= size[0] for line in screen_text(app).splitlines())


async def test_a_resized_terminal_is_arranged_anew(microbit: Path):
    async with running(microbit) as (app, pilot):
        await pilot.resize_terminal(80, 24)
        await settled(app, pilot)
        assert app.detail_pane.region.y > app.hex_pane.region.y
        await pilot.resize_terminal(200, 50)
        await settled(app, pilot)
        assert app.detail_pane.region.y == app.hex_pane.region.y


async def test_the_row_under_the_cursor_stays_in_view_when_a_pane_becomes_lower(microbit: Path):
    async with running(microbit, size=(140, 16)) as (app, pilot):
        tree = app.tree_pane
        while tree.cursor_row < tree.view_height - 1:
            await press(app, pilot, "down")
        assert tree.cursor_row == tree.top + tree.view_height - 1
        await press(app, pilot, "o")
        assert tree.cursor_row < tree.top + tree.view_height
        before = tree.top
        tree.scroll_rows(0)
        await press(app, pilot, "o")
        assert before > tree.top == 0


async def test_y_copies_text_from_which_hexdump_restores_the_bytes(microbit: Path):
    async with running(microbit) as (app, pilot):
        await press(app, pilot, "d")
        await type_text(app, pilot, "globalstate")
        await press(app, pilot, "enter", "y")
        assert hexdump.restore(app.clipboard) == microbit.read_bytes()[0x4400 : 0x4400 + 134]


async def test_y_says_what_to_do_when_it_is_too_much(capture_path: Captures):
    async with running(capture_path("pc-live")) as (app, pilot):
        await press(app, pilot, "d")
        await type_text(app, pilot, "ram@0")
        await press(app, pilot, "enter", "right_square_bracket", "y")
        assert "too many for a terminal's clipboard" in app.status_bar.plain
        assert app.clipboard == ""


def test_what_the_clipboard_takes_is_within_its_limit():
    text = "\n".join(hexdump.dumpgen(b"\0" * BYTES_LIMIT))
    assert len(text) * 4 / 3 <= PAYLOAD_LIMIT


async def test_a_file_that_is_cut_while_open_gives_a_message(microbit: Path, tmp_path: Path):
    copy = tmp_path / "copy.bin"
    copy.write_bytes(microbit.read_bytes())
    async with running(copy) as (app, pilot):
        with copy.open("r+b") as file:
            file.truncate(100)
        await press(app, pilot, "tab", "ctrl+end")
        text = screen_text(app)
        assert "cut while open" in text or "cannot be read" in text
        await press(app, pilot, "ctrl+home", "q")


async def test_a_jump_ahead_of_the_walk_waits_for_it_and_can_be_cancelled(microbit: Path):
    async with running(microbit) as (app, pilot):
        app.capture.complete = False
        arrived = []
        app.waiting = ("waiting for the END", lambda: arrived[0] if arrived else None)
        app.show_bars()
        assert "waiting for the END, Esc cancels" in app.status_bar.plain
        await press(app, pilot, "escape")
        assert app.waiting is None
        app.waiting = ("waiting for the END", lambda: arrived[0] if arrived else None)
        arrived.append(app.capture.index[5])
        assert app._try_waiting()
        await settled(app, pilot)
        assert selected(app) == "END ram@0"


async def test_a_decoder_that_fails_is_a_problem_in_the_detail_and_not_the_end(
    microbit: Path, monkeypatch: pytest.MonkeyPatch
):
    async with running(microbit) as (app, pilot):

        def fails(section: object) -> None:
            raise ZeroDivisionError("hostile")

        monkeypatch.setattr(app.capture, "decode", fails)
        await press(app, pilot, "down", "down")
        assert "cannot be decoded: ZeroDivisionError: hostile" in screen_text(app).replace("…", "")[
            :20000
        ] or any("cannot be decoded" in line for line in screen_text(app).splitlines())


async def test_a_deleted_file_leaves_everything_usable(microbit: Path, tmp_path: Path):
    copy = tmp_path / "copy.bin"
    copy.write_bytes(microbit.read_bytes())
    async with running(copy) as (app, pilot):
        copy.unlink()
        await press(app, pilot, "t", "end", "e", "tab", "pagedown", "tab", "down", "right", "r")
        assert app.is_running


async def test_a_file_cut_to_nothing_leaves_tree_and_detail_usable(microbit: Path, tmp_path: Path):
    copy = tmp_path / "copy.bin"
    copy.write_bytes(microbit.read_bytes())
    async with running(copy) as (app, pilot):
        copy.write_bytes(b"")
        await press(
            app, pilot, "t", "end", "up", "up", "home", *["down"] * 6, "tab", "pagedown", "tab", "down"
        )
        await press(app, pilot, "right", "x", "enter", "escape", "y", "r", "tab", "down", "t", "end", "home")
        assert app.is_running
