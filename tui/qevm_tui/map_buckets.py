"""The map of a capture: what lies where, in as many buckets as the strip has cells.

Everything comes from the columns of the index and of the page runs, with numpy: a million sections or runs
are sums over arrays, not objects.
"""

from __future__ import annotations

import enum
from array import array
from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING

from qevm.bodies.mapped_ram import Bitmaps
from qevm.bodies.page_runs import PageKind
from qevm.bodies.ram import RamBody
from qevm.bodies.ram_blocks import mapped_blocks
from qevm.problems import Severity
from qevm.section import SectionKind

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from qevm.bodies.mapped_ram import MappedBlock
    from qevm.capture import Capture

    Ints = NDArray[np.int64]

_SAMPLE = 4096
"""Pages of a mapped-ram block that are looked at for one bucket."""

_FEW_STREAM = frozenset({SectionKind.HEADER, SectionKind.CONFIGURATION, SectionKind.COMMAND, SectionKind.EOF})


class Cell(enum.IntEnum):
    """What a bucket shows; a glyph and a word for each, since colour alone says nothing to some."""

    AHEAD = 0
    ZERO = 1
    RAM = 2
    FRAME = 3
    DEVICE = 4
    DESCRIPTION = 5
    UNKNOWN = 6
    PROBLEM = 7

    @property
    def glyph(self) -> str:
        """One ASCII character."""
        return ".zRHDV?!"[self]

    @property
    def word(self) -> str:
        """For the legend."""
        return _WORDS[self]


_WORDS = ("not indexed", "zero pages", "ram", "head", "devices", "description", "unknown", "problem")


