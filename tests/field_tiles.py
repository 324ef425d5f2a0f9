"""Whether the fields of a section tile it: without holes, without overlaps."""

from __future__ import annotations

from qevm.field import Field, LazyFields
from qevm.section import Section

MIB = 1 << 20


def behind_tiles(field: Field, at: int, section: Section) -> int:
    """The end of a field that must begin at ``at``, and whose parts must lie in it without hole or overlap.

    A field with a value of its own, or of bytes as they are, is whole: what is below it only explains it.
    """
    where = f"{section.kind.name} {section.device_id} {field.name}"
    assert field.offset == at, where
    children = [child for child in _looked_at(field) if child.size and child.bits is None]
    if field.value is not None or field.type == "buffer" or not children:
        return field.end
    for child in children:
        if child is _LEFT_OUT:
            at = next(c for c in children[children.index(child) + 1 :]).offset
        elif child.type == "pages":
            # The pages of mapped-ram begin at the next MiB.
            assert child.offset == -(-at // MIB) * MIB, where
            at = behind_tiles(child, child.offset, section)
        else:
            at = behind_tiles(child, at, section)
    assert at <= field.end, where
    return at


_LEFT_OUT = Field("…", 0, 1)


def _looked_at(field: Field) -> list[Field]:
    children = field.children
    if isinstance(children, LazyFields) and len(children) > 200:
        return [*children[:100], _LEFT_OUT, *children[-100:]]
    return list(children)
