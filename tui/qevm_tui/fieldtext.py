"""A Field tree as indented text, as ``qevm show`` prints it."""

from __future__ import annotations

from collections.abc import Iterator

from qevm.explain.render import value_text
from qevm.field import Field, LazyFields
from qevm.safetext import safe

_SHOWN = 32


def field_lines(root: Field, *, everything: bool = False) -> Iterator[str]:
    """One line a field: offset, size, name, type, value, meaning.  ``everything`` shows all of long runs."""
    for child in root.children:
        yield from _lines(child, 1, everything)


def _lines(field: Field, depth: int, everything: bool) -> Iterator[str]:
    yield field_line(field, depth)
    children = field.children
    shown = len(children)
    if not everything and (isinstance(children, LazyFields) or _plain(children)):
        shown = min(shown, _SHOWN)
    for number in range(shown):
        yield from _lines(children[number], depth + 1, everything)
    if shown < len(children):
        yield f"{'':22}{'  ' * depth}  … {len(children) - shown:,} more (--all)"


def _plain(children: object) -> bool:
    return isinstance(children, list) and len(children) > _SHOWN and not any(c.children for c in children)


def field_line(field: Field, depth: int = 0) -> str:
    """One field: offset, size, name, type, value, meaning."""
    text = f"0x{field.offset:08x} {field.size:>8}  {'  ' * depth}{safe(field.name)}"
    if field.type:
        text += f" ({safe(field.type)})"
    value = value_text(field)
    if value:
        text += f" = {value}"
    if field.meaning:
        text += f"  {safe(field.meaning, 400)}"
    if field.inferred:
        text += "  [inferred]"
    if field.problem:
        text += f"  !! {safe(field.problem)}"
    return text
