"""What is wrapped round the stream, in the app: parts, choosers, bytes that arrive, files that change."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from textual.pilot import Pilot
from tuihelp import press, running, screen_text, selected, settled

from qevm.capture import Capture
from qevm.containers import Limits, Space, open_streams
from qevm.containers.stdin import open_stdin
from qevm_tui.app import QevmApp
from qevm_tui.opening import choose_with, confirm_with, open_asking
from qevm_tui.questions import Questions
from qevm_tui.session import AskApp

Captures = Callable[[str], Path]


async def until(pilot: Pilot[None], wanted: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait for something that happens in the background."""
    end = time.monotonic() + seconds
    while not wanted():
        assert time.monotonic() < end, "it did not happen"
        await pilot.pause(0.05)


# -- parts ----------------------------------------------------------------------------------------


async def test_the_parts_of_a_save_image_stand_above_its_sections(capture_path: Captures):
    async with running(capture_path("libvirt-real-raw")) as (app, pilot):
        lines = screen_text(app).splitlines()
        assert [word in lines[2 + i] for i, word in enumerate(["libvirt save", "header", "domain XML"])]
        assert "libvirt save image · pc-q35" in lines[0]
        await press(app, pilot, "home", "down", "down")
        text = screen_text(app)
        assert "hex  domain XML  (bytes of the file)" in text
        assert "<domain type='qemu'>" in text
        assert "<name>demo</name>" in text
        assert app.selection.part is not None
        assert (app.selection.start, app.selection.end) == (92, 92 + 2320)


async def test_bytes_and_fields_of_a_part_lead_to_each_other(capture_path: Captures):
    path = capture_path("libvirt-real-raw")
    async with running(path) as (app, pilot):
        await press(app, pilot, "home", "down", "down", "tab", "down", "down", "tab")
        chosen = app.selection
        assert chosen.path
        assert path.read_bytes()[chosen.start : chosen.end].startswith(b"<")
        await press(app, pilot, "down", "down")
        assert app.selection.start > chosen.start
        await press(app, pilot, "g", *"0x10", "enter")
        assert app.selection.part is not None
        assert app.selection.part.name == "libvirt header"
        assert "libvirt header › version" in app.status_bar.plain


async def test_one_comes_back_from_a_part_to_the_stream(capture_path: Captures):
    async with running(capture_path("libvirt-gzip")) as (app, pilot):
        await press(app, pilot, "end", "enter")
        there = app.selection
        app.select_part(app.parts.items[0])
        await settled(app, pilot)
        assert app.selection.source is not None
        assert "libvirt save image, gzip" in screen_text(app)
        await press(app, pilot, "backspace")
        assert app.selection == there
        assert selected(app) == "EOF"


async def test_the_status_tells_the_offset_in_the_file_too(capture_path: Captures):
    async with running(capture_path("libvirt-real-raw")) as (app, pilot):
        await press(app, pilot, "tab", "ctrl+home")
        assert " 0x0 file 0x10a59 " in app.status_bar.plain
    async with running(capture_path("libvirt-gzip")) as (app, pilot):
        await press(app, pilot, "tab", "ctrl+home")
        assert "file 0x" not in app.status_bar.plain


async def test_a_bare_stream_has_no_parts(microbit: Path):
    async with running(microbit) as (app, _):
        assert not app.parts.items
        assert "start of stream" in screen_text(app).splitlines()[2]


# -- choosing -------------------------------------------------------------------------------------


async def test_a_snapshot_is_chosen_before_the_app_opens(capture_path: Captures):
    questions = Questions()
    asked: list[str] = []

    def answer(question):
        async def drive() -> None:
            app = AskApp(question)
            async with app.run_test(size=(120, 30)) as pilot:
                await pilot.pause()
                asked.append(screen_text(app))
                await pilot.press("down", "enter")
                await pilot.pause()
            question.answer(question.result)

        thread = threading.Thread(target=lambda: asyncio.run(drive()))
        thread.start()
        thread.join()

    choose = choose_with(questions)
    path = capture_path("qcow2-snapshots")
    capture = open_asking(questions, lambda: Capture.open(path, choose=choose), answer)
    assert capture.container is not None
    assert capture.container.kind == "qcow2 snapshot second-one"
    for word in ("which snapshot?", "first", "second-one", "00:00:03.008", "VM state size", "2026-"):
        assert word in asked[0]
    capture.close()


