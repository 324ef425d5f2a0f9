"""Fields and devices: what is found when sections are decoded, one after the other."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from qevm.bodies.ram import RamBody
from qevm.field import Field, LazyFields
from qevm.search.fieldtest import FieldTest
from qevm.search.result import Match, Origin, Step
from qevm.section import Section

if TYPE_CHECKING:
    from qevm.capture import Capture

_AT_ONCE = 500
"""Fields between two steps."""

_MOST = 50_000
"""Matches of one section that are kept; the others are left out."""

_DEEPEST = 64
_BEHIND_ALL = 1 << 62

Order = tuple[int, int, tuple[int, ...]]


class Sections:
    """The sections that are searched, in stream order, made when they are needed."""

    def __init__(self, capture: Capture, rows: Sequence[int], located: Sequence[Section] = ()) -> None:
        self._index = capture.index
        self._rows = rows
        self._located = located

    def __len__(self) -> int:
        return len(self._rows) + len(self._located)

    def __getitem__(self, number: int) -> Section:
        known = len(self._rows)
        return self._index[self._rows[number]] if number < known else self._located[number - known]

    def number_at(self, offset: int) -> int:
        """The number of the last section that begins at or before ``offset``; -1 before all."""
        known = bisect_right(self._rows, offset, key=lambda row: self._index.offsets[row])
        if known < len(self._rows):
            return known - 1
        return known + bisect_right(self._located, offset, key=lambda section: section.offset) - 1


class FieldScan:
    """Looks for the fields that ``test`` takes.  Decodes a section when the search comes to it.

    Without ``records`` the page records of RAM are left out: a live migration has millions of them.
    """

    def __init__(
        self, capture: Capture, sections: Sections, test: FieldTest, *, records: bool = True
    ) -> None:
        self._capture = capture
        self._sections = sections
        self._test = test
        self._records = records

    def steps(self, origin: Origin, backward: bool) -> Iterator[Step]:
        """Matches from ``origin`` on, round the end of the sections until all were seen."""
        sections = self._sections
        place = origin.offset if origin.match is None else origin.match.order[0]
        here = sections.number_at(place)
        key = self._key(origin, here, backward)
        numbers = range(here - 1, -1, -1) if backward else range(here + 1, len(sections))
        rest = range(len(sections) - 1, here, -1) if backward else range(max(here, 0))
        if here >= 0:
            yield from self._part(here, key, backward, before=backward)
        for number in numbers:
            yield from self._whole(number, backward, wrapped=False)
        for number in rest:
            yield from self._whole(number, backward, wrapped=True)
        if here >= 0:
            for step in self._part(here, key, backward, before=not backward):
                yield Step(step.reached, step.match, wrapped=True)

    def _key(self, origin: Origin, here: int, backward: bool) -> Order:
        """Matches below this order lie before the origin."""
        if origin.match is not None:
            section_offset, start, path = origin.match.order
            return (section_offset, start, path if backward else (*path, -1))
        section_offset = self._sections[here].offset if here >= 0 else 0
        behind = origin.inclusive == backward
        return (section_offset, origin.offset, (_BEHIND_ALL,) if behind else ())

    def _part(self, number: int, key: Order, backward: bool, *, before: bool) -> Iterator[Step]:
        found: list[Match] = []
        yield from self._search(number, found)
        place = bisect_left(found, key, key=lambda match: match.order)
        part = found[:place] if before else found[place:]
        yield from (Step(m.start, m) for m in (reversed(part) if backward else part))

    def _whole(self, number: int, backward: bool, *, wrapped: bool) -> Iterator[Step]:
        found: list[Match] = []
        for step in self._search(number, found):
            yield Step(step.reached, None, wrapped)
        yield from (Step(m.start, m, wrapped) for m in (reversed(found) if backward else found))

    def _search(self, number: int, found: list[Match]) -> Iterator[Step]:
        """Put all matches of one section into ``found``, in order; steps in between."""
        section = self._sections[number]
        yield Step(section.offset)
        count = 0
        try:
            root = self._capture.decode(section)
            lazy = self._records or not isinstance(self._capture.body_of(section), RamBody)
            for field, path, dotted in _walk(root, lazy=lazy):
                count += 1
                if not count % _AT_ONCE:
                    yield Step(section.offset)
                if self._test(field, dotted) and len(found) < _MOST:
                    found.append(Match(field.offset, field.end, section, path))
        except Exception:
            # A decoder's mistake over hostile bytes, or a file that changes, must not end a search over other
            # sections; whoever looks at this one is told what is wrong.
            pass
        found.sort(key=lambda match: match.order)


def _walk(root: Field, *, lazy: bool) -> Iterator[tuple[Field, tuple[int, ...], str]]:
    """(field, path, dotted name) of all below ``root``, depth first.

    ``lazy`` runs are made one by one, or not entered.
    """
    stack: list[tuple[Sequence[Field], int, tuple[int, ...], str]] = [(root.children, 0, (), "")]
    while stack:
        children, number, path, prefix = stack.pop()
        if number >= len(children):
            continue
        stack.append((children, number + 1, path, prefix))
        field = children[number]
        here = (*path, number)
        dotted = prefix + field.name
        yield field, here, dotted
        entered = lazy or not isinstance(field.children, LazyFields)
        if field.children and entered and len(here) < _DEEPEST:
            stack.append((field.children, 0, here, dotted + "."))


class DeviceScan:
    """Looks for devices by a part of their id, or a glob."""

    def __init__(self, capture: Capture, wanted: str) -> None:
        self._found = sorted(_devices(capture, wanted), key=lambda match: match.start)

    def steps(self, origin: Origin, backward: bool) -> Iterator[Step]:
        """Matches from ``origin`` on, round the end until all were seen."""
        found = self._found
        offset = origin.offset if origin.match is None else origin.match.start
        inclusive = origin.match is None and origin.inclusive
        bisect = bisect_right if inclusive == backward else bisect_left
        place = bisect(found, offset, key=lambda match: match.start)
        first, second = (found[:place], found[place:]) if backward else (found[place:], found[:place])
        for part, wrapped in ((first, False), (second, True)):
            yield from (Step(m.start, m, wrapped) for m in (reversed(part) if backward else part))


def _devices(capture: Capture, wanted: str) -> Iterator[Match]:
    wanted = wanted.casefold()
    seen: set[tuple[str, int]] = set()

    def fits(device_id: str) -> bool:
        name = device_id.casefold()
        if "*" in wanted or "?" in wanted:
            return fnmatchcase(name, wanted) or fnmatchcase(name.rpartition("@")[0], wanted)
        return wanted in name

    for device in capture.index.devices:
        if device.sections:
            seen.add((device.idstr, device.instance_id))
            if fits(device.device_id):
                section = capture.index[device.sections[0]]
                yield Match(section.offset, section.end, section)
    for section in capture.located:
        if (section.idstr, section.instance_id) not in seen and fits(section.device_id):
            yield Match(section.offset, section.end, section)
