"""The VM state of one qcow2 snapshot, read in place through the snapshot's L1 table (containers §11.4)."""

from __future__ import annotations

import threading
import zlib
from collections import OrderedDict
from collections.abc import Iterator
from itertools import islice

import numpy as np

from qevm.containers import decoders
from qevm.containers.model import Snapshot
from qevm.containers.qcow2 import Qcow2Image
from qevm.problems import CannotOpen, Problem
from qevm.source import Source

OFFSET_MASK = 0x00FF_FFFF_FFFF_FE00
COMPRESSED = 1 << 62
ZERO = 1

MAX_L1 = 4 << 20
"""QEMU's limit of entries (QCOW_MAX_L1_SIZE, 32 MiB)."""

_SLICE = 4096
"""L2 tables are cached in pieces of this many bytes: a whole one may have 2 MiB."""

_MAX_TRIED = 1024
"""L2 tables looked at for the beginning or the end of the VM state: a sound image needs one or two."""

_SLICES = 256
_INFLATED = 8 << 20
_MAX_PROBLEMS = 50

_MAX_ALIASING = 64
"""QEMU gives the VM state clusters of its own; tables that name the same ones over and over are hostile."""

_L1_PIECE = 1 << 16
"""L1 entries looked at together: 512 KiB of a table of up to 32 MiB."""