class Buckets:
    """A capture in ``width`` equal parts.  Made in one go, in any thread; then only read."""

    def __init__(self, capture: Capture, width: int) -> None:
        self.size = capture.source.size
        self.width = max(1, min(width, self.size))
        self.edges = [self.size * number // self.width for number in range(self.width + 1)]
        self.cells = self._cells(capture)
        self._starts = _starts(capture)
        self._problems = sorted(p.offset for p in capture.problems if p.severity > Severity.NOTE)

    def of(self, offset: int) -> int:
        """The bucket that ``offset`` lies in."""
        return min(max(bisect_right(self.edges, offset) - 1, 0), self.width - 1)

    def target(self, bucket: int) -> int:
        """Where a jump to ``bucket`` leads: to what makes it look as it does, else to its first byte."""
        low, high = self.edges[bucket], self.edges[bucket + 1]
        offsets = []
        if self.cells[bucket] == Cell.PROBLEM:
            offsets = self._problems
        elif self.cells[bucket] in (Cell.DEVICE, Cell.DESCRIPTION, Cell.UNKNOWN):
            offsets = self._starts[Cell(self.cells[bucket])]
        place = bisect_left(offsets, low)
        return offsets[place] if place < len(offsets) and offsets[place] < high else low

    def _cells(self, capture: Capture) -> bytes:
        import numpy as np

        edges = np.array(self.edges, np.int64)
        share = np.zeros((len(Cell), self.width), np.int64)
        index = capture.index
        count = len(index)
        # Slices are copies, made while no other thread can append.
        kinds = np.frombuffer(index.kinds[:count].tobytes(), "u1")
        starts, ends = _column(index.offsets[:count]), _column(index.ends[:count])
        owners = np.frombuffer(index.device_numbers[:count].tobytes(), "u4")
        rams = _rams(capture)
        of_ram = np.isin(owners, np.array(list(rams), "u4"))
        of_device = (kinds >= SectionKind.START) & (kinds <= SectionKind.FULL)
        for cell, rows in (
            (Cell.RAM, of_device & of_ram),
            (Cell.DEVICE, of_device & ~of_ram),
            (Cell.FRAME, np.isin(kinds, np.array(list(_FEW_STREAM), "u1"))),
            (Cell.DESCRIPTION, kinds == SectionKind.VMDESCRIPTION),
            (Cell.UNKNOWN, kinds == SectionKind.UNKNOWN),
        ):
            share[cell] = _covered(starts[rows], ends[rows], edges)
        for body in rams.values():
            share[Cell.ZERO] += self._zero_pages(body, edges)
        share[Cell.RAM] -= np.minimum(share[Cell.ZERO], share[Cell.RAM])
        if not capture.complete and capture.located:
            located = sorted((s.offset, s.end) for s in capture.located if s.offset >= capture.walked)
            pairs = np.array(located, np.int64).reshape(-1, 2)
            share[Cell.DEVICE] += _covered(pairs[:, 0], pairs[:, 1], edges)
        return self._decide(share, capture)

    def _decide(self, share: Ints, capture: Capture) -> bytes:
        """One kind for each bucket: what is rare and looked for wins over what fills the file."""
        import numpy as np

        cells = np.where(share[Cell.ZERO] > share[Cell.RAM], Cell.ZERO, Cell.RAM)
        cells = np.where(share[: Cell.UNKNOWN + 1].sum(axis=0) == 0, Cell.AHEAD, cells)
        cells = np.where(share[Cell.FRAME] > share[Cell.ZERO] + share[Cell.RAM], Cell.FRAME, cells)
        cells = np.where(share[Cell.DESCRIPTION] > 0, Cell.DESCRIPTION, cells)
        cells = np.where(share[Cell.DEVICE] > 0, Cell.DEVICE, cells)
        cells = np.where(share[Cell.UNKNOWN] > 0, Cell.UNKNOWN, cells)
        for kind in (Cell.FRAME, Cell.DESCRIPTION):
            # What ends up with no bucket at all gets its best one, unless that is another's only one.
            if share[kind].any() and not (cells == kind).any():
                best = int(share[kind].argmax())
                if (cells == cells[best]).sum() > 1 and cells[best] < Cell.UNKNOWN:
                    cells[best] = kind
        for problem in capture.problems:
            if problem.severity > Severity.NOTE:
                cells[self.of(problem.offset)] = Cell.PROBLEM
        return cells.astype("u1").tobytes()

    def _zero_pages(self, body: RamBody, edges: Ints) -> Ints:
        import numpy as np

        runs = body.runs
        count = len(runs)
        firsts = _column(runs.firsts[:count])
        lengths = _column(runs.counts[:count]) * np.frombuffer(runs.strides[:count].tobytes(), "u4")
        zero = np.frombuffer(runs.kinds[:count].tobytes(), "u1") <= PageKind.FILL
        total = _covered(firsts[zero], (firsts + lengths)[zero], edges)
        blocks = mapped_blocks(body.blocks)
        bitmaps = Bitmaps(body.facts.source, blocks)
        for block in blocks:
            if not block.problem:
                total += self._absent_pages(bitmaps, block)
        return total

    def _absent_pages(self, bitmaps: Bitmaps, block: MappedBlock) -> Ints:
        """Bytes of each bucket that mapped-ram left out, from a sample of its bitmap."""
        import numpy as np

        absent = np.zeros(self.width, np.int64)
        first, last = self.of(block.pages_at), self.of(block.end - 1)
        for bucket in range(first, last + 1):
            low = max(self.edges[bucket], block.pages_at) - block.pages_at
            high = min(self.edges[bucket + 1], block.end) - block.pages_at
            page = low // block.page_size
            count = min(-(-high // block.page_size) - page, _SAMPLE)
            if count > 0:
                present = bitmaps.present(block, page, count)
                absent[bucket] += int((high - low) * (1 - present.mean()))
        return absent


def _column(values: array[int]) -> Ints:
    import numpy as np

    return np.frombuffer(values.tobytes(), "u8").astype(np.int64)


def _covered(starts: Ints, ends: Ints, edges: Ints) -> Ints:
    """How many bytes of each bucket the intervals cover; they are in order and apart."""
    import numpy as np

    if not len(starts):
        return np.zeros(len(edges) - 1, np.int64)
    sums = np.concatenate(([0], np.cumsum(np.maximum(ends - starts, 0))))
    before = np.searchsorted(starts, edges, "right")
    # Up to an edge: all that began before it, without what the last of those has behind it.
    rest = np.where(before > 0, np.maximum(ends[before - 1] - edges, 0), 0)
    upto: Ints = sums[before] - rest
    return np.maximum(np.diff(upto), 0)


def _rams(capture: Capture) -> dict[int, RamBody]:
    """The RAM chains by device number."""
    found: dict[int, RamBody] = {}
    for device in list(capture.index.devices):
        if device.iterative and len(device.sections):
            body = capture.body_of(capture.index[device.sections[0]])
            if isinstance(body, RamBody):
                found[device.number] = body
    return found


def _starts(capture: Capture) -> dict[Cell, list[int]]:
    """Where devices, description and unexplained bytes begin, for jumps."""
    index = capture.index
    rams = _rams(capture)
    devices = [
        index.offsets[device.sections[0]]
        for device in list(index.devices)
        if len(device.sections) and device.number not in rams
    ]
    if not capture.complete:
        devices += [section.offset for section in capture.located]
    kinds = index.kinds[: len(index)].tobytes()
    found = {Cell.DEVICE: sorted(set(devices)), Cell.DESCRIPTION: [], Cell.UNKNOWN: []}
    for cell, kind in ((Cell.DESCRIPTION, SectionKind.VMDESCRIPTION), (Cell.UNKNOWN, SectionKind.UNKNOWN)):
        at = kinds.find(kind)
        while at >= 0:
            found[cell].append(index.offsets[at])
            at = kinds.find(kind, at + 1)
    return found
