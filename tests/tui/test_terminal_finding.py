"""Finding and copying in a real pseudo-terminal: what goes over the line."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import pytest
from test_terminal import session


def test_a_search_goes_over_a_thin_line(microbit: Path):
    with session(microbit) as terminal:
        terminal.read("sound")
        assert terminal.press(b"/", "Enter keeps") <= 500
        terminal.press(b"nrf51_soc.timer", "match 1 of 9")
        terminal.press(b"\r", "match 1 of 9")
        terminal.press(b"n", "match 2 of 9")
        terminal.press(b"\t")
        terminal.press(b"\x1b[C")
        assert terminal.press(b"\x1b[C") <= 400
        assert terminal.read(quiet=1.0, limit=2.0) == 0


@pytest.mark.parametrize(
    ("environment", "wrapped"),
    [
        ({"TMUX": "", "STY": ""}, rb"\x1b\]52;c;([^\x07]*)\x07"),
        ({"TMUX": "/tmp/tmux"}, rb"\x1bPtmux;\x1b\x1b\]52;c;([^\x07]*)\x07\x1b\\"),
        ({"TMUX": "", "STY": "1.pts"}, rb"\x1bP\x1b\]52;c;([^\x07]*)\x07\x1b\\"),
    ],
)
def test_the_copy_menu_reaches_the_terminal(microbit: Path, environment: dict[str, str], wrapped: bytes):
    with session(microbit, **environment) as terminal:
        terminal.read("sound")
        terminal.press(b"\t")
        terminal.press(b"\x1b[C")
        terminal.press(b"Y", "base64")
        terminal.press(b"h", "copied hex")
        found = re.search(wrapped, terminal.sent)
        assert found is not None
        assert base64.b64decode(found[1]) == b"51 45 56 4d"
