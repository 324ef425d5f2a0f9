"""RAM records, read one by one (stream-format §5.1 to §5.6): blocks, kinds, lengths, and what is wrong.

What a record says goes into the columns of :mod:`.page_runs`.  A name, a length or a flag that cannot be is
seen through where the bytes around it leave no doubt; else :class:`DamageError` is raised.
"""

from __future__ import annotations

from array import array

from qevm.bodies.page_runs import PageKind, PageRuns
from qevm.bodies.page_size import probe_page_size
from qevm.bodies.protocol import BadBody
from qevm.bodies.ram_blocks import BlockListReader, RamBlock
from qevm.bodies.ram_gaps import Gap, Gaps
from qevm.bodies.ram_resync import compressed_bound
from qevm.constants import RamFlag
from qevm.cursor import Cursor, Truncated
from qevm.facts import StreamFacts
from qevm.problems import Problem, Severity
from qevm.section import SectionKind

_WINDOW = 1 << 20
_MAX_PROBLEMS = 1000
_MAX_ZEROS = 64 << 20
_LEGAL_FLAGS = "one of ZERO, MEM_SIZE, PAGE, EOS, XBZRLE, COMPRESS_PAGE, MULTIFD_FLUSH"
_CONTINUE = int(RamFlag.CONTINUE)
_KINDS = {
    int(RamFlag.ZERO): PageKind.ZERO,
    int(RamFlag.PAGE): PageKind.NORMAL,
    int(RamFlag.XBZRLE): PageKind.XBZRLE,
    int(RamFlag.COMPRESS_PAGE): PageKind.COMPRESSED,
}


class DamageError(Exception):
    """A record that cannot be: where it begins, what to report, and where the next one may be."""

    def __init__(self, start: int, problem: Problem, hints: tuple[int, ...] = ()) -> None:
        super().__init__(problem.message)
        self.start = start
        self.problem = problem
        self.hints = hints


