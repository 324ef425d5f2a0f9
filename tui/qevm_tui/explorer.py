"""The app without its screen: the one selection, where one was, the walk, and what is waited for.

:class:`~qevm_tui.app.QevmApp` adds the panes and dialogs.  Panes ask by messages to change the selection;
it changes here and nowhere else.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from textual import on
from textual.message import Message

from qevm.field import Field
from qevm.problems import Problem, QevmError
from qevm.safetext import safe
from qevm.section import Section
from qevm_tui import moves
from qevm_tui.container_parts import Parts
from qevm_tui.decoded import AT_ONCE, Decoded
from qevm_tui.problem_rows import ProblemRows
from qevm_tui.selection import (
    BytesChosen,
    FieldChosen,
    History,
    PartChosen,
    SectionChosen,
    Selection,
    field_at,
    fields_along,
    path_at,
)
from qevm_tui.status import Doing
from qevm_tui.typeahead import TypeAhead
from qevm_tui.words import problem_text, section_name
from qevm_tui.worker import Progress, Walk

if TYPE_CHECKING:
    from qevm.capture import Capture
    from qevm.containers import ContainerPart
    from qevm.source import Source


class WalkReport(Message):
    """The walk says how far it is (posted from its thread)."""

    def __init__(self, progress: Progress) -> None:
        super().__init__()
        self.progress = progress


class Explorer(TypeAhead):
    """Explores one opened capture."""

    def __init__(self, capture: Capture) -> None:
        # The terminal's own colours, also where NO_COLOR takes them away.
        super().__init__(ansi_color=True)
        self.capture = capture
        self.parts = Parts(capture)
        self.problems = ProblemRows(capture)
        self.selection = Selection(cursor=capture.base, start=capture.base, end=capture.base)
        self.root: Field | None = None
        """The decoded tree of the selected section; None while it is being decoded."""
        self.history = History()
        self.doing = Doing()
        self.message: tuple[str, bool] | None = None
        """What the status line says instead of the place, and whether it is bad news."""
        self.waiting: tuple[str, moves.Move] | None = None
        """What is waited for, in words, and the move that is tried again as the walk goes on."""
        self._problem: Problem | None = None
        """The problem that was shown last."""
        self._decoded = Decoded(capture)
        self._walk = Walk(capture, self._report)
        self._seen = (capture.generation, capture.growing)

    # -- what a screen does -----------------------------------------------------------------------

    def show_selection(self) -> None:
        """Show the selection in every pane."""

    def show_bars(self) -> None:
        """Show the facts of the capture and where one is."""

    def show_growth(self) -> None:
        """Show what the walk has found since the last time."""

    def show_other_bytes(self) -> None:
        """Forget what was read for the screen: the bytes may be others now."""

    def reported(self, progress: Progress) -> None:
        """The walk has said how far it is, and that was taken in."""

    def say(self, text: str, *, bad: bool = False) -> None:
        """Show a message on the status line until the selection changes."""
        self.message = (text, bad)
        if self.is_running:
            self.show_bars()

    # -- the selection ----------------------------------------------------------------------------

    @property
    def source(self) -> Source:
        """Whose bytes the selection's offsets count: the stream's, or those of a part of the container."""
        return self.selection.source or self.capture.source

    def select(self, selection: Selection, *, jump: bool = False, visit: bool = True) -> None:
        """Make ``selection`` the one that all panes show.  ``jump`` keeps the former place to go back to."""
        if visit:
            self.history.visit(selection, jump=jump)
        self.selection = selection
        self.message = None
        self._show()

    def place_words(self) -> str:
        """What is selected, and the fields down to the one under the cursor; safe for a terminal."""
        selection = self.selection
        words = safe(selection.part.name) if selection.part is not None else section_name(selection.section)
        if self.root is not None:
            along = fields_along(self.root, selection.path)
            words += "".join(f" › {safe(field.name, 40)}" for field in along)
        return words

    def select_section(self, section: Section, *, jump: bool = True) -> None:
        """Select a whole section, the cursor on its first byte."""
        self.select(
            Selection(section, cursor=section.offset, start=section.offset, end=section.end), jump=jump
        )

    def count_in(self, source: Source | None) -> None:
        """Have offsets count bytes of ``source`` next, those of the stream for None."""
        if self.selection.source is not source:
            self.selection = Selection(source=source)

    def select_part(self, part: ContainerPart, *, jump: bool = True) -> None:
        """Select a whole part of the container, the cursor on its first byte."""
        source = None if part.source is self.capture.source else part.source
        end = part.offset + self.parts.size_of(part)
        place = Selection(cursor=part.offset, start=part.offset, end=end, part=part, source=source)
        self.select(place, jump=jump)

    def select_offset(self, offset: int, *, jump: bool = False, anchor: int | None = None) -> None:
        """Put the byte cursor on ``offset`` of :attr:`source`: what is there and its field are selected.

        With ``anchor`` the bytes from there to the cursor are marked.
        """
        source = self.selection.source
        section = self.capture.section_at(offset) if source is None else None
        part = self.parts.at(self.source, offset) if section is None else None
        start, end = (section.offset, section.end) if section is not None else (offset, offset)
        if part is not None:
            start, end = part.offset, part.offset + self.parts.size_of(part)
        selection = Selection(section, (), offset, start, end, part=part, source=source)
        root = self._root_of(section, part)
        if root is not None:
            selection = _narrowed(selection, root)
        if anchor is not None:
            selection = replace(
                selection, start=min(anchor, offset), end=max(anchor, offset) + 1, marked=True
            )
        self.select(selection, jump=jump)

    def _show(self) -> None:
        self.root = self._root_of(self.selection.section, self.selection.part)
        self.show_selection()
        self.show_bars()

    def _root_of(self, section: Section | None, part: ContainerPart | None) -> Field | None:
        """What is selected, decoded; None while a thread decodes it."""
        if part is not None:
            return self._decoded.part(part)
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
            self.selection = _narrowed(selection, root)
        self._show()

    @on(SectionChosen)
    def _section_chosen(self, message: SectionChosen) -> None:
        self.select_section(message.section, jump=message.jump)

    @on(PartChosen)
    def _part_chosen(self, message: PartChosen) -> None:
        self.select_part(message.part, jump=message.jump)

    @on(FieldChosen)
    def _field_chosen(self, message: FieldChosen) -> None:
        here, root = self.selection, self.root
        if root is None:
            return
        field = field_at(root, message.path) if message.path else None
        if field is not None:
            start, end = field.offset, field.end
            self.select(replace(here, path=message.path, cursor=start, start=start, end=end, marked=False))
        elif here.part is not None:
            self.select_part(here.part, jump=False)
        elif here.section is not None:
            self.select_section(here.section, jump=False)

    @on(BytesChosen)
    def _bytes_chosen(self, message: BytesChosen) -> None:
        self.select_offset(message.cursor, anchor=message.anchor)

    # -- the walk ---------------------------------------------------------------------------------

    def first_step(self) -> None:
        """Walk for some milliseconds: the first screen shows sections, not a blank."""
        try:
            next(self.capture.walk(), None)
        except QevmError as error:
            self.say(str(error), bad=True)
        self._take_in()
        if len(self.capture.index):
            self.select_section(self.capture.index[0])
        else:
            self.show_bars()

    def start_walk(self, *, reread: bool = False) -> None:
        """Walk on in the background; with ``reread`` look at the file again first."""
        self.run_worker(partial(self._walk.run, reread=reread), thread=True, group="walk")

    def _report(self, progress: Progress) -> None:
        self.post_message(WalkReport(progress))

    def on_unmount(self) -> None:
        """The walk's thread must not outlive the app."""
        self._walk.stop()

    def on_key(self) -> None:
        """Keys come before the walk."""
        self._walk.make_way()

    @on(WalkReport)
    def _walk_reported(self, message: WalkReport) -> None:
        self.doing.walk = message.progress
        seen, self._seen = self._seen, (self.capture.generation, self.capture.growing)
        if self._seen != seen:
            self._decoded.forget()
            self.show_other_bytes()
        if message.progress.error:
            self.say(message.progress.error, bad=True)
        self._take_in()
        current = self._current(self.selection)
        if current != self.selection or self._seen != seen:
            self.selection = current
            self._show()
        self._try_waiting()
        self.reported(message.progress)
        self.show_bars()

    def _take_in(self) -> None:
        self.problems.update()
        self.show_growth()

    def _current(self, selection: Selection) -> Selection:
        """The same place as it is known now: located → walked, open end → end, or another file altogether."""
        if selection.source is not None or selection.part is not None:
            return selection
        section, index = selection.section, self.capture.index
        if section is not None and 0 <= section.index < len(index):
            known = index[section.index]
            if known.offset == section.offset and known.device_id == section.device_id:
                return selection if known == section else replace(selection, section=known)
        found = self.capture.section_at(selection.cursor)
        if found is not None and section is not None and found.offset == section.offset:
            return selection if found == section else replace(selection, section=found)
        start, end = (found.offset, found.end) if found is not None else (selection.cursor, selection.cursor)
        if selection.marked:
            return replace(selection, section=found, path=())
        return Selection(found, (), selection.cursor, start, end)

    # -- going places, waiting for what is not indexed yet ----------------------------------------

    def go(self, move: moves.Move, what: str) -> None:
        """Go where ``move`` leads, waiting for the walk when only that can tell."""
        self.waiting = (f"waiting for {what}", move)
        if not self._try_waiting() and not self.capture.complete:
            self.show_bars()
            if self.doing.walk is None or not self.doing.walk.running:
                self.start_walk()

    def _try_waiting(self) -> bool:
        if self.waiting is None:
            return False
        try:
            section = self.waiting[1]()
        except moves.NowhereError as reason:
            self.waiting = None
            self.say(str(reason))
            return True
        if section is None:
            return False
        self.waiting = None
        self.select_section(section)
        return True

    def go_to_device(self, idstr: str, instance_id: int) -> None:
        """To the first section of a device."""
        self.go(partial(moves.device, self.capture, idstr, instance_id), "the device")

    def go_to_offset(self, offset: int) -> None:
        """To a byte at once; to its section when that is indexed."""
        self.select_offset(offset, jump=True)
        here = self.selection
        if here.section is None and here.part is None and not self.capture.complete:
            self.go(partial(self._section_under, offset), f"the section at 0x{offset:x}")

    def _section_under(self, offset: int) -> Section | None:
        if moves.section_of(self.capture, offset) is None:
            return None
        # The cursor is to stay on its byte, not to go to the section's first.
        self.select_offset(offset)
        raise moves.NowhereError(f"0x{offset:x} is indexed now")

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
        found = self.problems.after(self.selection.cursor, self._problem)
        if found is None:
            self.say("no problems" if self.capture.complete else "no problems so far")
            return
        problem, number = found
        self._problem = problem
        if problem.offset >= self.capture.source.size and problem.section is not None:
            # Bytes are missing behind the last one: the section that lacks them is meant.
            section = self.capture.index[problem.section]
            place = Selection(section, cursor=problem.offset, start=section.offset, end=section.end)
            self.select(place, jump=True)
        else:
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
            self.select(self._current(place), visit=False)


def _narrowed(selection: Selection, root: Field) -> Selection:
    """The selection narrowed to the smallest field under its cursor."""
    path = path_at(root, selection.cursor)
    field = field_at(root, path) if path else None
    if field is None:
        return selection
    return replace(selection, path=path, start=field.offset, end=field.end)
