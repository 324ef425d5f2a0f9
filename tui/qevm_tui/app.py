"""The app: three panes over one capture.  What it does stands in the classes it is made of, by topic."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.command import CommandPalette
from textual.containers import Container

from qevm.problems import QevmError
from qevm.section import Section
from qevm_tui import moves
from qevm_tui.another_stream import AnotherStream
from qevm_tui.keys import bindings
from qevm_tui.palette import palette_for
from qevm_tui.panes.bars import KeyFooter
from qevm_tui.panes.splitter import Splitter
from qevm_tui.selection import Selection
from qevm_tui.theme import QEVM_DARK
from qevm_tui.words import problem_text

if TYPE_CHECKING:
    from textual.driver import Driver

    from qevm.capture import Capture
    from qevm_tui.questions import Questions


class QevmApp(AnotherStream):
    """Explores one opened capture.  The app owns the selection; panes ask by messages to change it."""

    CSS_PATH = "app.tcss"
    TITLE = "qevm"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("app")]

    def __init__(self, capture: Capture, *, walk: bool = True, questions: Questions | None = None) -> None:
        # The terminal's own colours, also where NO_COLOR takes them away.
        super().__init__(ansi_color=True)
        self.animation_level = "none"
        self.register_theme(QEVM_DARK)
        self.theme = QEVM_DARK.name
        self.show_capture(capture, palette_for(self.console.color_system, self.no_color))
        self.begin_arranging()
        self.begin_walking(questions)
        self.first_words = ""
        """Why what the user wanted before this could not be opened."""
        self._walk_wanted = walk

    def get_driver_class(self) -> type[Driver]:
        from qevm_tui.thin_line import thin_driver

        return thin_driver(super().get_driver_class())

    # -- composition ------------------------------------------------------------------------------

    def compose(self) -> ComposeResult:
        palette = self.palette
        yield self.header_bar
        with Container(id="panes"):
            yield self.tree_pane
            yield Splitter(palette, id="split-tree")
            with Container(id="right"):
                yield self.hex_pane
                yield Splitter(palette, id="split-hex")
                yield self.detail_pane
        yield self.status_bar
        yield KeyFooter(palette)

    def on_mount(self) -> None:
        try:
            # One step of the walk, some milliseconds: the first screen shows sections, not a blank.
            next(self.capture.walk(), None)
        except QevmError as error:
            self.say(str(error), bad=True)
        self._take_in()
        self.arrange()
        self.tree_pane.focus()
        first = self.capture.index[0] if len(self.capture.index) else None
        if first is not None:
            self.select(Selection(first, cursor=first.offset, start=first.offset, end=first.end), jump=True)
        else:
            self._show_bars()
        if self._walk_wanted and not self.capture.complete:
            self.call_after_refresh(self.start_walk)
        self.start_watching()
        if self.first_words:
            self.say(self.first_words, bad=True)

    # -- moving -----------------------------------------------------------------------------------

    def action_chain_start(self) -> None:
        """To the START of the chain."""
        self.go(partial(moves.chain_start, self.capture, self.selection.section), "the START")

    def action_chain_end(self) -> None:
        """To the END of the chain."""
        self.go(partial(moves.chain_end, self.capture, self.selection.section), "the END")

    def action_chunk(self, step: int) -> None:
        """To the next or previous chunk of the chain."""
        self.go(partial(moves.chunk, self.capture, self.selection.section, step), "the next chunk")

    def action_next_problem(self) -> None:
        """To the next problem, and say what it is."""
        found = self.problems.after(self.selection.cursor)
        if found is None:
            self.say("no problems" if self.capture.complete else "no problems so far")
            return
        problem, number = found
        self.select_offset(problem.offset, jump=True)
        self.say(f"problem {number} of {len(self.problems)}: {problem_text(problem)}", bad=True)

    async def action_back(self) -> None:
        """Back to where one was."""
        self._revisit(self.history.back(), "nothing to go back to")

    def action_forward(self) -> None:
        """Forward again."""
        self._revisit(self.history.forward(), "nothing to go forward to")

    def _revisit(self, place: Selection | None, nowhere: str) -> None:
        if place is None:
            self.say(nowhere)
        else:
            self.select(place, visit=False)
            self._confirm_selection()

    # -- dialogs ----------------------------------------------------------------------------------

    def action_jump(self) -> None:
        """Ask for a device."""
        from qevm_tui.dialogs.jump import JumpDialog

        def jump(chosen: tuple[str, int] | None) -> None:
            if chosen is not None:
                self.go(partial(moves.device, self.capture, *chosen), "the device")

        self.push_screen(JumpDialog(self.capture, self.palette), jump)

    def action_goto(self) -> None:
        """Ask for an offset."""
        from qevm_tui.dialogs.goto import GotoDialog

        def goto(offset: int | None) -> None:
            if offset is None:
                return
            self.select_offset(offset, jump=True)
            self.focus_pane("hex")
            here = self.selection
            if here.section is None and here.part is None and not self.capture.complete:
                self.go(lambda: self._section_under(offset), f"the section at 0x{offset:x}")

        self.push_screen(GotoDialog(self.selection.cursor, self.source.size, self.palette), goto)

    def _section_under(self, offset: int) -> Section | None:
        """For a goto ahead of the walk: when the section is known, the cursor stays on its byte."""
        section = moves.section_of(self.capture, offset)
        if section is not None:
            self._waiting = None
            self.select_offset(offset)
            raise moves.NowhereError(f"0x{offset:x} is indexed now")
        return None

    def action_export(self) -> None:
        """Ask what to export and where to."""
        from qevm_tui.dialogs.export import ExportDialog

        def done(text: str | None) -> None:
            if text:
                self.say(text)

        if self.selection.section is None:
            self.say("no section is selected")
        else:
            self.push_screen(ExportDialog(self.capture, self.selection, self.palette), done)

    def action_copy(self) -> None:
        """Copy the selected bytes as hexdump text."""
        from qevm_tui.clipboard import TooMuchError, clipboard_text

        try:
            text = clipboard_text(self.capture, self.selection)
        except (TooMuchError, QevmError) as error:
            self.say(str(error), bad=True)
            return
        self.copy_to_clipboard(text)
        self.say(f"copied {self.selection.size:,} bytes as hexdump text (OSC 52; the terminal must allow it)")

    def action_help(self) -> None:
        """Every key."""
        from qevm_tui.dialogs.help import HelpDialog

        self.push_screen(HelpDialog(self.palette))

    def action_command_palette(self) -> None:
        """Every action and every device."""
        from qevm_tui.dialogs.palette import QevmPalette

        if not isinstance(self.screen, CommandPalette):
            self.push_screen(QevmPalette())

    # -- the rest ---------------------------------------------------------------------------------

    def action_cancel(self) -> None:
        """Stop waiting; else drop the marked bytes; else stop unpacking; else stop the walk."""
        if self._waiting is not None:
            self._waiting = None
            self.say("cancelled")
        elif self.hex_pane.stop_marking() or self.selection.marked:
            self.select_offset(self.selection.cursor)
        elif not self.stop_unpacking() and self.doing.walk is not None and self.doing.walk.running:
            self._walk.stop()
