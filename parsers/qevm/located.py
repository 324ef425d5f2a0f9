"""The device sections that the tail located, before the walk comes to them (stream-format §4.10)."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator

from qevm.section import Confidence, Section, SectionKind
from qevm.tail import LocatedSection
from qevm.vmdesc import DeviceDescription


class Located:
    """Sections in file order.  Their ``index`` is negative (-1, -2, …): they have no row yet."""

    def __init__(self, items: list[LocatedSection]) -> None:
        self.items = items
        self._offsets = [item.offset for item in items]

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[Section]:
        return (self[number] for number in range(len(self.items)))

    def __getitem__(self, number: int) -> Section:
        item = self.items[number]
        return Section(
            index=-1 - number,
            kind=SectionKind.FULL,
            offset=item.offset,
            body=item.body,
            body_end=item.body_end,
            end=item.end,
            confidence=Confidence.FOOTER_BOUNDED if item.by_footer else Confidence.VERIFIED_TAIL,
            section_id=item.section_id,
            idstr=item.device.name,
            instance_id=item.device.instance_id,
            version_id=item.version_id,
        )

    def at(self, offset: int) -> Section | None:
        """The section that covers ``offset``, or None."""
        number = bisect_right(self._offsets, offset) - 1
        return self[number] if number >= 0 and offset < self.items[number].end else None

    def description_of(self, section: Section) -> DeviceDescription | None:
        """The description of a located section; None for one that was walked."""
        return self.items[-1 - section.index].device if section.index < 0 else None
