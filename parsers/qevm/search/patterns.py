"""Byte patterns of a fixed length, found in a chunk that is in memory.

Every position where a pattern fits counts, also where two overlap: what is found does not depend on where a
search began.
"""

from __future__ import annotations

import re
from typing import Protocol

_SLICE = 1 << 16
"""Bytes that an anchorless pattern looks at at once when it searches backward."""

_TRIES = 256
"""Anchors that led nowhere, after which a chunk is left to the expression."""

_USELESS = (b"\x00", b"\xff")


class Pattern(Protocol):
    """Finds itself in bytes."""

    @property
    def length(self) -> int:
        """Bytes that a match covers."""
        ...

    def find(self, data: bytes, start: int, limit: int) -> int:
        """The first place in ``start`` … ``limit`` (exclusive) where a match begins, or -1."""
        ...

    def rfind(self, data: bytes, start: int, limit: int) -> int:
        """The last such place, or -1."""
        ...


class Literal:
    """Given bytes."""

    __slots__ = ("wanted",)

    def __init__(self, wanted: bytes) -> None:
        self.wanted = wanted

    @property
    def length(self) -> int:
        """See :attr:`Pattern.length`."""
        return len(self.wanted)

    def find(self, data: bytes, start: int, limit: int) -> int:
        """See :meth:`Pattern.find`."""
        return data.find(self.wanted, start, limit + len(self.wanted) - 1)

    def rfind(self, data: bytes, start: int, limit: int) -> int:
        """See :meth:`Pattern.rfind`."""
        return data.rfind(self.wanted, start, limit + len(self.wanted) - 1)


class Masked:
    """Bytes of which some bits may be anything: a byte fits when ``byte & mask == value``."""

    __slots__ = ("_anchor", "_anchor_at", "_expression", "_length")

    def __init__(self, values: bytes, masks: bytes) -> None:
        self._length = len(values)
        parts = [_byte_expression(value, mask) for value, mask in zip(values, masks, strict=True)]
        self._expression = re.compile(b"".join(parts), re.DOTALL)
        self._anchor, self._anchor_at = _anchor(values, masks)

    @property
    def length(self) -> int:
        """See :attr:`Pattern.length`."""
        return self._length

    def find(self, data: bytes, start: int, limit: int) -> int:
        """See :meth:`Pattern.find`."""
        anchor, shift = self._anchor, self._anchor_at
        if anchor:
            for _ in range(_TRIES):
                hit = data.find(anchor, start + shift, limit + shift + len(anchor) - 1)
                if hit < 0:
                    return -1
                start = hit - shift
                if self._expression.match(data, start):
                    return start
                start += 1
        found = self._expression.search(data, start, limit + self._length - 1)
        return -1 if found is None else found.start()

    def rfind(self, data: bytes, start: int, limit: int) -> int:
        """See :meth:`Pattern.rfind`."""
        anchor, shift = self._anchor, self._anchor_at
        if anchor:
            for _ in range(_TRIES):
                hit = data.rfind(anchor, start + shift, limit + shift + len(anchor) - 1)
                if hit < 0:
                    return -1
                limit = hit - shift
                if self._expression.match(data, limit):
                    return limit
        while limit > start:
            low = max(start, limit - _SLICE)
            place, last = low, -1
            while (found := self._expression.search(data, place, limit + self._length - 1)) is not None:
                last = found.start()
                place = last + 1
            if last >= 0:
                return last
            limit = low
        return -1


def _byte_expression(value: int, mask: int) -> bytes:
    if mask == 0xFF:
        return re.escape(bytes((value,)))
    if mask == 0:
        return b"."
    fitting = (byte for byte in range(256) if byte & mask == value)
    return b"[" + b"".join(b"\\x%02x" % byte for byte in fitting) + b"]"


def _anchor(values: bytes, masks: bytes) -> tuple[bytes, int]:
    """The longest run of known bytes and where it stands; none when all that is known is filler."""
    best, best_at = b"", 0
    for run in re.finditer(b"\xff+", masks):
        known = values[run.start() : run.end()]
        if len(known) > len(best) and known.strip(_USELESS[0]) and known.strip(_USELESS[1]):
            best, best_at = known, run.start()
    return best, best_at
