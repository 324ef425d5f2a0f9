"""The growing list of sections, with the lookups that the UI asks: offset, device id, chain.

A stream can have a million PART sections, so the index keeps columns of numbers, not objects; a
:class:`Section` is made when somebody looks.  One thread appends (the walk), others may read: a row
is published by raising the count last.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterator

from qevm.section import Confidence, Device, Section, SectionKind

_NONE = 0xFFFFFFFF


class SectionIndex:
    """Sections in stream order.  Rows are numbered from 0; ``index[i]`` makes the Section."""

    def __init__(self) -> None:
        self.kinds = array("B")
        self.offsets = array("Q")
        self.bodies = array("Q")
        self.body_ends = array("Q")
        self.ends = array("Q")
        self.device_numbers = array("I")
        self.section_ids = array("q")
        self.chunks = array("I")
        self.parents = array("I")
        self.confidences = array("B")
        self.devices: list[Device] = []
        self._by_name: dict[tuple[str, int], int] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Section]:
        number = 0
        while number < self._count:
            yield self[number]
            number += 1

    def __getitem__(self, number: int) -> Section:
        if number < 0:
            number += self._count
        if not 0 <= number < self._count:
            raise IndexError(number)
        device_number = self.device_numbers[number]
        parent = self.parents[number]
        device = None if device_number == _NONE else self.devices[device_number]
        section_id = self.section_ids[number]
        return Section(
            index=number,
            kind=SectionKind(self.kinds[number]),
            offset=self.offsets[number],
            body=self.bodies[number],
            body_end=self.body_ends[number],
            end=self.ends[number],
            confidence=Confidence(self.confidences[number]),
            depth=self.depth(number),
            parent=None if parent == _NONE else parent,
            device=None if device is None else device_number,
            section_id=None if section_id < 0 else section_id,
            idstr=None if device is None else device.idstr,
            instance_id=None if device is None else device.instance_id,
            version_id=None if device is None else device.version_id,
            chunk=self.chunks[number],
        )

    def depth(self, number: int) -> int:
        """How many PACKAGED commands are around row ``number``."""
        depth = 0
        parent = self.parents[number]
        while parent != _NONE:
            depth += 1
            parent = self.parents[parent]
        return depth

    def append(
        self,
        kind: SectionKind,
        offset: int,
        body: int,
        body_end: int,
        end: int,
        *,
        device: int | None = None,
        section_id: int | None = None,
        parent: int | None = None,
        confidence: Confidence = Confidence.EXACT,
    ) -> int:
        """Add a row behind the others and return its number."""
        number = self._count
        self.kinds.append(kind)
        self.offsets.append(offset)
        self.bodies.append(body)
        self.body_ends.append(body_end)
        self.ends.append(end)
        self.section_ids.append(-1 if section_id is None else section_id)
        self.parents.append(_NONE if parent is None else parent)
        self.confidences.append(confidence)
        if device is None:
            self.device_numbers.append(_NONE)
            self.chunks.append(0)
        else:
            owner = self.devices[device]
            self.device_numbers.append(device)
            self.chunks.append(len(owner.sections))
            owner.sections.append(number)
            owner.size += end - offset
        self._count = number + 1
        return number

    def finish(self, number: int, body_end: int, end: int, confidence: Confidence | None = None) -> None:
        """Set the extent of a row that was appended before its end was known (an open body)."""
        device_number = self.device_numbers[number]
        if device_number != _NONE:
            self.devices[device_number].size += end - self.ends[number]
        self.body_ends[number] = body_end
        self.ends[number] = end
        if confidence is not None:
            self.confidences[number] = confidence

    def add_device(
        self, section_id: int, idstr: str, instance_id: int, version_id: int, iterative: bool
    ) -> int:
        """Make a new device (a START or FULL header was read) and return its number."""
        number = len(self.devices)
        self.devices.append(Device(number, section_id, idstr, instance_id, version_id, iterative))
        self._by_name.setdefault((idstr, instance_id), number)
        return number

    def device(self, idstr: str, instance_id: int) -> Device | None:
        """The first device of that name and instance."""
        number = self._by_name.get((idstr, instance_id))
        return None if number is None else self.devices[number]

    def at(self, offset: int) -> int | None:
        """The innermost row that covers ``offset``, or None.  Logarithmic."""
        count = self._count
        number = bisect_right(self.offsets, offset, 0, count) - 1
        while number >= 0:
            if offset < self.ends[number]:
                return number
            # Behind the last section of a package only the package itself can cover it.
            parent = self.parents[number]
            if parent == _NONE:
                return None
            number = parent
        return None

    def chunk(self, number: int, step: int) -> int | None:
        """The row ``step`` chunks further in the same chain, or None beyond its ends."""
        device_number = self.device_numbers[number]
        if device_number == _NONE:
            return None
        sections = self.devices[device_number].sections
        wanted = self.chunks[number] + step
        return sections[wanted] if 0 <= wanted < len(sections) else None
