"""Keys that arrive in one read, as they do on a slow line, act in the order in which they were typed."""

from __future__ import annotations

import asyncio
from pathlib import Path
from time import monotonic

import pytest
from textual import events
from textual.keys import _character_to_key
from textual.pilot import Pilot
from textual.screen import ModalScreen
from textual.widgets import Input
from tuihelp import running, selected, settled

from qevm.problems import QevmError
from qevm_tui.app import QevmApp
from qevm_tui.dialogs.jump import JumpDialog


async def burst(app: QevmApp, pilot: Pilot[None], text: str, *then: str) -> None:
    """Put keys into the app's queue as the terminal driver does with one read: nothing runs between them."""
    for key in (*text, *then):
        name = _character_to_key(key) if len(key) == 1 else key
        app.post_message(events.Key(name, key if len(key) == 1 else None))
    await settled(app, pilot)


@pytest.mark.parametrize(
    ("opener", "typed"),
    [("/", "nrf51"), ("d", "timer"), ("g", "0x1a0"), ("f", "type:FULL"), ("m", "not the t key")],
)
async def test_what_is_typed_behind_the_key_of_a_dialog_is_typed_into_it(
    microbit: Path, opener: str, typed: str
):
    async with running(microbit) as (app, pilot):
        await burst(app, pilot, opener + typed)
        assert isinstance(app.screen, ModalScreen)
        assert app.screen.query(Input).first().value == typed


async def test_a_dialog_is_opened_used_closed_and_the_next_one_opened_in_one_read(microbit: Path):
    async with running(microbit) as (app, pilot):
        await burst(
            app, pilot, "/nrf51_soc.rng", "enter", *"g0x0", "enter", *"/ram", "escape", "f", "x", "backspace"
        )
        assert app.screen.query(Input).first().value == ""
        assert app.selection.cursor == 0
        await burst(app, pilot, "", "escape", "n")
        assert selected(app) == "FULL nrf51_soc.rng@0"


async def test_keys_of_an_input_act_in_their_order(microbit: Path):
    async with running(microbit) as (app, pilot):
        await burst(app, pilot, "/abc", "backspace", "d", "left", "x", "home", "y", "end", "z")
        assert app.screen.query(Input).first().value == "yabxdz"


async def test_the_help_takes_the_key_that_closes_it(microbit: Path):
    async with running(microbit) as (app, pilot):
        await burst(app, pilot, "?", "escape", "d", "p")
        assert app.screen.query(Input).first().value == "p"


async def test_a_bookmark_that_cannot_be_made_does_not_lock_the_keyboard(
    microbit: Path, monkeypatch: pytest.MonkeyPatch
):
    def fails(capture: object) -> None:
        raise QevmError("no room")

    monkeypatch.setattr("qevm_tui.bookmarking.Bookmarks.of", fails)
    async with running(microbit) as (app, pilot):
        await burst(app, pilot, "md")
        assert isinstance(app.screen, JumpDialog)


async def test_a_key_that_never_comes_back_does_not_lock_the_keyboard(
    microbit: Path, monkeypatch: pytest.MonkeyPatch
):
    async with running(microbit) as (app, pilot):
        # The widget goes away with what waits for it.
        lost: list[object] = []
        monkeypatch.setattr(type(app.tree_pane), "call_later", lambda self, then: not lost.append(then))
        app.post_message(events.Key("down", None))
        while not lost:
            await asyncio.sleep(0)
        monkeypatch.undo()
        assert app.typing
        later = monotonic() + 1
        monkeypatch.setattr("qevm_tui.typeahead.monotonic", lambda: later)
        await burst(app, pilot, "dp")
        assert app.screen.query(Input).first().value == "p"
