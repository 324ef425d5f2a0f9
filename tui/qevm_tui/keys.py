"""Every key, in one table: the bindings, the footer, the help screen and the palette come from it.

A keymap can give an action other keys by its ``name`` (Textual's binding id).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from textual.binding import Binding

from qevm_tui.keynames import shown_key


@dataclass(frozen=True, slots=True)
class Key:
    """One action and the keys that start it.

    ``scope`` is where the keys work: ``app`` everywhere, ``list`` in the tree and the detail pane,
    ``tree``, ``hex`` or ``detail`` in that pane.  ``footer`` is a word for the footer, empty to leave
    it out.  ``command`` tells whether the command palette offers it.
    """

    name: str
    keys: str
    action: str
    help: str
    scope: str = "app"
    footer: str = ""
    shown: str = ""
    command: bool = True


SCOPES = {
    "app": "everywhere",
    "list": "section tree and device detail",
    "tree": "section tree",
    "hex": "hex pane",
    "detail": "device detail",
    "map": "map",
}

KEYS: tuple[Key, ...] = (
    Key("jump", "d", "jump", "jump to a device", footer="device", shown="d"),
    Key("start", "s", "chain_start", "the START of this chain", footer="START", shown="s"),
    Key(
        "previous-chunk",
        "left_square_bracket",
        "chunk(-1)",
        "previous chunk of this chain",
        footer="chunk",
        shown="[",
    ),
    Key("next-chunk", "right_square_bracket", "chunk(1)", "next chunk of this chain", footer=" ", shown="]"),
    Key("end", "e", "chain_end", "the END of this chain", footer="END", shown="e"),
    Key("goto", "g", "goto", "go to an offset", footer="goto", shown="g"),
    Key("search", "slash", "search", "search text, bytes, fields, devices", footer="search", shown="/"),
    Key("next-match", "n", "next_match(1)", "next match of the search", shown="n"),
    Key("previous-match", "N", "next_match(-1)", "previous match of the search", shown="N"),
    Key("filter", "f", "filter", "narrow the section tree by an expression", footer="filter", shown="f"),
    Key("problem", "exclamation_mark", "next_problem", "next problem", footer="problem", shown="!"),
    Key("tree-mode", "t", "tree_mode", "sections by device or by stream", footer="tree", shown="t"),
    Key("zoom", "z", "zoom", "one pane on the whole screen, and back", footer="zoom", shown="z"),
    Key(
        "inspector", "i", "inspector", "data inspector: the bytes at the cursor", footer="inspect", shown="i"
    ),
    Key("map", "o", "map", "map of the whole capture", footer="map", shown="o"),
    Key("export", "x", "export", "export section, chain or bytes to a file", footer="export", shown="x"),
    Key("copy", "y", "copy", "copy the selected bytes to the clipboard", footer="copy", shown="y"),
    Key("copy-as", "Y", "copy_menu", "copy field, value, bytes as … : a menu", shown="Y"),
    Key("bookmark", "m", "bookmark", "bookmark with a note at the cursor", shown="m"),
    Key("bookmarks", "apostrophe", "bookmarks", "list of the bookmarks", shown="'"),
    Key("help", "question_mark", "help", "this help", footer="help", shown="?"),
    Key("quit", "q", "quit", "quit", footer="quit", shown="q"),
    Key("palette", "ctrl+p", "command_palette", "every action and device", shown="ctrl+p", command=False),
    Key("next-pane", "tab", "app.focus_next", "next pane", shown="Tab", command=False),
    Key(
        "previous-pane", "shift+tab", "app.focus_previous", "previous pane", shown="shift+Tab", command=False
    ),
    Key("back", "backspace,alt+left", "back", "back to where one was", shown="Backspace  alt+←"),
    Key("forward", "alt+right", "forward", "forward again", shown="alt+→"),
    Key("narrower", "less_than_sign", "resize(-2)", "make the pane narrower", shown="<"),
    Key("wider", "greater_than_sign", "resize(2)", "make the pane wider", shown=">"),
    Key("reread", "r", "reread", "read the file again, go on indexing", shown="r"),
    Key("streams", "S", "streams", "another stream or snapshot of this file", shown="S"),
    Key("cancel", "escape", "cancel", "drop marked bytes; stop what goes on", shown="Esc"),
    Key("redraw", "ctrl+l", "redraw", "draw the screen anew", shown="ctrl+L"),
    Key("up", "up,k", "step(-1)", "one row up", "list", shown="↑  k", command=False),
    Key("down", "down,j", "step(1)", "one row down", "list", shown="↓  j", command=False),
    Key("page-up", "pageup", "page(-1)", "one page up", "list", shown="PgUp", command=False),
    Key("page-down", "pagedown", "page(1)", "one page down", "list", shown="PgDn", command=False),
    Key("home", "home,ctrl+home", "edge(-1)", "first row", "list", shown="Home", command=False),
    Key("end-row", "end,ctrl+end", "edge(1)", "last row", "list", shown="End", command=False),
    Key("open", "right", "unfold", "open, or into what is open", "list", shown="→", command=False),
    Key("close", "left", "fold", "close, or out to what it belongs to", "list", shown="←", command=False),
    Key(
        "toggle",
        "enter,space",
        "choose",
        "choose; open or close",
        "list",
        shown="Enter  Space",
        command=False,
    ),
    Key("byte-left", "left,h", "move(-1)", "one byte back", "hex", shown="←  h", command=False),
    Key("byte-right", "right,l", "move(1)", "one byte on", "hex", shown="→  l", command=False),
    Key("byte-up", "up,k", "line(-1)", "one row up", "hex", shown="↑  k", command=False),
    Key("byte-down", "down,j", "line(1)", "one row down", "hex", shown="↓  j", command=False),
    Key("hex-page-up", "pageup", "page(-1)", "one page up", "hex", shown="PgUp", command=False),
    Key("hex-page-down", "pagedown", "page(1)", "one page down", "hex", shown="PgDn", command=False),
    Key("row-start", "home", "row_edge(-1)", "first byte of the row", "hex", shown="Home", command=False),
    Key("row-end", "end", "row_edge(1)", "last byte of the row", "hex", shown="End", command=False),
    Key("first-byte", "ctrl+home", "edge(-1)", "first byte of the capture", "hex", shown="ctrl+Home"),
    Key("last-byte", "ctrl+end", "edge(1)", "last byte of the capture", "hex", shown="ctrl+End"),
    Key("mark-left", "shift+left", "mark(-1)", "mark bytes: one back", "hex", shown="shift+←", command=False),
    Key("mark-right", "shift+right", "mark(1)", "mark bytes: one on", "hex", shown="shift+→", command=False),
    Key(
        "mark-up", "shift+up", "mark_line(-1)", "mark bytes: a row up", "hex", shown="shift+↑", command=False
    ),
    Key(
        "mark-down",
        "shift+down",
        "mark_line(1)",
        "mark bytes: a row down",
        "hex",
        shown="shift+↓",
        command=False,
    ),
    Key("mark", "v", "toggle_mark", "begin or end marking bytes", "hex", shown="v"),
    Key(
        "into-detail",
        "enter",
        "into_detail",
        "to the field in the detail pane",
        "hex",
        shown="Enter",
        command=False,
    ),
    Key("map-left", "left,h", "cell(-1)", "one cell back", "map", shown="←  h", command=False),
    Key("map-right", "right,l", "cell(1)", "one cell on", "map", shown="→  l", command=False),
    Key("map-before", "up,k", "kind(-1)", "back to something else", "map", shown="↑  k", command=False),
    Key("map-behind", "down,j", "kind(1)", "on to something else", "map", shown="↓  j", command=False),
    Key("map-first", "home", "edge(-1)", "first cell", "map", shown="Home", command=False),
    Key("map-last", "end", "edge(1)", "last cell", "map", shown="End", command=False),
)


def shown(key: Key, keymap: Mapping[str, str]) -> str:
    """The keys of an action as the help and the footer show them, those of the user's keymap first."""
    own = keymap.get(key.name)
    return key.shown if own is None else "  ".join(shown_key(name) for name in own.split(","))


_TOGETHER = {"list": ("list", "tree", "detail"), "tree": ("list", "tree"), "detail": ("list", "detail")}
"""Scopes that work in one pane at the same time."""


def clashes(keymap: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """(key, action, action) where a keymap gives one key to two actions of the same pane."""
    for number, key in enumerate(KEYS):
        scopes = _TOGETHER.get(key.scope, (key.scope,))
        mine = keymap.get(key.name, key.keys).split(",")
        for other in KEYS[number + 1 :]:
            if other.scope in scopes and (key.name in keymap or other.name in keymap):
                both = set(mine) & set(keymap.get(other.name, other.keys).split(","))
                if both:
                    yield min(both), key.name, other.name


def bindings(*scopes: str) -> list[Binding]:
    """Textual bindings of the given scopes."""
    return [
        Binding(key.keys, key.action, key.help, show=False, id=key.name)
        for key in KEYS
        if key.scope in scopes
    ]


def footer() -> Iterator[Key]:
    """The keys that the footer shows, the most wanted first."""
    return (key for key in KEYS if key.footer)
