"""Each key does what the help says, on a real capture (a Cortex-M0: START, PART, END, 15 devices)."""

from __future__ import annotations

from pathlib import Path

from tuihelp import press, running, screen_text, selected, settled, type_text

from qevm_tui.keys import KEYS


async def test_the_first_screen_names_file_machine_and_soundness(microbit: Path):
    async with running(microbit) as (app, _):
        text = screen_text(app)
        first = text.splitlines()[0]
        assert "microbit" in first
        assert "27.1 KiB" in first
        assert "23 sections" in first
        assert "sound" in first
        assert "armv7m_nvic" in text
        assert "51 45 56 4d 00 00 00 03" in text


async def test_d_jumps_to_a_device_by_a_few_letters(microbit: Path):
    async with running(microbit) as (app, pilot):
        await press(app, pilot, "d")
        await type_text(app, pilot, "timer2")
        assert "1 of 16 devices" in screen_text(app)
        await press(app, pilot, "enter")
        assert selected(app) == "FULL nrf51_soc.timer@2"
        assert app.selection.cursor == 0x3376


async def test_d_chooses_with_the_arrow_keys_and_escape_leaves_things_as_they_were(microbit: Path):
    async with running(microbit) as (app, pilot):
        before = app.selection
        await press(app, pilot, "d", "down", "escape")
        assert app.selection == before
        await press(app, pilot, "d", "down", "down", "enter")
        assert selected(app) == "FULL cpu_common@0"


async def test_s_e_and_brackets_move_in_the_chain(microbit: Path):
    async with running(microbit) as (app, pilot):
        await press(app, pilot, "d", "enter")
        assert selected(app) == "START ram@0"
        await press(app, pilot, "right_square_bracket")
        assert selected(app) == "PART ram@0"
        await press(app, pilot, "e")
        assert selected(app) == "END ram@0"
        await press(app, pilot, "left_square_bracket")
        assert selected(app) == "PART ram@0"
        await press(app, pilot, "s")
        assert selected(app) == "START ram@0"
        await press(app, pilot, "left_square_bracket")
        assert selected(app) == "START ram@0"
        assert "first section" in app.status_bar.plain


async def test_g_goes_to_an_offset_and_selects_section_and_field(microbit: Path):
    async with running(microbit) as (app, pilot):
        await press(app, pilot, "g")
        await type_text(app, pilot, "1a25")
        assert "read as hex" in screen_text(app)
        await press(app, pilot, "enter")
        assert app.selection.cursor == 0x1A25
        assert selected(app) == "FULL armv7m_systick@0"
        assert app.focused_pane() == "hex"
        assert "armv7m_systick@0 › header › idstr" in app.status_bar.plain


async def test_g_counts_from_the_cursor_and_refuses_what_is_outside(microbit: Path):
    async with running(microbit) as (app, pilot):
        await press(app, pilot, "g")
        await type_text(app, pilot, "0x100")
        await press(app, pilot, "enter", "g")
        await type_text(app, pilot, "+16")
        await press(app, pilot, "enter")
        assert app.selection.cursor == 0x110
        await press(app, pilot, "g")
        await type_text(app, pilot, "0xffffffff")
        await press(app, pilot, "enter")
        assert "outside the capture" in screen_text(app)


async def test_back_and_forward_go_through_where_one_was(microbit: Path):
    async with running(microbit) as (app, pilot):
        for name in ("cpu@", "globalstate"):
            await press(app, pilot, "d")
            await type_text(app, pilot, name)
            await press(app, pilot, "enter")
        await press(app, pilot, "backspace")
        assert selected(app) == "FULL cpu@0"
        await press(app, pilot, "alt+left")
        assert selected(app) == "HEADER"
        await press(app, pilot, "alt+right")
        assert selected(app) == "FULL cpu@0"


async def test_tab_goes_round_the_panes(microbit: Path):
    async with running(microbit) as (app, pilot):
        seen = [app.focused_pane()]
        for _ in range(3):
            await press(app, pilot, "tab")
            seen.append(app.focused_pane())
        assert seen == ["tree", "hex", "detail", "tree"]
        await press(app, pilot, "shift+tab")
        assert app.focused_pane() == "detail"


async def test_moving_in_the_tree_moves_hex_and_detail(microbit: Path):
    async with running(microbit) as (app, pilot):
        await press(app, pilot, "down", "down")
        assert selected(app) == "FULL timer@0"
        assert app.detail_pane.title() == "timer@0"
        assert (
            app.hex_pane.top * app.hex_pane.per_row <= 0xA3A < (app.hex_pane.top + 40) * app.hex_pane.per_row
        )


