"""Section, SectionKind, Confidence, Device: plain values, no I/O.

The words are QEMU's own (design §3).
"""

from __future__ import annotations

import enum
from array import array
from dataclasses import dataclass, field


class SectionKind(enum.IntEnum):
    """What a section is.  Names are those that ``qevm ls`` prints."""

    HEADER = 0
    CONFIGURATION = 1
    START = 2
    PART = 3
    END = 4
    FULL = 5
    COMMAND = 6
    EOF = 7
    VMDESCRIPTION = 8
    UNKNOWN = 9

    @property
    def of_device(self) -> bool:
        """True for START, PART, END and FULL: the kinds with a section id and (perhaps) a footer."""
        return SectionKind.START <= self <= SectionKind.FULL


class Confidence(enum.IntEnum):
    """How sure the extent of a section is (stream-format §12.4)."""

    EXACT = 0
    VERIFIED_TAIL = 1
    FOOTER_BOUNDED = 2
    GUESSED = 3
    UNKNOWN = 4
    CONFLICTING = 5

    @property
    def label(self) -> str:
        """The word that is shown and that ``ls --json`` prints."""
        return _LABELS[self]


_LABELS = ("exact", "verified-tail", "footer-bounded", "guessed", "unknown", "conflicting")


@dataclass(frozen=True, slots=True)
class Section:
    """One section of a stream, as a value.  Made on demand from the columns of the index.

    ``offset <= body <= body_end <= end``: header, body, footer.  ``chunk`` numbers the sections of
    one device from 0 (START is 0 for an iterative device).  ``device`` is the number of its
    :class:`Device` in the index or None.  ``parent`` is the index of the PACKAGED command around
    it, or None; ``depth`` is 1 inside one.
    """

    index: int
    kind: SectionKind
    offset: int
    body: int
    body_end: int
    end: int
    confidence: Confidence
    depth: int = 0
    parent: int | None = None
    device: int | None = None
    section_id: int | None = None
    idstr: str | None = None
    instance_id: int | None = None
    version_id: int | None = None
    chunk: int = 0

    @property
    def size(self) -> int:
        """Bytes of header, body and footer (a PACKAGED command: its package too)."""
        return self.end - self.offset

    @property
    def has_footer(self) -> bool:
        """True when ``7e`` and the id stand behind the body."""
        return self.end > self.body_end

    @property
    def device_id(self) -> str:
        """What a user types to find it: ``idstr@instance``; empty where there is no device."""
        return "" if self.idstr is None else f"{self.idstr}@{self.instance_id}"


@dataclass(slots=True)
class Device:
    """One device of a stream: all sections that share a header's id, in stream order.

    ``sections`` holds indexes into the SectionIndex.  ``iterative`` devices have a START.
    """

    number: int
    section_id: int
    idstr: str
    instance_id: int
    version_id: int
    iterative: bool
    sections: array[int] = field(default_factory=lambda: array("Q"))
    size: int = 0

    @property
    def device_id(self) -> str:
        """What a user types to find it: ``idstr@instance``."""
        return f"{self.idstr}@{self.instance_id}"
