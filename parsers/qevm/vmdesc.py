"""The JSON description behind EOF (vmdesc) as typed values (stream-format §4).

``json.loads`` is not enough: lists write duplicate keys, sizes may lie, and the text may be cut off or a
bomb.  Everything is checked here, once, so that the rest does arithmetic on sound numbers only.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

MAX_JSON = 64 << 20
MAX_DEPTH = 40
MAX_SIZE = 1 << 40
MAX_ARRAY = 1 << 31

# From AVR's to Hexagon's (§3, §5.7).
_PAGE_SIZES = frozenset(1 << bits for bits in range(8, 17))

# Types under which QEMU 10.0 and 11.1 write the marker of a pointer in an array (§4.8).
MARKER_TYPES = frozenset({"nullptr", "ptr-marker"})
# QEMU repeats the nested description once per element of these (§4.8).
LIST_TYPES = frozenset({"qtailq", "qlist", "gtree"})


class BadDescription(ValueError):
    """The JSON is not a description.  ``str()`` says which rule failed.

    ``at`` is the byte of the JSON where it was found, None where that is not known.
    """

    def __init__(self, message: str, at: int | None = None) -> None:
        super().__init__(message)
        self.at = at


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

    def inconsistent(self) -> str:
        """The first struct whose fields do not sum to its size, in words; "" when all do (§4.5)."""
        for item in self.fields:
            if item.struct is None or item.hides_null_pointers or item.struct.lies:
                continue
            if item.struct.length != item.size and item.struct.fields:
                return f"{item.name}: its fields sum to {item.struct.length} bytes, its size is {item.size}"
            inner = item.struct.inconsistent()
            if inner:
                return f"{item.name}.{inner}"
        for sub in self.subsections:
            inner = sub.inconsistent()
            if inner:
                return f"{sub.name}: {inner}"
        return ""

    @property
    def lies(self) -> bool:
        """True when the length cannot be trusted: arrays of pointers with NULLs in old QEMU."""
        return (
            any(item.hides_null_pointers for item in self.fields)
            or any((item.struct is not None and item.struct.lies) for item in self.fields)
            or any(sub.lies for sub in self.subsections)
        )


@dataclass(frozen=True, slots=True)
class DeviceDescription:
    """One entry of ``devices``: one FULL section, in file order.

    ``length`` is the body length in bytes that the description claims, ``lies`` that it cannot be trusted.
    """

    name: str
    instance_id: int
    vmsd: Vmsd
    legacy: bool
    length: int = field(init=False, compare=False, repr=False)
    lies: bool = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        # Asked for at every header that may be this device's; counted once.
        object.__setattr__(self, "length", self.vmsd.length)
        object.__setattr__(self, "lies", self.vmsd.lies)


@dataclass(frozen=True, slots=True)
class Description:
    """The whole description.  ``offset`` is that of the ``06`` byte; ``json_size`` the bytes of JSON."""

    page_size: int | None
    configuration: Vmsd | None
    devices: tuple[DeviceDescription, ...]
    offset: int
    json_size: int
    complete: bool = True


class _Pairs(list[tuple[str, object]]):
    """A JSON object with all its pairs: QEMU writes duplicate keys (§4.8)."""

    def first(self, key: str) -> object:
        for name, value in self:
            if name == key:
                return value
        return None

    def last(self, key: str) -> object:
        for name, value in reversed(self):
            if name == key:
                return value
        return None


def _refuse_constant(text: str) -> object:
    raise BadDescription(f"{text} is not a number that QEMU writes")


_DECODER = json.JSONDecoder(object_pairs_hook=_Pairs, parse_constant=_refuse_constant)


def parse(raw: bytes, offset: int = 0) -> Description:
    """The typed description from its JSON bytes; ``offset`` is that of the ``06`` byte before them.

    Raises BadDescription: not JSON, not an object, ``devices`` missing, a wrong type, a size that is
    negative or absurd, nesting deeper than 40 (QEMU needs fewer than 20).
    """
    if len(raw) > MAX_JSON:
        raise BadDescription(f"{len(raw)} bytes of JSON, more than {MAX_JSON}")
    try:
        top = _DECODER.decode(raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise BadDescription("not UTF-8", error.start) from error
    except RecursionError as error:
        raise BadDescription("nested too deeply") from error
    except json.JSONDecodeError as error:
        raise BadDescription(f"not JSON: {error.msg}", error.pos) from error
    except ValueError as error:
        raise BadDescription(f"not JSON: {error}") from error
    return _description(top, offset, len(raw))


def parse_partial(raw: bytes, offset: int = 0) -> Description:
    """What can be read of a description that is cut off or damaged: all devices but the damaged ones.

    ``complete`` is False.  Raises BadDescription when no device can be read.
    """
    # One character a byte: where the damage is not in a name, nothing else matters.
    text = raw[:MAX_JSON].decode("latin-1")
    start = _DEVICES.search(text)
    if start is None:
        raise BadDescription("no list of devices before the damage")
    page_size = re.search(r'"page_size"\s*:\s*(\d{1,9})\b', text[: start.start()])
    size = int(page_size.group(1)) if page_size else None
    configuration = None
    found = re.search(r'"configuration"\s*:\s*', text[: start.start()])
    if found is not None:
        try:
            pairs, _ = _DECODER.raw_decode(text, found.end())
            configuration = _vmsd(pairs, "configuration", 0)
        except (ValueError, RecursionError):
            configuration = None
    devices = list(_whole_devices(text, start.end()))
    if not devices:
        raise BadDescription("no device can be read")
    return Description(
        size if size in _PAGE_SIZES else None,
        configuration,
        tuple(devices),
        offset,
        len(raw),
        complete=False,
    )


_DEVICES = re.compile(r'"devices"\s*:\s*\[')
_DEVICE = re.compile(r'\{\s*"name"\s*:\s*"[^"]{1,255}",\s*"instance_id"')


def _whole_devices(text: str, start: int) -> Iterator[DeviceDescription]:
    """The devices from ``start`` on that can be read.

    Only a device has an instance id: each ends where the next begins, at the latest.  Damage in one costs no
    more than that one, in time neither.
    """
    begins = [match.start() for match in _DEVICE.finditer(text, start)]
    for begin, end in pairwise([*begins, len(text)]):
        piece = text[begin:end]
        with contextlib.suppress(ValueError, RecursionError):
            pairs, size = _DECODER.raw_decode(piece)
            # A name may be where the damage is.
            piece[:size].encode("latin-1").decode("utf-8")
            yield _device(pairs)


def _description(top: object, offset: int, size: int) -> Description:
    if not isinstance(top, _Pairs):
        raise BadDescription("the JSON is not an object")
    devices = top.last("devices")
    if not isinstance(devices, list) or isinstance(devices, _Pairs):
        raise BadDescription("no list of devices")
    page_size = top.last("page_size")
    if page_size is not None:
        page_size = _number(page_size, "page_size", 1 << 30)
        if page_size not in _PAGE_SIZES:
            raise BadDescription(f"page_size {page_size} is no page size")
    configuration = top.last("configuration")
    return Description(
        page_size,
        None if configuration is None else _vmsd(configuration, "configuration", 0),
        tuple(_device(item) for item in devices),
        offset,
        size,
    )


def _device(item: object) -> DeviceDescription:
    if not isinstance(item, _Pairs):
        raise BadDescription("a device is not an object")
    name = _text(item.first("name"), "device name")
    instance = _number(item.first("instance_id"), f"instance_id of {name}", 1 << 32)
    legacy = item.first("vmsd_name") is None
    return DeviceDescription(name, instance, _vmsd(item, name, 0), legacy)


def _vmsd(item: object, default_name: str, depth: int) -> Vmsd:
    if not isinstance(item, _Pairs):
        raise BadDescription(f"description of {default_name} is not an object")
    if depth > MAX_DEPTH:
        raise BadDescription("nested too deeply")
    fields: object = ()
    subsections: object = ()
    name: object = None
    version: object = None
    for key, value in item:
        if key == "fields":
            fields = value
        elif key == "subsections":
            subsections = value
        elif key == "vmsd_name":
            name = value
        elif key == "version":
            version = value
    return _make_vmsd(name, version, fields, subsections, default_name, depth)


def _make_vmsd(
    name: object, version: object, fields: object, subsections: object, default: str, depth: int
) -> Vmsd:
    return Vmsd(
        default if name is None else _text(name, "vmsd_name"),
        None if version is None else _number(version, f"version of {default}", 1 << 32),
        tuple(_field(item, depth + 1) for item in _list(fields, f"fields of {default}")),
        tuple(_vmsd(item, default, depth + 1) for item in _list(subsections, f"subsections of {default}")),
    )


def _field(item: object, depth: int) -> VmField:
    if not isinstance(item, _Pairs):
        raise BadDescription("a field is not an object")
    name = _text(item.first("name"), "field name")
    kind = _text(item.first("type"), f"type of {name}")
    array_len = item.first("array_len")
    index = item.first("index")
    struct = item.first("struct")
    return VmField(
        name,
        kind,
        _number(item.first("size"), f"size of {name}", MAX_SIZE),
        None if array_len is None else _number(array_len, f"array_len of {name}", MAX_ARRAY),
        None if index is None else _number(index, f"index of {name}", MAX_ARRAY),
        None if struct is None else _vmsd(struct, name, depth),
        _inline(item, name, depth),
    )


def _inline(item: _Pairs, name: str, depth: int) -> tuple[Vmsd, ...]:
    """The descriptions written directly into a field: one after the other under the same keys."""
    found: list[Vmsd] = []
    parts: dict[str, object] = {}
    for key, value in item:
        if key not in ("vmsd_name", "version", "fields", "subsections"):
            continue
        if key in parts:
            found.append(_from_parts(parts, name, depth))
            parts = {}
        parts[key] = value
    if parts:
        found.append(_from_parts(parts, name, depth))
    return tuple(found)


def _from_parts(parts: dict[str, object], name: str, depth: int) -> Vmsd:
    if depth > MAX_DEPTH:
        raise BadDescription("nested too deeply")
    return _make_vmsd(
        parts.get("vmsd_name"),
        parts.get("version"),
        parts.get("fields", ()),
        parts.get("subsections", ()),
        name,
        depth,
    )


def _list(value: object, what: str) -> Iterator[object]:
    if isinstance(value, _Pairs) or not isinstance(value, (list, tuple)):
        raise BadDescription(f"{what}: not a list")
    return iter(value)


def _text(value: object, what: str) -> str:
    if not isinstance(value, str):
        raise BadDescription(f"{what}: not a string")
    return value


def _number(value: object, what: str, bound: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise BadDescription(f"{what}: not a whole number")
    if not 0 <= value < bound:
        raise BadDescription(f"{what}: {value} is out of range")
    return value
