"""The section tree: every section of the stream, by device or by stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import BindingType
from textual.message import Message
from textual.timer import Timer

from qevm.filter import Filter
from qevm.problems import QevmError, Severity
from qevm.safetext import safe
from qevm.section import Device, Section, SectionKind
from qevm_tui.keys import bindings
from qevm_tui.outline import Outline, Path
from qevm_tui.palette import Palette
from qevm_tui.panes.columns import RowText, tail_fit
from qevm_tui.panes.container_rows import PartsAbove
from qevm_tui.panes.device_names import DeviceNames
from qevm_tui.panes.line_pane import ListPane
from qevm_tui.panes.narrowing import NarrowedByDevice, NarrowedByStream, Narrowing
from qevm_tui.panes.tree_model import ByDevice, ByStream, Node, TreeModel
from qevm_tui.problem_rows import ProblemRows
from qevm_tui.selection import PartChosen, SectionChosen, Selection
from qevm_tui.words import chunk_name, confidence_sign, human

if TYPE_CHECKING:
    from qevm.capture import Capture
    from qevm.containers import ContainerPart
    from qevm_tui.container_parts import Parts

_SUMMARIES = 2048


class SectionTree(ListPane):
    """Left pane.  Moving the cursor chooses the section under it once the cursor rests."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("list", "tree")]

    follow_delay = 0.15
    """Seconds that the cursor must rest before hex and detail follow it: a held key costs two rows a step."""

    opens = True
    """Whether what a selected section is in is opened.  Not while one types a search: one may go back."""

    class ModeChanged(Message):
        """The other way to show the sections was chosen; ``mode`` names it."""

        def __init__(self, mode: str) -> None:
            super().__init__()
            self.mode = mode

    def __init__(self, capture: Capture, problems: ProblemRows, palette: Palette, parts: Parts) -> None:
        super().__init__(palette, id="tree")
        self._capture = capture
        self._problems = problems
        self._parts = parts
        self._narrowing: Narrowing | None = None
        self._model = self._model_of(ByDevice.name)
        self._outline = Outline(self._model.count)
        self._generation = capture.generation
        self._names = DeviceNames(capture)
        self._summaries: dict[int, str] = {}
        self._drawn: dict[int, list[Segment]] = {}
        self._follow: Timer | None = None
        self._shown: Section | None = None
        self._shown_part: ContainerPart | None = None
        self._lost = False
        """The walk began anew and has not come back to the shown section yet."""
        self._titled = ""

    # -- what is shown ----------------------------------------------------------------------------

    @property
    def row_count(self) -> int:
        return self._outline.rows

    def title(self) -> str:
        narrowing = self._narrowing
        if narrowing is None:
            return f"sections {self._model.name}"
        # In a narrow pane the expression says more than the mode, which is plain to see.
        mode = f" {self._model.name}" if self.view_width >= 44 else ""
        return f"{self.narrowed_words()}{mode}: {safe(narrowing.filter.text)}"

    @property
    def filter(self) -> Filter | None:
        """What narrows the tree; None when it shows all sections."""
        return None if self._narrowing is None else self._narrowing.filter

    def narrow(self, wanted: Filter | None) -> None:
        """Show only the sections that a filter takes, or all again; the cursor stays on its section."""
        if wanted is not None or self._narrowing is not None:
            made = None if wanted is None else Narrowing(self._capture, wanted, self._problems)
            self._narrowing = made
            self._use(self._model.name)

    def narrowed_words(self) -> str:
        """How many sections are shown, e.g. ``12 of 72``."""
        narrowing = self._narrowing
        if narrowing is None:
            return f"{len(self._capture.index):,}"
        return f"{len(narrowing.rows):,} of {narrowing.seen:,}"

    @property
    def mode(self) -> str:
        """``by device`` or ``by stream``."""
        return self._model.name

    def set_mode(self, mode: str) -> None:
        """Show the sections ``by device`` or ``by stream``; the cursor stays on its section."""
        if mode != self._model.name:
            self._use(mode)

    def _model_of(self, mode: str) -> TreeModel:
        narrowing = self._narrowing
        if narrowing is not None:
            by_stream = mode == ByStream.name
            return (NarrowedByStream if by_stream else NarrowedByDevice)(self._capture, narrowing)
        model: TreeModel = ByStream(self._capture) if mode == ByStream.name else ByDevice(self._capture)
        return PartsAbove(model, self._parts) if self._parts.items else model

    def _use(self, mode: str) -> None:
        self._model = self._model_of(mode)
        self._outline = Outline(self._model.count)
        self.top = self.cursor_row = 0
        if self._shown_part is not None:
            self._reveal_part(self._shown_part)
        elif self._shown is not None:
            self._reveal(self._shown)
        self.refresh()

    def toggle_mode(self) -> None:
        """The other mode."""
        self.set_mode(ByStream.name if self._model.name == ByDevice.name else ByDevice.name)
        self.post_message(self.ModeChanged(self._model.name))

    def show_selection(self, selection: Selection) -> None:
        """Move the cursor to the selected section, opening what it is in."""
        self._stop_following()
        part = selection.part
        if part is not None and part is not self._shown_part:
            self._shown, self._shown_part = None, part
            self._reveal_part(part)
        elif selection.section is not None and selection.section != self._shown:
            self._shown, self._shown_part = selection.section, None
            self._reveal(selection.section)

    def _reveal_part(self, part: ContainerPart) -> None:
        if part in self._parts.items and self._narrowing is None:
            self.put_cursor(self._outline.row_of((self._parts.items.index(part),)))

    def _reveal(self, section: Section) -> None:
        if self.row_count and self.cursor_row < self.row_count:
            here = self._node(self.cursor_row)
            if here.section is not None and here.section.offset == section.offset and not here.leaf:
                # On a closed chain or range whose first section is meant: it stays closed.
                path = self._outline.path_at(self.cursor_row)
                if not self._outline.is_open(path):
                    self.show_row(self.cursor_row)
                    return
        path_to = self._model.find(section)
        self._lost = path_to is None
        if path_to is None:
            return
        rows = self.row_count
        row = self._outline.reveal(path_to) if self.opens else self._outline.row_of(path_to)
        if self.row_count != rows:
            self.refresh()
        self.put_cursor(row)

    def grown(self) -> None:
        """The walk has found more: take it in and repaint only the rows that look different."""
        at_cursor = self._outline.path_at(self.cursor_row) if self.row_count else ()
        here = self._node(self.cursor_row) if self.row_count else None
        rows = self.row_count
        if self._generation != self._capture.generation:
            self._begin_anew()
            return
        if self._narrowing is not None and self._narrowing.outdated():
            self.narrow(self._narrowing.filter)
            return
        first, by = self._model.update()
        self._outline.shift(first, by)
        self._outline.recount()
        self._names.update()
        if at_cursor and self.row_count != rows:
            self._keep_cursor(at_cursor, here, first, by)
        if self._narrowing is not None and self.title() != self._titled:
            self._titled = self.title()
            self.refresh_title()
        if self._lost and self._shown is not None:
            self._reveal(self._shown)
        drawn = dict(self._drawn)
        for y in range(self.view_height):
            row = self.top + y
            segments = self.render_row(row, self.view_width) if row < self.row_count else []
            if segments != drawn.get(y, []):
                self.refresh_row(row)

    def _begin_anew(self) -> None:
        """The walk began anew: what was open is closed, the cursor stays on its section."""
        capture = self._capture
        self._generation = capture.generation
        self._names = DeviceNames(capture)
        self._summaries.clear()
        if self._narrowing is not None:
            self._narrowing = Narrowing(capture, self._narrowing.filter, self._problems)
        self._use(self._model.name)

    def _keep_cursor(self, path: Path, here: Node | None, first: int, by: int) -> None:
        if here is not None and here.leaf and here.section is not None:
            found = self._model.find(here.section)
            if found is None and here.section.index < 0:
                confirmed = self._capture.section_at(here.section.offset)
                found = None if confirmed is None else self._model.find(confirmed)
            path = found or path
        elif path[0] >= first:
            path = (path[0] + by, *path[1:])
        before = self.cursor_row
        self.cursor_row = self._outline.row_of(path)
        if self.cursor_row != before and self.top:
            self.top = max(0, self.top + self.cursor_row - before)
            self.refresh()

    # -- drawing ----------------------------------------------------------------------------------

    def _node(self, row: int) -> Node:
        return self._model.node(self._outline.path_at(row))

    def render_row(self, row: int, width: int) -> list[Segment]:
        path = self._outline.path_at(row)
        node = self._model.node(path)
        text = RowText(width, self.cursor_style(row))
        self._put_sign(text, node)
        depth = len(path) - 1
        if node.leaf and node.section is not None:
            depth += node.section.depth
        text.add("  " * min(depth, 12))
        text.add(
            ("▾ " if self._outline.is_open(path) else "▸ ") if node.children else "  ", self.palette.accent
        )
        columns = self._right_columns(node, width)
        limit = width - sum(len(cell) + 1 for cell, _ in columns)
        self._put_name(text, node, max(limit - (width - text.left), 4), nested=len(path) > 1)
        end = width
        for cell, _ in reversed(columns):
            end -= len(cell) + 1
        for cell, style in columns:
            end += len(cell) + 1
            text.right(cell, style, end)
        segments = text.segments()
        self._drawn[row - self.top] = segments
        return segments

    def on_resize(self) -> None:
        self._drawn.clear()
        super().on_resize()

    def _put_sign(self, text: RowText, node: Node) -> None:
        if node.part is not None:
            worst = self._parts.worst_of(node.part)
        elif node.device is not None:
            worst = self._problems.worst_of_device(node.device.number)
        elif node.first >= 0:
            worst = self._problems.worst_between(node.first, node.last)
        else:
            worst = None
        if worst is None:
            text.add(" ")
        elif worst is Severity.NOTE:
            text.add("·", self.palette.note)
        else:
            text.add("!", self.palette.problem)

    def _put_name(self, text: RowText, node: Node, limit: int, *, nested: bool) -> None:
        before = text.left
        section = node.section
        if node.part is not None:
            text.add(safe(node.label, 120), self.palette.meaning, limit)
            return
        if node.label:
            text.add(node.label, self.palette.text, limit)
            if section is not None and section.device is not None and self._model.name == ByStream.name:
                text.add(f"  {self._names.of(section)}", self.palette.dim, limit - (before - text.left))
            elif not node.section:
                text.add("  none yet", self.palette.dim, limit - (before - text.left))
            return
        if section is None:
            return
        by_stream = self._model.name == ByStream.name
        sign = confidence_sign(section.confidence) if node.leaf else ""
        if section.index < 0 and section.confidence.name == "VERIFIED_TAIL":
            sign = ""
        whole, limit = limit, limit - 2 if sign else limit
        if by_stream and section.kind.of_device:
            text.add(f"{section.kind.name:<5} ", self._kind_style(section.kind), limit)
            room = limit - (before - text.left)
            text.add(tail_fit(self._names.of(section), room), self.palette.text, room)
            if section.kind is SectionKind.PART:
                text.add(f"  {section.chunk}", self.palette.dim, limit - (before - text.left))
        elif nested or section.idstr is None:
            text.add(chunk_name(section), self._kind_style(section.kind), limit)
        else:
            text.add(tail_fit(self._names.of(section), limit), self.palette.text, limit)
        limit = whole
        if sign:
            room = limit - (before - text.left)
            # A word that is cut says less than the sign alone; the detail pane has the word.
            text.add(f" {sign}" if len(sign) < room else " ~", self.palette.note, room)
        note = ""
        if node.device is not None and not node.leaf:
            note = f"{node.count:,} sections" if node.count != 1 else "1 section"
        elif node.leaf and (nested or section.idstr is None or (by_stream and text.left > 30)):
            note = self._summary(section)
        room = limit - (before - text.left) - 2
        if note and (room >= len(note) or (room >= 8 and node.leaf)):
            text.add(f"  {note}", self.palette.dim, room + 2)

    def _kind_style(self, kind: SectionKind) -> Style:
        if kind is SectionKind.UNKNOWN:
            return self.palette.problem
        return self.palette.roles[1] if kind.of_device else self.palette.text

    def _right_columns(self, node: Node, width: int) -> list[tuple[str, Style | None]]:
        """Cells at the right edge; the wider the pane the more of them."""
        section = node.section
        cells: list[tuple[str, Style | None]] = []
        if width >= 52:
            identity = node.leaf or node.device is not None
            number = section.section_id if section is not None and identity else None
            version = section.version_id if section is not None and identity else None
            cells.append((f"{'' if number is None else f'#{number}':>5}", self.palette.dim))
            cells.append((f"{'' if version is None else f'v{version}':>4}", self.palette.dim))
        if width >= 40:
            digits = len(f"{self._capture.source.size:x}")
            place = node.part.offset if node.part is not None else section.offset if section else None
            where = "" if place is None else f"0x{place:0{digits}x}"
            cells.append((where, self.palette.dim))
        cells.append(self._size_cell(node))
        return cells

    def _size_cell(self, node: Node) -> tuple[str, Style | None]:
        if node.device is not None and self._being_indexed(node.device):
            percent = 100 * self._capture.walked // max(1, self._capture.source.size)
            return f"indexing {percent:2d} %", self.palette.note
        return f"{human(node.size) if node.size else '':>8}", None

    def _being_indexed(self, device: Device) -> bool:
        capture = self._capture
        if capture.complete or not len(capture.index) or not device.iterative:
            return False
        return capture.index.device_numbers[len(capture.index) - 1] == device.number

    def _summary(self, section: Section) -> str:
        if section.index < 0:
            return ""
        found = self._summaries.get(section.index)
        if found is None:
            if len(self._summaries) >= _SUMMARIES:
                self._summaries.clear()
            try:
                found = safe(self._capture.summary(section), 120)
            except QevmError:
                # The hex pane says that the bytes cannot be read; the section is still there.
                return ""
            if section.index < len(self._capture.index) - 1 or self._capture.complete:
                self._summaries[section.index] = found
        return found

    # -- moving -----------------------------------------------------------------------------------

    def cursor_moved(self) -> None:
        self._stop_following()
        if self.follow_delay <= 0:
            self._choose(jump=False)
        else:
            self._follow = self.set_timer(self.follow_delay, lambda: self._choose(jump=False))

    def _stop_following(self) -> None:
        if self._follow is not None:
            self._follow.stop()
            self._follow = None

    def _choose(self, *, jump: bool) -> None:
        self._stop_following()
        if not self.row_count:
            return
        node = self._node(self.cursor_row)
        section = node.section
        if node.part is not None:
            self._shown, self._shown_part = None, node.part
            self.post_message(PartChosen(node.part, jump=jump))
        elif section is not None:
            self._shown, self._shown_part = section, None
            self.post_message(SectionChosen(section, jump=jump))

    def action_choose(self) -> None:
        """Choose the section at once; open or close a chain or range."""
        self._choose(jump=True)
        self._toggle(self.cursor_row)

    def action_unfold(self) -> None:
        """Open, or step into what is open."""
        if not self.row_count:
            return
        path = self._outline.path_at(self.cursor_row)
        if self._outline.is_open(path):
            self.move_cursor(self.cursor_row + 1)
        else:
            self._toggle(self.cursor_row)

    def action_fold(self) -> None:
        """Close, or step out to the parent."""
        if not self.row_count:
            return
        path = self._outline.path_at(self.cursor_row)
        if self._outline.is_open(path):
            self._toggle(self.cursor_row)
        elif len(path) > 1:
            self.move_cursor(self._outline.row_of(path[:-1]))

    def _toggle(self, row: int) -> None:
        if row >= self.row_count:
            return
        path = self._outline.path_at(row)
        if self._model.node(path).children:
            self._outline.toggle(path)
            self.scroll_rows(self.top)
            self.refresh()

    def row_pressed(self, row: int, x: int, event: events.MouseDown) -> None:
        path = self._outline.path_at(row)
        expander = 1 + 2 * (len(path) - 1)
        again = row == self.cursor_row and self._outline.is_open(path) is False
        self.put_cursor(row)
        if expander <= x < expander + 2 or again:
            self._toggle(row)
        self._choose(jump=True)