class RecordReader:
    """The state of one RAM chain that survives from record to record, and how one record changes it.

    ``blocks`` are the RAM blocks in the order of the list (blocks that only a page record named come
    behind), ``total`` the announced sum of their lengths in bytes, None without a list.  ``runs`` is the
    index of page records, ``gaps`` the damaged places, ``flushes`` the offsets of MULTIFD_FLUSH records
    and ``flush_runs`` how many runs stood before each.  ``cut_at`` is the offset where the data ended
    inside a record, None when they did not, ``cut_page`` the (block number, address) of the page in it.
    """

    def __init__(self, facts: StreamFacts) -> None:
        self.facts = facts
        self.blocks: list[RamBlock] = []
        self.total: int | None = None
        self.list_offset = 0
        self.list_end = 0
        self.runs = PageRuns()
        self.gaps = Gaps()
        self.flushes = array("Q")
        self.flush_runs = array("Q")
        self.cut_at: int | None = None
        self.cut_page: tuple[int, int] | None = None
        self._problems: list[Problem] = []
        self._problem_count = 0
        self._by_name: dict[bytes, RamBlock] = {}
        self._current: RamBlock | None = None
        self._page_size = 0
        self._kind = SectionKind.PART
        self._row = 0
        self._last_good: int | None = None

    @property
    def problems(self) -> list[Problem]:
        """Problems that did not stop the scan.  The walker takes and clears them."""
        return self._problems

    @property
    def page_size(self) -> int:
        """Target page size in bytes; the one that was probed when the stream did not say it (§5.7)."""
        return self._page_size or self.facts.page_size or 4096

    @property
    def ignores_shared(self) -> bool:
        """Blocks may be listed and yet left out of the stream (x-ignore-shared)."""
        return "x-ignore-shared" in self.facts.capabilities

    @property
    def is_mapped(self) -> bool:
        """Pages lie at fixed places of the file, not in records (mapped-ram)."""
        return any(block.mapped is not None for block in self.blocks)

    def _record(self, cursor: Cursor) -> bool:
        """Read one record of any kind; True at the EOS record."""
        start = cursor.position
        word = cursor.be64()
        if not self._page_size and not self._learn_page_size(cursor, start, word):
            # Before any page record low bits up to 0xff are flags for every page size there is.
            flags = word if word == RamFlag.MULTIFD_FLUSH else word & 0xFF
        else:
            flags = word & (self._page_size - 1)
        address = word - flags
        if flags in (RamFlag.EOS, RamFlag.MULTIFD_FLUSH):
            if address:
                name = RamFlag(flags).name
                self._problem(
                    start, f"{name} record carries an address", "0", f"0x{address:x}", Severity.WARNING
                )
            if flags == RamFlag.EOS:
                return True
            self.flushes.append(start)
            self.flush_runs.append(len(self.runs))
            self._last_good = start
            return False
        if flags == RamFlag.MEM_SIZE:
            self._block_list(cursor, start, address)
            self._last_good = start
            return False
        kind = _KINDS.get(flags & ~_CONTINUE)
        if kind is None:
            raise self._bad_flags(cursor, start, word, flags)
        self._page(cursor, start, flags, kind, address)
        return False

    def _learn_page_size(self, cursor: Cursor, start: int, word: int) -> bool:
        """Take or find the page size (§5.7); False while a record does not need it."""
        if self.facts.page_size:
            self._page_size = self.facts.page_size
        elif word & 0xFF == RamFlag.MEM_SIZE or word in (RamFlag.EOS, RamFlag.MULTIFD_FLUSH):
            return False
        else:
            self._page_size = probe_page_size(cursor.source, start, cursor.limit, self.blocks)
            self.facts.page_size = self._page_size
            self.facts.page_size_from = "page records"
        self.runs.page_size = self._page_size
        return True

    def _block_list(self, cursor: Cursor, start: int, total: int) -> None:
        reader = BlockListReader(self.facts, self._page_size or None)
        try:
            reader.read(cursor, total, start)
        finally:
            for item in reader.problems:
                self._problem(item.offset, item.message, item.expected, item.found, item.severity)
            if self.blocks and any(block.listed for block in self.blocks):
                self._problem(start, "second RAM block list", "one block list", "another one")
            else:
                unlisted = self.blocks
                self.total = total
                self.list_offset = start
                self.blocks = reader.blocks
                for block in unlisted:
                    block.number = len(self.blocks)
                    self.blocks.append(block)
                self._by_name = {block.name: block for block in reversed(self.blocks)}
            self.list_end = cursor.position
        mapped = next((b.mapped for b in self.blocks if b.mapped is not None), None)
        if mapped is not None and not self.facts.page_size and not mapped.problem:
            self.facts.page_size = mapped.page_size
            self.facts.page_size_from = "mapped-ram header"

    def _page(self, cursor: Cursor, start: int, flags: int, kind: PageKind, address: int) -> None:
        if flags & _CONTINUE:
            block = self._current
            if block is None:
                block = self._without_block(cursor, start, flags)
        else:
            block = self._named_block(cursor, start, kind)
            self._current = block
        payload, kind = self._payload(cursor, start, kind, block, address)
        size = cursor.position - start
        if address >= block.limit:
            self._problem(
                start,
                f"page {block.text}+0x{address:x} is outside its block of 0x{block.limit:x} bytes; skipped",
                f"an address below 0x{block.limit:x}",
                f"0x{address:x}",
            )
            self.gaps.append(Gap(start, cursor.position, self._row, len(self.runs), block))
        elif self.is_mapped:
            self._problem(start, "page record in a mapped-ram stream; skipped", "EOS", f"flags 0x{flags:x}")
        else:
            self.runs.append(start, size, kind, block.number, address, payload - start)
        self._last_good = start

    def _payload(
        self, cursor: Cursor, start: int, kind: PageKind, block: RamBlock, address: int
    ) -> tuple[int, PageKind]:
        """Move over what follows a page record's header.  (Its offset, the kind that it turned out to be)."""
        if kind is PageKind.ZERO:
            payload = cursor.position
            fill = cursor.u8()
            if fill:
                self._problem(
                    payload,
                    f"page {block.text}+0x{address:x} is filled with 0x{fill:02x}: "
                    "today's QEMU takes only zero pages",
                    "00",
                    f"{fill:02x}",
                    Severity.WARNING,
                )
                return payload, PageKind.FILL
            return payload, kind
        if kind is PageKind.NORMAL:
            payload = cursor.position
            self._skip_page(cursor, block, address, self._page_size)
            return payload, kind
        if kind is PageKind.XBZRLE:
            at = cursor.position
            encoding, length = cursor.u8(), cursor.be16()
            if encoding != 1:
                raise self._bad(
                    start,
                    at,
                    f"XBZRLE record of {block.text}+0x{address:x}: unknown encoding",
                    "1",
                    str(encoding),
                    at + 3 + length,
                )
            if length > self._page_size:
                raise self._bad(
                    start,
                    at + 1,
                    f"XBZRLE record of {block.text}+0x{address:x}: longer than a page",
                    f"at most {self._page_size}",
                    str(length),
                    at + 3 + length,
                )
        else:
            at = cursor.position
            length = cursor.be32()
            bound = compressed_bound(self._page_size)
            if not 0 < length <= bound:
                raise self._bad(
                    start,
                    at,
                    f"compressed page {block.text}+0x{address:x}: impossible length",
                    f"1 to {bound}",
                    str(length),
                    at + 4 + length,
                )
        payload = cursor.position
        self._skip_page(cursor, block, address, length)
        return payload, kind

    def _skip_page(self, cursor: Cursor, block: RamBlock, address: int, size: int) -> None:
        if cursor.left < size:
            self.cut_page = (block.number, address)
            end = cursor.limit
            raise Truncated(
                cursor.position,
                size,
                cursor.left,
                f"truncated at 0x{end:x}: page {block.text}+0x{address:x} needs {size} bytes, "
                f"{cursor.left} left; {self.runs.records:,} pages indexed",
            )
        cursor.skip(size)

    def _named_block(self, cursor: Cursor, start: int, kind: PageKind) -> RamBlock:
        at = cursor.position
        name = cursor.peek(1 + cursor.peek(1)[0] if cursor.left else 1)[1:]
        block = self._by_name.get(name)
        if block is None and self.total is None and name and name.isascii() and name.decode().isprintable():
            block = self._add_block(name)
        if block is None:
            return self._unknown_block(cursor, start, at, name)
        cursor.skip(1 + len(name))
        return block

    def _unknown_block(self, cursor: Cursor, start: int, at: int, name: bytes) -> RamBlock:
        """A page for a block that is not in the list: a damaged name, or no record at all."""
        data = cursor.peek(257)
        block = next((b for b in self.blocks if data.startswith(b.name, 1)), None) or self._alike(name)
        shown = RamBlock(0, name[:32], None).text
        problem = Problem(
            at + 1 if block is None or len(block.name) == len(name) else at,
            f"page for RAM block '{shown}', which is not in the block list"
            + (f"; read as '{block.text}'" if block is not None else ""),
            "a block of the list",
            f"'{shown}'",
        )
        if block is None:
            # Only a CONTINUE flag that was lost would make a name of what follows.
            raise DamageError(start, problem, (start + 9, start + 8 + self._page_size))
        self._problem(problem.offset, problem.message, problem.expected, problem.found)
        cursor.position = at
        cursor.skip(1 + len(block.name))
        return block

    def _alike(self, name: bytes) -> RamBlock | None:
        """The one listed block whose name differs from ``name`` in at most two bytes."""
        alike = [
            block
            for block in self.blocks
            if len(block.name) == len(name) > 2
            and sum(a != b for a, b in zip(block.name, name, strict=True)) <= 2
        ]
        return alike[0] if len(alike) == 1 else None

    def _add_block(self, name: bytes) -> RamBlock:
        block = RamBlock(len(self.blocks), name, None, listed=False)
        self.blocks.append(block)
        self._by_name[name] = block
        return block

    def _without_block(self, cursor: Cursor, start: int, flags: int) -> RamBlock:
        """A CONTINUE record before any name (§14 row 15)."""
        message = "page record continues an unnamed block"
        block = self._name_here(cursor)
        if block is not None:
            # The name is there: only the flag is wrong.
            self._problem(start, f"{message}, yet names '{block.text}'", "no CONTINUE flag", f"0x{flags:x}")
            cursor.skip(1 + len(block.name))
        else:
            block = self.blocks[0] if self.blocks and not len(self.runs) else self._add_block(b"")
            if block.name:
                # The first page that QEMU sends is of the first block of its list.
                message += f"; taken for '{block.text}'"
            self._problem(start, message, "a record with a block name", f"flags 0x{flags:x}")
        self._current = block
        return block

    def _name_here(self, cursor: Cursor) -> RamBlock | None:
        """The block of the list whose counted name stands at the cursor, or None."""
        data = cursor.peek(256)
        for block in self.blocks:
            if block.name and data.startswith(bytes((len(block.name),)) + block.name):
                return block
        return None

    def _bad_flags(self, cursor: Cursor, start: int, word: int, flags: int) -> Exception:
        if word == RamFlag.HOOK:
            message = "RAM flags 0x80 (HOOK): an RDMA migration, its pages are not in the stream"
            return BadBody(start, message, _LEGAL_FLAGS, f"0x{flags:x}")
        if not word and self._rest_is_zero(cursor, start):
            self.cut_at = start
            message = f"zeros to the end of the file inside ram {self._kind.name}: the save failed in QEMU"
            return BadBody(start, message, "a RAM record", "zeros")
        message = f"RAM flags 0x{flags:02x} not valid"
        last = self._last_good or 0
        if len(self.runs):
            run = len(self.runs) - 1
            last = max(last, self.runs.record(run, self.runs.counts[run] - 1).offset)
        if last:
            message += f"; last good record at 0x{last:x}"
        hints: tuple[int, ...] = (start + 9, start + 8 + self._page_size, start + 8)
        named = self._name_here(cursor)
        if named is not None:
            # Only the flags are damaged: the record names its block all the same.
            self._current = named
            behind = start + 9 + len(named.name)
            hints = (behind + 1, behind + self._page_size)
        return DamageError(start, Problem(start, message, _LEGAL_FLAGS, f"0x{flags:02x}"), hints)

    def _bad(
        self, start: int, at: int, message: str, expected: str, found: str, next_record: int
    ) -> DamageError:
        return DamageError(start, Problem(at, message, expected, found), (next_record,))

    def _rest_is_zero(self, cursor: Cursor, start: int) -> bool:
        if self._kind is not SectionKind.END or cursor.limit != cursor.source.size:
            return False
        offset = start
        while offset < cursor.limit and offset - start < _MAX_ZEROS:
            data = cursor.source.read(offset, _WINDOW)
            if not data or data.strip(b"\0"):
                return False
            offset += len(data)
        return offset >= cursor.limit

    def _problem(
        self,
        offset: int,
        message: str,
        expected: str = "",
        found: str = "",
        severity: Severity = Severity.ERROR,
    ) -> None:
        self._problem_count += 1
        if self._problem_count == _MAX_PROBLEMS:
            message = f"{message}; more problems in RAM are not listed"
        if self._problem_count <= _MAX_PROBLEMS:
            self._problems.append(Problem(offset, message, expected, found, severity=severity))
