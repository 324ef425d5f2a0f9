"""Writing RAM blocks to files: sparse, atomic, and fast where pages follow each other in the stream."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from qevm.atomic import whole_file
from qevm.bodies.page_runs import PageKind
from qevm.bodies.ram_blocks import RamBlock
from qevm.guest_memory import GuestMemory, PageState, Span
from qevm.source import FileSource, Source

Progress = Callable[[int, int], None]
"""Called with (bytes of the block done, length of the block) now and then."""

_CHUNK = 1 << 20
_UNSAFE = re.compile(r"[^A-Za-z0-9._@+=-]+")
_MAX_RANGES = 1000
_SCATTER = 1 << 18
"""Bytes of pages that are read at once: few enough to stay in a core's cache until they are written."""

_PLAIN_HEADER = 8


@dataclass(slots=True)
class BlockReport:
    """What was written of one block: pages by state, and the ranges that cannot be known.

    ``unknown`` holds (first byte, length in bytes, state, reason) of ranges in the block, at most 1000;
    ``more_unknown`` says that there are others.
    """

    block: RamBlock
    length: int
    pages: Counter[PageState] = field(default_factory=Counter)
    unknown: list[tuple[int, int, PageState, str]] = field(default_factory=list)
    more_unknown: bool = False

    @property
    def unknown_pages(self) -> int:
        """How many pages cannot be known."""
        return sum(count for state, count in self.pages.items() if not state.known)

    def add(self, first: int, length: int, pages: int, state: PageState, reason: str = "") -> None:
        """Count ``pages`` pages at byte ``first``; those that cannot be known are listed."""
        if pages:
            self.pages[state] += pages
        if state.known or not pages:
            return
        if self.unknown:
            at, size, before, why = self.unknown[-1]
            if before is state and why == reason and at + size == first:
                self.unknown[-1] = (at, size + length, state, reason)
                return
        if len(self.unknown) < _MAX_RANGES:
            self.unknown.append((first, length, state, reason))
        else:
            self.more_unknown = True


def write_block(
    memory: GuestMemory,
    block: RamBlock,
    target: Path,
    *,
    force: bool = False,
    progress: Progress | None = None,
) -> BlockReport:
    """Write ``block`` to the file ``target``, whole or not at all.

    The file is sparse: zero pages and pages that cannot be known are holes; the report lists the
    latter.  Raises TargetExists without ``force``, ExportError when it cannot be written, SourceError when
    the capture cannot be read.
    """
    with whole_file(target, force=force) as descriptor:
        return _BlockWriter(memory, block, descriptor, progress).write()


def safe_block_names(blocks: Sequence[RamBlock]) -> list[str]:
    """A file name for each block, all different, whatever the names in the capture are."""
    names: list[str] = []
    taken: set[str] = set()
    for block in blocks:
        stem = _UNSAFE.sub("_", block.text).strip("._").lstrip("-._") or "block"
        stem = stem[:100]
        name, number = f"{stem}.bin", 2
        while name.lower() in taken:
            name, number = f"{stem}-{number}.bin", number + 1
        taken.add(name.lower())
        names.append(name)
    return names