async def test_right_opens_a_chain_and_left_closes_it(microbit: Path):
    async with running(microbit) as (app, pilot):
        await press(app, pilot, "down", "right")
        assert "PART 1" in screen_text(app)
        await press(app, pilot, "right", "right")
        assert selected(app) == "START ram@0"
        await press(app, pilot, "left", "left")
        assert "PART 1" not in screen_text(app)


async def test_t_shows_the_sections_by_stream_and_by_device(microbit: Path):
    async with running(microbit) as (app, pilot):
        await press(app, pilot, "e", "t")
        assert app.tree_pane.mode == "by stream"
        text = screen_text(app)
        assert "CONFIGURATION" in text
        assert "COMMAND" in text
        assert text.index("START") < text.index("PART ") < text.index("END ")
        await press(app, pilot, "t")
        assert app.tree_pane.mode == "by device"


async def test_z_zooms_the_focused_pane_and_tab_takes_the_zoom_along(microbit: Path):
    async with running(microbit) as (app, pilot):
        await press(app, pilot, "tab", "z")
        assert app.hex_pane.size.width == 140
        await press(app, pilot, "tab")
        assert app.detail_pane.size.width == 140
        await press(app, pilot, "z")
        assert app.tree_pane.size.width < 60


async def test_angle_brackets_resize_the_focused_pane(microbit: Path):
    async with running(microbit) as (app, pilot):
        before = app.tree_pane.size.width
        await press(app, pilot, "greater_than_sign", "greater_than_sign")
        assert app.tree_pane.size.width == before + 4
        await press(app, pilot, "less_than_sign")
        assert app.tree_pane.size.width == before + 2


async def test_question_mark_lists_every_key_of_the_table(microbit: Path):
    async with running(microbit, (140, 100)) as (app, pilot):
        await press(app, pilot, "question_mark")
        text = screen_text(app)
        for key in KEYS:
            assert key.help in text, key.name
        await press(app, pilot, "escape")
        assert not app.screen.is_modal


async def test_q_quits(microbit: Path):
    async with running(microbit) as (app, pilot):
        await pilot.press("q")
        await pilot.pause()
        assert not app.is_running or app._exit


async def test_the_palette_offers_actions_and_devices(microbit: Path):
    async with running(microbit) as (app, pilot):
        await press(app, pilot, "ctrl+p")
        await type_text(app, pilot, "globalstate")
        await pilot.pause(0.3)
        await press(app, pilot, "enter")
        await settled(app, pilot)
        assert selected(app) == "FULL globalstate@0"


async def test_r_reads_again(microbit: Path, tmp_path: Path):
    copy = tmp_path / "copy.bin"
    copy.write_bytes(microbit.read_bytes())
    async with running(copy) as (app, pilot):
        with copy.open("r+b") as file:
            file.write(b"\xde\xad")
        await press(app, pilot, "r")
        assert "de ad 56 4d" in screen_text(app)


async def test_exclamation_mark_goes_to_problems_and_says_what_they_are(microbit: Path, tmp_path: Path):
    cut = tmp_path / "cut.bin"
    cut.write_bytes(microbit.read_bytes()[:0x2000])
    async with running(cut) as (app, pilot):
        assert (
            "! 1 problem" in screen_text(app).splitlines()[0]
            or "problems" in screen_text(app).splitlines()[0]
        )
        await press(app, pilot, "exclamation_mark")
        assert "problem 1 of" in app.status_bar.plain
        assert any(line.startswith("!") for line in screen_text(app).splitlines())


async def test_of_problems_at_one_place_each_is_told(microbit: Path, tmp_path: Path):
    """That a device is cut, and that the end of the stream is missing, stand at one offset."""
    cut = tmp_path / "cut.bin"
    cut.write_bytes(microbit.read_bytes()[:0x2000])
    async with running(cut) as (app, pilot):
        offsets = [problem.offset for problem in app.capture.problems]
        assert len(set(offsets)) < len(offsets), "this capture does not show it any more"
        told = set()
        for _ in offsets:
            await press(app, pilot, "exclamation_mark")
            told.add(app.status_bar.plain)
            # The section that lacks bytes is selected, although the place is behind its last byte.
            assert app.selection.section is not None
        assert len(told) == len(offsets)


async def test_without_problems_exclamation_mark_says_so(microbit: Path):
    async with running(microbit) as (app, pilot):
        await press(app, pilot, "exclamation_mark")
        assert "no problems" in app.status_bar.plain


async def test_every_key_of_the_footer_can_be_clicked(microbit: Path):
    async with running(microbit) as (app, pilot):
        await pilot.click("#keys", offset=(2, 0))
        await pilot.pause()
        assert app.screen.is_modal
