"""qcow2 images: the header and the table of internal snapshots (containers §11.4).

All integers are big-endian.  The VM state itself is read by :mod:`qevm.containers.vmstate`.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence

from construct import Bytes, Int8ub, Int16ub, Int32ub, Int64ub, Struct

from qevm.containers import growing
from qevm.containers.model import Choice, ChoiceNeeded, ContainerPart, Snapshot
from qevm.field import Field, LazyFields, Role
from qevm.layout import fields_of
from qevm.problems import CannotOpen, Problem, Severity
from qevm.safetext import decode, safe
from qevm.source import Source

MAGIC = b"QFI\xfb"
MAX_SNAPSHOTS = 65536
"""QEMU's own limit (QCOW_MAX_SNAPSHOTS)."""

MAX_TABLE = 32 << 20
"""Bytes of a snapshot table; MAX_SNAPSHOTS entries with the longest names of QEMU are smaller."""

MAX_EXTRA = 1024
"""QEMU's own limit for the extra data of one entry (QCOW_MAX_SNAPSHOT_EXTRA_DATA)."""

DIRTY, CORRUPT, DATA_FILE, COMPRESSION_TYPE, EXTENDED_L2 = (1 << bit for bit in range(5))

Header = Struct(
    "magic" / Bytes(4),
    "version" / Int32ub,
    "backing_file_offset" / Int64ub,
    "backing_file_size" / Int32ub,
    "cluster_bits" / Int32ub,
    "size" / Int64ub,
    "crypt_method" / Int32ub,
    "l1_size" / Int32ub,
    "l1_table_offset" / Int64ub,
    "refcount_table_offset" / Int64ub,
    "refcount_table_clusters" / Int32ub,
    "nb_snapshots" / Int32ub,
    "snapshots_offset" / Int64ub,
)
"""The first 72 bytes, all that version 2 has (§11.4)."""

HeaderV3 = Struct(
    "incompatible_features" / Int64ub,
    "compatible_features" / Int64ub,
    "autoclear_features" / Int64ub,
    "refcount_order" / Int32ub,
    "header_length" / Int32ub,
    "compression_type" / Int8ub,
)
"""What version 3 adds at offset 72; ``compression_type`` counts when header_length is above 104."""

SnapshotEntry = Struct(
    "l1_table_offset" / Int64ub,
    "l1_size" / Int32ub,
    "id_str_size" / Int16ub,
    "name_size" / Int16ub,
    "date_sec" / Int32ub,
    "date_nsec" / Int32ub,
    "vm_clock_nsec" / Int64ub,
    "vm_state_size" / Int32ub,
    "extra_data_size" / Int32ub,
)
"""One entry of the snapshot table: 40 bytes, then extra data, id and name, padded to 8 (§11.4)."""

SnapshotExtra = Struct(
    "vm_state_size_large" / Int64ub,
    "disk_size" / Int64ub,
    "icount" / Int64ub,
)
"""The extra data that is known; shorter ones end earlier, the rest of longer ones is skipped."""

_ENTRY = SnapshotEntry.sizeof()
_CRYPT = {1: "AES", 2: "LUKS"}


