"""Bookmarks: the prompt for a note, and the list to jump from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from rich.segment import Segment
from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import Input

from qevm.bookmarks import LONGEST_NOTE, Bookmark
from qevm.safetext import safe
from qevm_tui.dialogs.base import Dialog, Line, frame
from qevm_tui.dialogs.prompt import Prompt
from qevm_tui.keys import bindings
from qevm_tui.palette import Palette
from qevm_tui.panes.columns import RowText
from qevm_tui.panes.line_pane import ListPane
from qevm_tui.words import plural

_KEYS = "Enter jumps · e edits the note · Del removes · Esc closes"


class NotePrompt(Prompt[str]):
    """Asks for the note of a bookmark; Enter keeps it, also without a note."""

    def __init__(self, palette: Palette, note: str, place: str) -> None:
        super().__init__(palette, " m", note, "a note, or nothing")
        self._place = place

    def on_mount(self) -> None:
        self.answer(f"bookmark at {self._place} · Enter keeps, Esc does not")

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.dismiss(event.value.strip()[:LONGEST_NOTE])


class BookmarkList(ListPane):
    """One row a bookmark: offset, device, note."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("list")]

    class Chosen(Message):
        """The user wants to go to the bookmark under the cursor."""

    def __init__(self, marks: Sequence[Bookmark], palette: Palette) -> None:
        super().__init__(palette, id="bookmarks")
        self._marks = marks

    @property
    def row_count(self) -> int:
        return len(self._marks)

    def title(self) -> str:
        return plural(len(self._marks), "bookmark") if self._marks else "no bookmarks yet: m makes one"

    def show(self, marks: Sequence[Bookmark]) -> None:
        """Show others; the cursor stays in its row."""
        self._marks = marks
        self.cursor_row = min(self.cursor_row, max(0, len(marks) - 1))
        self.scroll_rows(self.top)
        self.refresh()

    def chosen(self) -> Bookmark | None:
        """The bookmark under the cursor."""
        return self._marks[self.cursor_row] if self._marks else None

    def render_row(self, row: int, width: int) -> list[Segment]:
        mark = self._marks[row]
        text = RowText(width, self.cursor_style(row))
        text.add(f" 0x{mark.offset:x}", self.palette.accent)
        text.pad_to(14)
        inside = f"+0x{mark.inside:x}" if mark.inside else ""
        text.add(f" {safe(mark.device)}{inside}" if mark.device else " ", self.palette.dim, 26)
        text.pad_to(41)
        text.add(safe(mark.note))
        return text.segments()

    def action_choose(self) -> None:
        self.post_message(self.Chosen())

    def row_pressed(self, row: int, x: int, event: events.MouseDown) -> None:
        again = row == self.cursor_row
        self.put_cursor(row)
        if again:
            self.post_message(self.Chosen())


class BookmarksDialog(Dialog[Bookmark]):
    """Jump to a bookmark, edit its note, remove it.

    ``change`` keeps a bookmark with another note (None: removes it); it returns all that are there then and
    what went wrong, empty when nothing did.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("e", "edit", "edit the note", show=False),
        Binding("delete,x", "remove", "remove", show=False),
        Binding("apostrophe,q", "dismiss(None)", "close", show=False),
    ]

    def __init__(
        self,
        marks: Sequence[Bookmark],
        change: Callable[[Bookmark, str | None], tuple[Sequence[Bookmark], str]],
        palette: Palette,
    ) -> None:
        super().__init__(palette)
        self._marks = marks
        self._change = change

    def compose(self) -> ComposeResult:
        body = BookmarkList(self._marks, self.palette)
        body.styles.height = max(2, min(len(self._marks) + 1, self.app.size.height - 6))
        yield frame(" bookmarks ", body, Line(_KEYS, self.palette.dim, id="answer"))

    def on_mount(self) -> None:
        self.query_one(BookmarkList).focus()

    def on_bookmark_list_chosen(self) -> None:
        mark = self.query_one(BookmarkList).chosen()
        if mark is not None:
            self.dismiss(mark)

    def action_edit(self) -> None:
        """Ask for another note."""
        mark = self.query_one(BookmarkList).chosen()
        if mark is None:
            return

        def noted(note: str | None) -> None:
            if note is not None:
                self._do(mark, note)

        place = f"0x{mark.offset:x} {safe(mark.device)}"
        self.app.push_screen(NotePrompt(self.palette, mark.note, place), noted)

    def action_remove(self) -> None:
        """Remove the bookmark under the cursor."""
        mark = self.query_one(BookmarkList).chosen()
        if mark is not None:
            self._do(mark, None)

    def _do(self, mark: Bookmark, note: str | None) -> None:
        marks, error = self._change(mark, note)
        self.query_one(BookmarkList).show(marks)
        answer = self.query_one("#answer", Line)
        answer.say(safe(error) or _KEYS, self.palette.problem if error else self.palette.dim)
