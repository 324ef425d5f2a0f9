"""One row of the device detail: name, value, meaning; type, offset and size where there is room."""

from __future__ import annotations

from qevm.field import Field
from qevm.safetext import safe
from qevm_tui.field_words import value_words
from qevm_tui.palette import Palette
from qevm_tui.panes.columns import RowText


def value_column(width: int) -> int:
    """The column where values begin, whatever their depth, in a row of ``width`` cells."""
    return min(24, width * 2 // 5)


_DERIVED = "derived"
"""The type of a line that explanations put together from other fields; such lines say so by themselves."""


def put_field(text: RowText, field: Field, palette: Palette) -> None:
    """Append a field to a row that holds its indent already."""
    width = text.width
    name = safe(field.name, 80)
    value = value_words(field)
    meaning = safe(field.meaning, 400)
    if not value and not meaning and len(field.children) > 8:
        meaning = f"{len(field.children):,} fields"
    start = width - text.left
    column = max(start + len(name) + 2, value_column(width))
    if meaning and isinstance(field.value, bytes) and column + len(value) + len(meaning) + 2 > width - 8:
        # What bytes mean says more than the first of them; the hex pane has all.
        value = ""
    needed = column + len(value) + (len(meaning) + 2 if meaning else 0)
    columns = _columns(field, width, needed)
    limit = width - sum(len(cell) + 1 for cell in columns)
    _put_words(text, field, (name, value, meaning), limit, palette)
    end = limit
    for cell in columns:
        end += len(cell) + 1
        text.right(cell, palette.dim, end)


def _columns(field: Field, width: int, needed: int) -> list[str]:
    """Cells at the right edge.  A long value is worth more than the type and the offset beside it."""
    size = f"{field.size:>7,}" if field.size else " " * 7
    where = f"0x{field.offset:x}"
    kind = f"{safe(field.type, 14):<14}"
    choices = [[kind, size], [size]] if width >= 50 else [[]]
    if width >= 62:
        choices.insert(0, [where, kind, size])
    for cells in choices:
        if needed + sum(len(cell) + 1 for cell in cells) < width:
            return cells
    return choices[-1]


def _put_words(
    text: RowText, field: Field, words: tuple[str, str, str], limit: int, palette: Palette
) -> None:
    name, value, meaning = words

    def room() -> int:
        return max(0, limit - (text.width - text.left))

    if field.problem:
        text.add("! ", palette.problem)
    text.add(name, palette.name, max(room() - len(value) - 2, room() // 2) if value else room())
    if field.inferred and field.type != _DERIVED:
        text.add("~", palette.note)
    used = text.width - text.left
    said = len(value) if value else min(len(meaning), 12)
    column = min(value_column(text.width), limit - said)
    text.pad_to(min(max(used + 2, column), limit))
    text.add(value, palette.number, room())
    if meaning:
        text.add(f"  {meaning}" if value else meaning, palette.meaning, room())
    if field.problem:
        text.add("  " + safe(field.problem, 400), palette.problem, room())