class Qcow2Image:
    """The qcow2 image that is the whole of ``source``.

    Raises CannotOpen for what cannot hold a readable VM state: cut headers, encryption, external data
    files.  ``problems`` holds what is odd but no obstacle; offsets are those of the image.
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self.problems: list[Problem] = []
        # The snapshot table lies behind the clusters: an image that is being unpacked must be whole.
        growing.wait_complete(source)
        self._head = source.read(0, 112)
        if len(self._head) < Header.sizeof():
            raise CannotOpen(
                f"qcow2 image cut inside its header: {len(self._head)} bytes,"
                f" the header has {Header.sizeof()}"
            )
        header = Header.parse(self._head)
        self.version = int(header.version)
        self.cluster_bits = int(header.cluster_bits)
        self.disk_size = int(header.size)
        self.nb_snapshots = int(header.nb_snapshots)
        self.snapshots_offset = int(header.snapshots_offset)
        self.features = self.compression_type = 0
        if self.version not in (2, 3):
            raise CannotOpen(f"qcow2 version {self.version} at 0x4 is unknown, expected 2 or 3")
        if not 9 <= self.cluster_bits <= 21:
            raise CannotOpen(f"qcow2 cluster_bits {self.cluster_bits} at 0x14, expected 9…21")
        if self.version == 3:
            self._read_v3()
        crypt = int(header.crypt_method)
        if crypt:
            raise CannotOpen(
                f"this qcow2 image is encrypted ({_CRYPT.get(crypt, f'crypt_method {crypt}')}):"
                " the VM state in it cannot be read"
            )
        if self.features & DATA_FILE:
            raise CannotOpen(
                "this qcow2 image keeps its data in an external file: it cannot hold internal snapshots"
            )
        self.snapshots = self._read_table()

    @property
    def cluster_size(self) -> int:
        """Bytes."""
        return 1 << self.cluster_bits

    @property
    def extended_l2(self) -> bool:
        """L2 entries have 16 bytes: 32 subclusters a cluster."""
        return bool(self.features & EXTENDED_L2)

    def _read_v3(self) -> None:
        data = self._head[72:].ljust(HeaderV3.sizeof(), b"\0")
        more = HeaderV3.parse(data)
        self.features = int(more.incompatible_features)
        if self.features & COMPRESSION_TYPE and int(more.header_length) > 104:
            self.compression_type = int(more.compression_type)
        for bit, word in ((DIRTY, "dirty"), (CORRUPT, "corrupt")):
            if self.features & bit:
                self._warn(72, f"the image is marked {word}: reading goes on", f"bit {word} clear", "set")
        unknown = self.features & ~0x1F
        if unknown:
            self._warn(72, "unknown incompatible features: what is read may be wrong", "0", f"0x{unknown:x}")
        if self.compression_type > 1:
            self._warn(104, "unknown compression type", "0 or 1", str(self.compression_type))

    def _warn(self, at: int, message: str, expected: str = "", found: str = "") -> None:
        self.problems.append(Problem(at, message, expected, found, severity=Severity.WARNING))

    # -- the snapshot table

    def _read_table(self) -> list[Snapshot]:
        snapshots: list[Snapshot] = []
        position = self.snapshots_offset
        count = min(self.nb_snapshots, MAX_SNAPSHOTS)
        if count < self.nb_snapshots:
            self._warn(
                60, "more snapshots than QEMU allows", f"at most {MAX_SNAPSHOTS}", str(self.nb_snapshots)
            )
        for number in range(count):
            snapshot: Snapshot | str = f"the table is longer than {MAX_TABLE} bytes"
            if position - self.snapshots_offset <= MAX_TABLE:
                snapshot = self._read_entry(position)
            if isinstance(snapshot, str):
                self.problems.append(
                    Problem(
                        position,
                        f"the snapshot table breaks off at entry {number + 1} of {self.nb_snapshots}:"
                        f" {snapshot}; {number} snapshots usable",
                    )
                )
                break
            snapshots.append(snapshot)
            position += -(-snapshot.entry_size // 8) * 8
        return snapshots

    def _read_entry(self, position: int) -> Snapshot | str:
        fixed = self.source.read(position, _ENTRY)
        if len(fixed) < _ENTRY:
            return f"it lies outside of the file, which has 0x{self.source.size:x} bytes"
        entry = SnapshotEntry.parse(fixed)
        extra_size = int(entry.extra_data_size)
        if extra_size > MAX_EXTRA:
            return f"extra data of {extra_size} bytes, at most {MAX_EXTRA} expected"
        names = int(entry.id_str_size) + int(entry.name_size)
        rest = self.source.read(position + _ENTRY, extra_size + names)
        if len(rest) < extra_size + names:
            return f"it is cut off at the end of the file (0x{self.source.size:x})"
        state, disk, icount = int(entry.vm_state_size), self.disk_size, None
        if extra_size >= 8:
            # Both are set by QEMU ≥ 1.1; the 32-bit one cannot say more than 4 GiB.
            state = int.from_bytes(rest[:8], "big") or state
        if extra_size >= 16:
            disk = int.from_bytes(rest[8:16], "big")
        if extra_size >= 24 and rest[16:24] != b"\xff" * 8:
            icount = int.from_bytes(rest[16:24], "big")
        ident = rest[extra_size : extra_size + int(entry.id_str_size)]
        return Snapshot(
            id=decode(ident),
            tag=decode(rest[extra_size + len(ident) :]),
            date=_date(int(entry.date_sec), int(entry.date_nsec)),
            vm_clock_ns=int(entry.vm_clock_nsec),
            disk_size=disk,
            vm_state_size=state,
            l1_offset=int(entry.l1_table_offset),
            l1_entries=int(entry.l1_size),
            entry_offset=position,
            entry_size=_ENTRY + len(rest),
            icount=icount,
        )

    # -- choosing

    def choose(self, wanted: str | None) -> Snapshot:
        """The snapshot with that id or tag; without one, the only one that holds VM state.

        Raises ChoiceNeeded when several fit, CannotOpen when none does.
        """
        with_state = [s for s in self.snapshots if s.vm_state_size]
        if wanted is None:
            if len(with_state) == 1:
                return with_state[0]
            if with_state:
                raise choice(f"{self.source.name}: {len(with_state)} snapshots hold VM state", with_state)
            raise CannotOpen(self._nothing())
        found = [s for s in self.snapshots if wanted in (s.id, s.tag)]
        if not found:
            reason = f"{self.source.name}: no snapshot {wanted!r}"
            if not with_state:
                raise CannotOpen(f"{reason[len(self.source.name) + 2 :]}: {self._nothing()}")
            raise choice(reason, self.snapshots)
        if len(found) > 1:
            found = [s for s in found if s.vm_state_size] or found
        if len(found) > 1:
            raise choice(f"{self.source.name}: {len(found)} snapshots are called {wanted!r}", found)
        if not found[0].vm_state_size:
            raise CannotOpen(
                f"snapshot {safe(found[0].tag)!r} (id {safe(found[0].id)}) is disk-only:"
                " its VM state size is 0; with several disks the VM state is in another image"
            )
        return found[0]

    def _nothing(self) -> str:
        if self.snapshots:
            return (
                f"this qcow2 image has {len(self.snapshots)} disk-only snapshots and no VM state"
                " (with several disks savevm puts it into one of the images only)"
            )
        if self.problems:
            return f"this qcow2 image has no readable internal snapshot ({self.problems[-1]})"
        return "this qcow2 image has no internal snapshots: it is a disk without VM state"

    # -- what is shown beside the stream

    def parts(self) -> list[ContainerPart]:
        """The header and the snapshot table."""
        size = 72 if self.version == 2 else min(len(self._head), 105)
        parts = [ContainerPart("qcow2 header", self.source, 0, size, self._decode_header)]
        if self.snapshots:
            last = self.snapshots[-1]
            end = last.entry_offset + last.entry_size
            start = self.snapshots_offset
            parts.append(
                ContainerPart(
                    "snapshot table", self.source, start, end - start, lambda: self._decode_table(end)
                )
            )
        return parts

    def _decode_header(self) -> Field:
        fields = fields_of(Header, self._head[:72], 0)
        if self.version == 3:
            fields += fields_of(HeaderV3, self._head[72:105], 72)
        meanings = {
            "cluster_bits": f"clusters of {self.cluster_size} bytes",
            "crypt_method": "not encrypted",
            "compression_type": "zstd" if self.compression_type == 1 else "deflate",
            "backing_file_offset": "irrelevant for VM state",
            "incompatible_features": ", ".join(
                word
                for bit, word in enumerate(
                    ("dirty", "corrupt", "external data file", "compression type", "extended L2")
                )
                if self.features >> bit & 1
            ),
        }
        for item in fields:
            item.meaning = meanings.get(item.name, "")
        return Field("qcow2 header", 0, fields[-1].end, "struct", None, f"version {self.version}", fields)

    def _decode_table(self, end: int) -> Field:
        rows = LazyFields(len(self.snapshots), lambda i: self._decode_entry(self.snapshots[i]))
        start = self.snapshots_offset
        return Field("snapshot table", start, end - start, "array", None, f"{len(rows)} snapshots", rows)

    def _decode_entry(self, s: Snapshot) -> Field:
        data = self.source.read(s.entry_offset, s.entry_size)
        fields = fields_of(SnapshotEntry, data, s.entry_offset)
        extra = int.from_bytes(data[36:40], "big")
        fields += fields_of(SnapshotExtra, data[_ENTRY : _ENTRY + extra], s.entry_offset + _ENTRY)
        at = _ENTRY + extra
        id_size = int.from_bytes(data[12:14], "big")
        for name, value, size in (("id", s.id, id_size), ("name", s.tag, len(data) - at - id_size)):
            fields.append(Field(name, s.entry_offset + at, size, "string", value, "", (), Role.NAME))
            at += size
        for item in fields:
            if item.name == "date_sec":
                item.meaning = _date_text(s)
            elif item.name == "vm_clock_nsec":
                item.meaning = clock_text(s.vm_clock_ns)
            elif item.name == "icount" and s.icount is None:
                item.meaning = "not used"
        meaning = "disk-only" if not s.vm_state_size else f"{s.vm_state_size} bytes of VM state"
        return Field(s.tag or s.id, s.entry_offset, len(data), "struct", None, meaning, fields)


def _date(seconds: int, nanoseconds: int) -> datetime.datetime | None:
    if not seconds:
        return None
    moment = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    return moment.replace(microsecond=min(nanoseconds // 1000, 999_999))


def _date_text(snapshot: Snapshot) -> str:
    return snapshot.date.strftime("%Y-%m-%d %H:%M:%S UTC") if snapshot.date else "-"


def clock_text(nanoseconds: int) -> str:
    """A guest clock as ``qemu-img snapshot -l`` prints it: hours:minutes:seconds.milliseconds."""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{rest // 1_000_000:03}"


HEADINGS = ("id", "tag", "date", "VM clock", "disk size", "VM state size")


def choice(reason: str, snapshots: Sequence[Snapshot]) -> ChoiceNeeded:
    """The exception that lists ``snapshots`` for ``--snapshot``."""
    choices = [
        Choice(
            s.id,
            (
                s.id,
                s.tag,
                _date_text(s),
                clock_text(s.vm_clock_ns),
                str(s.disk_size),
                str(s.vm_state_size) if s.vm_state_size else "0 (disk-only)",
            ),
        )
        for s in snapshots
    ]
    return ChoiceNeeded(f"{reason}; choose one with --snapshot ID_OR_TAG:", "--snapshot", HEADINGS, choices)
