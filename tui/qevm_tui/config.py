"""The configuration: a TOML file in the user's config directory, read and printed.

What is wrong in it is said in one line with its number, and the rest counts; nothing in it ends the program.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from qevm.safetext import safe
from qevm.userfolders import user_folder
from qevm_tui.keynames import BadKeyError, normal_key
from qevm_tui.keys import KEYS, SCOPES, clashes
from qevm_tui.settings import SIZES, THEME_NAMES, TREE_MODES, Settings, is_size

NAME = "config.toml"
LARGEST = 1 << 20


def path() -> Path:
    """Where the configuration lies; ``$QEVM_CONFIG_DIR`` wins over the platform's place."""
    return user_folder("config") / NAME


def load(settings: Settings) -> list[str]:
    """Take the configuration into ``settings``; returns what is wrong with it, a line each."""
    place = path()
    try:
        with place.open("rb") as file:
            data = file.read(LARGEST + 1)
    except FileNotFoundError:
        return []
    except OSError as error:
        return [f"{safe(str(place))}: {error.strerror or error}"]
    if len(data) > LARGEST:
        return [f"{safe(str(place))}: larger than {LARGEST:,} bytes: not read"]
    return [f"{safe(str(place))}: {problem}" for problem in read(data, settings)]


def read(data: bytes, settings: Settings) -> list[str]:
    """Take TOML text into ``settings``; returns what is wrong, as ``line 3: …``."""
    try:
        text = data.decode("utf-8")
        values = tomllib.loads(text)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return [f"line {line}: not UTF-8"]
    except tomllib.TOMLDecodeError as error:
        return [_toml_error(str(error), data)]
    except RecursionError:
        return ["line 1: nested too deeply"]
    return list(_Reader(text, settings).read(values))


_PLACE = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)\Z")


def _toml_error(message: str, data: bytes) -> str:
    place = _PLACE.search(message)
    line = place.group(1) if place and place.group(1) else str(data.count(b"\n") + 1)
    return f"line {line}: {safe(_PLACE.sub('', message), 200)}"


class _Reader:
    """Checks each value, and finds the line of a wrong one."""

    def __init__(self, text: str, settings: Settings) -> None:
        self._lines = text.splitlines()
        self._settings = settings

    def read(self, values: dict[str, Any]) -> Iterator[str]:
        for name, value in values.items():
            if name == "theme":
                yield from self._word(name, value, THEME_NAMES)
            elif name == "tree":
                yield from self._word(name, value, TREE_MODES)
            elif name in ("inspector", "map"):
                if isinstance(value, bool):
                    setattr(self._settings, name, value)
                else:
                    yield self._at("", name, f"{name} is true or false")
            elif name == "panes":
                yield from self._table(name, value, self._pane)
            elif name == "keys":
                yield from self._table(name, value, self._key)
                yield from self._clashes()
            else:
                yield self._at("", name, f"unknown setting {safe(name, 40)!r}")

    def _word(self, name: str, value: object, words: tuple[str, ...]) -> Iterator[str]:
        if value in words:
            setattr(self._settings, name, value)
        else:
            yield self._at("", name, f"{name} is one of {', '.join(words)}")

    def _table(self, name: str, value: object, take: Any) -> Iterator[str]:
        if not isinstance(value, dict):
            yield self._at("", name, f"[{name}] is a table")
            return
        for key, item in value.items():
            yield from take(key, item)

    def _pane(self, name: str, value: object) -> Iterator[str]:
        attribute = SIZES.get(name)
        if attribute is None:
            yield self._at("panes", name, f"unknown size {safe(name, 40)!r}: {', '.join(SIZES)}")
        elif not is_size(value):
            yield self._at("panes", name, f"{name} is a number of cells, 0 for qevm's own division")
        else:
            setattr(self._settings.panes, attribute, value or None)

    def _key(self, name: str, value: object) -> Iterator[str]:
        if name not in {key.name for key in KEYS}:
            yield self._at("keys", name, f"unknown action {safe(name, 40)!r} (qevm --print-config lists all)")
            return
        keys = [value] if isinstance(value, str) else value
        if not isinstance(keys, list) or not keys or not all(isinstance(key, str) for key in keys):
            yield self._at("keys", name, f'{name} is a key, or a list of keys: "ctrl+g", ["g", "f5"]')
            return
        try:
            self._settings.keymap[name] = ",".join(normal_key(key) for key in keys)
        except BadKeyError as error:
            yield self._at("keys", name, str(error))

    def _clashes(self) -> Iterator[str]:
        keymap = self._settings.keymap
        for key, first, second in clashes(keymap):
            # What the user did not write gives way; of two that were written the first stays.
            dropped = second if second in keymap else first
            if first in keymap and second in keymap:
                yield self._at("keys", second, f"{key} is the key of {first} already")
                keymap.pop(dropped, None)
            else:
                other = first if dropped == second else second
                yield self._at("keys", dropped, f"{key} is the key of {other}: give {other} another one too")
                keymap.pop(dropped, None)

    def _at(self, table: str, name: str, words: str) -> str:
        return f"line {self._line(table, name)}: {words}"

    def _line(self, table: str, name: str) -> int:
        """Where ``name`` is set: good enough for the plain tables that a configuration has."""
        here = ""
        wanted = re.compile(rf"""\s*["']?{re.escape(name)}["']?\s*(=|\.)""")
        for number, line in enumerate(self._lines, 1):
            head = re.match(r"\s*\[+\s*([^\]]*?)\s*\]", line)
            if head:
                here = head.group(1).strip("\"'")
                if not table and here.split(".")[0] == name:
                    return number
            elif (here == table and wanted.match(line)) or (
                table and not here and re.match(rf"\s*{re.escape(table)}\s*[.=]", line)
            ):
                return number
        return 1


def printed(settings: Settings) -> str:
    """The configuration in effect as TOML, each value with what it means."""
    lines = [
        "# The configuration of qevm as it is in effect now, with what it remembers of the last run.",
        f"# It is read from {path()}",
        "# What it says holds at every start; what it leaves out is as you used it last.",
        "",
        f"# Colours: {', '.join(THEME_NAMES)}.",
        "# auto suits the terminal, light is for a light one, ansi needs 16 colours, mono none.",
        "# NO_COLOR wins over all of them.",
        f"theme = {_quoted(settings.theme)}",
        "",
        f"# The sections: {', '.join(TREE_MODES)}.",
        f"tree = {_quoted(settings.tree)}",
        "",
        "# Whether these are shown from the start.",
        f"inspector = {'true' if settings.inspector else 'false'}",
        f"map = {'true' if settings.map else 'false'}",
        "",
        "# Columns of the tree and of the hex pane, rows of the hex pane in a narrow terminal.",
        "# 0: qevm divides by the size of the terminal.",
        "[panes]",
    ]
    lines += [f"{name} = {getattr(settings.panes, SIZES[name]) or 0}" for name in SIZES]
    lines += [
        "",
        "# Keys by action: a key or a list of keys.  Single characters as they are, others by name",
        "# (enter, space, escape, tab, left, pageup, f5, …), with ctrl+, alt+, shift+ before them.",
        "[keys]",
    ]
    for scope, where in SCOPES.items():
        lines += ["", f"# {where}"]
        for key in KEYS:
            if key.scope == scope:
                keys = settings.keymap.get(key.name, key.keys).split(",")
                shown = ", ".join(_quoted(one) for one in keys)
                value = shown if len(keys) == 1 else f"[{shown}]"
                lines.append(f"{key.name} = {value}  # {key.help}")
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
