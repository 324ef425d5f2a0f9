"""Text out of a capture, made harmless for a terminal.

Every string in a capture is untrusted: device ids, block names, JSON names.  Textual passes
escape sequences in labels on to the terminal, so a device id with ``ESC ]52;c;…`` would write
the user's clipboard.  Strings go through :func:`safe` once, at the border to the terminal.
"""

from __future__ import annotations

import unicodedata

_HARMLESS_ASCII = frozenset(chr(c) for c in range(0x20, 0x7F))

# Cc controls, Cf format characters (bidi overrides, zero width), Cs surrogates, Co private use,
# Cn unassigned, Zl/Zp line and paragraph separators: none of them may reach a terminal.
_ESCAPED_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def decode(raw: bytes) -> str:
    """The text of a counted string: UTF-8, with every byte that is not escaped as ``\\xNN``."""
    return raw.decode("utf-8", "backslashreplace")


def safe(text: str, limit: int = 0) -> str:
    """``text`` with all that could steer a terminal shown as escapes.

    Control characters (C0, C1, DEL), bidi overrides, zero-width and unassigned characters become
    ``\\xNN``, ``\\uNNNN`` or ``\\UNNNNNNNN``.  With ``limit`` the result is cut to that many
    characters, the last of them ``…``.  The result is still not markup-safe by itself: put it
    into a ``Content`` or ``Text``, never into a markup string.
    """
    if not _HARMLESS_ASCII.issuperset(text):
        text = "".join(_escape(c) for c in text)
    if limit and len(text) > limit:
        text = text[: limit - 1] + "…"
    return text


def _escape(character: str) -> str:
    if character in _HARMLESS_ASCII:
        return character
    category = unicodedata.category(character)
    # A combining mark with nothing before it would join the frame of the widget around it.
    if category not in _ESCAPED_CATEGORIES and not unicodedata.combining(character):
        return character
    code = ord(character)
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def printable(raw: bytes) -> str:
    """Bytes as the ASCII column of a hex view shows them: one character a byte, ``.`` for the rest."""
    return "".join(chr(b) if 0x20 <= b < 0x7F else "." for b in raw)
