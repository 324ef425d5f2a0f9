"""XBZRLE: a page as its difference from what it was before (stream-format §5.5).

A delta is a row of pairs: ``zrun``, how many bytes stay, and ``nzrun`` with that many literal
bytes.  Lengths are ULEB128 of at most two bytes (14 bits).  The first zrun may be 0, later ones
may not; nzrun is at least 1; what is left of the page behind the last pair stays.  The rules are
those of QEMU's own decoder: what it refuses is refused here.
"""

from __future__ import annotations


class BadDelta(Exception):
    """A delta that breaks a rule.  ``at`` is the index of the offending byte in the delta."""

    def __init__(self, rule: str, at: int) -> None:
        super().__init__(rule)
        self.rule = rule
        self.at = at


def apply(page: bytes, delta: bytes) -> bytes:
    """``page`` with ``delta`` laid over it.  Raises BadDelta; nothing is half applied."""
    result = bytearray(page)
    for offset, at, length in runs(delta, len(page)):
        result[offset : offset + length] = delta[at : at + length]
    return bytes(result)


def runs(delta: bytes, page_size: int) -> list[tuple[int, int, int]]:
    """The literal runs of a delta: (offset in the page, index in the delta, length).

    Raises BadDelta with the first rule that is broken.
    """
    found = []
    at = place = 0
    size = len(delta)
    while at < size:
        start = at
        keep, at = _length(delta, at)
        if start and not keep:
            raise BadDelta("zrun of 0 inside a delta", start)
        place += keep
        if place > page_size:
            raise BadDelta(f"zrun past the page: 0x{place:x} of 0x{page_size:x}", start)
        start = at
        count, at = _length(delta, at)
        if not count:
            raise BadDelta("nzrun of 0", start)
        if place + count > page_size:
            raise BadDelta(f"nzrun past the page: 0x{place + count:x} of 0x{page_size:x}", start)
        if at + count > size:
            raise BadDelta(f"nzrun of {count} with {size - at} bytes left in the delta", start)
        found.append((place, at, count))
        place += count
        at += count
    return found


def _length(delta: bytes, at: int) -> tuple[int, int]:
    """A ULEB128 number of one or two bytes, and the index behind it."""
    if at >= len(delta):
        raise BadDelta("the delta ends where a run length is due", at)
    value = delta[at]
    if value < 0x80:
        return value, at + 1
    if at + 1 >= len(delta):
        raise BadDelta("the delta ends inside a run length", at)
    high = delta[at + 1]
    if high & 0x80:
        raise BadDelta("run length of more than two bytes", at)
    return value & 0x7F | high << 7, at + 2
