"""The parts of what is wrapped round the stream: shown above the sections, each with bytes and fields."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qevm.containers import ContainerPart
from qevm.field import Field, Role
from qevm.problems import Problem, QevmError, Severity
from qevm_tui.words import human

if TYPE_CHECKING:
    from qevm.capture import Capture
    from qevm.source import Source


class Parts:
    """The parts of a capture's container, the container as a whole first; empty for a bare stream."""

    def __init__(self, capture: Capture) -> None:
        self._capture = capture
        self.items: list[ContainerPart] = []
        opened = capture.opened
        if opened is None:
            return
        container = opened.container
        if container.layers or container.unpacking or opened.stream.note or container.parts:
            whole = ContainerPart(
                container.kind or "file", container.source, 0, container.source.size, self._decode_whole
            )
            self.items = [whole, *container.parts]

    @property
    def source(self) -> Source | None:
        """The file itself; None for a bare source."""
        return None if self._capture.opened is None else self._capture.opened.container.source

    def size_of(self, part: ContainerPart) -> int:
        """Bytes of ``part`` now: the whole of a file or a pipe may grow."""
        return part.source.size if self.items and part is self.items[0] else part.size

    def at(self, source: Source, offset: int) -> ContainerPart | None:
        """The smallest part that covers a byte of ``source``."""
        covering = [
            part
            for part in self.items
            if part.source is source and part.offset <= offset < part.offset + self.size_of(part)
        ]
        return min(covering, key=lambda part: part.size, default=None)

    def problems_of(self, part: ContainerPart) -> list[Problem]:
        """What is wrong with ``part``; all that is wrong with container and unpacking for the whole of it."""
        opened = self._capture.opened
        if opened is None or part not in self.items:
            return []
        if part is self.items[0]:
            return opened.problems
        return [p for p in opened.container.problems if part.offset <= p.offset < part.offset + part.size]

    def worst_of(self, part: ContainerPart) -> Severity | None:
        """The worst problem of ``part``; None when it has none."""
        return max((problem.severity for problem in self.problems_of(part)), default=None)

    @property
    def bad(self) -> int:
        """How many problems of container and unpacking are worse than a note."""
        opened = self._capture.opened
        return 0 if opened is None else sum(p.severity is not Severity.NOTE for p in opened.problems)

    def _decode_whole(self) -> Field:
        """The file, what is round the stream, and where the stream is."""
        capture = self._capture
        opened = capture.opened
        assert opened is not None
        container = opened.container

        def line(name: str, meaning: str) -> Field:
            return Field(name, 0, 0, "derived", meaning=meaning)

        size = container.source.size
        fields = [line("file", f"{human(size)} ({size:,} B)")]
        fields += [line("layer", layer) for layer in container.layers]
        place = capture.file_offset(capture.base)
        stream = f"{human(capture.source.size)} ({capture.source.size:,} B)"
        where = "unpacked from the file" if place is None else f"at 0x{place:x} of the file"
        fields.append(line("stream", f"{opened.stream.name or 'one'}, {stream}, {where}"))
        if opened.stream.note:
            fields.append(line("note", opened.stream.note))
        fields += [line("part", f"{part.name}, {part.size:,} B") for part in container.parts]
        return Field(container.kind or "file", 0, size, "container", children=fields)


def decode_part(part: ContainerPart) -> Field:
    """The Field tree of a part.  What cannot be read is a field that says so."""
    try:
        return part.decode()
    except QevmError as error:
        problem = str(error)
    except Exception as error:  # a decoder's mistake over hostile bytes must not end the session
        problem = f"cannot be decoded: {type(error).__name__}: {error}"
    unread = Field("bytes", part.offset, part.size, "buffer", role=Role.PROBLEM, problem=problem)
    return Field(part.name, part.offset, part.size, children=[unread])
