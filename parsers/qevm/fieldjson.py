"""Field trees as JSON text, written piece by piece: a PART can hold a million page records."""

from __future__ import annotations

import json
from collections.abc import Iterator

from qevm.field import Field
from qevm.section import Section

MAX_BYTES = 1 << 16
"""A value longer than this many bytes is cut in JSON; ``size`` tells the true length."""


def section_row(section: Section) -> dict[str, object]:
    """The keys of one line of ``qevm ls --json`` (null where a kind has none)."""
    return {
        "index": section.index if section.index >= 0 else None,
        "kind": section.kind.name,
        "offset": section.offset,
        "size": section.size,
        "section_id": section.section_id,
        "idstr": section.idstr,
        "instance_id": section.instance_id,
        "version_id": section.version_id,
        "depth": section.depth,
        "confidence": section.confidence.label,
    }


def _value(field: Field) -> object:
    value = field.value
    if isinstance(value, bytes):
        return value[:MAX_BYTES].hex()
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return str(value)
    return value


def _members(field: Field) -> dict[str, object]:
    members: dict[str, object] = {
        "name": field.name,
        "offset": field.offset,
        "size": field.size,
        "type": field.type,
    }
    if field.value is not None:
        members["value"] = _value(field)
    if field.meaning:
        members["meaning"] = field.meaning
    if field.version is not None:
        members["version"] = field.version
    if field.bits is not None:
        members["bits"] = list(field.bits)
    if field.inferred:
        members["inferred"] = True
    if field.problem:
        members["problem"] = field.problem
    return members


def field_text(field: Field, indent: str = "") -> Iterator[str]:
    """One field and all below it as indented JSON."""
    members = json.dumps(_members(field), ensure_ascii=True)
    if not field.children:
        yield indent + members
        return
    yield f'{indent}{members[:-1]}, "children": [\n'
    last = len(field.children) - 1
    for number, child in enumerate(field.children):
        yield from field_text(child, indent + " ")
        yield ",\n" if number < last else "\n"
    yield f"{indent}]}}"


def section_text(section: Section, root: Field) -> Iterator[str]:
    """One section: the keys of its ``ls`` row, and ``fields``."""
    row = json.dumps(section_row(section), ensure_ascii=True)
    yield f'{row[:-1]}, "fields": [\n'
    last = len(root.children) - 1
    for number, child in enumerate(root.children):
        yield from field_text(child, " ")
        yield ",\n" if number < last else "\n"
    yield "]}"


def sections_text(items: list[tuple[Section, Field]]) -> Iterator[str]:
    """One section as an object, several as an array of them."""
    if len(items) == 1:
        yield from section_text(*items[0])
        yield "\n"
        return
    yield "[\n"
    for number, (section, root) in enumerate(items):
        yield from section_text(section, root)
        yield ",\n" if number < len(items) - 1 else "\n"
    yield "]\n"
