"""Looking into every packed page of a stream: XBZRLE deltas and zlib pages (stream-format §5.5, §5.6).

The walk does not unpack pages; ``qevm check`` does, since a QEMU that loads the stream would stop at the
first that breaks a rule.  Time grows with the bytes of such pages, memory with the pages that were sent: an
address may be anything.
"""

from __future__ import annotations

from collections.abc import Iterator

from qevm.bodies import xbzrle
from qevm.bodies.page_contents import Undecodable, inflate
from qevm.bodies.page_runs import PageKind, PageRecord
from qevm.bodies.ram import RamBody
from qevm.problems import Problem, Severity

_MAX_PROBLEMS = 1000
_PIECE = 1 << 12


def packed_page_problems(body: RamBody) -> Iterator[Problem]:
    """Every packed page of a chain that cannot be unpacked, in stream order; at most 1000."""
    runs = body.runs
    if not runs.totals[PageKind.XBZRLE] and not runs.totals[PageKind.COMPRESSED]:
        return
    told = 0
    sent: dict[int, _Pages] = {}
    size = runs.page_size
    for run in range(len(runs)):
        kind = runs.kinds[run]
        block = runs.blocks[run]
        first = runs.addresses[run] // size
        count = runs.counts[run]
        pages = sent.setdefault(block, _Pages())
        if kind in (PageKind.XBZRLE, PageKind.COMPRESSED):
            for number in range(count):
                problem = _problem(body, runs.record(run, number), first + number in pages)
                if problem is not None and told < _MAX_PROBLEMS:
                    told += 1
                    yield problem
        pages.add(first, count)


class _Pages:
    """A set of page numbers, a byte each in pieces that are there only where a page is."""

    def __init__(self) -> None:
        self._pieces: dict[int, bytearray] = {}

    def __contains__(self, page: int) -> bool:
        piece = self._pieces.get(page // _PIECE)
        return piece is not None and bool(piece[page % _PIECE])

    def add(self, first: int, count: int) -> None:
        """Put in ``count`` pages from ``first`` on."""
        while count > 0:
            number, at = divmod(first, _PIECE)
            piece = self._pieces.setdefault(number, bytearray(_PIECE))
            here = min(count, _PIECE - at)
            piece[at : at + here] = b"\1" * here
            first += here
            count -= here


def _problem(body: RamBody, record: PageRecord, has_base: bool) -> Problem | None:
    name = f"page {body.blocks[record.block].text}+0x{record.address:x}"
    row = body.runs.row_of(record.run)
    data = body.facts.source.read(record.payload, record.length)
    try:
        if record.kind is PageKind.COMPRESSED:
            inflate(data, body.page_size, record.payload)
            return None
        xbzrle.runs(data, body.page_size)
    except xbzrle.BadDelta as bad:
        at, why = record.payload + bad.at, f"XBZRLE: {bad.rule}"
    except Undecodable as bad:
        at, why = bad.offset, bad.reason
    else:
        if has_base:
            return None
        message = f"{name} undecodable: XBZRLE delta without a page before it"
        return Problem(record.offset, message, "a page", "a delta", row, severity=Severity.WARNING)
    return Problem(at, f"{name} undecodable: {why}", "a packed page", data[:8].hex(" "), row)
