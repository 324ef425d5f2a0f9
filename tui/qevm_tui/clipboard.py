"""The terminal's clipboard: OSC 52, also out of tmux and GNU screen, up to what terminals take.

A terminal does not answer whether it took the text.  What is known beforehand is said in the message after a
copy.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping

from qevm.problems import QevmError

PAYLOAD_LIMIT = 74_994
"""Base64 characters that terminals accept in one OSC 52 sequence (100,000 bytes in xterm, less in others)."""

TEXT_LIMIT = PAYLOAD_LIMIT // 4 * 3
"""Bytes of text that fit."""

_LINE = 77
"""Characters that hexdump text takes for 16 bytes."""

BYTES_LIMIT = TEXT_LIMIT // _LINE * 16
"""Bytes whose hexdump text fits."""

_SCREEN_PIECE = 400
"""GNU screen takes strings of 768 bytes at the most, and of 512 in old versions."""


class TooMuchError(QevmError):
    """More than a clipboard takes, or nothing.  ``str()`` says what to do instead."""


def sequence(text: str, environment: Mapping[str, str]) -> str:
    """What to write to the terminal for ``text`` to be in its clipboard.

    Inside tmux both to tmux itself (``set-clipboard on``) and through it (``allow-passthrough on``), since
    either may be set; inside screen through it.
    """
    payload = base64.b64encode(text.encode("utf-8", "replace")).decode("ascii")
    plain = f"\x1b]52;c;{payload}\x07"
    if environment.get("TMUX"):
        doubled = plain.replace("\x1b", "\x1b\x1b")
        return f"{plain}\x1bPtmux;{doubled}\x1b\\"
    if environment.get("STY"):
        pieces = [plain[at : at + _SCREEN_PIECE] for at in range(0, len(plain), _SCREEN_PIECE)]
        return "".join(f"\x1bP{piece}\x1b\\" for piece in pieces)
    return plain


def advice(environment: Mapping[str, str]) -> str:
    """What must be set for the clipboard to take it; a few words for the status line."""
    if environment.get("TMUX"):
        return "if the clipboard stays empty: tmux set -g set-clipboard on, or allow-passthrough on"
    if environment.get("STY"):
        return "if the clipboard stays empty: the terminal outside of screen must allow OSC 52"
    if environment.get("TERM") == "linux":
        return "the Linux console has no clipboard: x exports to a file"
    return "if the clipboard stays empty: the terminal must allow OSC 52 (see ?)"


HELP = (
    ("OSC 52", "how copies go to the terminal, also over ssh; whether"),
    ("", "it took them cannot be known here"),
    ("tmux", "set -g set-clipboard on"),
    ("", "or, since 3.3: set -g allow-passthrough on"),
    ("screen", "passes it on to the terminal outside"),
    ("xterm", "XTerm*disallowedWindowOps: 20,21,SetXprop"),
    ("iTerm2", "Settings, General, Selection, clipboard access"),
    ("without it", "GNOME Terminal, the Linux console"),
)
"""For the help screen."""