class _BlockWriter:
    def __init__(
        self, memory: GuestMemory, block: RamBlock, descriptor: int, progress: Progress | None
    ) -> None:
        self._memory = memory
        self._block = block
        self._fd = descriptor
        self._progress = progress
        self._size = memory.page_size
        self._length = memory.length(block)
        self._report = BlockReport(block, self._length)
        pages = max(1, _SCATTER // self._size)
        self._buffer = memoryview(bytearray(pages * self._size))
        # The headers between the pages all go to the same eight bytes.
        header = memoryview(bytearray(_PLAIN_HEADER))
        self._parts: list[memoryview] = []
        for page in range(pages):
            self._parts += [self._buffer[page * self._size : (page + 1) * self._size], header]
        self._parts.pop()

    def write(self) -> BlockReport:
        """Write the whole block and return the report."""
        os.ftruncate(self._fd, self._length)
        if self._block.mapped is not None:
            self._mapped()
        else:
            for span in self._memory.spans(self._block):
                self._span(span)
                self._tell(span.first + span.count)
        return self._report

    def _tell(self, pages: int) -> None:
        if self._progress is not None:
            self._progress(min(pages * self._size, self._length), self._length)

    def _add(self, first: int, count: int, state: PageState, reason: str = "") -> None:
        start = first * self._size
        length = min(count * self._size, self._length - start)
        self._report.add(start, length, count, state, reason)

    def _span(self, span: Span) -> None:
        memory = self._memory
        if span.source < 0:
            if span.source in (-1, -2, -3):
                self._add(span.first, span.count, memory.state_of(self._block, span.source))
            else:
                self._page_by_page(span)
            return
        runs = memory.body.runs
        kind = runs.kinds[span.source]
        if kind == PageKind.ZERO:
            self._add(span.first, span.count, PageState.ZERO)
        elif kind == PageKind.NORMAL:
            number = span.first - runs.addresses[span.source] // self._size
            record = runs.record(span.source, number)
            self._records(record.payload, record.size, span.first, span.count)
        else:
            self._page_by_page(span)

    def _page_by_page(self, span: Span) -> None:
        for page in range(span.first, span.first + span.count):
            found = self._memory.page_from(self._block, page, span.source)
            self._add(page, 1, found.state, found.reason)
            if found.data is not None and found.state is not PageState.ZERO:
                self._write(memoryview(found.data), page * self._size)

    def _records(self, payload: int, stride: int, first: int, count: int) -> None:
        """Copy ``count`` pages that lie ``stride`` bytes apart in the stream to page ``first`` on."""
        batch = len(self._buffer) // self._size
        copied = 0
        while copied < count:
            pages = min(batch, count - copied)
            there = self._gather(payload + copied * stride, stride, pages)
            self._write(self._buffer[: there * self._size], (first + copied) * self._size)
            copied += there
            if there < pages:
                self._add(first + copied, count - copied, PageState.LOST, "the file ends before this page")
                break
            self._tell(first + copied)
        self._add(first, copied, PageState.DATA)

    def _gather(self, payload: int, stride: int, pages: int) -> int:
        """Read pages that lie ``stride`` bytes apart side by side into the buffer; how many there are."""
        source = self._memory.source
        size = self._size
        whole = (pages - 1) * stride + size
        plain = stride == size + _PLAIN_HEADER
        if plain and isinstance(source, FileSource):
            got = source.readv(payload, self._parts[: 2 * pages - 1])
            if got == whole:
                return pages
        data = source.read(payload, whole)
        there = (len(data) + stride - size) // stride
        for page in range(there):
            self._buffer[page * size : (page + 1) * size] = data[page * stride : page * stride + size]
        return there

    def _write(self, data: memoryview, offset: int) -> None:
        """Write ``data`` at ``offset``, cut at the block's length."""
        data = data[: max(0, self._length - offset)]
        while data:
            # A short write (a signal, a full disk that the next call reports): go on with the rest.
            written = os.pwrite(self._fd, data, offset)
            data = data[written:]
            offset += written

    def _mapped(self) -> None:
        memory, block = self._memory, self._block
        mapped = block.mapped
        assert mapped is not None
        assert memory.bitmaps is not None
        if mapped.problem:
            self._add(0, mapped.pages, PageState.LOST, mapped.problem)
            return
        done = 0
        for first, count in memory.bitmaps.runs(mapped):
            self._add(done, first - done, PageState.ZERO)
            start = first * mapped.page_size
            length = min(count * mapped.page_size, self._length - start)
            copied = copy_range(memory.source, mapped.pages_at + start, self._fd, start, length)
            there = copied // mapped.page_size if copied < length else count
            self._add(first, there, PageState.DATA)
            self._add(first + there, count - there, PageState.LOST, "the file ends before this page")
            done = first + count
            self._tell(done)
        self._add(done, mapped.pages - done, PageState.ZERO)


def copy_range(source: Source, offset: int, descriptor: int, target: int, length: int) -> int:
    """Copy bytes of ``source`` into a file, inside the kernel where it can.  How many bytes there were."""
    done = 0
    while isinstance(source, FileSource) and done < length:
        try:
            copied = os.copy_file_range(
                source.fileno(), descriptor, length - done, offset + done, target + done
            )
        except OSError:
            # Another file system, a block device, an old kernel: copy by hand.
            break
        if not copied:
            break
        done += copied
    while done < length:
        data = source.read(offset + done, min(_CHUNK, length - done))
        if not data:
            break
        done += os.pwrite(descriptor, data, target + done)
    return done
