"""Go to an offset."""

from __future__ import annotations

from textual import on
from textual.app import ComposeResult
from textual.widgets import Input

from qevm_tui.dialogs.base import Dialog, Line, QuietInput, frame
from qevm_tui.moves import OffsetFormatError, read_offset
from qevm_tui.palette import Palette


class GotoDialog(Dialog[int]):
    """Asks for an offset and says how it is read while one types."""

    def __init__(self, cursor: int, size: int, palette: Palette) -> None:
        super().__init__(palette)
        self._cursor = cursor
        self._end = size

    def compose(self) -> ComposeResult:
        yield frame(
            " go to offset ",
            QuietInput(placeholder="0x1f, 1f: hex · 31: decimal · +0x10, -16: from the cursor"),
            Line(f"the cursor is at 0x{self._cursor:x}", self.palette.dim, id="reading"),
        )

    @on(Input.Changed)
    def _changed(self, event: Input.Changed) -> None:
        line = self.query_one("#reading", Line)
        try:
            offset, how = read_offset(event.value, self._cursor, self._end)
        except OffsetFormatError as error:
            line.say(str(error), self.palette.note)
        else:
            line.say(f"0x{offset:x} = {offset:,}, read as {how}", self.palette.meaning)

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        try:
            offset, _ = read_offset(event.value, self._cursor, self._end)
        except OffsetFormatError as error:
            self.query_one("#reading", Line).say(str(error), self.palette.problem)
        else:
            self.dismiss(offset)
