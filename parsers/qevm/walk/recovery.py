"""What to do when a body's end is unknown, or when the walk has lost its place (stream-format §12.3).

A footer pattern alone is no proof: a real ``timer`` body holds ``7e 00000000 00``.  A place is accepted when
footer and what follows it agree, or when a known layout ends there, or when the tail located it.  The work
of all searches together is bounded by a small multiple of the file.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator

from qevm import safetext
from qevm.bodies.known_layouts import match_body
from qevm.section import Confidence
from qevm.source import Source, behind_hole
from qevm.walk.headers import MAX_HEADER, Head, Plausibility, footer, parse_head

_FIRST_WINDOW = 1 << 8
_WINDOW = 1 << 20
_BUDGET_FACTOR = 4
# A body that a built-in layout makes longer than this by bytes behind the end of the data is no such body.
_LONGEST_LAYOUT = 1 << 20
_HEADER = re.compile(rb"[\x01\x04]\x00\x00[\x00-\xff]{2}[\x02-\xff][\x21-\x7e]{2}")
_DESCRIPTION = re.compile(rb"\x00\x06[\x00-\xff]{4}\{\s*\"(?:configuration|page_size|devices)\"")


class Recovery:
    """Searches forward in one stream.  ``anchors`` are offsets where sections are known to begin."""

    def __init__(self, source: Source, plausible: Plausibility, anchors: list[int]) -> None:
        self._source = source
        self._plausible = plausible
        self._anchors = anchors
        self._budget = _BUDGET_FACTOR * source.size + (64 << 20)

    def _windows(self, start: int, limit: int, overlap: int) -> Iterator[tuple[int, bytes]]:
        """(offset, bytes) of windows from ``start`` to ``limit``, each overlapping the one before."""
        size = _FIRST_WINDOW
        while start < limit and self._budget > 0:
            start = max(start, behind_hole(self._source, start) - overlap)
            data = self._source.read(start, min(size + overlap, limit - start))
            if not data:
                return
            self._budget -= len(data)
            yield start, data
            start += size
            # Most ends are near: look at little first, then at more.
            size = min(size * 4, _WINDOW)

    def next_located(self, offset: int) -> int | None:
        """The next section from ``offset`` on that the tail located; None when there is none."""
        at = bisect_left(self._anchors, offset)
        return self._anchors[at] if at < len(self._anchors) else None

    def chunk_end(
        self, start: int, section_id: int, limit: int, in_package: bool, footers: bool | None
    ) -> tuple[int, int] | None:
        """(body end, section end): the first footer of ``section_id`` with a plausible item behind it."""
        if footers is False:
            return None
        wanted = footer(section_id)
        for base, data in self._windows(start, limit, 4):
            at = data.find(wanted)
            while at >= 0:
                if self._plausible.item(base + at + 5, limit, in_package):
                    return base + at, base + at + 5
                at = data.find(wanted, at + 1)
        return None

    def behind(self, pattern: bytes, start: int, limit: int, in_package: bool) -> int | None:
        """The offset behind the first ``pattern`` from ``start`` on that a plausible item follows."""
        for base, data in self._windows(start, limit, len(pattern) - 1):
            at = data.find(pattern)
            while at >= 0:
                if self._plausible.item(base + at + len(pattern), limit, in_package):
                    return base + at + len(pattern)
                at = data.find(pattern, at + 1)
        return None

    def first_footer(self, start: int, ids: list[int], limit: int, in_package: bool) -> int | None:
        """Which of ``ids`` the first footer behind ``start`` names, None when a header comes first."""
        ends = {
            number: found[1]
            for number in ids
            if (found := self.chunk_end(start, number, limit, in_package, True)) is not None
        }
        if not ends:
            return None
        owner = min(ends, key=lambda number: ends[number])
        return owner if self.next_anchor(start, ends[owner], in_package) >= ends[owner] else None

    def body_end(
        self, head: Head, limit: int, in_package: bool, footers: bool | None, described: bool
    ) -> tuple[int, int, Confidence] | None:
        """(body end, section end, confidence) of a FULL section whose length is not known, or None.

        ``described``: the description has a length, but a wrong one; then built-in layouts are not asked.
        """
        located = self.next_located(head.body)
        stop = limit if located is None else min(limit, located)
        wanted = footer(head.section_id)
        ends = [] if described else self._layout_ends(head, stop)
        for end in ends:
            if footers is not False and self._source.read(end, 5) == wanted:
                if self._plausible.item(end + 5, limit, in_package):
                    return end, end + 5, Confidence.FOOTER_BOUNDED
            elif not footers and self._plausible.item(end, limit, in_package):
                return end, end, Confidence.GUESSED
        if footers is not False:
            found = self.chunk_end(head.body, head.section_id, limit, in_package, footers)
            # What the description does not know may hold another stream: the tail located that one's then.
            if found is not None and (found[1] <= stop or not described):
                return (*found, Confidence.FOOTER_BOUNDED)
            if footers:
                return None if described else self._without_footer(head, ends, stop, limit, in_package)
        end = self.next_anchor(head.body, stop, in_package)
        if end >= limit and not in_package:
            if self.needed(head, limit) is not None:
                return None
            if self._source.read(limit - 1, 1) == b"\0":
                # Without a description the stream's last byte is EOF.
                end = limit - 1
        return end, end, Confidence.GUESSED

    def _layout_ends(self, head: Head, stop: int) -> list[int]:
        name = safetext.decode(head.idstr)
        return [end for end, _ in match_body(self._source, head.body, stop, name, head.version_id)]

    def _without_footer(
        self, head: Head, ends: list[int], stop: int, limit: int, in_package: bool
    ) -> tuple[int, int, Confidence] | None:
        """As :meth:`body_end`, where the footer is damaged: by a built-in layout, or the next anchor."""
        for end in ends:
            if self.like_footer(end, head.section_id) and self._plausible.item(end + 5, limit, in_package):
                return end, end + 5, Confidence.CONFLICTING
            if self._plausible.item(end, limit, in_package):
                return end, end, Confidence.CONFLICTING
        end = self.next_anchor(head.body, stop, in_package)
        if end >= limit:
            return None
        if end - 5 >= head.body and self.like_footer(end - 5, head.section_id):
            return end - 5, end, Confidence.CONFLICTING
        return end, end, Confidence.UNKNOWN

    def like_footer(self, offset: int, section_id: int) -> bool:
        """True when a footer of ``section_id`` stands here whose magic, or whose id, is damaged."""
        data, wanted = self._source.read(offset, 5), footer(section_id)
        return data[:1] == wanted[:1] or data[1:] == wanted[1:]

    def needed(self, head: Head, limit: int) -> int | None:
        """How long the body is by a built-in layout when ``limit`` cuts it off, else None."""
        ends = self._layout_ends(head, limit + _LONGEST_LAYOUT)
        return min(ends) - head.body if ends and min(ends) > limit else None

    def next_anchor(self, offset: int, limit: int, in_package: bool) -> int:
        """The next place from ``offset`` on where the walk can go on; ``limit`` when there is none.

        A located section, a plausible START or FULL header, a footer of an open chain with a
        plausible item behind it, or EOF with a description.
        """
        located = self.next_located(offset)
        stop = limit if located is None else min(limit, located)
        footers = self._chain_footers()
        for base, data in self._windows(offset, stop, MAX_HEADER):
            best = min(
                self._header_in(data, base),
                self._footer_in(data, base, footers, limit, in_package),
                self._eof_in(data, base) if not in_package else stop,
            )
            if best < stop:
                return best
        return stop

    def _header_in(self, data: bytes, base: int) -> int:
        for match in _HEADER.finditer(data):
            head = parse_head(data, match.start(), base + match.start())
            if head is not None and head.plausible:
                return base + match.start()
        return 1 << 62

    def _footer_in(
        self, data: bytes, base: int, footers: re.Pattern[bytes] | None, limit: int, in_package: bool
    ) -> int:
        if footers is None:
            return 1 << 62
        for match in footers.finditer(data):
            if self._plausible.item(base + match.end(), limit, in_package):
                return base + match.end()
        return 1 << 62

    def _eof_in(self, data: bytes, base: int) -> int:
        match = _DESCRIPTION.search(data)
        return base + match.start() if match else 1 << 62

    def _chain_footers(self) -> re.Pattern[bytes] | None:
        ids = self._plausible.open_ids()
        if not ids:
            return None
        return re.compile(b"|".join(re.escape(footer(number)) for number in ids))
