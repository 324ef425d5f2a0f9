"""Device bodies of captures with a description, located backwards from the description (stream-format §4.10).

Independent of the library's own walk: the layout library is learned from these, and tests compare with them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_LISTS = {"qtailq", "qlist", "gtree"}


@dataclass(frozen=True, slots=True)
class Described:
    """One FULL section: what the description says of it and its body."""

    idstr: str
    vmsd: dict[str, Any]
    body: bytes
    offset: int


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A dict; the elements of a list, written with the same keys again and again, under ``elements``."""
    made: dict[str, Any] = {}
    elements: list[dict[str, Any]] = []
    for key, value in pairs:
        if key == "vmsd_name" and made.get("type") in _LISTS:
            elements.append({})
        if elements:
            elements[-1][key] = value
        else:
            made[key] = value
    # ``size`` follows the elements.
    if elements and "size" in elements[-1]:
        made["size"] = elements[-1].pop("size")
    if elements:
        made["elements"] = elements
    return made


def description(data: bytes) -> tuple[int, dict[str, Any]] | None:
    """Offset of the ``06`` byte and the parsed JSON, or None."""
    starts = (b'{"configuration"', b'{"page_size"', b'{ "page_size"')
    at = max(data.rfind(start) for start in starts)
    if at < 5 or data[at - 5] != 6:
        return None
    length = int.from_bytes(data[at - 4 : at], "big")
    try:
        return at - 5, json.loads(data[at : at + length], object_pairs_hook=_pairs)
    except ValueError:
        return None


def length(vmsd: dict[str, Any]) -> int:
    """Bytes of a described vmsd (§4.4)."""
    total = sum(item["size"] * item.get("array_len", 1) for item in vmsd.get("fields", ()))
    return total + sum(6 + len(sub["vmsd_name"]) + length(sub) for sub in vmsd.get("subsections", ()))


def devices(path: Path) -> Iterator[Described]:
    """All FULL sections that can be located from the tail, the last one first."""
    data = path.read_bytes()
    found = description(data)
    if found is None:
        return
    end = found[0] - 1
    for device in reversed(found[1]["devices"]):
        name = device["name"].encode()
        size = length(device)
        tail = bytes([len(name)]) + name + device["instance_id"].to_bytes(4, "big")
        for footer in (5, 0):
            start = end - footer - size - 14 - len(name)
            if start > 0 and data[start] == 4 and data[start + 5 : start + 5 + len(tail)] == tail:
                break
        else:
            return
        body = start + 14 + len(name)
        yield Described(device["name"], device, data[body : body + size], body)
        end = start
