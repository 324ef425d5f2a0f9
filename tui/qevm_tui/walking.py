"""All that happens by itself: the walk, bytes that still arrive, a file that changes."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from textual import on
from textual.message import Message

from qevm.containers import Progress as Unpacking
from qevm.problems import QevmError
from qevm.section import Section
from qevm_tui import moves
from qevm_tui.arranging import Arranging
from qevm_tui.questions import Question, Questions
from qevm_tui.watch import FileWatch
from qevm_tui.words import plural
from qevm_tui.worker import Progress, Walk

WATCH_EVERY = 2.0


class WalkReport(Message):
    """The walk says how far it is (posted from its thread)."""

    def __init__(self, progress: Progress) -> None:
        super().__init__()
        self.progress = progress


class QuestionAsked(Message):
    """A thread asks the user something (posted from that thread)."""


class Walking(Arranging):
    """Takes in what the walk finds and what happens to the file."""

    def begin_walking(self, questions: Questions | None) -> None:
        """Make the walk; called once, before the app runs."""
        self.questions = questions or Questions()
        self._walk = Walk(self.capture, self._report)
        self._generation = self.capture.generation
        self._was_growing = self.capture.growing
        self._watch = FileWatch(self.parts.source)

    def start_walk(self) -> None:
        """Walk on in the background."""
        self.run_worker(self._walk.run, thread=True, group="walk")

    def start_watching(self) -> None:
        """Look after the file and after questions of other threads."""
        if self._watch.watches:
            self.set_interval(WATCH_EVERY, self.look_at_file)
        self.questions.listen(self._tell_of_question)

    def _tell_of_question(self) -> None:
        self.post_message(QuestionAsked())

    def _report(self, progress: Progress) -> None:
        self.post_message(WalkReport(progress))

    def on_unmount(self) -> None:
        self.questions.abandon()
        self._walk.stop()

    def on_key(self) -> None:
        self._walk.make_way()

    @on(WalkReport)
    def _walk_reported(self, message: WalkReport) -> None:
        progress = message.progress
        self.doing.walk = progress
        self.doing.unpacking = self._unpacking()
        self._take_in()
        self._confirm_selection()
        self._try_waiting()
        if progress.error:
            self.say(progress.error, bad=True)
        elif progress.reread is not None:
            self._say_reread(progress.reread)
        elif progress.complete:
            self._walk_done()
        self._show_bars()

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
        self._show_bars()

    def _take_in(self) -> None:
        """Show what the walk has found since the last time."""
        anew = self._generation != self.capture.generation or self._was_growing != self.capture.growing
        if anew:
            self._generation = self.capture.generation
            self._was_growing = self.capture.growing
            self.forget_decoded()
            self.hex_pane.reread()
        self.problems.update()
        self.tree_pane.grown()
        self.hex_pane.grown()
        self.detail_pane.grown()
        if self.hex_pane.digits_changed():
            self.arrange()
        if anew:
            self._show()

    def _confirm_selection(self) -> None:
        """The selected section may have become known better: located → walked, open end → end."""
        here = self.selection
        if here.source is not None or here.part is not None:
            return
        size = self.capture.source.size
        if here.cursor >= size > 0 and not self.capture.growing:
            # The file was cut and read again.
            self.select_offset(size - 1)
            return
        found = self._known_now(here.section, here.cursor)
        if found is not None and found != here.section:
            self.selection = replace(here, section=found)
            self._show()

    def _known_now(self, section: Section | None, cursor: int) -> Section | None:
        index = self.capture.index
        if section is None:
            return self.capture.section_at(cursor)
        if 0 <= section.index < len(index):
            found = index[section.index]
            if found.offset == section.offset:
                return found
        # Located from the tail till now, or counted in a walk before this one.
        row = index.at(section.offset)
        return None if row is None else index[row]

    # -- waiting for what is not indexed yet ------------------------------------------------------

    def go(self, move: moves.Move, what: str) -> None:
        """Go where ``move`` leads, waiting for the walk when only that can tell."""
        self._waiting = (f"waiting for {what}", move)
        if not self._try_waiting() and not self.capture.complete:
            self._show_bars()
            if self.doing.walk is None or not self.doing.walk.running:
                self.start_walk()

    def _try_waiting(self) -> bool:
        if self._waiting is None:
            return False
        try:
            section = self._waiting[1]()
        except moves.NowhereError as reason:
            self._waiting = None
            self.say(str(reason))
            return True
        if section is None:
            return False
        self._waiting = None
        self.select_section(section)
        return True

    # -- the file ---------------------------------------------------------------------------------

    def look_at_file(self) -> None:
        """Say so when the file was cut, deleted or replaced, or has grown without being followed."""
        words = self._watch.look()
        walk = self.doing.walk
        if words and not (self.capture.follow and walk is not None and walk.running):
            self.say(words, bad="grown" not in words)

    def action_reread(self) -> None:
        """Read the file again, and go on with a stopped walk."""
        self.forget_decoded()
        self.hex_pane.reread()
        self._show()
        self._walk.stop()
        self.run_worker(partial(self._walk.run, reread=True), thread=True, group="walk")

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
