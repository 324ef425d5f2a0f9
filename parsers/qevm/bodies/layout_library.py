"""The layouts of device states, for streams without a description: the values, and the file that holds them.

The file is made by ``tests/tools/learn_layouts.py`` from the descriptions of real captures; it holds names,
types and lengths of fields, nothing of any guest.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any

DATA_FILE = "layouts.json.gz"
FORMAT = 1

SIZED_BY_COUNT = frozenset({"buffer", "unused_buffer", "bitmap", "pci config", "shpc", "virtio-gpu"})
"""Types whose ``count`` is their size in bytes; for all others it is the number of elements."""

MEASURED = frozenset({"virtio", "qtailq", "qlist", "gtree", "scsi-requests", "msix state"})
"""Types whose bytes tell how long they are."""


@dataclass(frozen=True, slots=True)
class LayoutField:
    """One field of a layout.

    ``size`` is that of one element in bytes, 0 where the bytes themselves tell it (structs, lists,
    ``virtio``).  ``count`` is a number, the name of the earlier integer field that holds it, or None
    where it differs from machine to machine: the layout's variants have it then.  ``layout`` is the number
    of the element's layout or -1.  ``compressed`` elements have no subsections (stream-format §4.5).
    """

    name: str
    type: str
    size: int
    count: int | str | None = 1
    layout: int = -1
    compressed: bool = False


@dataclass(frozen=True, slots=True)
class Layout:
    """The fields of one vmsd, without its subsections.

    ``variants`` are the counts seen together for the fields whose count is None, the likelier first.
    ``weight`` is the number of captures that have it.
    """

    name: str
    version: int | None
    fields: tuple[LayoutField, ...]
    variants: tuple[tuple[int, ...], ...] = ((),)
    weight: int = 0


@dataclass(slots=True)
class Library:
    """Layouts by number; which of them a device or a subsection of a name and version may have.

    ``devices`` and ``subsections`` hold numbers into ``layouts``, the likelier first.
    """

    layouts: list[Layout] = field(default_factory=list)
    devices: dict[tuple[str, int | None], list[int]] = field(default_factory=dict)
    subsections: dict[tuple[str, int | None], list[int]] = field(default_factory=dict)

    def of_device(self, idstr: str, version_id: int) -> list[int]:
        """Layout numbers for a section header: by its whole idstr, or by the last component."""
        found: list[int] = []
        for name in dict.fromkeys((idstr, idstr.rpartition("/")[2])):
            found += self.devices.get((name, version_id), [])
        return found

    def add(self, kind: dict[tuple[str, int | None], list[int]], layout: Layout) -> None:
        """Put ``layout`` behind the others of its name, unless one of them says the same.

        ``kind`` is :attr:`devices` or :attr:`subsections`.
        """
        known = kind.setdefault((layout.name, layout.version), [])
        if not any(self.layouts[number].fields == layout.fields for number in known):
            self.layouts.append(layout)
            known.append(len(self.layouts) - 1)


def dump(library: Library) -> bytes:
    """The library as the compact file: the same bytes for the same library."""
    document = {
        "format": FORMAT,
        "layouts": [
            [item.name, item.version, item.weight, item.variants, [_dump_field(part) for part in item.fields]]
            for item in library.layouts
        ],
        "devices": [[*key, numbers] for key, numbers in library.devices.items()],
        "subsections": [[*key, numbers] for key, numbers in library.subsections.items()],
    }
    text = json.dumps(document, separators=(",", ":"))
    import gzip

    return gzip.compress(text.encode("ascii"), 9, mtime=0)


def _dump_field(item: LayoutField) -> list[Any]:
    made = [item.name, item.type, item.size, item.count, item.layout, int(item.compressed)]
    defaults = [1, -1, 0]
    while defaults and made[-1] == defaults[-1]:
        made.pop()
        defaults.pop()
    return made


def load(raw: bytes) -> Library:
    """The library in a file that :func:`dump` made."""
    import gzip

    document: Mapping[str, Any] = json.loads(gzip.decompress(raw))
    if document["format"] != FORMAT:
        raise ValueError(f"layout library of format {document['format']}, expected {FORMAT}")
    layouts = [
        Layout(
            name, version, tuple(_load_field(*part) for part in fields), tuple(map(tuple, variants)), weight
        )
        for name, version, weight, variants, fields in document["layouts"]
    ]
    return Library(
        layouts,
        {(name, version): numbers for name, version, numbers in document["devices"]},
        {(name, version): numbers for name, version, numbers in document["subsections"]},
    )


def _load_field(
    name: str, kind: str, size: int, count: int | str | None = 1, layout: int = -1, compressed: int = 0
) -> LayoutField:
    return LayoutField(name, kind, size, count, layout, bool(compressed))


@cache
def builtin() -> Library:
    """The library that comes with the package; read when it is first needed."""
    return load(resources.files("qevm.bodies").joinpath(DATA_FILE).read_bytes())
