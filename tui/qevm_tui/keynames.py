"""Names of keys: as a user may write them, as Textual has them, as the help shows them."""

from __future__ import annotations

import contextlib
import unicodedata

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
    "left_square_bracket": "[",
    "right_square_bracket": "]",
    "less_than_sign": "<",
    "greater_than_sign": ">",
    "exclamation_mark": "!",
    "question_mark": "?",
    "apostrophe": "'",
    "slash": "/",
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


def _is_character_name(name: str) -> bool:
    try:
        unicodedata.lookup(name.replace("_", " ").upper())
    except KeyError:
        # Textual writes blanks for the hyphens of names too, and shortens a few.
        return name in ("minus", "plus", "slash", "backslash", "underscore", "space")
    return True


def shown_key(name: str) -> str:
    """A key as the help shows it: ``ctrl+g``, ``[``, ``PgUp``."""
    *modifiers, key = name.split("+")
    if key in _SHOWN:
        key = _SHOWN[key]
    elif len(key) > 1 and "_" in key:
        with contextlib.suppress(KeyError):
            key = unicodedata.lookup(key.replace("_", " ").upper())
    elif len(key) > 1 and not modifiers:
        key = key.capitalize() if not key[1:].isdigit() else key.upper()
    return "+".join([*modifiers, key])
