"""The app: composition, dialogs, and the keys that belong to no pane."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.command import CommandPalette
from textual.containers import Container

from qevm_tui.arranging import Arranging
from qevm_tui.bookmarking import Bookmarking
from qevm_tui.copying import Copying
from qevm_tui.filtering import Filtering
from qevm_tui.finding import Finding
from qevm_tui.keys import bindings
from qevm_tui.panes.bars import KeyFooter
from qevm_tui.panes.splitter import Splitter
from qevm_tui.sizes import STACK_BELOW
from qevm_tui.status import header_spans, status_spans

if TYPE_CHECKING:
    from textual.driver import Driver

    from qevm.capture import Capture
    from qevm_tui.questions import Questions
    from qevm_tui.settings import Settings


class QevmApp(Finding, Filtering, Bookmarking, Copying, Arranging):
    """The explorer with its panes.  No pane knows another one: all show the explorer's selection."""

    CSS_PATH = "app.tcss"
    TITLE = "qevm"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("app")]
    ESCAPE_TO_MINIMIZE = False

    def __init__(
        self,
        capture: Capture,
        *,
        walk: bool = True,
        questions: Questions | None = None,
        settings: Settings | None = None,
    ) -> None:
        """``walk``: index the capture in the background from the start.

        ``questions`` are those that come up where the capture is unpacked.  ``settings`` change as the
        user changes them.
        """
        super().__init__(capture, questions, settings)
        self.first_words = ""
        """What is to be said first: why what the user wanted before this could not be opened."""
        self._walk_wanted = walk
        self.set_keymap(self.settings.keymap)

    def get_driver_class(self) -> type[Driver]:
        from qevm_tui.thin_line import thin_driver

        return thin_driver(super().get_driver_class())

    # -- composition ------------------------------------------------------------------------------

    def compose(self) -> ComposeResult:
        palette = self.palette
        yield self.header_bar
        yield self.map_strip
        with Container(id="panes"):
            yield self.tree_pane
            yield Splitter(palette, id="split-tree")
            with Container(id="right"):
                with Container(id="middle"):
                    yield self.hex_pane
                    yield self.inspector
                yield Splitter(palette, id="split-hex")
                yield self.detail_pane
        yield self.status_bar
        yield KeyFooter(palette, self.settings.keymap)

    def on_mount(self) -> None:
        self.arrange()
        self.tree_pane.focus()
        self.first_step()
        if self._walk_wanted and not self.capture.complete:
            self.call_after_refresh(self.start_walk)
        self.start_watching()
        if self.first_words:
            self.say(self.first_words, bad=True)

    def show_selection(self) -> None:
        self.tree_pane.show_selection(self.selection)
        self.hex_pane.show_selection(self.selection, self.root)
        self.detail_pane.show_selection(self.selection, self.root)
        self.show_place()

    def show_growth(self) -> None:
        self.tree_pane.grown()
        self.hex_pane.grown()
        self.detail_pane.grown()
        if self.hex_pane.digits_changed():
            self.arrange()
        self.draw_map()

    def show_other_bytes(self) -> None:
        self.hex_pane.reread()
        self.show_place()

    def show_matches(self) -> None:
        self.hex_pane.show_matches(self.finder.near)

    def show_bars(self) -> None:
        around = self.parts.bad
        self.header_bar.put(*header_spans(self.capture, self.problems, around, self.doing, self.palette))
        waiting = self.waiting[0] if self.waiting is not None else ""
        wide = self.size.width >= STACK_BELOW
        self.status_bar.put(
            *status_spans(self.capture, self.selection, self.root, self.palette, self.message, waiting, wide)
        )

    # -- dialogs ----------------------------------------------------------------------------------

    def action_jump(self) -> None:
        """Ask for a device."""
        from qevm_tui.dialogs.jump import JumpDialog

        def jump(chosen: tuple[str, int] | None) -> None:
            if chosen is not None:
                self.go_to_device(*chosen)

        self.push_screen(JumpDialog(self.capture, self.palette), jump)

    def action_goto(self) -> None:
        """Ask for an offset."""
        from qevm_tui.dialogs.goto import GotoDialog

        def goto(offset: int | None) -> None:
            if offset is not None:
                self.go_to_offset(offset)
                self.focus_pane("hex")

        self.push_screen(GotoDialog(self.selection.cursor, self.source.size, self.palette), goto)

    def action_export(self) -> None:
        """Ask what of the selection to export, and where to."""
        from qevm_tui.dialogs.export import ExportDialog
        from qevm_tui.exports import exportables

        def done(text: str | None) -> None:
            if text:
                self.say(text)

        choices = exportables(self.capture, self.selection)
        if choices:
            first = len(choices) - 1 if self.selection.marked else 0
            self.push_screen(ExportDialog(choices, self.palette, first), done)
        else:
            self.say("nothing is selected")

    def action_help(self) -> None:
        """Every key."""
        from qevm_tui.dialogs.help import HelpDialog

        self.push_screen(HelpDialog(self.palette, self.settings.keymap))

    def action_command_palette(self) -> None:
        """Every action and every device."""
        from qevm_tui.dialogs.palette import QevmPalette

        if not isinstance(self.screen, CommandPalette):
            self.push_screen(QevmPalette())

    # -- other keys -------------------------------------------------------------------------------

    def action_tree_mode(self) -> None:
        """By device or by stream."""
        self.tree_pane.toggle_mode()
        self.settings.tree = self.tree_pane.mode

    def action_reread(self) -> None:
        """Read the file again, and go on with a stopped walk."""
        self._walk.stop()
        self._decoded.forget()
        self.hex_pane.reread()
        self._show()
        self.start_walk(reread=True)

    def action_cancel(self) -> None:
        """Stop waiting, searching; else drop marked bytes, tints, filter; else stop unpacking, the walk."""
        if self.waiting is not None:
            self.waiting = None
            self.say("cancelled")
        elif self.stop_searching():
            pass
        elif self.hex_pane.stop_marking() or self.selection.marked:
            self.select_offset(self.selection.cursor)
        elif self.forget_matches() or self.drop_filter():
            pass
        elif not self.stop_unpacking() and self.doing.walk is not None and self.doing.walk.running:
            self._walk.stop()

    def action_redraw(self) -> None:
        """Draw everything anew: something else has written to the terminal."""
        self._forget_terminal()
        self.screen.refresh(layout=True)
