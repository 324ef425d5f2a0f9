"""RAM: the sections of idstr ``ram``, version 4 (stream-format §5).

The scan finds where each section's body ends and keeps where the pages are (:mod:`.page_runs`);
page contents are never held.  Nearly all records are "the next page of the same block" and go through
:mod:`.ram_fast`; everything else is read one by one by :mod:`.ram_records`, and behind damaged bytes
:mod:`.ram_resync` finds where to go on.
"""

from __future__ import annotations

from array import array
from collections.abc import Generator, Iterator
from time import perf_counter

from qevm.bodies import ram_fields
from qevm.bodies.mapped_ram import Bitmaps
from qevm.bodies.protocol import BadBody
from qevm.bodies.ram_blocks import mapped_blocks
from qevm.bodies.ram_fast import RunReader
from qevm.bodies.ram_gaps import Gap
from qevm.bodies.ram_records import DamageError, RecordReader
from qevm.bodies.ram_resync import Resynchroniser
from qevm.cursor import Cursor, Truncated
from qevm.facts import StreamFacts
from qevm.field import Field
from qevm.problems import Severity
from qevm.section import Section, SectionKind

_YIELD_SECONDS = 0.005
_WINDOW = 1 << 20
_MAX_GAPS = 10_000


class RamBody(RecordReader):
    """Reads the sections of one RAM chain (the protocol of bodies).

    ``ended``: the END section was read.  ``ends`` alternates the source offset of a body that was scanned and
    that of its end.  See :class:`RecordReader` for what is known of the records.
    """

    empty_body = b"\0\0\0\0\0\0\0\x10"

    def __init__(self, facts: StreamFacts) -> None:
        super().__init__(facts)
        self.ended = False
        self.ends = array("Q")
        self._reader: RunReader | None = None
        self._body = 0

    def scan(self, cursor: Cursor, kind: SectionKind, row: int) -> Iterator[None]:
        """Move ``cursor`` behind the EOS record of one section's body (stream-format §5.1)."""
        if kind is not SectionKind.START and self._skip_remembered(cursor, kind):
            return
        self._kind = kind
        self._row = row
        self._body = cursor.position
        self._last_good = None
        self.runs.begin_section(row)
        window, cursor.window = cursor.window, max(cursor.window, _WINDOW)
        started = perf_counter()
        try:
            while True:
                if self._page_size and self._current is not None:
                    reader = self._reader or self._make_reader()
                    while reader.read(cursor, self._current.number, self._current.limit):
                        if perf_counter() - started > _YIELD_SECONDS:
                            yield
                            started = perf_counter()
                try:
                    if self._record(cursor):
                        break
                except DamageError as damage:
                    if (yield from self._go_on_behind(damage, cursor)):
                        break
                if perf_counter() - started > _YIELD_SECONDS:
                    yield
                    started = perf_counter()
        except Truncated as cut:
            self.cut_at = cursor.limit
            cut.message = cut.message or self._cut_message(cut)
            raise
        finally:
            cursor.window = window
        self.ends.extend((self._body, cursor.position))
        if kind is SectionKind.END:
            self.ended = True
            self._check_pages()

    def _skip_remembered(self, cursor: Cursor, kind: SectionKind) -> bool:
        """Move over a body that an earlier walk of the same capture read (see ``qevm.cache``)."""
        remembered = self.facts.remembered_ram
        end = None if remembered is None else remembered.ends.get(cursor.position)
        if remembered is None or end is None:
            return False
        if self.runs is not remembered.runs:
            self.runs = remembered.runs
            self.flushes, self.flush_runs = remembered.flushes, remembered.flush_runs
            self._page_size = self.facts.page_size = remembered.page_size
        cursor.skip(end - cursor.position)
        self.ended = self.ended or kind is SectionKind.END
        return True

    @property
    def rememberable(self) -> bool:
        """True when all sections were read and nothing was wrong: an index of this chain can be kept."""
        return self.ended and not self._problem_count and not len(self.gaps) and self.cut_at is None

    def fields(self, section: Section) -> list[Field]:
        """The records of one section: block list, counts, runs of pages, EOS."""
        return ram_fields.section_fields(self, section)

    def summary(self, section: Section) -> str:
        """E.g. ``2,081 pages, 412 zero``, ``8 blocks, 48.6 MiB``; empty for a section without records."""
        return ram_fields.section_summary(self, section)

    def chain_fields(self) -> list[Field]:
        """Totals over all sections so far, by kind of record and by block."""
        return ram_fields.chain_fields(self)

    def block_list(self) -> list[tuple[str, int]]:
        """(name, used length in bytes) of the blocks in the order of the list."""
        return [(block.text, block.length or 0) for block in self.blocks if block.listed]

    @property
    def pages_elsewhere(self) -> bool:
        """No page record although there is RAM: the pages went through multifd channels (§6)."""
        return bool(self.total) and not self.runs.records and not self.is_mapped and not self.ignores_shared

    @property
    def why_incomplete(self) -> str:
        """Why a stream that ends in or behind this chain has no more; empty when nothing tells (§7)."""
        if self.is_mapped and Bitmaps(self.facts.source, mapped_blocks(self.blocks)).empty:
            return "the page bitmaps are empty: the save was aborted before completion"
        return ""

    def _make_reader(self) -> RunReader:
        self._reader = RunReader(self.runs, self._page_size)
        return self._reader

    def _go_on_behind(self, damage: DamageError, cursor: Cursor) -> Generator[None, None, bool]:
        """Report a damaged record and move to where the section goes on; True at the section's end.

        Raises BadBody when it goes on nowhere.
        """
        problem = damage.problem
        start = damage.start
        search = Resynchroniser(
            cursor.source,
            (block for block in self.blocks if block.name),
            self._page_size or 4096,
            cursor.limit,
            self._section_id(cursor),
            self.facts.footers,
        )
        # The header at ``start`` itself is looked at again: its name or its length may be what is wrong.
        yield from search.search(start, self._current, damage.hints)
        found = search.found
        if found is None or len(self.gaps) >= _MAX_GAPS:
            self.gaps.append(Gap(start, None, self._row, len(self.runs), self._current))
            cursor.position = start
            raise BadBody(problem.offset, problem.message, problem.expected, problem.found)
        message = f"{problem.message}; {found.offset - start:,} bytes skipped"
        self._problem(problem.offset, message, problem.expected, problem.found)
        before = self._current
        if found.block is not None:
            self._current = found.block
        cursor.position = found.offset
        self.gaps.append(Gap(start, found.offset, self._row, len(self.runs), before))
        return found.at_footer

    def _section_id(self, cursor: Cursor) -> int | None:
        """The id in the header of the section at hand, which its footer repeats."""
        back = 17 if self._kind is SectionKind.START else 5
        header = cursor.source.read(self._body - back, 5)
        if len(header) < 5 or header[0] > 4:
            return None
        return int.from_bytes(header[1:], "big")

    def _cut_message(self, cut: Truncated) -> str:
        return (
            f"truncated at 0x{cut.offset + cut.left:x}: a RAM record needs {cut.needed} bytes, "
            f"{cut.left} left; {self.runs.records:,} pages indexed"
        )

    def _check_pages(self) -> None:
        if self.pages_elsewhere:
            self._problem(
                self.list_offset,
                "pages were sent on multifd channels that are not in this file: give them with --channel",
                severity=Severity.NOTE,
            )
