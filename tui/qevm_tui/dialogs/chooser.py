"""Choose one row of a table: a snapshot, a stream."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from textual import events, on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.message import Message

from qevm.safetext import safe
from qevm_tui.dialogs.base import Dialog, Line, frame
from qevm_tui.keys import bindings
from qevm_tui.palette import Palette
from qevm_tui.panes.columns import RowText
from qevm_tui.panes.line_pane import ListPane

_LONGEST = 40


class Table(ListPane):
    """Rows of text in columns; all of it may come from a capture."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("list")]

    class Chosen(Message):
        """Enter or a click on a row."""

        def __init__(self, row: int) -> None:
            super().__init__()
            self.row = row

    def __init__(self, headings: Sequence[str], rows: Sequence[Sequence[str]], palette: Palette) -> None:
        super().__init__(palette, id="table")
        self._headings = list(headings)
        self._rows = [[safe(cell, _LONGEST) for cell in row] for row in rows]
        cells = [self._headings, *self._rows]
        self._widths = [max(cell_len(row[i]) for row in cells) for i in range(len(self._headings))]

    @property
    def wanted_width(self) -> int:
        """Columns for everything."""
        return sum(self._widths) + 2 * len(self._widths) + 2

    @property
    def row_count(self) -> int:
        return len(self._rows)

    def title(self) -> str:
        cells = zip(self._headings, self._widths, strict=True)
        return "  ".join(cell.ljust(width) for cell, width in cells).rstrip()

    def render_row(self, row: int, width: int) -> list[Segment]:
        text = RowText(width, self.cursor_style(row))
        text.add("> " if row == self.cursor_row else "  ")
        for cell, room in zip(self._rows[row], self._widths, strict=True):
            text.add(cell)
            text.add(" " * (room - cell_len(cell) + 2))
        return text.segments()

    def action_choose(self) -> None:
        """Choose the row under the cursor."""
        self.post_message(self.Chosen(self.cursor_row))

    def action_unfold(self) -> None:
        """Nothing opens here."""

    def action_fold(self) -> None:
        """Nothing closes here."""

    def row_pressed(self, row: int, x: int, event: events.MouseDown) -> None:
        self.put_cursor(row)
        self.action_choose()


class ChooserDialog(Dialog[int]):
    """A table; returns the number of the chosen row."""

    def __init__(
        self,
        title: str,
        headings: Sequence[str],
        rows: Sequence[Sequence[str]],
        palette: Palette,
        first: int = 0,
    ) -> None:
        super().__init__(palette)
        self._title = title
        self.table = Table(headings, rows, palette)
        self.table.cursor_row = first

    def compose(self) -> ComposeResult:
        self.table.styles.height = min(16, self.table.row_count + 1)
        box = frame(
            f" {self._title} ", self.table, Line("Enter opens   Esc closes", self.palette.dim, id="answer")
        )
        box.styles.width = max(40, min(self.table.wanted_width + 5, self.app.size.width))
        yield box

    def on_mount(self) -> None:
        self.table.focus()

    @on(Table.Chosen)
    def _chosen(self, message: Table.Chosen) -> None:
        self.dismiss(message.row)