class VmState:
    """A Source over the ``vm_state_size`` bytes of a snapshot.

    ``base`` is the virtual offset at which it begins, the first L1 entry behind the disk.  ``size`` is
    what the header says, or less where the snapshot's tables end earlier: nothing is believed (or
    allocated) that is not mapped.  A cluster that cannot be read gives zeros and a Problem with its
    offset in the VM state; everything round it stays readable.  Closing closes the image.
    """

    def __init__(self, image: Qcow2Image, snapshot: Snapshot) -> None:
        self.image = image
        self.snapshot = snapshot
        self.name = f"{image.source.name} (snapshot {snapshot.tag or snapshot.id})"
        self.problems: list[Problem] = []
        self._source: Source = image.source
        self._bits = image.cluster_bits
        self._cluster = image.cluster_size
        self._entry = 16 if image.extended_l2 else 8
        self._l2_entries = self._cluster // self._entry
        self._span = self._l2_entries * self._cluster
        self._lock = threading.Lock()
        self._slices: OrderedDict[int, bytes] = OrderedDict()
        self._inflated: OrderedDict[int, bytes] = OrderedDict()
        self._bad: set[int] = set()
        self._l1_entries = self._count_l1()
        self.base = self._find_base()
        self.size = self._bound_size()

    # -- where it begins and ends

    def _count_l1(self) -> int:
        s = self.snapshot
        there = max(0, self._source.size - s.l1_offset) // 8
        if s.l1_offset % self._cluster or s.l1_offset <= 0 or not there:
            raise CannotOpen(
                f"snapshot {s.tag or s.id!r}: its L1 table at 0x{s.l1_offset:x} is not in the file"
                f" (0x{self._source.size:x} bytes, clusters of 0x{self._cluster:x})"
            )
        count = min(s.l1_entries, MAX_L1, there)
        if count < s.l1_entries:
            self._report(
                0,
                f"the L1 table of the snapshot at 0x{s.l1_offset:x} is cut: {count} entries used",
                f"at most {min(MAX_L1, there)} entries",
                str(s.l1_entries),
            )
        return count

    def _begin(self, disk: int) -> int:
        return -(-disk // self._span) * self._span

    def _find_base(self) -> int:
        tried = []
        for disk in (self.snapshot.disk_size, self.image.disk_size):
            base = self._begin(disk)
            if base not in tried:
                tried.append(base)
                if self._starts_stream(base):
                    return base
        for index, _ in islice(self._l2_tables(0, self._l1_entries), _MAX_TRIED):
            base = index * self._span
            if index and base not in tried and self._starts_stream(base):
                self._report(
                    0,
                    f"the VM state is not behind the disk but at 0x{base:x}: the disk was resized",
                    f"0x{tried[0]:x}",
                    f"0x{base:x}",
                )
                return int(base)
        self._bad.clear()
        return tried[0]

    def _starts_stream(self, base: int) -> bool:
        return self._read_virtual(base, 4, report=False) == b"QEVM"

    def _l2_tables(self, first: int, end: int, backwards: bool = False) -> Iterator[tuple[int, int]]:
        """(L1 index, offset) of the L2 tables inside of the file that L1 entries ``first``…``end`` name."""
        starts = range(first, end, _L1_PIECE)
        for start in reversed(starts) if backwards else starts:
            data = self._source.read(self.snapshot.l1_offset + 8 * start, 8 * min(_L1_PIECE, end - start))
            table = _words(data) & np.uint64(OFFSET_MASK)
            last = max(0, self._source.size - self._cluster)
            usable = np.flatnonzero((table > 0) & (table <= last) & (table % self._cluster == 0))
            for index in (usable[::-1] if backwards else usable).tolist():
                yield start + index, int(table[index])

    def _bound_size(self) -> int:
        """``vm_state_size``, or the end of the last cluster that is mapped when that comes first."""
        announced = self.snapshot.vm_state_size
        first = self.base // self._span
        end = min(self._l1_entries, first + -(-announced // self._span))
        mapped = 0
        for index, place in islice(self._l2_tables(first, end, backwards=True), _MAX_TRIED):
            # Descriptors only: an extended entry's bitmap does not say where a cluster is.
            used = np.flatnonzero(_words(self._source.read(place, self._cluster))[:: self._entry // 8])
            if len(used):
                mapped = (index - first) * self._span + (int(used[-1]) + 1) * self._cluster
                break
        if mapped < announced:
            self._report(
                mapped,
                f"the VM state is cut: {mapped} of its {announced} bytes are mapped",
                f"{announced} bytes",
                f"{mapped} bytes",
            )
        most = self._source.size * _MAX_ALIASING
        if min(announced, mapped) > most:
            self._report(
                most,
                f"the VM state is more than {_MAX_ALIASING} times as large as the image: cut there",
                f"at most {most} bytes",
                f"{min(announced, mapped)} bytes",
            )
        return min(announced, mapped, most)

    def _report(self, at: int, message: str, expected: str = "", found: str = "") -> None:
        if len(self.problems) < _MAX_PROBLEMS:
            self.problems.append(Problem(at, message, expected, found))

    # -- Source

    def read(self, offset: int, length: int) -> bytes:
        """Up to ``length`` bytes of the VM state at ``offset``."""
        length = min(length, self.size - offset)
        if offset < 0 or length <= 0:
            return b""
        return self._read_virtual(self.base + offset, length)

    def file_offset(self, offset: int) -> int | None:
        """Where byte ``offset`` lies in the image; None where it is compressed, zero or not mapped."""
        if not 0 <= offset < self.size:
            return None
        kind, place = self._locate(self.base + offset, report=False)
        return place if kind == "data" else None

    def close(self) -> None:
        """Close the image."""
        self._source.close()

    # -- translation

    def _read_virtual(self, virtual: int, length: int, report: bool = True) -> bytes:
        out = bytearray()
        for kind, place, size in self._runs(virtual, length, report):
            if kind == "data":
                piece = self._source.read(place, size)
                # The last cluster of an image may be short.
                out += piece.ljust(size, b"\0")
            elif kind == "compressed":
                within = (virtual + len(out)) % self._cluster
                out += self._inflate(place, virtual + len(out), report)[within : within + size]
            else:
                out += bytes(size)
        return bytes(out)

    def _runs(self, virtual: int, length: int, report: bool) -> Iterator[tuple[str, int, int]]:
        """(kind, place, size) of each stretch that is contiguous in the file."""
        step = self._cluster // 32 if self.image.extended_l2 else self._cluster
        kind, place, size = "", 0, 0
        end = virtual + length
        while virtual < end:
            piece = min(step - virtual % step, end - virtual)
            new_kind, new_place = self._locate(virtual, report)
            joins = new_kind == kind and (kind == "zero" or (kind == "data" and new_place == place + size))
            # Subclusters of a compressed cluster are read as one.
            if new_kind == kind == "compressed" and new_place == place and virtual % self._cluster:
                joins = True
            if joins:
                size += piece
            else:
                if size:
                    yield kind, place, size
                kind, place, size = new_kind, new_place, piece
            virtual += piece
        if size:
            yield kind, place, size

    def _locate(self, virtual: int, report: bool) -> tuple[str, int]:
        """(``data``, file offset), (``compressed``, descriptor) or (``zero``, 0) of a virtual byte."""
        cluster = virtual >> self._bits
        i1, i2 = divmod(cluster, self._l2_entries)
        if i1 >= self._l1_entries:
            return "zero", 0
        l2 = self._word(self.snapshot.l1_offset + 8 * i1) & OFFSET_MASK
        if not l2:
            return "zero", 0
        if not self._inside(l2, self._cluster, virtual, f"L2 table {i1}", report):
            return "zero", 0
        place = l2 + i2 * self._entry
        entry = self._word(place)
        if entry & COMPRESSED:
            return "compressed", entry
        within = virtual % self._cluster
        if self.image.extended_l2:
            bitmap = self._word(place + 8)
            sub = within // (self._cluster // 32)
            if bitmap >> (32 + sub) & 1 or not bitmap >> sub & 1:
                return "zero", 0
        elif entry & ZERO:
            return "zero", 0
        host = entry & OFFSET_MASK
        if not host:
            return "zero", 0
        if not self._inside(host, 1, virtual, f"cluster {cluster}", report):
            return "zero", 0
        return "data", host + within

    def _inside(self, place: int, size: int, virtual: int, what: str, report: bool) -> bool:
        if place % self._cluster == 0 and place + size <= self._source.size:
            return True
        if report and place not in self._bad and len(self._bad) < _MAX_PROBLEMS:
            self._bad.add(place)
            self._report(
                max(0, virtual - self.base),
                f"the {what} of the VM state is not in the file: read as zeros",
                f"a multiple of 0x{self._cluster:x} below 0x{self._source.size:x}",
                f"0x{place:x}",
            )
        return False

    def _word(self, place: int) -> int:
        """The be64 at ``place`` of the file, through the bounded cache."""
        start = place // _SLICE * _SLICE
        with self._lock:
            data = self._slices.get(start)
            if data is None:
                data = self._source.read(start, _SLICE)
                self._slices[start] = data
                if len(self._slices) > _SLICES:
                    self._slices.popitem(last=False)
            else:
                self._slices.move_to_end(start)
        return int.from_bytes(data[place - start : place - start + 8], "big")

    def _inflate(self, descriptor: int, virtual: int, report: bool) -> bytes:
        """One cluster from its compressed form; zeros (and a Problem) when it is damaged."""
        with self._lock:
            kept = self._inflated.get(descriptor)
        if kept is not None:
            return kept
        shift = 62 - (self._bits - 8)
        place = descriptor & ((1 << shift) - 1)
        sectors = (descriptor >> shift) & ((1 << (self._bits - 8)) - 1)
        packed = self._source.read(place, (place // 512 + sectors + 1) * 512 - place)
        data, why = _inflate(packed, self._cluster, self.image.compression_type)
        if why and report and descriptor not in self._bad:
            self._bad.add(descriptor)
            at = max(0, virtual // self._cluster * self._cluster - self.base)
            self._report(
                at,
                f"the compressed cluster at 0x{place:x} of the image is damaged: {why};"
                " the rest of it reads as zeros",
                f"{self._cluster} bytes",
                f"{len(data)} bytes",
            )
        data = data.ljust(self._cluster, b"\0")
        with self._lock:
            self._inflated[descriptor] = data
            while len(self._inflated) * self._cluster > _INFLATED and len(self._inflated) > 1:
                self._inflated.popitem(last=False)
        return data


def _words(data: bytes) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    return np.frombuffer(data[: len(data) // 8 * 8], dtype=">u8").astype(np.uint64)


def _inflate(packed: bytes, size: int, compression_type: int) -> tuple[bytes, str]:
    """Up to ``size`` bytes out of raw deflate (window 12) or a zstd frame, and what was wrong."""
    data, why = b"", ""
    try:
        if compression_type == 0:
            data = zlib.decompressobj(-12).decompress(packed, size)
        else:
            for piece in decoders.zstd().feed(packed):
                data += piece
                if len(data) >= size:
                    break
    except (zlib.error, decoders.DecodeError, CannotOpen) as error:
        why = str(error)
    if len(data) < size and not why:
        why = "it ends too early"
    return data[:size], why
