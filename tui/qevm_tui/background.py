"""What happens by itself: bytes that still arrive, a file that changes, questions of other threads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual import on
from textual.message import Message

from qevm.containers import Progress as Unpacking
from qevm.problems import QevmError
from qevm_tui.explorer import Explorer
from qevm_tui.questions import Question, Questions
from qevm_tui.watch import FileWatch
from qevm_tui.words import plural
from qevm_tui.worker import Progress

if TYPE_CHECKING:
    from qevm.capture import Capture
    from qevm_tui.palette import Palette

WATCH_EVERY = 2.0


class QuestionAsked(Message):
    """A thread asks the user something (posted from that thread)."""


class Background(Explorer):
    """Tells what goes on, and asks for those who cannot."""

    palette: Palette

    def __init__(self, capture: Capture, questions: Questions | None = None) -> None:
        super().__init__(capture)
        self.questions = questions or Questions()
        self._watch = FileWatch(self.parts.source)

    def start_watching(self) -> None:
        """Look after the file and after questions of other threads."""
        if self._watch.watches:
            self.set_interval(WATCH_EVERY, self.look_at_file)
        self.questions.listen(self._tell_of_question)

    def _tell_of_question(self) -> None:
        self.post_message(QuestionAsked())

    def on_unmount(self) -> None:
        """Nobody can answer any more."""
        self.questions.abandon()

    # -- the walk ---------------------------------------------------------------------------------

    def reported(self, progress: Progress) -> None:
        """Say what came of it."""
        self.doing.unpacking = self._unpacking()
        if progress.reread is not None:
            self.doing.next_known = self.doing.next_known and not progress.reread
            self._say_reread(progress.reread)
        if progress.complete:
            self._walk_done()

    def _unpacking(self) -> Unpacking | None:
        """How far the unpacking is; None when there is none, or no more."""
        opened = self.capture.opened
        if opened is None or opened.unpacking is None or not self.capture.growing:
            return None
        return opened.unpacking.progress()

    def _say_reread(self, changed: bool) -> None:
        size = f"{self.capture.source.size:,} bytes"
        self.say(f"read again: {size} now, indexing anew" if changed else f"read again: {size} as before")

    def _walk_done(self) -> None:
        capture = self.capture
        if capture.follow and not self.doing.followed:
            self.doing.followed = True
            sections = plural(len(capture.index), "section")
            self.say(f"the stream is complete: {capture.source.size:,} bytes, {sections}")
        if capture.opened is not None and not self.doing.next_known:
            self.doing.next_known = True
            self.run_worker(self._look_for_next, thread=True, group="next")

    def _look_for_next(self) -> None:
        try:
            base = self.capture.next_stream
        except QevmError:
            return
        if base is not None:
            self.call_from_thread(self._next_found, base)

    def _next_found(self, base: int) -> None:
        self.doing.next_stream = base
        self.show_bars()

    # -- the file ---------------------------------------------------------------------------------

    def look_at_file(self) -> None:
        """Say so when the file was cut, deleted or replaced, or has grown without being followed."""
        words = self._watch.look()
        walk = self.doing.walk
        if words and not (self.capture.follow and walk is not None and walk.running):
            self.say(words, bad="grown" not in words)

    def stop_unpacking(self) -> bool:
        """Cancel what is being unpacked or read from a pipe; whether there was anything."""
        if self.capture.opened is None or not self.capture.growing:
            return False
        for unpacking in self.capture.opened.container.unpacking:
            unpacking.cancel()
        self.say("stopped: what has been unpacked so far stays here")
        return True

    # -- questions of other threads ---------------------------------------------------------------

    @on(QuestionAsked)
    def _question_asked(self) -> None:
        question = self.questions.take()
        if question is not None:
            self.ask(question)

    def ask(self, question: Question) -> None:
        """Show the dialog of ``question``."""
        self.push_screen(question.dialog(self.palette), question.answer)
