"""Where a jump leads: to a section, to something that the walk has not reached yet, or nowhere.

A move is a function that is asked again while the walk goes on.  It returns a :class:`Section` when it has
arrived, ``None`` while only the walk can tell, and raises :class:`NowhereError` when there is no such place.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from qevm.problems import QevmError
from qevm.section import Device, Section, SectionKind
from qevm_tui.words import section_name

if TYPE_CHECKING:
    from qevm.capture import Capture

Move = Callable[[], Section | None]


class NowhereError(QevmError):
    """There is no such place.  ``str()`` says so to a user."""


def _device(capture: Capture, section: Section | None) -> Device:
    if section is None:
        raise NowhereError("no section is selected")
    if section.device is None:
        raise NowhereError(f"{section_name(section)} belongs to no device")
    if section.device >= len(capture.index.devices):
        raise NowhereError("the file has changed and is indexed anew")
    return capture.index.devices[section.device]


def chain_start(capture: Capture, section: Section | None) -> Section | None:
    """The START of the section's chain (a FULL section is its own)."""
    if section is not None and section.index < 0:
        return section
    device = _device(capture, section)
    return capture.index[device.sections[0]]


def chain_end(capture: Capture, section: Section | None) -> Section | None:
    """The END of the section's chain."""
    if section is not None and section.index < 0:
        return section
    device = _device(capture, section)
    last = capture.index[device.sections[-1]]
    if last.kind is SectionKind.END or not device.iterative:
        return last
    if capture.complete:
        raise NowhereError(f"{section_name(section)} has no END in this stream")
    return None


def chunk(capture: Capture, section: Section | None, step: int) -> Section | None:
    """The chunk ``step`` further in the chain."""
    if section is not None and section.index < 0:
        raise NowhereError(f"{section_name(section)} has only one section")
    device = _device(capture, section)
    assert section is not None
    row = capture.index.chunk(section.index, step)
    if row is not None:
        return capture.index[row]
    name = section_name(section)
    if not device.iterative:
        raise NowhereError(f"{name} has only one section")
    if step < 0:
        raise NowhereError(f"this is the first section of {name}")
    if section.kind is SectionKind.END or capture.complete:
        raise NowhereError(f"this is the last section of {name}")
    return None


def device(capture: Capture, idstr: str, instance_id: int) -> Section | None:
    """The first section of a device, from the index or from the tail."""
    found = capture.index.device(idstr, instance_id)
    if found is not None and len(found.sections):
        return capture.index[found.sections[0]]
    for section in capture.located:
        if (section.idstr, section.instance_id) == (idstr, instance_id):
            return section
    if capture.complete:
        raise NowhereError(f"no device {idstr}@{instance_id} in this stream")
    return None


def section_of(capture: Capture, offset: int) -> Section | None:
    """The section that covers ``offset``."""
    found = capture.section_at(offset)
    if found is None and (capture.complete or capture.walked > offset):
        raise NowhereError(f"no section covers 0x{offset:x}")
    return found


class OffsetFormatError(QevmError):
    """The text is no offset.  ``str()`` says why."""


_HEX = re.compile(r"(?:0x)?[0-9a-f]+h?\Z")


def read_offset(text: str, cursor: int, size: int) -> tuple[int, str]:
    """(offset, how it was read) for what a user typed.

    ``0x1f``, ``1fh`` and everything with a letter a–f are hexadecimal, digits alone are decimal; a sign in
    front counts from the cursor.  Blanks, ``_`` and ``,`` between digits are left out.

    Raises OffsetFormatError.
    """
    plain = re.sub(r"[\s_,]", "", text.lower())
    sign = plain[:1] if plain[:1] in "+-" else ""
    digits = plain[len(sign) :]
    if not digits:
        raise OffsetFormatError("type an offset")
    if digits.isdecimal() and digits.isascii():
        value, how = int(digits), f"decimal (hex would be 0x{digits})"
    elif _HEX.match(digits):
        value, how = int(digits.removeprefix("0x").removesuffix("h"), 16), "hex"
    else:
        raise OffsetFormatError(
            "not a number: 0x1f, 1f and 1fh are hex, 31 is decimal, + or - counts from the cursor"
        )
    if sign:
        value = cursor + value if sign == "+" else cursor - value
        how += ", from the cursor"
    if not 0 <= value < size:
        raise OffsetFormatError(
            f"{'-' if value < 0 else ''}0x{abs(value):x} is outside the capture (0 … 0x{size - 1:x})"
        )
    return value, how