async def test_another_snapshot_can_be_chosen_later(capture_path: Captures):
    path = capture_path("qcow2-snapshots")
    capture = Capture.open(path, snapshot="1")
    async with running(capture) as (app, pilot):
        app.reopen = lambda snapshot: Capture.open(path, snapshot=snapshot)
        await press(app, pilot, "S", "down", "enter")
        assert app.wanted is not None
        other = app.wanted()
        assert other.container is not None
        assert other.container.kind == "qcow2 snapshot second-one"
        other.close()


async def test_a_further_stream_is_announced_and_opened(
    microbit: Path, capture_path: Captures, tmp_path: Path
):
    both = tmp_path / "both.bin"
    both.write_bytes(microbit.read_bytes() + capture_path("none-machine").read_bytes())
    async with running(both) as (app, pilot):
        await settled(app, pilot)
        assert "another stream follows (S)" in app.header_bar.plain
        await press(app, pilot, "S", "down", "enter")
        assert app.wanted is not None
        other = app.wanted()
        other.walk_all()
        assert other.base == microbit.stat().st_size
        assert other.facts.machine == "none"


async def test_one_stream_alone_says_so(microbit: Path):
    async with running(microbit) as (app, pilot):
        await press(app, pilot, "S")
        assert "no other stream" in app.status_bar.plain


# -- bytes that arrive ----------------------------------------------------------------------------


@asynccontextmanager
async def piped(data: bytes) -> AsyncIterator[tuple[QevmApp, Pilot[None], int]]:
    """The app on a pipe that holds ``data`` so far, and the descriptor to write on."""
    read, write = os.pipe()
    os.write(write, data)
    opened = open_streams(open_stdin(descriptor=read))
    os.close(read)
    capture = Capture(opened.stream.source, opened.stream.base, "-", opened=opened)
    app = QevmApp(capture)
    app.tree_pane.follow_delay = 0
    async with app.run_test(size=(140, 40)) as pilot:
        yield app, pilot, write
    capture.close()


async def test_what_has_arrived_is_browsable_and_the_rest_comes_by_itself(microbit: Path):
    data = microbit.read_bytes()
    async with piped(data[:9000]) as (app, pilot, write):
        await until(pilot, lambda: "reading 8.8 KiB" in app.header_bar.plain)
        assert "Esc stops" in app.header_bar.plain
        assert "problem" not in app.header_bar.plain
        await pilot.press("down", "down")
        await pilot.pause()
        assert app.selection.section is not None
        place = app.selection.section.offset
        os.write(write, data[9000:])
        os.close(write)
        await until(pilot, lambda: app.capture.complete and "sound" in app.header_bar.plain)
        assert "globalstate" in screen_text(app)
        assert app.selection.section.offset == place
        assert "microbit" in app.header_bar.plain


async def test_escape_stops_what_arrives_and_keeps_what_is_there(microbit: Path):
    async with piped(microbit.read_bytes()[:9000]) as (app, pilot, write):
        await until(pilot, lambda: "reading" in app.header_bar.plain)
        await pilot.press("escape")
        await until(pilot, lambda: app.capture.complete)
        await until(pilot, lambda: "problem" in app.header_bar.plain)
        assert app.capture.source.size == 9000
        await pilot.press("home")
        await pilot.pause()
        assert "cancelled" in screen_text(app)
        os.close(write)


async def test_a_thread_can_ask_before_the_disk_is_filled(microbit: Path):
    capture = Capture.open(microbit)
    questions = Questions()
    app = QevmApp(capture, questions=questions)
    answers: list[bool] = []
    space = Space("/var/tmp", 900 << 20, 5 << 20, 3 << 30, 1 << 30)
    async with app.run_test(size=(80, 24)) as pilot:
        for keys in (["y"], ["enter"], ["right", "enter"], ["escape"]):
            thread = threading.Thread(target=lambda: answers.append(confirm_with(questions)(space)))
            thread.start()
            await until(pilot, lambda: app.screen.is_modal)
            text = screen_text(app)
            assert "/var/tmp has 900 MiB free" in text
            assert "about 3.0 GiB in all" in text
            for key in keys:
                await pilot.press(key)
            await until(pilot, lambda t=thread: not t.is_alive())
    assert answers == [True, False, True, False]
    capture.close()


