"""The JSON description behind EOF (vmdesc) as typed values (stream-format §4).

``json.loads`` is not enough: lists write duplicate keys, sizes may lie, and the text may be cut off or a
bomb.  Everything is checked here, once, so that the rest does arithmetic on sound numbers only.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

MAX_JSON = 64 << 20
MAX_DEPTH = 100
MAX_SIZE = 1 << 40
MAX_ARRAY = 1 << 31

# Types under which QEMU 10.0 and 11.1 write the marker of a pointer in an array (§4.8).
MARKER_TYPES = frozenset({"nullptr", "ptr-marker"})
# QEMU repeats the nested description once per element of these (§4.8).
LIST_TYPES = frozenset({"qtailq", "qlist", "gtree"})


class BadDescription(ValueError):
    """The JSON is not a description.  ``str()`` says which rule failed."""


@dataclass(frozen=True, slots=True)
class VmField:
    """One entry of ``fields``: ``size`` bytes for one element, ``array_len`` elements alike (§4.5)."""

    name: str
    type: str
    size: int
    array_len: int | None = None
    index: int | None = None
    struct: Vmsd | None = None
    inline: tuple[Vmsd, ...] = ()

    @property
    def total(self) -> int:
        """Bytes of the whole entry."""
        return self.size * (1 if self.array_len is None else self.array_len)

    @property
    def hides_null_pointers(self) -> bool:
        """The signature of an array of pointers that begins with NULL, QEMU 2.9 … 9.2 (§4.8)."""
        return (
            self.type == "struct"
            and self.size == 1
            and (self.array_len or 1) > 1
            and (self.struct is None or not self.struct.fields)
        )


@dataclass(frozen=True, slots=True)
class Vmsd:
    """A vmstate description: fields in byte order, then subsections in byte order."""

    name: str
    version: int | None
    fields: tuple[VmField, ...]
    subsections: tuple[Vmsd, ...] = ()

    @property
    def length(self) -> int:
        """Bytes on the wire: Σ fields + Σ (6 + len(name) + length) of the subsections (§4.4)."""
        total = sum(item.total for item in self.fields)
        for sub in self.subsections:
            total += 6 + len(sub.name.encode("utf-8", "replace")) + sub.length
        return total

    @property
    def lies(self) -> bool:
        """True when the length cannot be trusted: arrays of pointers with NULLs in old QEMU."""
        return any(item.hides_null_pointers for item in self.fields) or any(
            (item.struct is not None and item.struct.lies) for item in self.fields
        ) or any(sub.lies for sub in self.subsections)


@dataclass(frozen=True, slots=True)
class DeviceDescription:
    """One entry of ``devices``: one FULL section, in file order."""

    name: str
    instance_id: int
    vmsd: Vmsd
    legacy: bool

    @property
    def length(self) -> int:
        """Body length in bytes that the description claims."""
        return self.vmsd.length


@dataclass(frozen=True, slots=True)
class Description:
    """The whole description.  ``offset`` is that of the ``06`` byte; ``json_size`` the bytes of JSON."""

    page_size: int | None
    configuration: Vmsd | None
    devices: tuple[DeviceDescription, ...]
    offset: int
    json_size: int
    complete: bool = True
