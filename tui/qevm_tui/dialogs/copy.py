"""Copy: a small menu of forms, each with what would be copied."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.segment import Segment
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.message import Message

from qevm.problems import QevmError
from qevm.safetext import safe
from qevm_tui.copy_forms import Form
from qevm_tui.dialogs.base import Dialog, frame
from qevm_tui.keys import bindings
from qevm_tui.palette import Palette
from qevm_tui.panes.columns import RowText
from qevm_tui.panes.line_pane import ListPane

_PREVIEW = 60


class FormList(ListPane):
    """The forms: a letter, a name, the begin of the text."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("list")]

    class Chosen(Message):
        """The user wants the form under the cursor."""

    def __init__(self, entries: Sequence[Form], palette: Palette) -> None:
        super().__init__(palette, id="forms")
        self._entries = entries
        self._previews = [_preview(form) for form in entries]

    @property
    def row_count(self) -> int:
        return len(self._entries)

    def title(self) -> str:
        return "copy as"

    def chosen(self) -> Form:
        """The form under the cursor."""
        return self._entries[self.cursor_row]

    def render_row(self, row: int, width: int) -> list[Segment]:
        form, (preview, bad) = self._entries[row], self._previews[row]
        text = RowText(width, self.cursor_style(row))
        text.add(f" {form.key} ", self.palette.key)
        text.add(f" {form.name}")
        text.pad_to(18)
        text.add(preview, self.palette.problem if bad else self.palette.dim)
        return text.segments()

    def action_choose(self) -> None:
        self.post_message(self.Chosen())

    def row_pressed(self, row: int, x: int, event: events.MouseDown) -> None:
        self.put_cursor(row)
        self.post_message(self.Chosen())


class CopyMenu(Dialog[Form]):
    """A letter, Enter or a click chooses; Escape closes."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("Y,q", "dismiss(None)", "close", show=False)]

    def __init__(self, entries: Sequence[Form], palette: Palette) -> None:
        super().__init__(palette)
        self._entries = entries

    def compose(self) -> ComposeResult:
        body = FormList(self._entries, self.palette)
        body.styles.height = len(self._entries) + 1
        yield frame(" copy to the clipboard ", body)

    def on_mount(self) -> None:
        self.query_one(FormList).focus()

    def on_key(self, event: events.Key) -> None:
        for form in self._entries:
            if event.key == form.key:
                event.stop()
                self.dismiss(form)
                return

    def on_form_list_chosen(self) -> None:
        self.dismiss(self.query_one(FormList).chosen())


def _preview(form: Form) -> tuple[str, bool]:
    """The begin of the text in one harmless line, or why there is none."""
    try:
        text = form.text()
    except QevmError as error:
        return safe(str(error)), True
    return safe(" ".join(text[: 4 * _PREVIEW].split()), _PREVIEW), False
