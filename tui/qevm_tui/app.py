"""The app: three panes over one capture, and the one selection that they share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from textual import events, on
from textual.app import App, ComposeResult
from textual.binding import BindingType
from textual.command import CommandPalette
from textual.containers import Container
from textual.geometry import Size
from textual.message import Message

from qevm.field import Field
from qevm.problems import QevmError
from qevm.section import Section
from qevm_tui import moves
from qevm_tui.decoded import AT_ONCE, Decoded
from qevm_tui.keys import bindings
from qevm_tui.palette import palette_for
from qevm_tui.panes.bars import Bar, KeyFooter
from qevm_tui.panes.device_detail import DeviceDetail
from qevm_tui.panes.hex_pane import HexPane
from qevm_tui.panes.line_pane import LinePane
from qevm_tui.panes.section_tree import SectionTree
from qevm_tui.panes.splitter import Splitter
from qevm_tui.problem_rows import ProblemRows
from qevm_tui.selection import (
    BytesChosen,
    FieldChosen,
    History,
    SectionChosen,
    Selection,
    field_at,
    path_at,
)
from qevm_tui.sizes import STACK_BELOW, PaneSizes
from qevm_tui.status import header_spans, status_spans
from qevm_tui.theme import QEVM_DARK
from qevm_tui.words import problem_text
from qevm_tui.worker import Progress, Walk

if TYPE_CHECKING:
    from textual.driver import Driver

    from qevm.capture import Capture

PANES = ("tree", "hex", "detail")


class WalkReport(Message):
    """The walk says how far it is (posted from its thread)."""

    def __init__(self, progress: Progress) -> None:
        super().__init__()
        self.progress = progress


class QevmApp(App[None]):
    """Explores one opened capture.  The app owns the selection; panes ask by messages to change it."""

    CSS_PATH = "app.tcss"
    TITLE = "qevm"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("app")]
    ESCAPE_TO_MINIMIZE = False

    def __init__(self, capture: Capture, *, walk: bool = True) -> None:
        # The terminal's own colours, also where NO_COLOR takes them away.
        super().__init__(ansi_color=True)
        self.animation_level = "none"
        self.register_theme(QEVM_DARK)
        self.theme = QEVM_DARK.name
        self.capture = capture
        self.palette = palette_for(self.console.color_system, self.no_color)
        self.problems = ProblemRows(capture)
        self.tree_pane = SectionTree(capture, self.problems, self.palette)
        self.hex_pane = HexPane(capture, self.palette)
        self.detail_pane = DeviceDetail(capture, self.problems, self.palette)
        self.header_bar = Bar(self.palette, id="header")
        self.status_bar = Bar(self.palette, id="status")
        self.selection = Selection(cursor=capture.base, start=capture.base, end=capture.base)
        self.root: Field | None = None
        self.history = History()
        self.sizes = PaneSizes()
        self.zoomed = ""
        self._decoded = Decoded(capture)
        self._walk = Walk(capture, self._report)
        self._walk_wanted = walk
        self._progress: Progress | None = None
        self._message: tuple[str, bool] | None = None
        self._waiting: tuple[str, moves.Move] | None = None

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
        self._arrange()
        self.tree_pane.focus()
        first = self.capture.index[0] if len(self.capture.index) else None
        if first is not None:
            self.select(Selection(first, cursor=first.offset, start=first.offset, end=first.end), jump=True)
        else:
            self._show_bars()
        if self._walk_wanted and not self.capture.complete:
            self.call_after_refresh(self.start_walk)

    def on_resize(self, event: events.Resize) -> None:
        # What a terminal shows after a change of size is its own affair.
        self._forget_terminal()
        if self.tree_pane.is_mounted:
            self._arrange(event.size)

    def _arrange(self, size: Size | None = None) -> None:
        """Give the panes their sizes on a screen of ``size`` (default: what it is now)."""
        width, height = size or self.size
        stacked = self.sizes.stacked(width)
        digits = self.hex_pane.digits
        shown = {name: self.zoomed in ("", name) for name in PANES}
        self.tree_pane.set_class(not shown["tree"], "hidden")
        self.hex_pane.set_class(not shown["hex"], "hidden")
        self.detail_pane.set_class(not shown["detail"], "hidden")
        self.query_one("#right").set_class(not (shown["hex"] or shown["detail"]), "hidden")
        for splitter in self.query(Splitter):
            splitter.set_class(bool(self.zoomed), "hidden")
        self.query_one("#right").set_class(stacked, "stacked")
        self.tree_pane.styles.width = "1fr" if self.zoomed else self.sizes.tree_width(width, digits)
        self.hex_pane.styles.width = "1fr" if self.zoomed or stacked else self.sizes.hex_width(width, digits)
        self.hex_pane.styles.height = (
            self.sizes.hex_rows(height - 3) if stacked and not self.zoomed else "1fr"
        )

    # -- the selection ----------------------------------------------------------------------------

    def select(self, selection: Selection, *, jump: bool = False, visit: bool = True) -> None:
        """Make ``selection`` the one that all panes show.  ``jump`` keeps the former place to go back to."""
        if visit:
            self.history.visit(selection, jump=jump)
        self.selection = selection
        self._message = None
        self._show()

    def select_section(self, section: Section, *, jump: bool = True) -> None:
        """Select a whole section, the cursor on its first byte."""
        self.select(
            Selection(section, cursor=section.offset, start=section.offset, end=section.end), jump=jump
        )

    def select_offset(self, offset: int, *, jump: bool = False, anchor: int | None = None) -> None:
        """Put the byte cursor on ``offset``: the section and the field under it are selected."""
        section = self.capture.section_at(offset)
        path: tuple[int, ...] = ()
        start, end = (section.offset, section.end) if section is not None else (offset, offset)
        root = self._root_of(section)
        if root is not None:
            path = path_at(root, offset)
            field = field_at(root, path) if path else None
            if field is not None:
                start, end = field.offset, field.end
        if anchor is not None:
            start, end = min(anchor, offset), max(anchor, offset) + 1
        self.select(Selection(section, path, offset, start, end, marked=anchor is not None), jump=jump)

    def _root_of(self, section: Section | None) -> Field | None:
        """The decoded section; None while a thread decodes it."""
        if section is None:
            return None
        root = self._decoded.kept(section)
        if root is None:
            if section.size <= AT_ONCE:
                root = self._decoded.decode(section)
                self._decoded.keep(section, root)
            else:
                self.run_worker(partial(self._decode, section), thread=True, group="decode", exclusive=True)
        return root

    def _decode(self, section: Section) -> None:
        root = self._decoded.decode(section)
        self.call_from_thread(self._decode_done, section, root)

    def _decode_done(self, section: Section, root: Field) -> None:
        self._decoded.keep(section, root)
        selection = self.selection
        if selection.section is None or selection.section.offset != section.offset:
            return
        if not selection.precise and selection.cursor != section.offset:
            path = path_at(root, selection.cursor)
            field = field_at(root, path) if path else None
            if field is not None:
                self.selection = replace(selection, path=path, start=field.offset, end=field.end)
        self._show()

    def _show(self) -> None:
        """Let every pane show the selection."""
        self.root = self._root_of(self.selection.section)
        self.tree_pane.show_selection(self.selection)
        self.hex_pane.show_selection(self.selection, self.root)
        self.detail_pane.show_selection(self.selection, self.root)
        self._show_bars()

    def _show_bars(self) -> None:
        self.header_bar.put(*header_spans(self.capture, self.problems, self._progress, self.palette))
        waiting = self._waiting[0] if self._waiting is not None else ""
        wide = self.size.width >= STACK_BELOW
        self.status_bar.put(
            *status_spans(self.selection, self.root, self.palette, self._message, waiting, wide)
        )

    def say(self, text: str, *, bad: bool = False) -> None:
        """Show a message on the status line until the selection changes."""
        self._message = (text, bad)
        if self.is_running:
            self._show_bars()

    @on(SectionChosen)
    def _section_chosen(self, message: SectionChosen) -> None:
        self.select_section(message.section, jump=message.jump)

    @on(FieldChosen)
    def _field_chosen(self, message: FieldChosen) -> None:
        section, root = self.selection.section, self.root
        if section is None or root is None:
            return
        field = field_at(root, message.path) if message.path else None
        if field is None:
            self.select_section(section, jump=False)
        else:
            self.select(Selection(section, message.path, field.offset, field.offset, field.end))

    @on(BytesChosen)
    def _bytes_chosen(self, message: BytesChosen) -> None:
        self.select_offset(message.cursor, anchor=message.anchor)

    @on(HexPane.DetailWanted)
    def _detail_wanted(self) -> None:
        self._focus_pane("detail")

    # -- the walk ---------------------------------------------------------------------------------

    def start_walk(self) -> None:
        """Walk on in the background."""
        self.run_worker(self._walk.run, thread=True, group="walk")

    def _report(self, progress: Progress) -> None:
        self.post_message(WalkReport(progress))

    def on_unmount(self) -> None:
        self._walk.stop()

    def on_key(self) -> None:
        self._walk.make_way()

    @on(WalkReport)
    def _walk_reported(self, message: WalkReport) -> None:
        self._progress = message.progress
        if message.progress.error:
            self.say(message.progress.error, bad=True)
        self._take_in()
        self._confirm_selection()
        self._try_waiting()
        self._show_bars()

    def _take_in(self) -> None:
        """Show what the walk has found since the last time."""
        self.problems.update()
        self.tree_pane.grown()
        self.hex_pane.grown()
        self.detail_pane.grown()

    def _confirm_selection(self) -> None:
        """The selected section may have become known better: located → walked, open end → end."""
        section = self.selection.section
        if section is None:
            found = self.capture.section_at(self.selection.cursor)
        elif section.index < 0:
            row = self.capture.index.at(section.offset)
            found = None if row is None else self.capture.index[row]
        elif section.index < len(self.capture.index):
            found = self.capture.index[section.index]
        else:
            found = None
        if found is not None and found != section:
            self.selection = replace(self.selection, section=found)
            self._show()

    # -- waiting for what is not indexed yet ------------------------------------------------------

    def go(self, move: moves.Move, what: str) -> None:
        """Go where ``move`` leads, waiting for the walk when only that can tell."""
        self._waiting = (f"waiting for {what}", move)
        if not self._try_waiting() and not self.capture.complete:
            self._show_bars()
            if self._progress is None or not self._progress.running:
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
            self._focus_pane("hex")
            if self.selection.section is None and not self.capture.complete:
                self.go(lambda: self._section_under(offset), f"the section at 0x{offset:x}")

        self.push_screen(GotoDialog(self.selection.cursor, self.capture.source.size, self.palette), goto)

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

    # -- panes ------------------------------------------------------------------------------------

    def panes(self) -> Iterator[LinePane]:
        """Left, middle, right."""
        yield from (self.tree_pane, self.hex_pane, self.detail_pane)

    def focused_pane(self) -> str:
        """The name of the pane that has the keys."""
        focused = self.focused
        return focused.id if focused is not None and focused.id in PANES else "tree"

    def _focus_pane(self, name: str) -> None:
        if self.zoomed and self.zoomed != name:
            self.zoomed = name
            self._arrange()
        self.screen.set_focus(next(pane for pane in self.panes() if pane.id == name))

    def action_focus_next(self) -> None:
        self._cycle(1)

    def action_focus_previous(self) -> None:
        self._cycle(-1)

    def _cycle(self, step: int) -> None:
        if self.screen.is_modal:
            self.screen.focus_next() if step > 0 else self.screen.focus_previous()
        else:
            self._focus_pane(PANES[(PANES.index(self.focused_pane()) + step) % len(PANES)])

    def action_tree_mode(self) -> None:
        """By device or by stream."""
        self.tree_pane.toggle_mode()

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

    def action_reread(self) -> None:
        """Read the file again, and go on with a stopped walk."""
        self._decoded.forget()
        self.hex_pane.reread()
        self._show()
        self._walk.stop()
        self.run_worker(partial(self._walk.run, reread=True), thread=True, group="walk")

    def action_cancel(self) -> None:
        """Stop waiting; else drop the marked bytes; else stop the walk."""
        if self._waiting is not None:
            self._waiting = None
            self.say("cancelled")
        elif self.hex_pane.stop_marking() or self.selection.marked:
            self.select_offset(self.selection.cursor)
        elif self._progress is not None and self._progress.running:
            self._walk.stop()

    def action_redraw(self) -> None:
        """Draw everything anew: something else has written to the terminal."""
        self._forget_terminal()
        self.screen.refresh(layout=True)

    def _forget_terminal(self) -> None:
        from qevm_tui.thin_line import forget

        forget(self._driver)


def run(capture: Capture) -> int:
    """Open the app on ``capture``; returns the exit status when it is closed."""
    app = QevmApp(capture)
    app.run()
    return app.return_code or 0
