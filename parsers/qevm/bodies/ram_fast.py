"""The fast path of the RAM scan: runs of "next page of the same block" (stream-format §5.4).

Two kinds of records make up nearly all of a stream: ``address|0x22`` with a fill byte of 0 (9 bytes) and
``address|0x28`` with a page.  Inside a run the next record is known before it is read, so many of them
are compared at once: zero records as one big number, headers of normal pages with one ``struct``
that skips the pages.  Each header is really looked at; a run ends where one differs.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from qevm.bodies.page_runs import PageKind, PageRuns
from qevm.cursor import Cursor

_U64 = struct.Struct(">Q").unpack_from
_ZERO = 0x22
_NORMAL = 0x28
_MANY = 256
_SOME = 32
_BEFORE_BATCH = 12


class RunReader:
    """Reads runs of plain page records with pages of ``page_size`` bytes into ``runs``."""

    def __init__(self, runs: PageRuns, page_size: int) -> None:
        self._runs = runs
        self._page_size = page_size
        self._steps = {n: _steps_of_zero_run(n, page_size) for n in (_MANY, _SOME)}
        self._headers: dict[int, Callable[..., tuple[Any, ...]]] = {}
        self._expected = -1

    def read(self, cursor: Cursor, block: int, limit: int) -> bool:
        """Read plain records of block number ``block`` until the window ends or another record comes.

        ``limit`` is the length of the block in bytes.  True when the window ended inside a run and
        there is more to read; False when the record at the cursor needs to be looked at one by one.
        """
        runs = self._runs
        page_size = self._page_size
        mask = page_size - 1
        largest = 8 + page_size
        data, i, end = cursor.buffered()
        if end - i < largest:
            data, i, end = cursor.refill()
            if end - i < largest:
                return False
        base = cursor.position - i
        last = end - largest
        zero = False
        stride = 0
        count = 0
        batch_at = 0
        expected = -1
        while i <= last:
            word = _U64(data, i)[0]
            if word == expected and not (zero and data[i + 8]):
                count += 1
                i += stride
                expected += page_size
                if count >= batch_at:
                    pages = (limit - (expected - (expected & mask))) // page_size
                    done = (
                        self._zeros(data, i, end, expected, pages)
                        if zero
                        else self._normals(data, i, end, expected, pages)
                    )
                    count += done
                    i += done * stride
                    expected += done * page_size
                    batch_at = count + 64
                continue
            flags = word & mask
            if flags == _ZERO:
                if data[i + 8]:
                    break
            elif flags != _NORMAL:
                break
            if word - flags >= limit:
                break
            if count > 1:
                runs.lengthen(count - 1)
            if flags == _ZERO:
                zero = True
                stride = 9
                runs.append(base + i, 9, PageKind.ZERO, block, word - flags, 8)
            else:
                zero = False
                stride = largest
                runs.append(base + i, largest, PageKind.NORMAL, block, word - flags, 8)
            # A run that goes on from the last window is long: compare in bulk at once.
            batch_at = 2 if word == self._expected else _BEFORE_BATCH
            count = 1
            expected = word + page_size
            i += stride
        if count > 1:
            runs.lengthen(count - 1)
        self._expected = expected
        cursor.position = base + i
        return i > last

    def _zeros(self, data: bytes, i: int, end: int, expected: int, pages: int) -> int:
        """How many zero records from ``i`` on, in whole batches, are the next of their run."""
        done = 0
        pages = min(pages, (end - i) // 9)
        page_size = self._page_size
        for size in (_MANY, _SOME):
            factor, constant = self._steps[size]
            length = 9 * size
            step = page_size * size
            while pages >= size and data[i : i + length] == (expected * factor + constant).to_bytes(
                length, "big"
            ):
                pages -= size
                done += size
                i += length
                expected += step
        return done

    def _normals(self, data: bytes, i: int, end: int, expected: int, pages: int) -> int:
        """How many normal page records from ``i`` on are the next of their run, all or none of a batch."""
        size = min(pages, (end - i) // (8 + self._page_size), 64)
        if size < 2:
            return 0
        unpack = self._headers.get(size)
        if unpack is None:
            layout = struct.Struct(">" + f"Q{self._page_size}x" * size)
            unpack = self._headers[size] = layout.unpack_from
        if unpack(data, i) == tuple(range(expected, expected + size * self._page_size, self._page_size)):
            return size
        return 0


def _steps_of_zero_run(count: int, page_size: int) -> tuple[int, int]:
    """(factor, constant): ``count`` zero records from header word w on are w * factor + constant.

    Read as one big-endian number, record j contributes (w + j * page_size) << 8 at its place; the
    fill byte below it is 0.
    """
    factor = constant = 0
    for j in range(count):
        shift = 72 * (count - 1 - j) + 8
        factor += 1 << shift
        constant += (j * page_size) << shift
    return factor, constant
