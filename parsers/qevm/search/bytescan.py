"""Byte patterns in a source of any size: chunk by chunk, forward and backward."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from qevm.search.pages import GuestPages
from qevm.search.patterns import Pattern
from qevm.search.result import Match, Step
from qevm.source import Source

CHUNK = 1 << 20
"""Bytes that are searched at once: some milliseconds, after which a search can be left."""

Span = tuple[int, int]


class Scan(Protocol):
    """Finds matches in offset order."""

    def forward(self, start: int, stop: int) -> Iterator[Step]:
        """Matches that begin in ``start`` … ``stop`` (exclusive), in order.  Raises SourceError."""
        ...

    def backward(self, start: int, stop: int) -> Iterator[Step]:
        """The same in reverse order."""
        ...


class PatternScan:
    """Looks for any of ``patterns`` in ``spans`` (ascending); with ``pages`` only inside of guest pages."""

    def __init__(
        self,
        source: Source,
        patterns: Sequence[Pattern],
        spans: Sequence[Span],
        pages: GuestPages | None = None,
        chunk: int = CHUNK,
    ) -> None:
        self._source = source
        self._patterns = patterns
        self._spans = spans
        self._pages = pages
        self._chunk = chunk
        self._tail = max(pattern.length for pattern in patterns) - 1
        self._shortest = min(pattern.length for pattern in patterns)

    def forward(self, start: int, stop: int) -> Iterator[Step]:
        """See :meth:`Scan.forward`."""
        for low, high in self._spans:
            position, end = max(low, start), min(high, stop)
            while position < end:
                if self._pages is not None:
                    # Over zero pages and holes at once.
                    place = self._pages.next_fit(position, self._shortest)
                    if place is None or place >= end:
                        break
                    position = place
                limit = min(position + self._chunk, end)
                data = self._source.read(position, min(limit + self._tail, high) - position)
                for at, length in self._ascending(data, limit - position, position):
                    yield Step(at, Match(at, at + length))
                position = limit
                yield Step(position)

    def backward(self, start: int, stop: int) -> Iterator[Step]:
        """See :meth:`Scan.backward`."""
        for low, high in reversed(self._spans):
            least, position = max(low, start), min(high, stop)
            while position > least:
                if self._pages is not None:
                    place = self._pages.last_fit(position - 1, self._shortest)
                    if place is None or place < least:
                        break
                    position = place + 1
                begin = max(position - self._chunk, least)
                data = self._source.read(begin, min(position + self._tail, high) - begin)
                for at, length in self._descending(data, position - begin, begin):
                    yield Step(at, Match(at, at + length))
                position = begin
                yield Step(position)

    def _ascending(self, data: bytes, limit: int, base: int) -> Iterator[tuple[int, int]]:
        """(offset, length) of what begins in the first ``limit`` bytes of ``data``, read at ``base``."""
        heads = [self._find(number, data, 0, limit, base) for number in range(len(self._patterns))]
        while (best := min((head for head in heads if head >= 0), default=-1)) >= 0:
            yield base + best, self._patterns[heads.index(best)].length
            for number, head in enumerate(heads):
                if head == best:
                    heads[number] = self._find(number, data, best + 1, limit, base)

    def _descending(self, data: bytes, limit: int, base: int) -> Iterator[tuple[int, int]]:
        tails = [self._rfind(number, data, limit, base) for number in range(len(self._patterns))]
        while (best := max(tails)) >= 0:
            yield base + best, self._patterns[tails.index(best)].length
            for number, tail in enumerate(tails):
                if tail == best:
                    tails[number] = self._rfind(number, data, best, base)

    def _find(self, number: int, data: bytes, start: int, limit: int, base: int) -> int:
        pattern = self._patterns[number]
        while True:
            hit = pattern.find(data, start, limit)
            if hit < 0 or self._pages is None:
                return hit
            place = self._pages.next_fit(base + hit, pattern.length)
            if place is None or place - base >= limit:
                return -1
            if place - base == hit:
                return hit
            start = place - base

    def _rfind(self, number: int, data: bytes, limit: int, base: int) -> int:
        pattern = self._patterns[number]
        while True:
            hit = pattern.rfind(data, 0, limit)
            if hit < 0 or self._pages is None:
                return hit
            place = self._pages.last_fit(base + hit, pattern.length)
            if place is None or place < base:
                return -1
            if place - base == hit:
                return hit
            limit = place - base + 1
