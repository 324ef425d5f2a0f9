"""The base of the three panes: a title, rows that are made only when seen, and a scrollbar.

A pane of a 100 GB capture has billions of rows.  Textual's ScrollView would do for the numbers, but it
repaints its scrollbar and itself on each step; here a cursor that moves repaints two rows.
"""

from __future__ import annotations

from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from qevm.problems import QevmError
from qevm.safetext import safe
from qevm_tui.palette import Palette
from qevm_tui.panes.columns import fit

WHEEL_ROWS = 3


class LinePane(Widget, can_focus=True):
    """Rows numbered from 0, the first of them in view being ``top``.

    A pane says how many rows it has (:attr:`row_count`), what its title is and how a row looks; the last
    column belongs to the scrollbar.
    """

    ALLOW_SELECT: ClassVar[bool] = False

    def __init__(self, palette: Palette, *, id: str) -> None:  # noqa: A002 - Textual's own name
        super().__init__(id=id)
        self.palette = palette
        self.top = 0
        self._thumb_grab: tuple[int, int] | None = None

    @property
    def row_count(self) -> int:
        """How many rows there are."""
        raise NotImplementedError

    def title(self) -> str:
        """What the pane shows now, as plain text that is safe for a terminal."""
        raise NotImplementedError

    def render_row(self, row: int, width: int) -> list[Segment]:
        """The segments of one row, at most ``width`` cells together."""
        raise NotImplementedError

    def row_pressed(self, row: int, x: int, event: events.MouseDown) -> None:
        """A mouse button went down on a row."""

    def row_dragged(self, row: int, x: int) -> None:
        """The mouse moved with the button down after :meth:`row_pressed`."""

    # -- geometry ---------------------------------------------------------------------------------

    @property
    def view_height(self) -> int:
        """Rows that fit below the title."""
        return max(1, self.size.height - 1)

    @property
    def view_width(self) -> int:
        """Cells of a row: the pane without its scrollbar."""
        return max(1, self.size.width - 1)

    def _greatest_top(self) -> int:
        return max(0, self.row_count - self.view_height)

    def scroll_rows(self, top: int) -> None:
        """Make ``top`` the first row in view, as far as there are rows."""
        top = min(max(top, 0), self._greatest_top())
        if top != self.top:
            self.top = top
            self.refresh()

    def show_row(self, row: int, context: int = 0) -> None:
        """Scroll no more than needed for ``row`` to be in view; far jumps put it a third from the top."""
        height = self.view_height
        context = min(context, (height - 1) // 2)
        if self.top + context <= row < self.top + height - context:
            return
        if self.top - height < row < self.top + context:
            self.scroll_rows(row - context)
        elif self.top + height - context <= row < self.top + 2 * height:
            self.scroll_rows(row - height + 1 + context)
        else:
            self.scroll_rows(row - height // 3)

    def refresh_row(self, row: int) -> None:
        """Repaint one row if it is in view."""
        y = row - self.top
        if 0 <= y < self.view_height:
            self.refresh(Region(0, y + 1, self.size.width, 1))

    def refresh_title(self) -> None:
        """Repaint the title."""
        self.refresh(Region(0, 0, self.size.width, 1))

    def on_resize(self) -> None:
        self.top = min(self.top, self._greatest_top())

    # -- drawing ----------------------------------------------------------------------------------

    def render_line(self, y: int) -> Strip:
        if y == 0:
            return self._title_strip()
        width = self.view_width
        row = self.top + y - 1
        segments = self._segments(row, width) if row < self.row_count else []
        strip = Strip(segments)
        strip = strip.adjust_cell_length(width)
        bar = Segment("┃", self.palette.accent if self.has_focus else self.palette.rule)
        return Strip([*strip, bar if self._is_thumb(y - 1) else Segment(" ")], width + 1)

    def _segments(self, row: int, width: int) -> list[Segment]:
        try:
            return self.render_row(row, width)
        except QevmError as error:
            # Rows are made from the file when they are seen, and the file can change.
            return [Segment(fit(f" ! {safe(str(error))}", width), self.palette.problem)]

    def _title_strip(self) -> Strip:
        width = self.size.width
        rule, style = ("━", self.palette.accent) if self.has_focus else ("─", self.palette.rule)
        text = self.title()
        room = max(0, width - 4)
        if len(text) > room:
            text = text[: max(0, room - 1)] + "…"
        title_style = self.palette.accent + Style(bold=True) if self.has_focus else self.palette.text
        strip = Strip([Segment(rule, style), Segment(f" {text} ", title_style)])
        legend = self.legend(width - strip.cell_length - 2)
        end = [*legend, Segment(rule, style)] if legend else []
        room = max(0, width - strip.cell_length - Segment.get_line_length(end))
        return Strip([*strip, Segment(rule * room, style), *end]).adjust_cell_length(width)

    def legend(self, room: int) -> list[Segment]:
        """What stands at the right of the title, in at most ``room`` cells."""
        return []

    def _thumb(self) -> tuple[int, int]:
        height, count = self.view_height, self.row_count
        if count <= height:
            return 0, 0
        length = max(1, height * height // count)
        greatest = self._greatest_top()
        return (height - length) * self.top // greatest, length

    def _is_thumb(self, y: int) -> bool:
        first, length = self._thumb()
        return first <= y < first + length

    # -- focus and mouse --------------------------------------------------------------------------

    def on_focus(self) -> None:
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self.scroll_rows(self.top + WHEEL_ROWS)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self.scroll_rows(self.top - WHEEL_ROWS)

    def on_mouse_down(self, event: events.MouseDown) -> None:
        if event.y == 0:
            return
        self.capture_mouse()
        if event.x >= self.view_width:
            first, length = self._thumb()
            if not length:
                return
            inside = event.y - 1 - first
            self._thumb_grab = (min(max(inside, 0), length - 1), length)
            self._drag_thumb(event.y - 1)
            return
        row = self.top + event.y - 1
        if row < self.row_count:
            self.row_pressed(row, event.x, event)

    def on_mouse_move(self, event: events.MouseMove) -> None:
        if self.app.mouse_captured is not self:
            return
        if self._thumb_grab is not None:
            self._drag_thumb(event.y - 1)
            return
        y = event.y - 1
        if y < 0:
            self.scroll_rows(self.top - 1)
        elif y >= self.view_height:
            self.scroll_rows(self.top + 1)
        row = self.top + min(max(y, 0), self.view_height - 1)
        self.row_dragged(min(row, max(self.row_count - 1, 0)), event.x)

    def on_mouse_up(self, event: events.MouseUp) -> None:
        if self.app.mouse_captured is self:
            self.release_mouse()
        self._thumb_grab = None

    def _drag_thumb(self, y: int) -> None:
        if self._thumb_grab is None:
            return
        inside, length = self._thumb_grab
        travel = max(1, self.view_height - length)
        place = min(max(y - inside, 0), travel)
        self.scroll_rows(self._greatest_top() * place // travel)


class ListPane(LinePane):
    """A pane with a cursor that is a whole row."""

    def __init__(self, palette: Palette, *, id: str) -> None:  # noqa: A002 - Textual's own name
        super().__init__(palette, id=id)
        self.cursor_row = 0
        self._former_height = 0

    def on_resize(self) -> None:
        was_in_view = self.top <= self.cursor_row < self.top + self._former_height
        self._former_height = self.view_height
        super().on_resize()
        if was_in_view:
            self.show_row(self.cursor_row)

    def cursor_moved(self) -> None:
        """The user moved the cursor to another row."""

    def put_cursor(self, row: int) -> None:
        """Move the cursor without telling :meth:`cursor_moved`."""
        row = min(max(row, 0), max(self.row_count - 1, 0))
        if row != self.cursor_row:
            self.refresh_row(self.cursor_row)
            self.cursor_row = row
            self.refresh_row(row)
        self.show_row(row)

    def move_cursor(self, row: int) -> None:
        """Move the cursor as a user does."""
        before = self.cursor_row
        self.put_cursor(row)
        if self.cursor_row != before:
            self.cursor_moved()

    def action_step(self, rows: int) -> None:
        """Move by rows."""
        self.move_cursor(self.cursor_row + rows)

    def action_page(self, pages: int) -> None:
        """Move by pages; the view moves by as much."""
        rows = pages * max(1, self.view_height - 1)
        self.scroll_rows(self.top + rows)
        self.move_cursor(self.cursor_row + rows)

    def action_edge(self, side: int) -> None:
        """Move to the first (-1) or last (1) row."""
        self.move_cursor(0 if side < 0 else self.row_count - 1)

    def cursor_style(self, row: int) -> Style | None:
        """What is laid over the cells of ``row``; None where the cursor is not."""
        if row != self.cursor_row:
            return None
        return self.palette.cursor if self.has_focus else self.palette.cursor_away
