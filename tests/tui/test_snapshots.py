"""What the screens look like.  ``pytest --snapshot-update`` takes them anew; look at the difference.

The pictures are of real captures and hold no times, no paths and nothing else that changes from run to run.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from textual.pilot import Pilot
from tuihelp import press, settled, type_text

from qevm.capture import Capture
from qevm.containers import ChoiceNeeded, Space
from qevm_tui.app import QevmApp
from qevm_tui.dialogs.chooser import ChooserDialog
from qevm_tui.dialogs.space import SpaceDialog
from qevm_tui.questions import Question
from qevm_tui.session import AskApp
from qevm_tui.settings import Settings

Captures = Callable[[str], Path]
Compare = Callable[..., bool]

SIZES = {"small": (80, 24), "middle": (140, 40), "large": (200, 50)}
TERMINALS = {"256": "xterm-256color", "16": "xterm-16color"}


@pytest.fixture(autouse=True)
def _terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("COLORTERM", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", TERMINALS["256"])


def typing(*keys: str) -> Callable[[Pilot[None]], Awaitable[None]]:
    """What is done before a picture is taken: keys, and in ``'…'`` text."""

    async def do(pilot: Pilot[None]) -> None:
        app = pilot.app
        assert isinstance(app, QevmApp)
        app.tree_pane.follow_delay = 0
        await settled(app, pilot)
        for key in keys:
            if key.startswith("'"):
                await type_text(app, pilot, key.strip("'"))
            else:
                await press(app, pilot, key)
        await pilot.pause(0.3)

    return do


@pytest.fixture
def look(snap_compare: Compare, capture_path: Captures) -> Callable[..., bool]:
    """Compare a picture of the app on a capture after some keys."""

    def compare(name: str, size: str, *keys: str, **settings: object) -> bool:
        app = QevmApp(Capture.open(capture_path(name)), settings=Settings(**settings))  # type: ignore[arg-type]
        same = snap_compare(app, terminal_size=SIZES[size], run_before=typing(*keys))
        app.capture.close()
        return same

    return compare


AT_THE_CPU = ("d", "'cpu@0'", "enter")


@pytest.mark.parametrize("size", SIZES)
def test_main_screen(look: Compare, size: str):
    assert look("pc-live", size, *AT_THE_CPU)


def test_main_screen_in_16_colours(look: Compare, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TERM", TERMINALS["16"])
    assert look("pc-live", "middle", *AT_THE_CPU, map=True)


def test_main_screen_without_colours(look: Compare, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("NO_COLOR", "1")
    assert look("pc-live", "small", *AT_THE_CPU, map=True)


@pytest.mark.parametrize("size", SIZES)
def test_search_in_16_colours(look: Compare, monkeypatch: pytest.MonkeyPatch, size: str):
    monkeypatch.setenv("TERM", TERMINALS["16"])
    assert look("q35-devices", size, "slash", "'52 54 00 ?? ??'")


@pytest.mark.parametrize("size", SIZES)
def test_damage(snap_compare: Compare, capture_path: Captures, tmp_path: Path, size: str):
    """A footer without its magic, and the end cut off: what the tree, the bars and the detail say of it."""
    damaged = bytearray(capture_path("arm-microbit").read_bytes()[:12_000])
    footer = damaged.index(b"\x7e\0\0\0\3", damaged.index(b"cpu_common"))
    damaged[footer] = 0
    path = tmp_path / "damaged.bin"
    path.write_bytes(damaged)
    app = QevmApp(Capture.open(path))
    same = snap_compare(
        app, terminal_size=SIZES[size], run_before=typing("exclamation_mark", "exclamation_mark")
    )
    app.capture.close()
    assert same


@pytest.mark.parametrize("theme", ["light", "contrast"])
def test_other_themes(look: Compare, theme: str):
    assert look("pc-live", "middle", *AT_THE_CPU, "tab", "down", theme=theme, map=True)


@pytest.mark.parametrize("size", ["small", "middle"])
def test_inspector_and_map(look: Compare, size: str):
    assert look("pc-live", size, *AT_THE_CPU, "tab", "down", "down", inspector=True, map=True)


def test_domain_xml(look: Compare):
    assert look("libvirt-real-raw", "middle", "home", "down", "down")


@pytest.mark.parametrize(
    "keys",
    [("d", "'tim'"), ("g", "'0x1f'"), ("x",), ("question_mark",), ("ctrl+p", "'whole'")],
    ids=["jump", "goto", "export", "help", "palette"],
)
def test_dialogs(look: Compare, keys: tuple[str, ...]):
    assert look("arm-microbit", "small", *keys)


def test_the_choice_of_a_snapshot(snap_compare: Compare, capture_path: Captures):
    needed: list[ChoiceNeeded] = []

    def choose(choice: ChoiceNeeded) -> str:
        needed.append(choice)
        return "1"

    Capture.open(capture_path("qcow2-snapshots"), choose=choose).close()
    rows = [one.columns for one in needed[0].choices]
    question = Question(lambda palette: ChooserDialog("which snapshot?", needed[0].headings, rows, palette))
    assert snap_compare(AskApp(question), terminal_size=SIZES["middle"])


def test_the_question_before_a_disk_is_filled(snap_compare: Compare):
    space = Space("/var/tmp", 900 << 20, 5 << 20, 3 << 30, 1 << 30)
    question = Question(lambda palette: SpaceDialog(space, palette))
    assert snap_compare(AskApp(question), terminal_size=SIZES["small"])
