"""Bytes for the terminal's clipboard (OSC 52), up to what terminals take."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qevm import export
from qevm_tui.selection import Selection
from qevm_tui.words import human

if TYPE_CHECKING:
    from qevm.capture import Capture

PAYLOAD_LIMIT = 74_994
"""Base64 characters that terminals accept in one OSC 52 sequence (100,000 bytes in xterm, less in others)."""

_TEXT_LIMIT = PAYLOAD_LIMIT // 4 * 3
_LINE = 77
"""Characters that hexdump text takes for 16 bytes."""

BYTES_LIMIT = _TEXT_LIMIT // _LINE * 16


class TooMuchError(ValueError):
    """More bytes than a clipboard takes.  ``str()`` says what to do instead."""


def clipboard_text(capture: Capture, selection: Selection) -> str:
    """The selected bytes as hexdump text, which ``hexdump.restore`` turns into bytes again.

    Raises TooMuchError.
    """
    if not selection.size:
        raise TooMuchError("no bytes are selected")
    if selection.size > BYTES_LIMIT:
        raise TooMuchError(
            f"{selection.size:,} bytes are too many for a terminal's clipboard "
            f"(limit {human(BYTES_LIMIT)}); x exports them to a file"
        )
    pieces = export.blocks(capture, (selection.start, selection.end), export.Format.HEX)
    return b"".join(pieces).decode("ascii")
