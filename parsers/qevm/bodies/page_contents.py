"""What one page record says is in its page (stream-format §5.4 to §5.6)."""

from __future__ import annotations

import zlib

from qevm.bodies import xbzrle
from qevm.bodies.page_runs import PageKind, PageRecord
from qevm.source import Source


class Undecodable(Exception):
    """A record whose page cannot be made.  ``offset`` is where in the source the wrong bytes are."""

    def __init__(self, reason: str, offset: int) -> None:
        super().__init__(reason)
        self.reason = reason
        self.offset = offset


def page_of(source: Source, record: PageRecord, page_size: int, base: bytes | None) -> bytes:
    """The ``page_size`` bytes that ``record`` leaves in its page.

    ``base`` is what the page held before, for XBZRLE; None when nothing is known.  Raises Undecodable.
    """
    kind = record.kind
    if kind is PageKind.ZERO:
        return bytes(page_size)
    data = source.read(record.payload, record.length)
    if len(data) < record.length:
        raise Undecodable(f"{record.length} bytes needed, {len(data)} left", record.payload)
    if kind is PageKind.FILL:
        return data * page_size
    if kind is PageKind.NORMAL:
        return data
    if kind is PageKind.COMPRESSED:
        return inflate(data, page_size, record.payload)
    if base is None:
        raise Undecodable("XBZRLE delta without a page before it", record.offset)
    try:
        return xbzrle.apply(base, data)
    except xbzrle.BadDelta as bad:
        raise Undecodable(f"XBZRLE: {bad.rule}", record.payload + bad.at) from None


def inflate(data: bytes, page_size: int, offset: int) -> bytes:
    """The page in one zlib stream; never makes more than ``page_size`` + 1 bytes.  Raises Undecodable."""
    stream = zlib.decompressobj()
    try:
        page = stream.decompress(data, page_size + 1)
    except zlib.error as error:
        raise Undecodable(f"zlib: {error}", offset) from None
    if len(page) != page_size:
        found = f"more than {page_size}" if len(page) > page_size else str(len(page))
        raise Undecodable(f"zlib stream inflates to {found} bytes, not {page_size}", offset)
    if not stream.eof:
        raise Undecodable("zlib stream is not finished", offset)
    return page
