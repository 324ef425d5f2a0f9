"""The export dialog writes what it says, or says why not."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import hexdump
import pytest
from textual.pilot import Pilot
from tuihelp import press, running, screen_text, settled, type_text

from qevm_tui.app import QevmApp

Captures = Callable[[str], Path]

GLOBALSTATE = slice(0x4400, 0x4400 + 134)


@pytest.fixture
def microbit(capture_path: Captures, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return capture_path("arm-microbit")


async def go_to(app: QevmApp, pilot: Pilot[None], device: str) -> None:
    await press(app, pilot, "d")
    await type_text(app, pilot, device)
    await press(app, pilot, "enter")


async def test_enter_writes_the_section_under_the_proposed_name(microbit: Path, tmp_path: Path):
    async with running(microbit) as (app, pilot):
        await go_to(app, pilot, "globalstate")
        await press(app, pilot, "x", "enter")
        assert (tmp_path / "globalstate@0.bin").read_bytes() == microbit.read_bytes()[GLOBALSTATE]
        assert "wrote 134 bytes to globalstate@0.bin" in app.status_bar.plain


async def test_an_existing_file_is_overwritten_only_when_asked_twice(microbit: Path, tmp_path: Path):
    target = tmp_path / "globalstate@0.bin"
    target.write_text("mine")
    async with running(microbit) as (app, pilot):
        await go_to(app, pilot, "globalstate")
        await press(app, pilot, "x", "enter")
        assert "exists. Enter again overwrites it" in screen_text(app)
        assert target.read_text() == "mine"
        await press(app, pilot, "enter")
        assert target.read_bytes() == microbit.read_bytes()[GLOBALSTATE]


async def test_another_name_after_the_question_is_asked_about_again(microbit: Path, tmp_path: Path):
    (tmp_path / "globalstate@0.bin").write_text("mine")
    (tmp_path / "globalstate@0.bin2").write_text("mine too")
    async with running(microbit) as (app, pilot):
        await go_to(app, pilot, "globalstate")
        await press(app, pilot, "x", "enter", "2", "enter")
        assert "exists" in screen_text(app)
        assert (tmp_path / "globalstate@0.bin2").read_text() == "mine too"


async def test_a_chain_is_written_whole(microbit: Path, tmp_path: Path):
    async with running(microbit) as (app, pilot):
        await go_to(app, pilot, "ram")
        await press(app, pilot, "x", "shift+tab", "shift+tab", "right", "tab", "tab", "enter")
        data = microbit.read_bytes()
        ram = data[0x15:0xA23] + data[0xA28:0xA3A]
        assert (tmp_path / "ram@0.chain.bin").read_bytes() == ram


async def test_hex_and_json_can_be_read_back(microbit: Path, tmp_path: Path):
    async with running(microbit) as (app, pilot):
        await go_to(app, pilot, "globalstate")
        await press(app, pilot, "x", "shift+tab", "right", "tab", "enter")
        text = (tmp_path / "globalstate@0.hex").read_text()
        assert hexdump.restore(text) == microbit.read_bytes()[GLOBALSTATE]
        await press(app, pilot, "x", "shift+tab", "right", "right", "tab", "enter")
        assert json.loads((tmp_path / "globalstate@0.json").read_text())


async def test_marked_bytes_are_what_is_exported(microbit: Path, tmp_path: Path):
    async with running(microbit) as (app, pilot):
        await press(app, pilot, "tab", "shift+right", "shift+right", "x", "enter")
        assert (tmp_path / "bytes-0x0-0x2.bin").read_bytes() == b"QEV"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
async def test_missing_permission_is_a_message(microbit: Path, tmp_path: Path):
    (tmp_path / "locked").mkdir(mode=0o500)
    async with running(microbit) as (app, pilot):
        await press(app, pilot, "x", *["backspace"] * 30)
        await type_text(app, pilot, "locked/a.bin")
        await press(app, pilot, "enter")
        assert "Permission denied" in screen_text(app)


async def test_a_full_disk_is_a_message_and_leaves_nothing(microbit: Path, tmp_path: Path):
    async with running(microbit) as (app, pilot):
        await press(app, pilot, "x", *["backspace"] * 30)
        await type_text(app, pilot, "no/such/folder.bin")
        await press(app, pilot, "enter")
        await settled(app, pilot)
        assert "cannot write" in screen_text(app)
        assert app.screen.is_modal
        assert not list(tmp_path.iterdir())


async def test_a_part_of_the_container_is_exported(
    capture_path: Captures, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    async with running(capture_path("libvirt-real-raw")) as (app, pilot):
        await press(app, pilot, "home", "down", "down", "x")
        assert "json" not in screen_text(app)
        await press(app, pilot, "enter")
        assert "to domain-XML.xml" in app.status_bar.plain
    document = (tmp_path / "domain-XML.xml").read_text()
    assert ElementTree.fromstring(document.rstrip("\0")).findtext("name") == "demo"


async def test_bytes_marked_outside_of_the_stream_are_those_of_the_file(
    capture_path: Captures, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    async with running(capture_path("libvirt-real-raw")) as (app, pilot):
        await press(app, pilot, "home", "down", "tab", *["shift+right"] * 15, "x")
        assert "bytes 0x0 … 0xf of the file" in screen_text(app)
        await press(app, pilot, "enter")
    assert (tmp_path / "bytes-0x0-0xf.bin").read_bytes() == b"LibvirtQemudSave"
