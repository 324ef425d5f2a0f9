"""Bookmarks in the app: made at the cursor, listed, kept for the capture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from qevm.bookmarks import Bookmark, Bookmarks, BookmarksError, bookmark_at, place_of
from qevm.problems import QevmError
from qevm_tui.explorer import Explorer

if TYPE_CHECKING:
    from qevm_tui.palette import Palette

Then = Callable[[Bookmarks, list[Bookmark]], None]


class Bookmarking(Explorer):
    """Adds bookmarks to the explorer."""

    palette: Palette

    def action_bookmark(self) -> None:
        """Keep the place under the cursor, with a note."""
        if self.selection.source is not None:
            self.say("bookmarks are kept for bytes of the stream, not of the file around it")
        else:
            self._with_bookmarks(self._ask_note)

    def action_bookmarks(self) -> None:
        """List the bookmarks of this capture."""
        self._with_bookmarks(self._list)

    def _with_bookmarks(self, then: Then) -> None:
        # Knowing the capture again reads samples of it, which takes long where it lies far away.
        self.key_waits()
        self.run_worker(partial(self._load, then), thread=True, group="bookmarks", exclusive=True)

    def _load(self, then: Then) -> None:
        try:
            kept = Bookmarks.of(self.capture)
        except QevmError as error:
            self.call_from_thread(self.say, str(error), bad=True)
            self.call_from_thread(self.key_done)
            return
        try:
            marks = kept.load()
        except BookmarksError as error:
            self.call_from_thread(self.say, str(error), bad=True)
            marks = []
        self.call_from_thread(then, kept, marks)
        self.call_from_thread(self.key_done)

    def _ask_note(self, kept: Bookmarks, marks: list[Bookmark]) -> None:
        from qevm_tui.dialogs.bookmarks import NotePrompt

        offset = self.selection.cursor
        before = next((mark for mark in marks if mark.offset == offset), None)

        def noted(note: str | None) -> None:
            if note is None:
                return
            try:
                kept.put(bookmark_at(self.capture, offset, note))
            except BookmarksError as error:
                self.say(str(error), bad=True)
            else:
                self.say(f"bookmark at 0x{offset:x} kept; ' lists them")

        note = "" if before is None else before.note
        place = f"0x{offset:x} {self.place_words()}"
        self.push_screen(NotePrompt(self.palette, note, place), noted)

    def _list(self, kept: Bookmarks, marks: list[Bookmark]) -> None:
        from qevm_tui.dialogs.bookmarks import BookmarksDialog

        def change(mark: Bookmark, note: str | None) -> tuple[Sequence[Bookmark], str]:
            nonlocal marks
            try:
                marks = kept.remove(mark.offset) if note is None else kept.put(replace(mark, note=note))
            except BookmarksError as error:
                return marks, str(error)
            return marks, ""

        def chosen(mark: Bookmark | None) -> None:
            if mark is None:
                return
            self.count_in(None)
            self.go_to_offset(place_of(self.capture, mark))
            if mark.note:
                self.say(mark.note)

        self.push_screen(BookmarksDialog(marks, change, self.palette), chosen)
