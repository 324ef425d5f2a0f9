"""The device detail: what the selected section means, as a tree of fields."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import BindingType

from qevm.field import Field
from qevm.problems import QevmError, Severity
from qevm.safetext import safe
from qevm.section import Section, SectionKind
from qevm_tui.keys import bindings
from qevm_tui.outline import Outline, Path
from qevm_tui.palette import Palette
from qevm_tui.panes.columns import RowText
from qevm_tui.panes.container_rows import open_elements, part_lines, put_element
from qevm_tui.panes.field_model import FieldModel
from qevm_tui.panes.field_row import put_field
from qevm_tui.panes.line_pane import ListPane
from qevm_tui.problem_rows import ProblemRows
from qevm_tui.selection import FieldChosen, Selection
from qevm_tui.words import chunk_name, human, plural, problem_text, section_name

if TYPE_CHECKING:
    from qevm.capture import Capture
    from qevm.containers import ContainerPart
    from qevm_tui.container_parts import Parts

_FEW = 24
"""So many fields in structs are opened from the start."""

_KEPT_CLOSED = ("header", "footer", "derived")


class DeviceDetail(ListPane):
    """Right pane.  The first rows say what the section is; the fields follow."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("list", "detail")]

    def __init__(self, capture: Capture, problems: ProblemRows, palette: Palette, parts: Parts) -> None:
        super().__init__(palette, id="detail")
        self._parts = parts
        self._part: ContainerPart | None = None
        self._capture = capture
        self._problems = problems
        self._section: Section | None = None
        self._model = FieldModel(None)
        self._outline = Outline(self._model.count)
        self._head: list[tuple[str, Style | None]] = []
        self._name_width = 0

    # -- what is shown ----------------------------------------------------------------------------

    @property
    def row_count(self) -> int:
        return len(self._head) + self._outline.rows

    def title(self) -> str:
        if self._part is not None:
            return safe(self._part.name, 60)
        return section_name(self._section) if self._section is not None else "detail"

    def show_selection(self, selection: Selection, root: Field | None) -> None:
        """Show a section's fields, or move to the selected one."""
        if (
            selection.section != self._section
            or selection.part is not self._part
            or root is not self._model.root
        ):
            another = self._section is None or (
                selection.section is None or selection.section.offset != self._section.offset
            )
            self._section = selection.section
            self._part = selection.part
            self._set_root(root)
            if another:
                self.top = 0
                self.cursor_row = len(self._head) if root is not None else 0
            self.refresh()
        if selection.path and self._model.root is not None:
            path = self._model.outline_path(selection.path)
            rows = self.row_count
            row = self._outline.reveal(path)
            if self.row_count != rows:
                self.refresh()
            self.put_cursor(len(self._head) + row)

    def grown(self) -> None:
        """The walk found more: the chain or the problems of the section may have changed."""
        before = self._head
        self._head = self._describe()
        if self._head != before:
            self.cursor_row = max(0, self.cursor_row + len(self._head) - len(before))
            self.refresh()

    def on_resize(self) -> None:
        self._head = self._describe()
        super().on_resize()

    def restyle(self) -> None:
        """The palette has changed: the lines about the section hold styles."""
        self._head = self._describe()

    def _set_root(self, root: Field | None) -> None:
        self._model = FieldModel(root)
        self._head = self._describe()
        self._outline = Outline(self._model.count)
        if root is not None and root.type == "xml":
            open_elements(root, self._model, self._outline)
        elif root is not None:
            self._open_small(root)
        self.cursor_row = min(self.cursor_row, max(0, self.row_count - 1))

    def _open_small(self, root: Field) -> None:
        """Open what leaves the whole on about one screen, but not what was derived from other fields."""
        room = _FEW
        for number in range(min(len(root.children), _FEW)):
            child = root.children[number]
            inner = len(child.children)
            if 0 < inner <= room and child.type not in _KEPT_CLOSED:
                self._outline.open(self._model.outline_path((number,)))
                room -= inner

    # -- the lines about the section --------------------------------------------------------------

    def _describe(self) -> list[tuple[str, Style | None]]:
        section = self._section
        if self._part is not None:
            about = part_lines(self._part, self._parts, self._model.root, self.palette)
            said = [(line, style) for text, style in about for line in _wrap(text, self.view_width)]
            return [*said, ("", None)]
        if section is None:
            return [("no section here", self.palette.dim)]
        lines: list[tuple[str, Style | None]] = []

        def put(text: str, style: Style | None) -> None:
            lines.extend((part, style) for part in _wrap(text, self.view_width))

        facts = [chunk_name(section)]
        if section.section_id is not None:
            facts.append(f"id {section.section_id}")
        if section.version_id is not None:
            facts.append(f"version {section.version_id}")
        facts.append(
            human(section.size) if section.size < 1024 else f"{human(section.size)} ({section.size:,} B)"
        )
        put("  ".join(facts), self.palette.strong)
        place = f"at 0x{section.offset:x}"
        if section.kind.of_device:
            place += "  footer" if section.has_footer else "  no footer"
        put(f"{place}  {section.confidence.label}", self.palette.dim)
        chain = self._chain_line(section)
        if chain:
            put(chain, self.palette.dim)
        try:
            summary = safe(self._capture.summary(section), 400) if section.index >= 0 else ""
        except QevmError as error:
            put(f"! {safe(str(error))}", self.palette.problem)
        else:
            if summary:
                put(summary, self.palette.meaning)
        if section.index >= 0:
            for problem in self._problems.of_row(section.index)[:20]:
                sign, style = ("!", self.palette.problem)
                if problem.severity is Severity.NOTE:
                    sign, style = ("·", self.palette.note)
                lines.extend(
                    (part, style) for part in _wrap(f"{sign} {problem_text(problem)}", self.view_width)
                )
        lines.append(("", None))
        return lines

    def _chain_line(self, section: Section) -> str:
        capture = self._capture
        if section.device is None or section.index < 0 or section.device >= len(capture.index.devices):
            return ""
        device = capture.index.devices[section.device]
        rows = device.sections
        if not device.iterative or len(rows) < 2:
            return ""
        last = capture.index[rows[-1]]
        ended = last.kind is SectionKind.END
        parts = len(rows) - 1 - ended
        words = [f"START at 0x{capture.index.offsets[rows[0]]:x}"]
        if section.kind is SectionKind.PART:
            words.insert(0, f"PART {section.chunk:,} of {parts:,}{'' if ended or capture.complete else '…'}")
        else:
            words.insert(0, f"{plural(parts, 'PART')}, {human(device.size)} in all")
        if ended:
            words.append(f"END at 0x{last.offset:x}")
        else:
            words.append("no END" if capture.complete else "END not reached yet")
        return ", ".join(words)

    # -- drawing ----------------------------------------------------------------------------------

    def render_row(self, row: int, width: int) -> list[Segment]:
        text = RowText(width, self.cursor_style(row))
        if row < len(self._head):
            line, style = self._head[row]
            text.add(" " + line, style)
            return text.segments()
        path = self._outline.path_at(row - len(self._head))
        node = self._model.node(path)
        text.add("  " * min(len(path) - 1, 10))
        text.add(
            ("▾ " if self._outline.is_open(path) else "▸ ") if node.children else "  ", self.palette.accent
        )
        if node.is_range:
            text.add(f"[{node.low:,} … {node.high - 1:,}]", self.palette.dim)
        elif node.field.type == "element":
            put_element(text, node.field, self.palette)
        else:
            put_field(text, node.field, self.palette)
        return text.segments()

    # -- moving -----------------------------------------------------------------------------------

    def _path(self, row: int) -> Path:
        return self._outline.path_at(row - len(self._head)) if row >= len(self._head) else ()

    def cursor_moved(self) -> None:
        path = self._path(self.cursor_row)
        if path and not self._model.node(path).is_range:
            self.post_message(FieldChosen(self._model.field_path(path)))
        elif not path:
            self.post_message(FieldChosen(()))

    def action_choose(self) -> None:
        """Open or close the field; choose its bytes."""
        self.cursor_moved()
        self._toggle(self.cursor_row)

    def action_unfold(self) -> None:
        """Open, or step into what is open."""
        path = self._path(self.cursor_row)
        if path and self._outline.is_open(path):
            self.move_cursor(self.cursor_row + 1)
        else:
            self._toggle(self.cursor_row)

    def action_fold(self) -> None:
        """Close, or step out to the parent."""
        path = self._path(self.cursor_row)
        if path and self._outline.is_open(path):
            self._toggle(self.cursor_row)
        elif len(path) > 1:
            self.move_cursor(len(self._head) + self._outline.row_of(path[:-1]))

    def _toggle(self, row: int) -> None:
        path = self._path(row)
        if path and self._model.node(path).children:
            self._outline.toggle(path)
            self.scroll_rows(self.top)
            self.refresh()

    def row_pressed(self, row: int, x: int, event: events.MouseDown) -> None:
        path = self._path(row)
        expander = 2 * (len(path) - 1)
        again = row == self.cursor_row
        self.put_cursor(row)
        if path and (expander <= x < expander + 2 or again):
            self._toggle(row)
        self.cursor_moved()


def _wrap(text: str, width: int) -> list[str]:
    """Lines of at most ``width`` cells, broken at blanks where there are any."""
    import textwrap

    return textwrap.wrap(text, max(20, width - 2), subsequent_indent="  ", drop_whitespace=True) or [text]
