"""The selection that all panes share: what changes it and who shows it."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from textual import on
from textual.app import App

from qevm.field import Field
from qevm.section import Section
from qevm_tui.container_parts import Parts, decode_part
from qevm_tui.decoded import AT_ONCE, Decoded
from qevm_tui.panes.bars import Bar
from qevm_tui.panes.device_detail import DeviceDetail
from qevm_tui.panes.hex_pane import HexPane
from qevm_tui.panes.section_tree import SectionTree
from qevm_tui.problem_rows import ProblemRows
from qevm_tui.selection import (
    BytesChosen,
    FieldChosen,
    History,
    PartChosen,
    SectionChosen,
    Selection,
    field_at,
    path_at,
)
from qevm_tui.sizes import STACK_BELOW
from qevm_tui.status import Doing, header_spans, status_spans

if TYPE_CHECKING:
    from qevm.capture import Capture
    from qevm.containers import ContainerPart
    from qevm.source import Source
    from qevm_tui.moves import Move
    from qevm_tui.palette import Palette


class Selecting(App[None]):
    """One capture, its three panes and bars, and the one selection that they share."""

    ESCAPE_TO_MINIMIZE = False

    def show_capture(self, capture: Capture, palette: Palette) -> None:
        """Make the panes for ``capture``; called once, before the app runs."""
        self.capture = capture
        self.palette = palette
        self.parts = Parts(capture)
        self.problems = ProblemRows(capture)
        self.tree_pane = SectionTree(capture, self.problems, palette, self.parts)
        self.hex_pane = HexPane(capture, palette)
        self.detail_pane = DeviceDetail(capture, self.problems, palette, self.parts)
        self.header_bar = Bar(palette, id="header")
        self.status_bar = Bar(palette, id="status")
        self.selection = Selection(cursor=capture.base, start=capture.base, end=capture.base)
        self.root: Field | None = None
        self.history = History()
        self.doing = Doing()
        self._decoded = Decoded(capture)
        self._decoded_part: tuple[ContainerPart, Field] | None = None
        self._message: tuple[str, bool] | None = None
        self._waiting: tuple[str, Move] | None = None

    @property
    def source(self) -> Source:
        """Whose bytes the selection's offsets count: the stream's, or those of a part of the container."""
        return self.selection.source or self.capture.source

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

    def select_part(self, part: ContainerPart, *, jump: bool = True) -> None:
        """Select a whole part of the container, the cursor on its first byte."""
        end = part.offset + self.parts.size_of(part)
        place = Selection(cursor=part.offset, start=part.offset, end=end)
        self.select(replace(place, part=part, source=self._foreign(part.source)), jump=jump)

    def _foreign(self, source: Source) -> Source | None:
        return None if source is self.capture.source else source

    def select_offset(self, offset: int, *, jump: bool = False, anchor: int | None = None) -> None:
        """Put the byte cursor on ``offset`` of :attr:`source`: what is there and its field are selected."""
        source = self.selection.source
        section = self.capture.section_at(offset) if source is None else None
        part = self.parts.at(self.source, offset) if section is None else None
        path: tuple[int, ...] = ()
        start, end = offset, offset
        if section is not None:
            start, end = section.offset, section.end
        elif part is not None:
            start, end = part.offset, part.offset + self.parts.size_of(part)
        root = self._root_of(section, part)
        if root is not None:
            path = path_at(root, offset)
            field = field_at(root, path) if path else None
            if field is not None:
                start, end = field.offset, field.end
        if anchor is not None:
            start, end = min(anchor, offset), max(anchor, offset) + 1
        marked = anchor is not None
        self.select(Selection(section, path, offset, start, end, marked, part, source), jump=jump)

    def _root_of(self, section: Section | None, part: ContainerPart | None = None) -> Field | None:
        """What is selected, decoded; None while a thread decodes it."""
        if part is not None:
            if self._decoded_part is None or self._decoded_part[0] is not part:
                self._decoded_part = (part, decode_part(part))
            return self._decoded_part[1]
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

    def forget_decoded(self) -> None:
        """Decode anew what is looked at: the bytes under it may have changed."""
        self._decoded.forget()
        self._decoded_part = None

    def _show(self) -> None:
        """Let every pane show the selection."""
        self.root = self._root_of(self.selection.section, self.selection.part)
        self.tree_pane.show_selection(self.selection)
        self.hex_pane.show_selection(self.selection, self.root)
        self.detail_pane.show_selection(self.selection, self.root)
        self._show_bars()

    def _show_bars(self) -> None:
        self.header_bar.put(
            *header_spans(self.capture, self.problems, self.parts.bad, self.doing, self.palette)
        )
        waiting = self._waiting[0] if self._waiting is not None else ""
        wide = self.size.width >= STACK_BELOW
        place = status_spans(
            self.capture, self.selection, self.root, self.palette, self._message, waiting, wide
        )
        self.status_bar.put(*place)

    def say(self, text: str, *, bad: bool = False) -> None:
        """Show a message on the status line until the selection changes."""
        self._message = (text, bad)
        if self.is_running:
            self._show_bars()

    @on(SectionChosen)
    def _section_chosen(self, message: SectionChosen) -> None:
        self.select_section(message.section, jump=message.jump)

    @on(PartChosen)
    def _part_chosen(self, message: PartChosen) -> None:
        self.select_part(message.part, jump=message.jump)

    @on(FieldChosen)
    def _field_chosen(self, message: FieldChosen) -> None:
        here, root = self.selection, self.root
        if root is None or (here.section is None and here.part is None):
            return
        field = field_at(root, message.path) if message.path else None
        if field is not None:
            place = Selection(here.section, message.path, field.offset, field.offset, field.end)
            self.select(replace(place, part=here.part, source=here.source))
        elif here.section is not None:
            self.select_section(here.section, jump=False)
        elif here.part is not None:
            self.select_part(here.part, jump=False)

    @on(BytesChosen)
    def _bytes_chosen(self, message: BytesChosen) -> None:
        self.select_offset(message.cursor, anchor=message.anchor)
