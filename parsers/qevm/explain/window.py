"""Fields cut out of raw bytes that a description leaves opaque."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from qevm.explain.context import ExplainContext
from qevm.explain.rules import Rule
from qevm.field import Field, Role

Order = Literal["little", "big"]


class Window:
    """``data`` at source offset ``base``, from which fields are cut.

    ``order`` is the byte order of its numbers.  All positions count from the window's start.
    Positions beyond the data are a caller's mistake except where a method says otherwise.
    """

    def __init__(self, data: bytes, base: int, context: ExplainContext, order: Order = "little") -> None:
        self.data = data
        self.base = base
        self.context = context
        self.order = order

    def get(self, at: int, size: int) -> int:
        """The integer at ``at``; missing bytes count as zero."""
        return int.from_bytes(self.data[at : at + size].ljust(size, b"\0"), self.order)

    def number(self, name: str, at: int, size: int, *rules: Rule) -> Field:
        """An unsigned integer of ``size`` bytes, explained by ``rules``."""
        suffix = " le" if self.order == "little" and size > 1 else ""
        item = Field(
            name,
            self.base + at,
            size,
            f"uint{8 * size}{suffix}",
            self.get(at, size),
            role=Role.NUMBER,
            inferred=True,
        )
        for rule in rules:
            rule(item, self.context)
        return item

    def raw(self, name: str, at: int, size: int, *rules: Rule, meaning: str = "") -> Field:
        """``size`` bytes as they are, fewer at the end of the data."""
        data = self.data[at : at + size]
        item = Field(
            name,
            self.base + at,
            len(data),
            "buffer",
            data,
            meaning,
            role=Role.BUFFER,
            inferred=True,
        )
        for rule in rules:
            rule(item, self.context)
        return item

    def group(self, name: str, at: int, size: int, children: Sequence[Field], meaning: str = "") -> Field:
        """A range with fields of its own; bytes between them become ``reserved`` fields."""
        return Field(
            name,
            self.base + at,
            size,
            "struct",
            meaning=meaning,
            children=self.tiled(children, at, at + size),
            inferred=True,
        )

    def tiled(self, fields: Sequence[Field], start: int, end: int, gap: str = "reserved") -> list[Field]:
        """``fields`` in order of offset with the gaps between ``start`` and ``end`` filled."""
        whole: list[Field] = []
        at = start
        for item in sorted(fields, key=lambda each: each.offset):
            begin = item.offset - self.base
            if begin > at:
                whole.append(self.raw(gap, at, begin - at))
            whole.append(item)
            at = max(at, begin + item.size)
        if at < end:
            whole.append(self.raw(gap, at, end - at))
        return whole
