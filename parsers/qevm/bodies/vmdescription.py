"""The VMDESCRIPTION section as Fields: length, then each device's piece of the JSON (stream-format §4)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

from qevm.field import Field, Role
from qevm.layout import VmdescHeader, fields_of
from qevm.section import Section
from qevm.source import Source
from qevm.vmdesc import MAX_JSON, Description, DeviceDescription

_DEVICES = re.compile(r'"devices"\s*:\s*\[')
_DEVICE = re.compile(r'\{\s*"name"\s*:\s*"([^"]*)",\s*"instance_id"\s*:\s*(\d{1,10})\b')
_SEPARATOR = re.compile(r"[\s,]*")


def fields(source: Source, section: Section, description: Description | None) -> list[Field]:
    """Header, then the JSON: what stands before the devices, each device, what stands behind."""
    head = source.read(section.offset, section.body - section.offset)
    result = fields_of(VmdescHeader, head, section.offset)
    raw = source.read(section.body, min(section.end - section.body, MAX_JSON))
    # One character a byte, so that positions in the text are positions in the file.
    text = raw.decode("latin-1")
    children: list[Field] = []
    start = _DEVICES.search(text)
    at = start.end() if start else 0
    if start:
        children.append(_text("top", section.body, raw[:at]))
        children.extend(_devices(text, raw, at, section.body, description))
        if children:
            at = children[-1].end - section.body
    if at < len(raw):
        children.append(_text("rest", section.body + at, raw[at:]))
    result.append(
        Field(
            "json",
            section.body,
            len(raw),
            "json",
            children=children,
            role=Role.TEXT,
            meaning=""
            if description is None
            else f"{len(description.devices)} devices, page size {description.page_size}",
        )
    )
    return result


def offsets_of(
    source: Source, description: Description, devices: Iterable[DeviceDescription]
) -> dict[tuple[str, int], int]:
    """Offsets of the JSON objects that describe ``devices``, by name and instance id.

    Where one is not found, it is the offset of the section.
    """
    offsets = {(device.name, device.instance_id): description.offset for device in devices}
    raw = source.read(description.offset + 5, min(description.json_size, MAX_JSON)) if offsets else b""
    for found in _DEVICE.finditer(raw.decode("latin-1")):
        key = found.group(1), int(found.group(2))
        if offsets.get(key) == description.offset:
            offsets[key] = description.offset + 5 + found.start()
    return offsets


def _devices(text: str, raw: bytes, at: int, base: int, description: Description | None) -> list[Field]:
    made: list[Field] = []
    decoder = json.JSONDecoder()
    known = description.devices if description else ()
    while True:
        separator = _SEPARATOR.match(text, at)
        begin = separator.end() if separator else at
        try:
            _, end = decoder.raw_decode(text, begin)
        except (ValueError, RecursionError):
            return made
        number = len(made)
        item = _text(f"devices[{number}]", base + at, raw[at:end])
        if number < len(known):
            device = known[number]
            version = "" if device.vmsd.version is None else f" v{device.vmsd.version}"
            item.name = f"{device.name}@{device.instance_id}"
            item.meaning = f"{device.vmsd.name}{version}, {device.length} bytes in the stream"
        made.append(item)
        at = end


def _text(name: str, offset: int, raw: bytes) -> Field:
    return Field(name, offset, len(raw), "json", raw, role=Role.TEXT)
