"""Devices without a description: built-in layouts, hand-written and learned from described captures.

What is decoded with these is inferred, not told by the capture: mark its Fields so.  The caller tries the
candidates against the footer and the next header; the right one is usually the first.
"""

from __future__ import annotations

from functools import cache

from qevm.bodies.hand_layouts import extend
from qevm.bodies.layout_library import MEASURED, SIZED_BY_COUNT, LayoutField, Library, builtin
from qevm.bodies.match import MAX_CANDIDATES, Matcher
from qevm.source import Source
from qevm.vmdesc import VmField, Vmsd


@cache
def library() -> Library:
    """All built-in layouts."""
    made = builtin()
    extend(made)
    return made


def match_body(
    source: Source,
    body_offset: int,
    limit: int,
    idstr: str,
    version_id: int,
    known: Library | None = None,
) -> list[tuple[int, Vmsd]]:
    """Candidates for the body of a FULL section at ``body_offset``: (end, description), likelier first.

    ``limit`` is where the body must end at the latest (a known anchor, or the end of the data).  Each
    candidate's end follows from the bytes: counted arrays, lists and subsections are those that are there.
    Empty when no layout of that device (by idstr or its last component) and version fits.  ``known``
    replaces the built-in library.
    """
    layouts = known if known is not None else library()
    numbers = layouts.of_device(idstr, version_id)
    if not numbers:
        return []
    found: list[tuple[int, Vmsd]] = []
    for number in numbers:
        for vmsd, end in Matcher(layouts, source, limit).candidates(number, body_offset):
            if (end, vmsd) not in found:
                found.append((end, vmsd))
    return found[:MAX_CANDIDATES]


def layouts_for(idstr: str, version_id: int) -> list[Vmsd]:
    """Descriptions of that device whose length does not depend on the bytes, the likelier first.

    Without subsections: they come behind these fields, if there are any.  A device that is not here may
    still have a layout that :func:`match_body` can lay over its bytes.
    """
    layouts = library()
    found: list[Vmsd] = []
    for number in layouts.of_device(idstr, version_id):
        found += [vmsd for vmsd in _fixed(layouts, number) if vmsd not in found]
    return found


def _fixed(layouts: Library, number: int) -> list[Vmsd]:
    layout = layouts.layouts[number]
    found = []
    for variant in layout.variants:
        counts = iter(variant)
        fields = []
        for item in layout.fields:
            count = next(counts) if item.count is None else item.count
            made = None if isinstance(count, str) else _fixed_field(layouts, item, count)
            if made is None:
                break
            fields.append(made)
        else:
            found.append(Vmsd(layout.name, layout.version, tuple(fields)))
    return found


def _fixed_field(layouts: Library, item: LayoutField, count: int) -> VmField | None:
    """The field of a description, or None where the bytes decide how long it is."""
    if item.type in MEASURED:
        return None
    if item.type in SIZED_BY_COUNT and not item.size:
        return VmField(item.name, item.type, count)
    elements = None if count == 1 else count
    if item.layout < 0:
        return VmField(item.name, item.type, item.size, elements)
    inner = _fixed(layouts, item.layout)
    if len(inner) != 1:
        return None
    if item.type == "struct":
        return VmField(item.name, item.type, inner[0].length, elements, struct=inner[0])
    return VmField(item.name, item.type, inner[0].length, elements, inline=(inner[0],))
