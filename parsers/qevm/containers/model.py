"""The values that opening a file yields: container, parts, stream, and the choice between streams."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from qevm.containers.unpack import Limits, Progress, UnpackingSource
from qevm.field import Field
from qevm.problems import NeedsChoice, Problem
from qevm.safetext import safe
from qevm.source import Source

if TYPE_CHECKING:
    import datetime

OffsetMap = Callable[[int], int | None]
"""Turns an offset in a stream's source into one in the file, or None where the file has no such byte."""


def same_offset(offset: int) -> int | None:
    """The map of a stream that lies bare in its file."""
    return offset


def no_offset(offset: int) -> int | None:
    """The map of what was unpacked: its bytes are nowhere in the file."""
    return None


@dataclass(frozen=True, slots=True)
class ContainerPart:
    """Something of the container itself to show beside the stream: a header, the domain XML, a table.

    ``offset`` and ``size`` count bytes of ``source``: the file, or what was unpacked from it when the
    container lay inside a compressed file.  ``decode`` makes the Field tree, anew on every call.
    """

    name: str
    source: Source
    offset: int
    size: int
    decode: Callable[[], Field]


@dataclass(slots=True)
class Container:
    """What is wrapped round a stream.

    ``source`` is the file as it lies on the disk.  ``layers`` names what is round the stream, the
    outermost first, and is empty for a bare stream.  Offsets of ``problems`` are those of the layer
    that they speak of.  ``snapshots`` is filled for qcow2 images, ``unpacking`` for compressed files
    and pipes (outermost first): ask these for progress, or to cancel.
    """

    source: Source
    layers: list[str] = field(default_factory=list)
    parts: list[ContainerPart] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    snapshots: list[Snapshot] = field(default_factory=list)
    unpacking: list[UnpackingSource] = field(default_factory=list)

    @property
    def kind(self) -> str:
        """One phrase for the status line: ``libvirt save image, gzip``; empty for a bare stream."""
        return ", ".join(self.layers)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One entry of a qcow2 snapshot table (containers §11.4).

    ``id`` and ``tag`` are untrusted text.  ``date`` is in UTC, or None when it was not set or is no
    date; ``vm_clock_ns`` is the guest's clock; sizes are in bytes.  A ``vm_state_size`` of 0 marks a
    disk-only snapshot.  ``entry_offset``/``entry_size`` say where the entry lies in the image.
    """

    id: str
    tag: str
    date: datetime.datetime | None
    vm_clock_ns: int
    disk_size: int
    vm_state_size: int
    l1_offset: int
    l1_entries: int
    entry_offset: int
    entry_size: int
    icount: int | None = None


@dataclass(slots=True)
class Stream:
    """One migration stream: ``QEVM`` is at ``base`` of ``source``.

    ``name`` tells it from others in the same file (``snapshot first``), ``note`` is what to know
    before reading it; both may be empty.  Offsets of ``problems`` are those of ``source``.
    """

    source: Source
    base: int = 0
    name: str = ""
    note: str = ""
    problems: list[Problem] = field(default_factory=list)
    to_file: OffsetMap = same_offset

    def file_offset(self, offset: int) -> int | None:
        """Where byte ``offset`` of ``source`` lies in the file; None for unpacked or absent bytes."""
        return self.to_file(offset)


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several streams: ``value`` selects it, ``columns`` describe it (untrusted text)."""

    value: str
    columns: Sequence[str]


class ChoiceNeeded(NeedsChoice):
    """Several streams are in the file and none was chosen.

    ``option`` is the command-line option that chooses (``--snapshot``), ``headings`` name the columns
    of each :class:`Choice`.  ``str()`` is a table of them with all untrusted text made harmless.
    """

    def __init__(self, reason: str, option: str, headings: Sequence[str], choices: Sequence[Choice]) -> None:
        self.option = option
        self.headings = tuple(headings)
        self.choices = list(choices)
        rows = [[*self.headings], *([safe(cell) for cell in choice.columns] for choice in self.choices)]
        widths = [max(len(row[i]) for row in rows) for i in range(len(self.headings))]
        lines = ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) for row in rows]
        super().__init__("\n".join([safe(reason), *(f"  {line}".rstrip() for line in lines)]))


@dataclass(slots=True)
class Opened:
    """An open file: its container and the stream that was asked for."""

    container: Container
    stream: Stream

    @property
    def unpacking(self) -> UnpackingSource | None:
        """The unpacking that feeds the stream directly, or None: progress, cancel, completeness."""
        return self.container.unpacking[-1] if self.container.unpacking else None

    @property
    def problems(self) -> list[Problem]:
        """All that is wrong with container and unpacking so far; grows while bytes arrive."""
        found = [*self.container.problems, *self.stream.problems]
        for source in self.container.unpacking:
            found += source.problems
        return found

    def another(self, base: int, name: str = "") -> Stream:
        """A further stream in the same source, at ``base`` (see :func:`detect.find_stream`)."""
        return Stream(self.stream.source, base, name, to_file=self.stream.to_file)

    def close(self) -> None:
        """Cancel what is being unpacked and release every file."""
        self.stream.source.close()
        for part in reversed(self.container.unpacking):
            part.close()
        self.container.source.close()


@dataclass(slots=True)
class Options:
    """How to open; what :func:`open_streams` takes by keyword."""

    offset: int | None = None
    snapshot: str | None = None
    limits: Limits = field(default_factory=Limits)
    progress: Callable[[Progress], None] | None = None
    choose: Callable[[ChoiceNeeded], str | None] | None = None
