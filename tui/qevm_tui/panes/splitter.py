"""The line between two panes; dragging it resizes them."""

from __future__ import annotations

from rich.segment import Segment
from textual import events
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from qevm_tui.palette import Palette


class Splitter(Widget):
    """A vertical rule.  Posts :class:`Dragged` while the mouse drags it."""

    ALLOW_SELECT = False

    class Dragged(Message):
        """The splitter wants to be at this column (or row) of the screen."""

        def __init__(self, splitter: Splitter, x: int, y: int) -> None:
            super().__init__()
            self.splitter = splitter
            self.x = x
            self.y = y

    def __init__(self, palette: Palette, *, id: str) -> None:  # noqa: A002 - Textual's own name
        super().__init__(id=id)
        self._palette = palette

    def render_line(self, y: int) -> Strip:
        sign = "┬" if y == 0 else "│"
        return Strip([Segment(sign, self._palette.rule)], 1)

    def on_mouse_down(self, event: events.MouseDown) -> None:
        self.capture_mouse()
        event.stop()

    def on_mouse_move(self, event: events.MouseMove) -> None:
        if self.app.mouse_captured is self:
            self.post_message(self.Dragged(self, int(event.screen_x), int(event.screen_y)))

    def on_mouse_up(self, event: events.MouseUp) -> None:
        if self.app.mouse_captured is self:
            self.release_mouse()
        event.stop()
