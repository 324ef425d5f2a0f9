"""The one Field tree: whatever has an offset, a size and a meaning.

Headers, RAM records, vmstate fields, PCI registers: the hex pane colours Fields, the detail pane lists
them, ``qevm show`` prints them, search finds them (design §2).
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import overload

Value = int | bool | float | str | bytes | None


class Role(enum.IntEnum):
    """What kind of bytes a field covers, for the tints of the hex pane and its legend."""

    PLAIN = 0
    HEADER = 1
    FOOTER = 2
    LENGTH = 3
    NAME = 4
    NUMBER = 5
    ADDRESS = 6
    TEXT = 7
    BUFFER = 8
    PAGE = 9
    SUBSECTION = 10
    PADDING = 11
    PROBLEM = 12


@dataclass(slots=True)
class Field:
    """One named range of bytes and what it says.

    ``offset`` counts from the start of the capture's source, ``size`` is in bytes (0 is legal: a
    derived line with no bytes of its own carries the offset of what it was derived from).
    ``type`` is the name that vmstate uses (``uint32``, ``struct``, ``timer``, …) or the construct
    type of a header.  ``value`` is the decoded value; None for a container.  ``meaning`` is prose
    or symbols that explain the value ("not armed", "CF ZF"), already plain text but not yet passed
    through safetext.  ``children`` may be lazy: a list or a :class:`LazyFields`.
    ``version`` is the version_id of a struct or subsection's vmsd, ``vmsd`` its name: explanations
    match on these.  ``bits`` names a bit range (low, width) inside the bytes for bit fields.
    ``inferred`` marks what was decoded from a built-in layout, not from the capture's description.
    ``alias`` is the name that vmstate gave the field when an explanation gave it a better one
    (``RIP`` for ``env.eip``): look-ups by name find it under both.
    """

    name: str
    offset: int
    size: int
    type: str = ""
    value: Value = None
    meaning: str = ""
    children: Sequence[Field] = ()
    role: Role = Role.PLAIN
    vmsd: str = ""
    version: int | None = None
    bits: tuple[int, int] | None = None
    problem: str = ""
    inferred: bool = False
    alias: str = ""

    @property
    def end(self) -> int:
        """Offset of the first byte after the field."""
        return self.offset + self.size

    def child(self, name: str) -> Field | None:
        """The first direct child of that name, or None."""
        for item in self.children:
            if name in (item.name, item.alias):
                return item
        return None

    def all(self, name: str) -> list[Field]:
        """All direct children of that name: an array is a run of children that share one name."""
        return [item for item in self.children if name in (item.name, item.alias)]

    def walk(self, limit: int = 1 << 62) -> Iterator[tuple[int, Field]]:
        """Depth-first (depth, field) of this field and all below it, at most ``limit`` of them.

        Lazy runs are made as far as the walk comes: a limit bounds the work, too.
        """
        levels: list[Iterator[Field]] = [iter((self,))]
        while levels and limit > 0:
            item = next(levels[-1], None)
            if item is None:
                levels.pop()
                continue
            limit -= 1
            yield len(levels) - 1, item
            if item.children:
                levels.append(iter(item.children))

    def at(self, offset: int) -> list[Field]:
        """The path from this field down to the smallest one that covers ``offset``."""
        path: list[Field] = []
        item: Field | None = self
        while item is not None and item.offset <= offset < max(item.end, item.offset + 1):
            path.append(item)
            item = _covering(item.children, offset)
        return path


def _covering(children: Sequence[Field], offset: int) -> Field | None:
    if isinstance(children, LazyFields):
        return children.covering(offset)
    found = None
    for item in children:
        covers = item.bits is None and item.size and item.offset <= offset < item.end
        # Explanations overlap what they explain: the smallest range says the most.  The bits of a
        # register all cover its bytes: an offset cannot choose among them.
        if covers and (found is None or item.size < found.size):
            found = item
    return found


class LazyFields(Sequence[Field]):
    """A long run of fields made only when looked at: ``length`` of them, number i made by ``make``.

    ``locate`` turns an offset into the index of the field that covers it (or None), so that the
    hex cursor finds a page record among a million without making them all.
    """

    __slots__ = ("_kept", "_length", "_locate", "_make")

    def __init__(
        self,
        length: int,
        make: Callable[[int], Field],
        locate: Callable[[int], int | None] | None = None,
    ) -> None:
        self._length = length
        self._make = make
        self._locate = locate
        self._kept: dict[int, Field] = {}

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, index: int) -> Field: ...
    @overload
    def __getitem__(self, index: slice) -> list[Field]: ...
    def __getitem__(self, index: int | slice) -> Field | list[Field]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(self._length))]
        if index < 0:
            index += self._length
        if not 0 <= index < self._length:
            raise IndexError(index)
        kept = self._kept.get(index)
        if kept is None:
            if len(self._kept) >= 4096:
                self._kept.clear()
            kept = self._kept[index] = self._make(index)
        return kept

    @property
    def locates(self) -> bool:
        """True when an offset is found without making the fields."""
        return self._locate is not None

    def number_at(self, offset: int) -> int | None:
        """The number of the field that covers ``offset``; None where there is none or none can be told."""
        return None if self._locate is None else self._locate(offset)

    def mapped(self, change: Callable[[int, Field], Field]) -> LazyFields:
        """The same run with each field passed through ``change(number, field)`` when it is made."""
        return LazyFields(self._length, lambda i: change(i, self._make(i)), self._locate)

    def covering(self, offset: int) -> Field | None:
        """The field that covers ``offset``, or None."""
        if self._locate is not None:
            found = self._locate(offset)
            return None if found is None else self[found]
        for item in self:
            if item.size and item.offset <= offset < item.end:
                return item
        return None
