"""Names of keys: as a user may write them, as Textual has them, as the help shows them."""

from __future__ import annotations

import contextlib
import unicodedata
from functools import cache

from qevm.safetext import safe

MODIFIERS = ("ctrl", "alt", "shift", "super", "meta", "hyper")

_SHOWN = {
    "left": "←",
    "right": "→",
    "up": "↑",
    "down": "↓",
    "pageup": "PgUp",
    "pagedown": "PgDn",
    "escape": "Esc",
}


class BadKeyError(ValueError):
    """Not the name of a key.  ``str()`` says so."""


def normal_key(text: str) -> str:
    """The name that Textual has for a key: ``?`` → ``question_mark``, ``Ctrl+G`` → ``ctrl+g``."""
    from textual.keys import Keys, _character_to_key

    *modifiers, name = text.split("+") if len(text) > 1 and not text.endswith("++") else [text]
    if text.endswith("++"):
        modifiers, name = text[:-2].split("+"), "+"
    modifiers = [modifier.strip().lower() for modifier in modifiers]
    unknown = [modifier for modifier in modifiers if modifier not in MODIFIERS]
    if unknown or not name.strip():
        raise BadKeyError(f"{safe(text, 40)!r} is no key")
    if len(name) == 1:
        if not name.isprintable():
            raise BadKeyError(f"{safe(text, 40)!r} is no key")
        name = _character_to_key(name.lower() if modifiers else name)
    else:
        name = name.strip().lower()
        if name not in {key.value for key in Keys} and not _is_character_name(name):
            raise BadKeyError(f"{safe(text, 40)!r} is no key")
    return "+".join([*modifiers, name])


@cache
def _characters() -> dict[str, str]:
    """The characters on a keyboard by the names that Textual has for them."""
    from textual.keys import _character_to_key

    return {_character_to_key(chr(code)): chr(code) for code in range(0x21, 0x7F)}


def _is_character_name(name: str) -> bool:
    if name in _characters():
        return True
    with contextlib.suppress(KeyError):
        unicodedata.lookup(name.replace("_", " ").upper())
        return True
    return False


def shown_key(name: str) -> str:
    """A key as the help shows it: ``ctrl+g``, ``[``, ``PgUp``."""
    *modifiers, key = name.split("+")
    if key in _SHOWN:
        key = _SHOWN[key]
    elif key in _characters():
        key = _characters()[key]
    elif len(key) > 1 and not modifiers:
        key = key.upper() if key[1:].isdigit() else key.capitalize()
    return "+".join([*modifiers, key])
