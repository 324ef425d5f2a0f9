"""The container's parts in the panes: rows above the sections, and lines about the selected part."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.style import Style

from qevm.field import Field
from qevm.problems import Severity
from qevm.safetext import safe
from qevm.section import Section
from qevm_tui.container_parts import Parts
from qevm_tui.outline import Outline, Path
from qevm_tui.palette import Palette
from qevm_tui.panes.columns import RowText
from qevm_tui.panes.field_model import FieldModel
from qevm_tui.panes.tree_model import Node, TreeModel
from qevm_tui.words import problem_text

if TYPE_CHECKING:
    from qevm.containers import ContainerPart

_RAW_LINES = 500
_OPENED = 2000
"""Elements of an XML document that are open from the start."""


class PartsAbove:
    """A tree model with the container's parts as rows before those of another model."""

    def __init__(self, model: TreeModel, parts: Parts) -> None:
        self.name = model.name
        self._model = model
        self._all = parts
        self._parts = parts.items

    def count(self, path: Path) -> int:
        if not path:
            return len(self._parts) + self._model.count(())
        return 0 if path[0] < len(self._parts) else self._model.count(self._inner(path))

    def node(self, path: Path) -> Node:
        if path[0] < len(self._parts):
            part = self._parts[path[0]]
            return Node(part.name, None, size=self._all.size_of(part), part=part)
        return self._model.node(self._inner(path))

    def _inner(self, path: Path) -> Path:
        return (path[0] - len(self._parts), *path[1:])

    def find(self, section: Section) -> Path | None:
        path = self._model.find(section)
        return None if path is None else (path[0] + len(self._parts), *path[1:])

    def update(self) -> tuple[int, int]:
        first, by = self._model.update()
        return first + len(self._parts), by


def part_lines(
    part: ContainerPart, parts: Parts, root: Field | None, palette: Palette
) -> Iterator[tuple[str, Style | None]]:
    """(text, style) of the lines about a part; each may be longer than the pane is wide."""
    whole = bool(parts.items) and part is parts.items[0]
    yield (safe(part.name, 200), palette.strong)
    if not whole:
        where = "of the file" if part.source is parts.source else "of what was unpacked"
        yield (f"{part.size:,} B at 0x{part.offset:x} {where}", palette.dim)
    for problem in parts.problems_of(part)[:20]:
        sign, style = ("·", palette.note) if problem.severity is Severity.NOTE else ("!", palette.problem)
        yield (f"{sign} {problem_text(problem)}", style)
    if root is not None and root.problem:
        yield (f"! {safe(root.problem)}", palette.problem)
        if isinstance(root.value, str):
            for line in root.value.splitlines()[:_RAW_LINES]:
                yield (safe(line, 2000), None)


def open_elements(root: Field, model: FieldModel, outline: Outline) -> None:
    """Open an XML document as far as it is shown at once: it is there to be read."""
    room = _OPENED

    def walk(field: Field, path: tuple[int, ...]) -> None:
        nonlocal room
        for number, child in enumerate(field.children):
            if room <= 0:
                return
            room -= 1
            if child.children:
                outline.open(model.outline_path((*path, number)))
                walk(child, (*path, number))

    walk(root, ())


def put_element(text: RowText, field: Field, palette: Palette) -> None:
    """An XML element as one row: its tag with attributes, and its text."""
    name, attributes = safe(field.name, 200), safe(field.meaning, 2000)
    content = safe(field.value, 2000) if isinstance(field.value, str) else ""
    text.add(f"<{name}", palette.accent)
    if attributes:
        text.add(f" {attributes}", palette.meaning)
    if content:
        text.add(">", palette.accent)
        text.add(" ".join(content.split()), palette.text)
        text.add(f"</{name}>", palette.accent)
    else:
        text.add(">" if field.children else "/>", palette.accent)
