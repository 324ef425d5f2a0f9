"""The fast path of the RAM scan: runs of "next page of the same block" (stream-format §5.4).

Two kinds of records make up nearly all of a stream: ``address|0x22`` with a fill byte of 0 (9 bytes) and
``address|0x28`` with a page.  Inside a run the next record is known before it is read, so up to 256 of
them are compared at once with what they must be.  Each header is really looked at; a run ends where
one differs.
"""

from __future__ import annotations

import struct
from functools import lru_cache

from qevm.bodies.page_runs import PageKind, PageRuns
from qevm.cursor import Cursor

_U64 = struct.Struct(">Q").unpack_from
_ZERO = 0x22
_NORMAL = 0x28
_ZERO_SIZE = 9
_KINDS = (int(PageKind.NORMAL), int(PageKind.ZERO))
_MANY = 256
_SOME = 32
_FEW = 20
"""Fewer records than this are faster one by one."""

_BEFORE_BATCH = 8


class RunReader:
    """Reads runs of plain page records with pages of ``page_size`` bytes into ``runs``."""

    def __init__(self, runs: PageRuns, page_size: int) -> None:
        self._runs = runs
        self._page_size = page_size
        self._expected = -1

    def read(self, cursor: Cursor, block: int, limit: int) -> bool:
        """Read plain records of block number ``block`` until the window ends or another record comes.

        ``limit`` is the length of the block in bytes.  True when the window ended inside plain records and
        there is more to read; False when the record at the cursor must be looked at one by one.
        """
        runs = self._runs
        page_size = self._page_size
        mask = page_size - 1
        largest = 8 + page_size
        data, i, end = cursor.buffered()
        if end - i < largest:
            if cursor.left < largest:
                return False
            data, i, end = cursor.refill()
            if end - i < largest:
                return False
        base = cursor.position - i
        last = end - largest
        zero = False
        stride = count = batch_at = 0
        expected = -1
        goes_on = self._expected
        while i <= last:
            word = _U64(data, i)[0]
            if word == expected and not (zero and data[i + 8]):
                count += 1
                i += stride
                expected += page_size
                if count >= batch_at:
                    pages = (limit - expected + (expected & mask)) // page_size
                    batch = self._zeros if zero else self._normals
                    done = batch(data, i, end, expected, pages)
                    count += done
                    i += done * stride
                    expected += done * page_size
                    batch_at = count + (_BEFORE_BATCH if done else _SOME)
                continue
            flags = word & mask
            if flags == _ZERO:
                if data[i + 8]:
                    break
            elif flags != _NORMAL:
                break
            if word - flags >= limit:
                break
            if count:
                runs.end_run(count)
            zero = flags == _ZERO
            stride = _ZERO_SIZE if zero else largest
            batch_at = _BEFORE_BATCH
            if word == goes_on:
                # A run that goes on from the window before is long: compare in bulk at once.
                batch_at = 2
                runs.resume_run(base + i, stride, _KINDS[zero], block, word - flags)
            else:
                runs.begin_run(base + i, stride, _KINDS[zero], block, word - flags)
            goes_on = -1
            count = 1
            expected = word + page_size
            i += stride
        if count:
            runs.end_run(count)
        self._expected = expected
        cursor.position = base + i
        return i > last

    def _zeros(self, data: bytes, i: int, end: int, expected: int, pages: int) -> int:
        """How many zero records from ``i`` on, at most ``pages``, are the next of their run."""
        done = 0
        pages = min(pages, (end - i) // _ZERO_SIZE)
        factor, constant = _batch(_MANY, self._page_size, 1)
        while True:
            size = self._reach(data, i, _ZERO_SIZE, expected, min(pages, _MANY))
            if size < _FEW:
                return done
            length = _ZERO_SIZE * size
            records = (expected * factor + constant).to_bytes(_ZERO_SIZE * _MANY, "big")
            if data[i : i + length] != records[:length]:
                return done
            done += size
            if size < _MANY:
                return done
            pages -= size
            i += length
            expected += size * self._page_size

    def _normals(self, data: bytes, i: int, end: int, expected: int, pages: int) -> int:
        """How many normal page records from ``i`` on are the next of their run; all of a batch or none."""
        stride = 8 + self._page_size
        size = self._reach(data, i, stride, expected, min(pages, (end - i) // stride, _MANY))
        if size < 2:
            return 0
        factor, constant = _batch(_MANY, self._page_size, 0)
        words = (expected * factor + constant).to_bytes(8 * _MANY, "big")[: 8 * size]
        stop = i + size * stride
        for byte in (6, 5, 7, 4, 3, 2, 1, 0):
            if data[i + byte : stop : stride] != words[byte::8]:
                return 0
        return size

    def _reach(self, data: bytes, i: int, stride: int, expected: int, size: int) -> int:
        """How many records the run seems to have from ``i`` on, at most ``size``, by a few looks at it.

        A guess that saves comparing in vain: the batch is compared as a whole afterwards.
        """
        page_size = self._page_size
        if size and _U64(data, i + (size - 1) * stride)[0] == expected + (size - 1) * page_size:
            return size
        low, high = -1, size - 1
        while high - low > 1:
            middle = (low + high) // 2
            if _U64(data, i + middle * stride)[0] == expected + middle * page_size:
                low = middle
            else:
                high = middle
        return low + 1


@lru_cache(maxsize=16)
def _batch(count: int, page_size: int, tail: int) -> tuple[int, int]:
    """(factor, constant): the next ``count`` headers from word w on are w * factor + constant.

    Read as one big-endian number: header j adds ``w + j * page_size`` at its place, with ``tail``
    zero bytes behind each (the fill byte of a zero record).
    """
    factor = constant = 0
    for j in range(count):
        shift = 8 * ((8 + tail) * (count - 1 - j) + tail)
        factor += 1 << shift
        constant += (j * page_size) << shift
    return factor, constant
