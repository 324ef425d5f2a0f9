"""The screen of the explorer: three panes, two bars, the dialogs, and how they are arranged."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.command import CommandPalette
from textual.containers import Container
from textual.geometry import Size

from qevm.problems import QevmError
from qevm_tui.another_stream import AnotherStream
from qevm_tui.filtering import Filtering
from qevm_tui.finding import Finding
from qevm_tui.keys import bindings
from qevm_tui.palette import palette_for
from qevm_tui.panes.bars import Bar, KeyFooter
from qevm_tui.panes.device_detail import DeviceDetail
from qevm_tui.panes.hex_pane import HexPane
from qevm_tui.panes.section_tree import SectionTree
from qevm_tui.panes.splitter import Splitter
from qevm_tui.sizes import STACK_BELOW, PaneSizes
from qevm_tui.status import header_spans, status_spans
from qevm_tui.theme import QEVM_DARK

if TYPE_CHECKING:
    from textual.driver import Driver

    from qevm.capture import Capture
    from qevm_tui.questions import Questions

PANES = ("tree", "hex", "detail")


class QevmApp(Finding, Filtering, AnotherStream):
    """The explorer with its panes.  No pane knows another one: all show the explorer's selection."""

    CSS_PATH = "app.tcss"
    TITLE = "qevm"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("app")]
    ESCAPE_TO_MINIMIZE = False

    def __init__(self, capture: Capture, *, walk: bool = True, questions: Questions | None = None) -> None:
        """``walk``: index the capture in the background from the start.

        ``questions`` are those that come up where the capture is unpacked.
        """
        super().__init__(capture, questions)
        self.animation_level = "none"
        self.register_theme(QEVM_DARK)
        self.theme = QEVM_DARK.name
        self.palette = palette_for(self.console.color_system, self.no_color)
        self.tree_pane = SectionTree(capture, self.problems, self.palette, self.parts)
        self.hex_pane = HexPane(capture, self.palette)
        self.detail_pane = DeviceDetail(capture, self.problems, self.palette, self.parts)
        self.header_bar = Bar(self.palette, id="header")
        self.status_bar = Bar(self.palette, id="status")
        self.sizes = PaneSizes()
        self.zoomed = ""
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
        self._arrange()
        self.tree_pane.focus()
        self.first_step()
        if self._walk_wanted and not self.capture.complete:
            self.call_after_refresh(self.start_walk)
        self.start_watching()
        if self.first_words:
            self.say(self.first_words, bad=True)

    def on_resize(self, event: events.Resize) -> None:
        # What a terminal shows after a change of size is its own affair.
        self._forget_terminal()
        if self.tree_pane.is_mounted:
            self._arrange(event.size)

    def show_selection(self) -> None:
        self.tree_pane.show_selection(self.selection)
        self.hex_pane.show_selection(self.selection, self.root)
        self.detail_pane.show_selection(self.selection, self.root)

    def show_growth(self) -> None:
        self.tree_pane.grown()
        self.hex_pane.grown()
        self.detail_pane.grown()
        if self.hex_pane.digits_changed():
            self._arrange()

    def show_other_bytes(self) -> None:
        self.hex_pane.reread()

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

    # -- sizes ------------------------------------------------------------------------------------

    def _arrange(self, size: Size | None = None) -> None:
        """Give the panes their sizes on a screen of ``size`` (default: what it is now)."""
        width, height = size or self.size
        stacked = self.sizes.stacked(width)
        digits = self.hex_pane.digits
        shown = {name: self.zoomed in ("", name) for name in PANES}
        self.tree_pane.set_class(not shown["tree"], "hidden")
        self.hex_pane.set_class(not shown["hex"], "hidden")
        self.detail_pane.set_class(not shown["detail"], "hidden")
        right = self.query_one("#right")
        right.set_class(not (shown["hex"] or shown["detail"]), "hidden")
        right.set_class(stacked, "stacked")
        for splitter in self.query(Splitter):
            splitter.set_class(bool(self.zoomed), "hidden")
        self.tree_pane.styles.width = "1fr" if self.zoomed else self.sizes.tree_width(width, digits)
        self.hex_pane.styles.width = "1fr" if self.zoomed or stacked else self.sizes.hex_width(width, digits)
        self.hex_pane.styles.height = (
            self.sizes.hex_rows(height - 3) if stacked and not self.zoomed else "1fr"
        )

    def action_zoom(self) -> None:
        """One pane on the whole screen, and back."""
        self.zoomed = "" if self.zoomed else self.focused_pane()
        self._arrange()

    def action_resize(self, by: int) -> None:
        """Make the focused pane wider (in a stack: higher) or narrower."""
        width, height = self.size
        digits = self.hex_pane.digits
        name = self.focused_pane()
        if name == "tree":
            self.sizes.tree = self.sizes.tree_width(width, digits) + by
        elif self.sizes.stacked(width):
            change = by // 2 if name == "hex" else -by // 2
            self.sizes.hex_height = self.sizes.hex_rows(height - 3) + change
        else:
            self.sizes.hex = self.sizes.hex_width(width, digits) + (by if name == "hex" else -by)
        self._arrange()

    @on(Splitter.Dragged)
    def _splitter_dragged(self, message: Splitter.Dragged) -> None:
        if message.splitter.id == "split-tree":
            self.sizes.tree = max(1, message.x)
        else:
            self.sizes.hex = max(1, message.x - self.tree_pane.size.width - 1)
        self._arrange()

    # -- focus ------------------------------------------------------------------------------------

    def focused_pane(self) -> str:
        """The name of the pane that has the keys."""
        focused = self.focused
        return focused.id if focused is not None and focused.id in PANES else "tree"

    def focus_pane(self, name: str) -> None:
        """Give a pane the keys, and the screen when one is zoomed."""
        if self.zoomed and self.zoomed != name:
            self.zoomed = name
            self._arrange()
        # Not Widget.focus(), which waits for its turn: two quick Tabs would count as one.
        self.screen.set_focus(self.query_one(f"#{name}"))

    def action_focus_next(self) -> None:
        self._cycle(1)

    def action_focus_previous(self) -> None:
        self._cycle(-1)

    def _cycle(self, step: int) -> None:
        if self.screen.is_modal:
            self.screen.focus_next() if step > 0 else self.screen.focus_previous()
        else:
            self.focus_pane(PANES[(PANES.index(self.focused_pane()) + step) % len(PANES)])

    @on(HexPane.DetailWanted)
    def _detail_wanted(self) -> None:
        self.focus_pane("detail")

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
        """Ask what to export and where to."""
        from qevm_tui.dialogs.export import ExportDialog

        def done(text: str | None) -> None:
            if text:
                self.say(text)

        if self.selection.section is None:
            self.say("no section is selected")
        else:
            self.push_screen(ExportDialog(self.capture, self.selection, self.palette), done)

    def action_help(self) -> None:
        """Every key."""
        from qevm_tui.dialogs.help import HelpDialog

        self.push_screen(HelpDialog(self.palette))

    def action_command_palette(self) -> None:
        """Every action and every device."""
        from qevm_tui.dialogs.palette import QevmPalette

        if not isinstance(self.screen, CommandPalette):
            self.push_screen(QevmPalette())

    # -- other keys -------------------------------------------------------------------------------

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

    def action_tree_mode(self) -> None:
        """By device or by stream."""
        self.tree_pane.toggle_mode()

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

    def _forget_terminal(self) -> None:
        from qevm_tui.thin_line import forget

        forget(self._driver)
