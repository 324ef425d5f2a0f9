"""Make the built-in layout library from captures that have a description.

    python tests/tools/learn_layouts.py CAPTURE… > parsers/qevm/bodies/layouts.json.gz

The captures must be plain streams, or containers that hold the tail of the stream in one piece.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import described

from qevm.bodies.layout_library import MEASURED, SIZED_BY_COUNT, Layout, LayoutField, Library, dump

_INTEGERS = {f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)} | {
    "int32 le",
    "int32 equal",
    "uint8 equal",
    "uint16 equal",
    "uint32 equal",
}

# (name, type, element size, number of the element's shape)
Part = tuple[str, str, int, int]
# (vmsd name, version, parts)
Shape = tuple[str, "int | None", tuple[Part, ...]]


@dataclass
class _Seen:
    """What all samples of one shape have in common, and in what they differ."""

    counts: Counter[tuple[int, ...]] = field(default_factory=Counter)
    # For each part: names of earlier integers that held its count in all samples.
    sources: list[set[str]] | None = None
    compressed: set[int] = field(default_factory=set)
    captures: set[str] = field(default_factory=set)


class Learner:
    """Collects shapes from descriptions; ``library`` makes layouts of them."""

    def __init__(self) -> None:
        self.numbers: dict[Shape, int] = {}
        self.shapes: list[Shape] = []
        self.seen: list[_Seen] = []
        self.devices: dict[tuple[str, int | None], Counter[int]] = {}
        self.subsections: dict[tuple[str, int | None], Counter[int]] = {}
        self.capture = ""

    def learn(self, path: Path) -> None:
        """Take in all devices of one capture."""
        self.learn_devices(path.name, described.devices(path))

    def learn_devices(self, capture: str, found: Iterable[described.Described]) -> None:
        """Take in these devices of the capture of that name."""
        self.capture = capture
        for device in found:
            if "vmsd_name" not in device.vmsd or _lies(device.vmsd):
                continue
            number, _ = self._vmsd(device.vmsd, device.body, 0)
            last = device.idstr.rpartition("/")[2]
            names = {device.vmsd["vmsd_name"]}
            if not device.idstr.endswith(device.vmsd["vmsd_name"]):
                names.add(last)
            for name in names:
                self.devices.setdefault((name, device.vmsd["version"]), Counter())[number] += 1

    def _vmsd(self, vmsd: dict[str, Any], body: bytes, offset: int) -> tuple[int, int]:
        """Number of the shape of ``vmsd``, which is at ``offset`` of ``body``, and where it ends."""
        parts: list[Part] = []
        counts: list[int] = []
        sources: list[set[str]] = []
        compressed: set[int] = set()
        integers: dict[str, int] = {}
        fields = vmsd.get("fields", [])
        for item in fields:
            start = offset
            offset += item["size"] * item.get("array_len", 1)
            part = self._part(item, body, start)
            kind = item["type"]
            # How long a virtio core was is learned too, for those without any subsection to measure it by.
            if (kind in SIZED_BY_COUNT or kind == "virtio") and "array_len" not in item:
                count = item["size"]
            else:
                count = item.get("array_len", 1)
            if parts and parts[-1] == part and kind not in SIZED_BY_COUNT:
                counts[-1] += count
            else:
                parts.append(part)
                counts.append(count)
                sources.append(set())
            if "array_len" in item:
                compressed.add(len(parts) - 1)
            sources[-1] = {name for name, value in integers.items() if value == counts[-1]}
            if kind in _INTEGERS and "array_len" not in item:
                integers[item["name"]] = int.from_bytes(body[start:offset], "big")
        version = vmsd.get("version")
        number = self._shape((vmsd.get("vmsd_name", ""), version, tuple(parts)))
        seen = self.seen[number]
        seen.counts[tuple(counts)] += 1
        seen.captures.add(self.capture)
        seen.compressed |= compressed
        if seen.sources is None:
            seen.sources = sources
        else:
            for mine, theirs in zip(seen.sources, sources, strict=True):
                mine &= theirs
        for sub in vmsd.get("subsections", ()):
            offset += 6 + len(sub["vmsd_name"])
            inner, offset = self._vmsd(sub, body, offset)
            key = sub["vmsd_name"], sub.get("version")
            self.subsections.setdefault(key, Counter())[inner] += 1
        return number, offset

    def _part(self, item: dict[str, Any], body: bytes, start: int) -> Part:
        kind = item["type"]
        inner = -1
        described_inline = item.get("elements") or ([item] if "fields" in item else [])
        if item.get("struct"):
            inner = self._vmsd(item["struct"], body, start)[0]
        elif kind in ("qtailq", "qlist", "gtree"):
            # Where an element begins is not needed: lists have no counted arrays inside so far.
            for element in described_inline:
                inner = self._vmsd(element, b"", 0)[0]
        elif described_inline:
            inner = self._vmsd(described_inline[0], body, start)[0]
        size = item["size"]
        if inner >= 0 or kind in MEASURED or (kind in SIZED_BY_COUNT and "array_len" not in item):
            size = 0
        return item["name"], kind, size, inner

    def _shape(self, shape: Shape) -> int:
        number = self.numbers.get(shape)
        if number is None:
            number = self.numbers[shape] = len(self.shapes)
            self.shapes.append(shape)
            self.seen.append(_Seen())
        return number

    def library(self) -> Library:
        """Layouts of all shapes: what never differs is fixed, what an earlier field counts names it."""
        layouts = [self._layout(*pair) for pair in zip(self.shapes, self.seen, strict=True)]
        return Library(layouts, _ordered(self.devices), _ordered(self.subsections))

    def _layout(self, shape: Shape, seen: _Seen) -> Layout:
        name, version, parts = shape
        columns = list(zip(*seen.counts, strict=True)) if parts else []
        fields, varying = [], []
        for number, (part, column) in enumerate(zip(parts, columns, strict=True)):
            count: int | str | None = column[0]
            if len(set(column)) > 1:
                names = (seen.sources or [])[number]
                # The nearest one in front of the array is the likeliest to count it.
                count = next((p[0] for p in reversed(parts[:number]) if p[0] in names), None)
                if count is None:
                    varying.append(number)
            fields.append(LayoutField(*part[:3], count, part[3], number in seen.compressed))
        variants: Counter[tuple[int, ...]] = Counter()
        for counts, times in seen.counts.items():
            variants[tuple(counts[number] for number in varying)] += times
        ordered = tuple(item for item, _ in sorted(variants.items(), key=lambda pair: (-pair[1], pair[0])))
        return Layout(name, version, tuple(fields), ordered or ((),), len(seen.captures))


def _lies(vmsd: dict[str, Any]) -> bool:
    """Arrays of pointers with NULLs of old QEMU versions: the description is wrong (§4.8)."""
    for item in vmsd.get("fields", ()):
        struct = item.get("struct")
        if item["type"] == "struct" and item["size"] == 1 and item.get("array_len", 1) > 1 and not struct:
            return True
        if struct and _lies(struct):
            return True
    return False


def _ordered(
    found: dict[tuple[str, int | None], Counter[int]],
) -> dict[tuple[str, int | None], list[int]]:
    return {
        key: [number for number, _ in sorted(counter.items(), key=lambda pair: (-pair[1], pair[0]))]
        for key, counter in sorted(found.items(), key=lambda pair: (pair[0][0], pair[0][1] or 0))
    }


def main() -> None:
    """Read the captures named on the command line; write the library to standard output."""
    learner = Learner()
    for path in sorted(map(Path, sys.argv[1:])):
        learner.learn(path)
    library = learner.library()
    sys.stdout.buffer.write(dump(library))
    print(
        f"{len(library.devices)} devices, {len(library.subsections)} subsections,"
        f" {len(library.layouts)} layouts",
        file=sys.stderr,
    )


if __name__ == "__main__":
    main()
