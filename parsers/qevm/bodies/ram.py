"""RAM: the sections of idstr ``ram``, version 4 (stream-format §5).

The scan finds where each section's body ends and keeps where the pages are (:mod:`.page_runs`);
page contents are never held.  Nearly all records are "the next page of the same block", so those are
compared in bulk with what a run's next records must look like; everything else is read one by one.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterator
from time import perf_counter

from qevm.bodies.page_runs import PageKind, PageRuns
from qevm.bodies.protocol import BadBody
from qevm.bodies.ram_blocks import BlockListReader, RamBlock
from qevm.bodies.ram_fast import RunReader
from qevm.cursor import Cursor, Truncated
from qevm.facts import StreamFacts
from qevm.field import Field
from qevm.layout import RamFlag
from qevm.problems import Problem, Severity
from qevm.section import Section, SectionKind

_YIELD_SECONDS = 0.005
_MEM_SIZE = int(RamFlag.MEM_SIZE)
_EOS = int(RamFlag.EOS)
_FLUSH = int(RamFlag.MULTIFD_FLUSH)
_CONTINUE = int(RamFlag.CONTINUE)
_KINDS = {
    int(RamFlag.ZERO): PageKind.ZERO,
    int(RamFlag.PAGE): PageKind.NORMAL,
    int(RamFlag.XBZRLE): PageKind.XBZRLE,
    int(RamFlag.COMPRESS_PAGE): PageKind.COMPRESSED,
}
_KNOWN_FLAGS = 0x3FF


class RamBody:
    """Reads the sections of one RAM chain (the protocol of bodies).

    ``blocks`` are the RAM blocks in the order of the list, ``runs`` the index of page records, ``eos`` how
    many sections ended with EOS, ``flushes`` the offsets of MULTIFD_FLUSH records.
    """

    empty_body = b"\0\0\0\0\0\0\0\x10"

    def __init__(self, facts: StreamFacts) -> None:
        self.facts = facts
        self.blocks: list[RamBlock] = []
        self.total: int | None = None
        self.runs = PageRuns()
        self.eos = 0
        self.flushes = array("Q")
        self._problems: list[Problem] = []
        self._by_name: dict[bytes, RamBlock] = {}
        self._current: RamBlock | None = None
        self._page_size = facts.page_size

    @property
    def problems(self) -> list[Problem]:
        return self._problems

    def scan(self, cursor: Cursor, kind: SectionKind, row: int) -> Iterator[None]:
        """Move ``cursor`` behind the EOS record of one section's body (stream-format §5.1)."""
        self.runs.begin_section(row)
        if self._page_size is None:
            self._page_size = self.facts.page_size
        if self._page_size is not None:
            self.runs.page_size = self._page_size
        reader = RunReader(self.runs, self._page_size or 0)
        started = perf_counter()
        while True:
            if self._page_size and self._current is not None:
                while reader.read(cursor, self._current.number, self._current.limit):
                    if perf_counter() - started > _YIELD_SECONDS:
                        yield
                        started = perf_counter()
            if self._record(cursor):
                return

    def _record(self, cursor: Cursor) -> bool:
        """Read one record of any kind; True at the EOS record."""
        start = cursor.position
        word = cursor.be64()
        mask = (self._page_size or 1024) - 1
        if self._page_size is None and word & 0xFF == _MEM_SIZE:
            mask = 0xFF
        flags = word & mask
        address = word - flags
        if flags == _EOS:
            self.eos += 1
            return True
        if flags == _FLUSH:
            self.flushes.append(start)
            return False
        if flags == _MEM_SIZE:
            self._block_list(cursor, start, address)
            return False
        kind = _KINDS.get(flags & ~_CONTINUE)
        if kind is None:
            cursor.position = start
            raise BadBody(start, f"RAM flags 0x{flags:x} not valid", "flags of a RAM record", f"0x{flags:x}")
        self._page(cursor, start, flags, kind, address)
        return False

    def _block_list(self, cursor: Cursor, start: int, total: int) -> None:
        reader = BlockListReader(self.facts, self._page_size)
        try:
            reader.read(cursor, total, start)
        finally:
            self._problems.extend(reader.problems)
            self.total = total
            self.blocks = reader.blocks
            self._by_name = {block.name: block for block in self.blocks}

    def _page(self, cursor: Cursor, start: int, flags: int, kind: PageKind, address: int) -> None:
        if flags & _CONTINUE:
            block = self._current
            if block is None:
                cursor.position = start
                raise BadBody(start, "page record continues an unnamed block", "a record with a block name", f"flags 0x{flags:x}")
        else:
            name_at = cursor.position
            name = cursor.cstr()
            block = self._by_name.get(name)
            if block is None:
                block = RamBlock(len(self.blocks), name, None, listed=False)
                self.blocks.append(block)
                self._by_name[name] = block
                if self.total is not None:
                    self._problems.append(Problem(name_at + 1, f"unknown RAM block '{block.text}'"))
            self._current = block
        if kind is PageKind.ZERO:
            payload = cursor.position
            if cursor.u8():
                kind = PageKind.FILL
        elif kind is PageKind.NORMAL:
            payload = cursor.position
            size = self._page_size or 4096
            if cursor.left < size:
                raise Truncated(payload, size, cursor.left)
            cursor.skip(size)
        elif kind is PageKind.XBZRLE:
            cursor.u8()
            length = cursor.be16()
            payload = cursor.position
            cursor.skip(length)
        else:
            length = cursor.be32()
            payload = cursor.position
            cursor.skip(length)
        self.runs.append(start, cursor.position - start, kind, block.number, address, payload - start)

    def fields(self, section: Section) -> list[Field]:
        return []

    def summary(self, section: Section) -> str:
        """E.g. ``2,081 pages, 412 zero``; empty when a section holds no page record."""
        totals = self.runs.section_totals(section.index)
        pages = sum(totals)
        if not pages:
            return ""
        parts = [f"{pages:,} page" if pages == 1 else f"{pages:,} pages"]
        parts += [f"{totals[kind]:,} {kind.label}" for kind in PageKind if totals[kind] and kind is not PageKind.NORMAL]
        return ", ".join(parts)

    def chain_fields(self) -> list[Field]:
        return []
