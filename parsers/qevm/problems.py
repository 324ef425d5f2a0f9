"""What is wrong with a capture: problems are values, exceptions are for callers' mistakes.

The parser never raises through the walk.  It yields what is sound and a :class:`Problem` where it
is not (design §5).  :class:`CannotOpen` is raised when a file cannot be opened as a capture at all.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Severity(enum.IntEnum):
    """How bad a problem is.  ``qevm check`` exits 1 for WARNING and ERROR, not for NOTE."""

    NOTE = 0
    """Unusual, yet what QEMU writes in some setting (no description, padding, a background snapshot)."""
    WARNING = 1
    """QEMU would load it, or the damage is outside the state; still nothing that QEMU writes."""
    ERROR = 2
    """Damaged or cut off: QEMU would refuse the stream or load something else."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong at one place.

    ``offset`` is where the wrong bytes begin, in the capture's own offsets; ``section`` is the
    index of the section that holds it, or None outside of all; ``device`` names it as the user
    would type it.  ``expected`` and ``found`` are short phrases that may be empty; ``message`` is
    a whole sentence that says what is wrong and what is still usable.
    """

    offset: int
    message: str
    expected: str = ""
    found: str = ""
    section: int | None = None
    device: str = ""
    severity: Severity = Severity.ERROR

    def __str__(self) -> str:
        where = f"0x{self.offset:x}"
        if self.device:
            where += f" {self.device}"
        text = f"{where}: {self.message}"
        if self.expected or self.found:
            text += f" (expected {self.expected or '-'}, found {self.found or '-'})"
        return text


class QevmError(Exception):
    """The base of all that qevm raises on purpose.  ``str()`` is one line for a user."""


class CannotOpen(QevmError):
    """The file is not a capture, or cannot be read at all."""


class SourceError(QevmError):
    """Bytes that were there cannot be read any more: the file was cut, replaced or unmounted."""


class NoSuchSection(QevmError):
    """A caller asked for a section or device that the capture does not have."""


class NeedsChoice(QevmError):
    """Several streams or snapshots are in the file and none was chosen; ``str()`` lists them."""
