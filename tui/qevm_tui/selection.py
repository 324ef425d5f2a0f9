"""The one selection that all panes share, the history of it, and the messages that ask to change it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.message import Message

from qevm.field import Field, LazyFields
from qevm.problems import QevmError
from qevm.section import Section

if TYPE_CHECKING:
    from qevm.containers import ContainerPart
    from qevm.source import Source

FieldPath = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Selection:
    """Where one is.

    ``cursor`` is the byte under the cursor; ``start`` … ``end`` (exclusive) are the selected bytes:
    those of the section, of the field at ``path`` (child numbers from the section's root), or, when
    ``marked``, a range that the user marked.

    Outside of the stream, ``part`` is the part of the container that is selected.  All offsets count bytes
    of ``source``; None stands for the stream's own.
    """

    section: Section | None = None
    path: FieldPath = ()
    cursor: int = 0
    start: int = 0
    end: int = 0
    marked: bool = False
    part: ContainerPart | None = None
    source: Source | None = None

    @property
    def size(self) -> int:
        """How many bytes are selected."""
        return self.end - self.start

    @property
    def precise(self) -> bool:
        """True when less than the whole section is selected: a field or a marked range."""
        return self.marked or bool(self.path)


class History:
    """Where one was: back and forward, as in a browser.  Small moves replace the newest place."""

    def __init__(self, limit: int = 200) -> None:
        self._places: list[Selection] = []
        self._now = -1
        self._limit = limit

    def visit(self, place: Selection, *, jump: bool) -> None:
        """Be at ``place``.  A ``jump`` keeps the former place to go back to and forgets what was forward."""
        if not jump and self._now >= 0:
            self._places[self._now] = place
            return
        del self._places[self._now + 1 :]
        self._places.append(place)
        if len(self._places) > self._limit:
            del self._places[0]
        self._now = len(self._places) - 1

    def back(self) -> Selection | None:
        """The place before this one, or None at the oldest."""
        if self._now <= 0:
            return None
        self._now -= 1
        return self._places[self._now]

    def forward(self) -> Selection | None:
        """The place after this one, or None at the newest."""
        if self._now + 1 >= len(self._places):
            return None
        self._now += 1
        return self._places[self._now]


class SectionChosen(Message):
    """The user chose a section (in the tree)."""

    def __init__(self, section: Section, *, jump: bool = False) -> None:
        super().__init__()
        self.section = section
        self.jump = jump


class PartChosen(Message):
    """The user chose a part of the container (in the tree)."""

    def __init__(self, part: ContainerPart, *, jump: bool = False) -> None:
        super().__init__()
        self.part = part
        self.jump = jump


class FieldChosen(Message):
    """The user chose a field of the selected section (in the detail pane)."""

    def __init__(self, path: FieldPath) -> None:
        super().__init__()
        self.path = path


class BytesChosen(Message):
    """The user moved the byte cursor, or marked the bytes from ``anchor`` to ``cursor`` (both included)."""

    def __init__(self, cursor: int, anchor: int | None = None) -> None:
        super().__init__()
        self.cursor = cursor
        self.anchor = anchor


def field_at(root: Field, path: FieldPath) -> Field | None:
    """The field at ``path``, or None when the tree has no such place."""
    item = root
    for number in path:
        if not 0 <= number < len(item.children):
            return None
        item = item.children[number]
    return item


def fields_along(root: Field, path: FieldPath) -> list[Field]:
    """The fields from the first below the root down to ``path``."""
    found: list[Field] = []
    item = root
    for number in path:
        if not 0 <= number < len(item.children):
            break
        item = item.children[number]
        found.append(item)
    return found


def path_at(root: Field, offset: int) -> FieldPath:
    """The path to the smallest field that covers ``offset``; empty when only the root does.

    As :meth:`Field.at`, but with child numbers: a LazyFields makes its children anew, so that a field
    itself does not say where it is.
    """
    path: list[int] = []
    item = root
    while len(path) < 64:
        try:
            number = _covering(item, offset)
            if number is None:
                break
            item = item.children[number]
        except QevmError:
            # Fields made only now read a file that has changed: what is known of the path must do.
            break
        path.append(number)
    return tuple(path)


_SCAN_LIMIT = 100_000
"""Children looked at one by one for an offset; a longer run must be able to locate."""


def _covering(item: Field, offset: int) -> int | None:
    children = item.children
    if isinstance(children, LazyFields):
        if children.locates:
            return children.number_at(offset)
        if len(children) > _SCAN_LIMIT:
            return None
    best: int | None = None
    best_size = 0
    for number, child in enumerate(children):
        if child.size and child.offset <= offset < child.end and (best is None or child.size < best_size):
            best, best_size = number, child.size
    return best
