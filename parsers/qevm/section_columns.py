"""Sections as columns of numbers, for questions that are asked of all of them at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qevm.problems import Severity
from qevm.section import Section

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from qevm.index import SectionIndex

NO_PROBLEM = -1
_NOTHING = 0xFFFFFFFF
"""What the index holds where there is no device or no parent."""


@dataclass(slots=True)
class Columns:
    """Sections as columns of equal length, and what their devices are called.

    ``devices`` are numbers into ``names`` (idstr, device id) and ``numbers`` (instance id, version id);
    ``problems`` is the worst severity of each section, NO_PROBLEM where there is none.
    """

    kinds: NDArray[np.uint8]
    offsets: NDArray[np.int64]
    sizes: NDArray[np.int64]
    devices: NDArray[np.uint32]
    section_ids: NDArray[np.int64]
    depths: NDArray[np.int64]
    confidences: NDArray[np.uint8]
    problems: NDArray[np.int8]
    names: Sequence[tuple[str, str]]
    numbers: Sequence[tuple[int, int]]

    @classmethod
    def of_index(cls, index: SectionIndex, first: int, end: int, problems: dict[int, Severity]) -> Columns:
        """Rows ``first`` … ``end`` (exclusive) of an index that may go on growing."""
        import numpy as np

        # Copies: a view of an array that grows would forbid it to grow.
        offsets = np.array(index.offsets[first:end], "i8")
        parents = np.array(index.parents[first:end], "u4")
        depths = np.zeros(end - first, "i8")
        for row in np.flatnonzero(parents != _NOTHING).tolist():
            depths[row] = index.depth(first + row)
        worst = np.full(end - first, NO_PROBLEM, "i1")
        for row, severity in problems.items():
            if first <= row < end:
                worst[row - first] = severity
        return cls(
            kinds=np.array(index.kinds[first:end], "u1"),
            offsets=offsets,
            sizes=np.array(index.ends[first:end], "i8") - offsets,
            devices=np.array(index.device_numbers[first:end], "u4"),
            section_ids=np.array(index.section_ids[first:end], "i8"),
            depths=depths,
            confidences=np.array(index.confidences[first:end], "u1"),
            problems=worst,
            names=[(device.idstr, device.device_id) for device in index.devices],
            numbers=[(device.instance_id, device.version_id) for device in index.devices],
        )

    @classmethod
    def of_sections(cls, sections: Sequence[Section]) -> Columns:
        """Sections that are not in an index: those that the tail located."""
        import numpy as np

        named = [number if one.idstr is not None else _NOTHING for number, one in enumerate(sections)]
        return cls(
            kinds=np.array([one.kind for one in sections], "u1"),
            offsets=np.array([one.offset for one in sections], "i8"),
            sizes=np.array([one.size for one in sections], "i8"),
            devices=np.array(named, "u4"),
            section_ids=np.array(
                [-1 if one.section_id is None else one.section_id for one in sections], "i8"
            ),
            depths=np.array([one.depth for one in sections], "i8"),
            confidences=np.array([one.confidence for one in sections], "u1"),
            problems=np.full(len(sections), NO_PROBLEM, "i1"),
            names=[(one.idstr or "", one.device_id) for one in sections],
            numbers=[(one.instance_id or 0, one.version_id or 0) for one in sections],
        )

    def __len__(self) -> int:
        return len(self.kinds)
