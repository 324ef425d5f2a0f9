"""The page index of a RAM chain that an earlier walk of the same capture found (see ``qevm.cache``)."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qevm.bodies.page_runs import KINDS, PageRuns

if TYPE_CHECKING:
    from qevm.bodies.ram import RamBody

_TYPES = {
    "firsts": "Q",
    "strides": "I",
    "blocks": "I",
    "addresses": "Q",
    "counts": "Q",
    "kinds": "B",
    "payloads": "H",
    "_rows": "Q",
    "_row_firsts": "Q",
}


@dataclass(slots=True)
class RememberedRam:
    """Runs of page records, and where the bodies that hold them end.

    ``ends`` maps the source offset of a body to that of its end.  ``flushes`` and ``flush_runs`` are those of
    :class:`RamBody`.
    """

    page_size: int
    totals: list[int]
    runs: PageRuns
    ends: dict[int, int]
    flushes: array[int]
    flush_runs: array[int]

    @classmethod
    def of(cls, body: RamBody, ends: array[int]) -> RememberedRam:
        """What to keep of a chain that was scanned to its end without a problem."""
        pairs = dict(zip(ends[::2], ends[1::2], strict=True))
        return cls(body.page_size, body.runs.totals, body.runs, pairs, body.flushes, body.flush_runs)

    def columns(self) -> dict[str, array[int]]:
        """All that must be written, by name."""
        columns: dict[str, array[int]] = {name: getattr(self.runs, name) for name in _TYPES}
        for kind, column in zip(KINDS, self.runs.row_totals, strict=True):
            columns[f"total-{int(kind)}"] = column
        columns["ends"] = array("Q", [number for pair in self.ends.items() for number in pair])
        columns["flushes"] = self.flushes
        columns["flush_runs"] = self.flush_runs
        return columns

    @classmethod
    def from_columns(cls, page_size: int, totals: list[int], columns: dict[str, array[int]]) -> RememberedRam:
        """The inverse of :meth:`columns`.  Raises ValueError, KeyError or TypeError for what cannot be."""
        runs = PageRuns()
        runs.page_size = int(page_size)
        runs.totals = [int(total) for total in totals]
        for name, typecode in _TYPES.items():
            if columns[name].typecode != typecode:
                raise ValueError(f"column {name} of another type")
            setattr(runs, name, columns[name])
        runs.row_totals = tuple(columns[f"total-{int(kind)}"] for kind in KINDS)
        lengths = {len(columns[name]) for name in _TYPES if not name.startswith("_")}
        if len(lengths) != 1 or len(runs.totals) != len(KINDS):
            raise ValueError("columns of different lengths")
        pairs = columns["ends"]
        ends = dict(zip(pairs[::2], pairs[1::2], strict=True))
        return cls(runs.page_size, runs.totals, runs, ends, columns["flushes"], columns["flush_runs"])
