"""Where the parts of a ``virtio`` blob begin, found without making fields (device-facts §3).

The blob does not tell its transport: each is tried, and the one that explains the bytes to the last one wins.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from qevm.explain import rules as r
from qevm.explain.context import ExplainContext
from qevm.explain.virtio_layouts import (
    CCW,
    CCW_END,
    MMIO,
    ORB,
    QUEUE_MAX,
    SUBCHANNEL,
    SUBSECTIONS,
    SUMMARY_OFFSET,
)
from qevm.vmdesc import Vmsd

_MARK = re.compile(rb"\x05(.)(virtio(?:_pci|_mmio)?/[a-z0-9_]+)", re.DOTALL)
_CONFIG_MAX = 1 << 16


class _Damaged(ValueError):
    """These bytes are not what this transport writes.  ``str()`` says where."""


@dataclass(frozen=True, slots=True)
class Subsection:
    """One subsection: positions in the blob; the body ends where the next one starts."""

    name: str
    start: int
    body: int
    end: int


@dataclass(frozen=True, slots=True)
class Queue:
    """One queue of the common part: positions and numbers."""

    start: int
    size: int
    align: int | None
    desc: int
    last_avail: int
    vector: int | None


@dataclass(slots=True)
class Layout:
    """Where the parts of a blob begin.  ``device`` is the device's own part, up to ``subsections``."""

    transport: str
    common: int
    vectors: int
    config_size: int
    queues: list[Queue]
    device: int
    subsections: list[Subsection]
    end: int

    @property
    def device_end(self) -> int:
        """End of the device's own part."""
        return self.subsections[0].start if self.subsections else self.end


def find_parts(data: bytes, context: ExplainContext) -> Layout | None:
    """The layout of a blob; None when no transport explains it."""
    found = None
    for transport in _transports(data, context):
        try:
            layout = _measure(data, transport)
        except _Damaged:
            continue
        if layout.subsections:
            return layout
        found = found or layout
    return found


def _transports(data: bytes, context: ExplainContext) -> list[str]:
    """The transports that may have written the blob, the likeliest first."""
    found = ["ccw", "mmio"]
    if "mmio" in context.idstr:
        found.reverse()
    if data[:4] == b"\0\0\0\2" and len(data) >= 276:
        sizes = ["pci 256", "pci 4096"]
        if _capability(data[4:260], 0x10):
            sizes.reverse()
        found = [*sizes, *found]
    return found


def _measure(data: bytes, transport: str) -> Layout:
    common, vectors, has_vectors = _transport_end(data, transport)
    at = common + 8
    config_size = int.from_bytes(_take(data, at, 4), "big")
    at += 4
    if config_size > _CONFIG_MAX or at + config_size > len(data):
        raise _Damaged(f"configuration of {config_size} bytes")
    at += config_size
    count = int.from_bytes(_take(data, at, 4), "big")
    at += 4
    if count > QUEUE_MAX:
        raise _Damaged(f"{count} queues")
    queues = []
    for _ in range(count):
        queue = _queue(data, at, transport == "mmio", has_vectors)
        queues.append(queue)
        at += 14 + (4 if queue.align is not None else 0) + (2 if queue.vector is not None else 0)
    subsections = _subsections(data, at)
    return Layout(transport, common, vectors, config_size, queues, at, subsections, len(data))


def _take(data: bytes, at: int, size: int) -> bytes:
    part = data[at : at + size]
    if len(part) < size:
        raise _Damaged(f"ends at {len(data)}, needs {at + size}")
    return part


def _queue(data: bytes, at: int, has_align: bool, has_vector: bool) -> Queue:
    start = at
    size = int.from_bytes(_take(data, at, 4), "big")
    # The number of queues was counted up to the first of size 0; 32768 is the largest legal ring.
    if not 0 < size <= 32768:
        raise _Damaged(f"queue of size {size}")
    at += 4
    align = None
    if has_align:
        align = int.from_bytes(_take(data, at, 4), "big")
        at += 4
    desc = int.from_bytes(_take(data, at, 8), "big")
    last = int.from_bytes(_take(data, at + 8, 2), "big")
    vector = int.from_bytes(_take(data, at + 10, 2), "big") if has_vector else None
    return Queue(start, size, align, desc, last, vector)


def _transport_end(data: bytes, transport: str) -> tuple[int, int, bool]:
    """(start of the common part, number of MSI-X vectors, whether queues have a vector)."""
    if transport == "mmio":
        _take(data, 0, MMIO.length)
        return MMIO.length, 0, False
    if transport == "ccw":
        return _ccw_end(data), 0, True
    size = int(transport.partition(" ")[2])
    config = _take(data, 4, size)
    at = 4 + size + 16
    vectors = _vector_count(config)
    if vectors:
        at += 16 * vectors + (vectors + 7) // 8 + 2
    _take(data, 0, at)
    return at, vectors, bool(vectors)


def _vector_count(config: bytes) -> int:
    """MSI-X vectors that a configuration space announces, 0 without the capability."""
    at = _capability(config, 0x11)
    return (r.reads(config, at + 2, 2) & 0x7FF) + 1 if at else 0


def _capability(config: bytes, wanted: int) -> int:
    """Where capability ``wanted`` lies in a configuration space; 0 when it is not in the list."""
    at = config[0x34] & 0xFC if r.reads(config, 6, 2) & 0x10 else 0
    for _ in range(48):
        if at < 0x40:
            break
        if config[at] == wanted:
            return at
        at = config[at + 1] & 0xFC
    return 0


def _ccw_end(data: bytes) -> int:
    at = SUBCHANNEL.length
    at += optional_length(data, at, ORB)
    at += CCW.length
    at += optional_length(data, at, SUMMARY_OFFSET)
    at += CCW_END.length
    _take(data, 0, at)
    return at


def optional_length(data: bytes, at: int, vmsd: Vmsd) -> int:
    """Length of a subsection that may be at ``at``."""
    name = vmsd.name.encode()
    there = data[at : at + 2 + len(name)] == bytes((5, len(name))) + name
    return 6 + len(name) + vmsd.length if there else 0


def _subsections(data: bytes, floor: int) -> list[Subsection]:
    """The subsections of ``virtio`` at the end of the blob: the longest chain that ends it exactly."""
    marks = [match for match in _MARK.finditer(data, floor) if _is_mark(match)]
    for first, match in enumerate(marks):
        if match.group(2).startswith(b"virtio/"):
            chain = list(_chain(data, marks, first))
            if chain and chain[-1].end == len(data):
                return chain
    return []


def _is_mark(match: re.Match[bytes]) -> bool:
    """The counted name must have its length; the expression may have taken letters too many."""
    return 8 <= match.group(1)[0] <= len(match.group(2))


def _chain(data: bytes, marks: list[re.Match[bytes]], first: int) -> Iterator[Subsection]:
    """Subsections one behind the other, from mark ``first`` on; stops where they do not join."""
    at = marks[first].start()
    for match in marks[first:]:
        if match.start() != at:
            continue
        name = match.group(2)[: match.group(1)[0]]
        body = at + 2 + len(name) + 4
        vmsd = SUBSECTIONS.get(name.decode("ascii", "replace"))
        if vmsd is not None:
            end = body + vmsd.length
        elif name == b"virtio/extra_state":
            end = body
        else:
            # Unknown to this code: it reaches to the next one.
            later = [other.start() for other in marks if other.start() > at]
            end = later[0] if later else len(data)
        if end > len(data):
            return
        yield Subsection(name.decode("ascii", "replace"), at, body, end)
        at = end