def test_a_full_disk_is_asked_about_while_opening(capture_path: Captures, tmp_path: Path):
    asked: list[object] = []

    def answer(question) -> None:
        asked.append(question)
        question.answer(True)

    questions = Questions()
    limits = Limits(reserve=1 << 60, tmpdir=tmp_path, confirm=confirm_with(questions))
    path = capture_path("file-zstd")
    capture = open_asking(questions, lambda: Capture.open(path, wait=False, limits=limits), answer)
    capture.walk_all()
    assert len(asked) == 1
    assert capture.sound
    capture.close()


def test_whoever_asks_without_a_screen_gets_no_answer():
    questions = Questions()
    questions.close()
    assert questions.ask(lambda palette: pytest.fail("nobody is there")) is None


# -- files that change ----------------------------------------------------------------------------


async def test_r_reads_a_file_again_that_has_grown(microbit: Path, tmp_path: Path):
    data = microbit.read_bytes()
    copy = tmp_path / "copy.bin"
    copy.write_bytes(data[:12000])
    async with running(copy) as (app, pilot):
        assert "problem" in app.header_bar.plain
        with copy.open("ab") as file:
            file.write(data[12000:])
        app.look_at_file()
        assert "has grown to 27,748 bytes: r reads it again" in app.status_bar.plain
        await press(app, pilot, "r")
        assert "sound" in app.header_bar.plain
        assert "read again: 27,748 bytes now" in app.status_bar.plain
        await press(app, pilot, "r")
        assert "as before" in app.status_bar.plain


async def test_follow_walks_on_as_the_file_grows_and_says_when_it_is_complete(microbit: Path, tmp_path: Path):
    data = microbit.read_bytes()
    copy = tmp_path / "copy.bin"
    copy.write_bytes(data[:5000])
    capture = Capture.open(copy)
    capture.follow = True
    app = QevmApp(capture)
    async with app.run_test(size=(140, 40)) as pilot:
        await until(pilot, lambda: "following" in app.header_bar.plain)
        assert "problem" not in app.header_bar.plain
        with copy.open("ab") as file:
            file.write(data[5000:])
        await until(pilot, lambda: "the stream is complete: 27,748 bytes" in app.status_bar.plain)
        assert "sound" in app.header_bar.plain
    capture.close()


async def test_a_file_that_is_cut_deleted_or_replaced_gives_a_message(microbit: Path, tmp_path: Path):
    copy = tmp_path / "copy.bin"
    copy.write_bytes(microbit.read_bytes())
    async with running(copy) as (app, pilot):
        app.look_at_file()
        assert "file" not in app.status_bar.plain
        other = tmp_path / "other.bin"
        other.write_bytes(b"something else")
        other.rename(copy)
        app.look_at_file()
        assert "the file was replaced by another one" in app.status_bar.plain
        copy.unlink()
        app.look_at_file()
        assert "the file was deleted" in app.status_bar.plain
        await press(app, pilot, "tab", "pagedown", "r")
        assert "sound" in app.header_bar.plain


@pytest.mark.parametrize("left", [0, 4, 100, 9000])
async def test_every_key_works_on_a_file_that_was_cut(microbit: Path, tmp_path: Path, left: int):
    copy = tmp_path / "copy.bin"
    copy.write_bytes(microbit.read_bytes())
    async with running(copy) as (app, pilot):
        await press(app, pilot, "end", "tab", "ctrl+end")
        with copy.open("r+b") as file:
            file.truncate(left)
        app.look_at_file()
        assert f"was cut to {left:,} bytes" in app.status_bar.plain
        for _ in range(2):
            await press(app, pilot, "up", "pageup", "tab", "down", "tab", "up", "home", "e", "s", "tab", "r")
            assert app.is_running
            assert app.capture.source.size == left
