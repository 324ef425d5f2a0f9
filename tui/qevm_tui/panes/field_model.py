"""The Field tree as an outline: long runs of children in ranges, and paths between both."""

from __future__ import annotations

from dataclasses import dataclass

from qevm.field import Field
from qevm_tui.outline import Path, span_of
from qevm_tui.selection import FieldPath


@dataclass(frozen=True, slots=True)
class FieldNode:
    """One row of the detail: a field, or a range ``low`` … ``high`` (exclusive) of a field's children."""

    field: Field
    low: int = 0
    high: int = 0

    @property
    def is_range(self) -> bool:
        return self.high > self.low

    @property
    def children(self) -> int:
        """How many fields are directly below, whether or not they are shown in ranges."""
        return self.high - self.low if self.is_range else len(self.field.children)


class FieldModel:
    """What an :class:`~qevm_tui.outline.Outline` asks about a Field tree."""

    def __init__(self, root: Field | None) -> None:
        self.root = root

    def count(self, path: Path) -> int:
        """Children of the node at ``path``: fields, or ranges of them."""
        if self.root is None:
            return 0
        node = self.node(path)
        return -(-node.children // span_of(node.children))

    def node(self, path: Path) -> FieldNode:
        """The node at an outline path."""
        assert self.root is not None
        node = FieldNode(self.root)
        for number in path:
            total = node.children
            span = span_of(total)
            base = node.low if node.is_range else 0
            if span == 1:
                node = FieldNode(node.field.children[base + number])
            else:
                low = base + number * span
                node = FieldNode(node.field, low, min(low + span, base + total))
        return node

    def field_path(self, path: Path) -> FieldPath:
        """Child numbers in the Field tree for an outline path; a range stands for the field it is in."""
        found: list[int] = []
        node = FieldNode(self.root) if self.root is not None else None
        for length in range(1, len(path) + 1):
            before, node = node, self.node(path[:length])
            assert before is not None
            if not node.is_range:
                base = before.low if before.is_range else 0
                found.append(base + path[length - 1])
        return tuple(found)

    def outline_path(self, path: FieldPath) -> Path:
        """The outline path of a field, through the ranges that it is in."""
        found: list[int] = []
        field = self.root
        for number in path:
            if field is None or number >= len(field.children):
                break
            total = len(field.children)
            inside = number
            while (span := span_of(total)) > 1:
                found.append(inside // span)
                total = min(span, total - inside // span * span)
                inside %= span
            found.append(inside)
            field = field.children[number]
        return tuple(found)
