"""What the hex pane draws: bytes from a bounded cache of pages, and the tint of each byte in view."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import OrderedDict
from contextlib import suppress
from typing import TYPE_CHECKING

from qevm.field import Field, LazyFields, Role
from qevm.problems import QevmError, SourceError

if TYPE_CHECKING:
    from qevm.index import SectionIndex
    from qevm.section import Section
    from qevm.source import Source

PAGE = 1 << 14
PAGES = 64

_SCAN = 5000
"""Children of one field looked at one by one for tints; a longer run must be able to locate."""


class PageCache:
    """The pages of the capture that were seen last: 1 MiB at most, whatever the capture's size."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._pages: OrderedDict[int, bytes] = OrderedDict()
        self.error = ""
        """Why the last read failed; empty when it did not."""

    def read(self, offset: int, length: int) -> bytes:
        """Bytes for the screen; fewer where they cannot be read, and then :attr:`error` says why."""
        parts: list[bytes] = []
        end = min(offset + length, self._source.size)
        while offset < end:
            number, inside = divmod(offset, PAGE)
            part = self._page(number)[inside : inside + end - offset]
            if not part:
                break
            parts.append(part)
            offset += len(part)
        return b"".join(parts)

    def _page(self, number: int) -> bytes:
        page = self._pages.get(number)
        # A short page was the last one; when bytes have arrived since, it is read again.
        if page is not None and (len(page) == PAGE or number * PAGE + len(page) >= self._source.size):
            self._pages.move_to_end(number)
            return page
        try:
            page = self._source.read(number * PAGE, PAGE)
        except SourceError as error:
            self.error = str(error)
            return b""
        self.error = ""
        self._pages[number] = page
        if len(self._pages) > PAGES:
            self._pages.popitem(last=False)
        return page

    def forget(self) -> None:
        """Read everything anew."""
        self._pages.clear()
        self.error = ""


def tints(
    index: SectionIndex | None, section: Section | None, root: Field | None, low: int, high: int
) -> bytearray:
    """The :class:`Role` of each byte of ``low`` … ``high``; ``index`` None outside of the stream.

    Headers and footers of every section in view are known from the index; inside the selected section the
    decoded fields say more.
    """
    roles = bytearray(high - low)
    if index is not None:
        _fill_frames(roles, low, high, index)
    if section is not None:
        _fill(roles, low, section.offset, section.body, Role.HEADER)
        _fill(roles, low, section.body_end, section.end, Role.FOOTER)
    if root is not None:
        with suppress(QevmError):
            _fill_fields(roles, low, high, root, 0)
    return roles


def _fill_frames(roles: bytearray, low: int, high: int, index: SectionIndex) -> None:
    """Tint headers and footers."""
    count = len(index)
    row = max(bisect_right(index.offsets, low, 0, count) - 1, 0)
    while row < count and index.offsets[row] < high:
        _fill(roles, low, index.offsets[row], index.bodies[row], Role.HEADER)
        _fill(roles, low, index.body_ends[row], index.ends[row], Role.FOOTER)
        row += 1


def _fill(roles: bytearray, low: int, start: int, end: int, role: Role) -> None:
    start, end = max(start - low, 0), min(end - low, len(roles))
    if start < end:
        roles[start:end] = bytes((role,)) * (end - start)


def _fill_fields(roles: bytearray, low: int, high: int, field: Field, depth: int) -> None:
    if depth > 64:
        return
    for child in _overlapping(field, low, high):
        if child.role is not Role.PLAIN:
            _fill(roles, low, child.offset, child.end, child.role)
        if child.problem:
            _fill(roles, low, child.offset, child.end, Role.PROBLEM)
        if child.children:
            _fill_fields(roles, low, high, child, depth + 1)


def _overlapping(field: Field, low: int, high: int) -> list[Field]:
    children = field.children
    count = len(children)
    if count > _SCAN:
        first = 0
        if isinstance(children, LazyFields):
            found = children.number_at(max(low, field.offset))
            if found is None:
                return []
            first = found
        else:
            first = max(0, bisect_left(range(count), low, key=lambda number: children[number].end))
        found_fields: list[Field] = []
        for number in range(first, min(first + _SCAN, count)):
            child = children[number]
            if child.offset >= high:
                break
            found_fields.append(child)
        return found_fields
    return [child for child in children if child.offset < high and child.end > low]
