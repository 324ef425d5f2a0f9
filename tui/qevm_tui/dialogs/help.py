"""Every key, from the table of keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from rich.segment import Segment
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from qevm.field import Role
from qevm_tui.clipboard import HELP as CLIPBOARD
from qevm_tui.dialogs.base import Dialog, frame
from qevm_tui.dialogs.filter import HELP as FILTER
from qevm_tui.dialogs.search import HELP as SEARCH
from qevm_tui.keys import KEYS, SCOPES, bindings, shown
from qevm_tui.map_buckets import Cell
from qevm_tui.palette import Palette
from qevm_tui.panes.line_pane import ListPane

_SIGNS = (
    ("!", "a problem; · a note on something unusual"),
    ("~tail", "extent computed from the description, not walked yet; ~footer, ~guessed: less sure"),
    ("▸ ▾", "closed, open"),
)


class HelpList(ListPane):
    """The keys by where they work, the signs and the tints."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("list")]

    def __init__(self, palette: Palette, keymap: Mapping[str, str]) -> None:
        super().__init__(palette, id="help")
        self._lines = help_lines(palette, keymap)

    @property
    def row_count(self) -> int:
        return len(self._lines)

    def title(self) -> str:
        return "keys, signs and tints"

    def render_row(self, row: int, width: int) -> list[Segment]:
        return self._lines[row]

    def action_step(self, rows: int) -> None:
        self.scroll_rows(self.top + rows)

    def action_page(self, pages: int) -> None:
        self.scroll_rows(self.top + pages * (self.view_height - 1))

    def action_edge(self, side: int) -> None:
        self.scroll_rows(0 if side < 0 else self.row_count)

    def action_choose(self) -> None:
        self.screen.dismiss(None)


class HelpDialog(Dialog[None]):
    """The help screen."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q,question_mark", "dismiss(None)", "close", show=False),
    ]

    def __init__(self, palette: Palette, keymap: Mapping[str, str]) -> None:
        super().__init__(palette)
        self._keymap = keymap

    def compose(self) -> ComposeResult:
        body = HelpList(self.palette, self._keymap)
        body.styles.height = min(body.row_count + 1, max(6, self.app.size.height - 4))
        yield frame(" help ", body)


def help_lines(palette: Palette, keymap: Mapping[str, str]) -> list[list[Segment]]:
    """One list of segments a line."""
    lines: list[list[Segment]] = []

    def heading(text: str) -> None:
        if lines:
            lines.append([])
        lines.append([Segment(text, palette.strong)])

    for scope, where in SCOPES.items():
        keys = [key for key in KEYS if key.scope == scope]
        if keys:
            heading(where)
            lines.extend(
                [Segment(f"  {shown(key, keymap):<18}", palette.key), Segment(key.help)] for key in keys
            )
    heading("mouse")
    lines.append(
        [Segment("  click rows and bytes, drag to mark bytes, drag the lines between panes, wheel scrolls")]
    )
    for topic, entries in (("search", SEARCH), ("filter", FILTER), ("clipboard", CLIPBOARD)):
        heading(topic)
        lines.extend([Segment(f"  {sign:<18}", palette.note), Segment(text)] for sign, text in entries)
    heading("signs")
    lines.extend([Segment(f"  {sign:<18}", palette.note), Segment(text)] for sign, text in _SIGNS)
    heading("cells of the map")
    lines.extend([Segment("  "), Segment(f"{c.glyph:<18}", palette.cells[c]), Segment(c.word)] for c in Cell)
    heading("tints of the hex pane")
    for role in Role:
        style = palette.roles[role]
        lines.append([Segment("  "), Segment(f"{'00 7f':<18}", style), Segment(role.name.lower())])
    return lines
