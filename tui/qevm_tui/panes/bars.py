"""The lines above and below the panes: the capture, where one is, and the keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.strip import Strip
from textual.widget import Widget

from qevm_tui import keys
from qevm_tui.palette import Palette
from qevm_tui.panes.columns import RowText

Span = tuple[str, Style | None]


class Bar(Widget):
    """One line of text: spans from the left and spans at the right edge, which win when room is short."""

    ALLOW_SELECT = False

    def __init__(self, palette: Palette, *, id: str) -> None:  # noqa: A002 - Textual's own name
        super().__init__(id=id)
        self.palette = palette
        self._left: list[Span] = []
        self._right: list[Span] = []

    def put(self, left: list[Span], right: list[Span] | None = None) -> None:
        """Show these; nothing is painted when they are what is shown."""
        right = right or []
        if (left, right) != (self._left, self._right):
            self._left, self._right = left, right
            self.refresh()

    @property
    def plain(self) -> str:
        """The text without styles."""
        return "".join(text for text, _ in [*self._left, *self._right])

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        right_width = sum(cell_len(text) for text, _ in self._right)
        text = RowText(width)
        room = width - right_width - 1 if right_width else width
        for span, style in self._left:
            text.add(span, style, room - (width - text.left))
        text.pad_to(width - right_width)
        for span, style in self._right:
            text.add(span, style)
        text.pad_to(width)
        return Strip(text.segments(), width)


class KeyFooter(Widget):
    """The most wanted keys.  Each can be clicked."""

    ALLOW_SELECT = False

    def __init__(self, palette: Palette, keymap: Mapping[str, str]) -> None:
        super().__init__(id="keys")
        self.palette = palette
        self._keymap = keymap
        self._spans: list[tuple[int, int, str]] = []

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        segments: list[Segment] = [Segment(" ")]
        used = 1
        self._spans = []
        shown = [replace(key, shown=keys.shown(key, self._keymap)) for key in keys.footer()]
        words = {key.name: key.footer for key in shown}
        # The two keys for chunks share one word.
        total = 1 + sum(
            len(k.shown) + 1 + (len(words[k.name]) + 2 if words[k.name].strip() else 0) for k in shown
        )
        drop = ("inspector", "map", "zoom", "tree-mode", "copy", "problem", "goto", "end", "start")
        for name in drop:
            if total <= width:
                break
            key = next(k for k in shown if k.name == name)
            shown.remove(key)
            total -= len(key.shown) + 3 + len(key.footer)
        for key in shown:
            text = key.footer
            label = {"previous-chunk": "", "next-chunk": words["previous-chunk"]}.get(key.name, text)
            cell = f"{key.shown} {label}  " if label else f"{key.shown} "
            if used + len(cell.rstrip()) > width:
                break
            self._spans.append((used, used + len(cell), key.action))
            segments.append(Segment(key.shown, self.palette.key))
            segments.append(Segment(cell[len(key.shown) :], self.palette.dim))
            used += len(cell)
        strip = Strip(segments, used)
        return strip.adjust_cell_length(width)

    async def on_click(self, event: events.Click) -> None:
        for start, end, action in self._spans:
            if start <= event.x < end:
                await self.app.run_action(action)
                return
