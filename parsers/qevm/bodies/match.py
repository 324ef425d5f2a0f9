"""Laying known layouts over the bytes of a body whose length nobody wrote down.

A body is the fields of a vmsd and then any of its subsections, which announce themselves (``05``, name that
begins with the owner's, version: stream-format §4.4); arrays are counted by an earlier field; lists end
with ``00``. What remains open (a device has had several layouts) gives several candidates, each with its
end.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from qevm.bodies.layout_library import SIZED_BY_COUNT, Layout, LayoutField, Library
from qevm.bodies.pci_state import msix_size
from qevm.constants import SectionType
from qevm.safetext import decode
from qevm.source import Source
from qevm.vmdesc import VmField, Vmsd

MAX_CANDIDATES = 16
# Fields and subsections looked at for one body: a hostile one cannot make more work than this.
_MAX_STEPS = 20_000
_SUBSECTION = SectionType.SUBSECTION
_WINDOW = 1 << 14
# The device's own part of a virtio device, with requests in flight, is searched this far for a subsection.
_VIRTIO_SEARCHED = 1 << 18
_VIRTIO = b"virtio/"
# All that the bytes of these may be.
_LEGAL = {"bool": b"\0\1", "nullptr": b"0", "ptr-marker": b"01"}
_SIZES = {"uint8": 1, "uint16": 2, "uint32": 4, "uint64": 8}
_INTEGERS = {kind: size for name, size in _SIZES.items() for kind in (name, name[1:], f"{name} equal")} | {
    "int32 equal": 4,
    "int32 le": 4,
}


@dataclass(slots=True)
class _Partial:
    """One reading of the fields so far: where it stands, and the integers that may count arrays."""

    position: int
    fields: list[VmField] = field(default_factory=list)
    integers: dict[str, int] = field(default_factory=dict)

    def fork(self) -> _Partial:
        return _Partial(self.position, list(self.fields), dict(self.integers))


_Option = tuple[list[VmField], int]


class Matcher:
    """Finds where bodies in ``source`` end; none ends behind ``limit``.

    Reads only what decides: counts, markers, names.  A field that announces a gigabyte costs nothing.
    """

    def __init__(self, library: Library, source: Source, limit: int) -> None:
        self._library = library
        self._source = source
        self._limit = limit
        self._window = b""
        self._base = 0
        self._steps = 0
        # Where PCI configuration spaces were seen: MSI-X state further on is as long as the last one says.
        self._configs: list[int] = []

    def _at(self, position: int, length: int) -> bytes:
        """Up to ``length`` bytes, fewer at the limit.  Short reads come from a window."""
        length = min(length, self._limit - position)
        index = position - self._base
        if index < 0 or index + length > len(self._window):
            self._window = self._source.read(position, min(max(length, _WINDOW), self._limit - position))
            self._base, index = position, 0
        return self._window[index : index + length]

    def candidates(self, number: int, position: int) -> list[tuple[Vmsd, int]]:
        """Readings of a whole body as layout ``number``: the tree and where it ends."""
        return self._vmsd(number, position, subsections=True)

    def _vmsd(self, number: int, position: int, *, subsections: bool) -> list[tuple[Vmsd, int]]:
        layout = self._library.layouts[number]
        found: list[tuple[Vmsd, int]] = []
        for variant in layout.variants:
            for partial in self._fields(layout, variant, position):
                vmsd = Vmsd(layout.name, layout.version, tuple(partial.fields))
                if not subsections:
                    readings = [(vmsd, partial.position)]
                else:
                    readings = [
                        (replace(vmsd, subsections=subs) if subs else vmsd, end)
                        for subs, end in self._subsections(layout.name, partial.position)
                    ]
                found += [item for item in readings if item not in found]
                if len(found) >= MAX_CANDIDATES:
                    return found[:MAX_CANDIDATES]
        return found

    def _fields(self, layout: Layout, variant: tuple[int, ...], position: int) -> list[_Partial]:
        partials = [_Partial(position)]
        counts = iter(variant)
        for item in layout.fields:
            given = next(counts, 0) if item.count is None else item.count
            after: list[_Partial] = []
            for partial in partials:
                self._steps += 1
                if self._steps > _MAX_STEPS:
                    return []
                count = partial.integers.get(given, -1) if isinstance(given, str) else given
                options = self._options(item, count, partial.position)
                for number, (made, end) in enumerate(options):
                    # The last option goes on in place: most fields have just one.
                    target = partial if number == len(options) - 1 else partial.fork()
                    if count == 1 and item.type in _INTEGERS:
                        target.integers[item.name] = int.from_bytes(
                            self._at(target.position, end - target.position), "big"
                        )
                    target.fields += made
                    target.position = end
                    after.append(target)
            partials = after[:MAX_CANDIDATES]
            if not partials:
                break
        return partials

    def _options(self, item: LayoutField, count: int, position: int) -> list[_Option]:
        """The ways to read one field at ``position``: what it becomes, and where it ends."""
        if not 0 <= count <= self._limit - position + 1:
            return []
        if item.type == "virtio":
            return [
                ([VmField(item.name, item.type, end - position)], end)
                for end in self._virtio_ends(position, count)
            ]
        if item.type in SIZED_BY_COUNT and not item.size:
            return self._plain(replace(item, size=count), 1, position)
        if item.type in ("qtailq", "qlist"):
            return self._list(item, position)
        if item.type == "gtree":
            return self._plain(replace(item, size=5), 1, position) if self._zeros(position, 5) else []
        if item.type == "scsi-requests":
            return self._plain(replace(item, size=1), 1, position) if self._zeros(position, 1) else []
        if item.type == "msix state":
            return self._plain(replace(item, size=self._msix_size(position)), 1, position)
        if item.layout >= 0:
            return self._structs(item, count, position)
        return self._plain(item, count, position)

    def _plain(self, item: LayoutField, count: int, position: int) -> list[_Option]:
        end = position + item.size * count
        if end > self._limit:
            return []
        legal = _LEGAL.get(item.type)
        if legal is not None and self._at(position, min(end - position, _WINDOW)).strip(legal):
            return []
        if item.type == "pci config":
            self._configs.append(position)
        if not count:
            return [([], position)]
        return [([VmField(item.name, item.type, item.size, None if count == 1 else count)], end)]

    def _structs(self, item: LayoutField, count: int, position: int) -> list[_Option]:
        if item.compressed and count > 1:
            return [
                ([self._struct(item, vmsd, end - position, count)], position + (end - position) * count)
                for vmsd, end in self._vmsd(item.layout, position, subsections=False)
                if position + (end - position) * count <= self._limit
            ]
        options: list[_Option] = [([], position)]
        for _ in range(count):
            options = [
                ([*made, self._struct(item, vmsd, end - start, None)], end)
                for made, start in options
                for vmsd, end in self._vmsd(item.layout, start, subsections=True)
            ][:MAX_CANDIDATES]
            if not options:
                break
        return options

    @staticmethod
    def _struct(item: LayoutField, vmsd: Vmsd, size: int, count: int | None) -> VmField:
        if item.type == "struct":
            return VmField(item.name, item.type, size, count, struct=vmsd)
        return VmField(item.name, item.type, size, count, inline=(vmsd,))

    def _list(self, item: LayoutField, position: int) -> list[_Option]:
        elements: list[Vmsd] = []
        at = position
        while item.layout >= 0 and self._at(at, 1) == b"\1":
            readings = self._vmsd(item.layout, at + 1, subsections=True)
            if not readings:
                return []
            vmsd, at = readings[0]
            elements.append(vmsd)
        if not self._zeros(at, 1):
            return []
        return [([VmField(item.name, item.type, at + 1 - position, inline=tuple(elements))], at + 1)]

    def _subsections(self, owner: str, position: int) -> list[tuple[tuple[Vmsd, ...], int]]:
        """The runs of known subsections of ``owner`` at ``position``; none when one is unknown."""
        going: list[tuple[tuple[Vmsd, ...], int]] = [((), position)]
        done: list[tuple[tuple[Vmsd, ...], int]] = []
        while going and len(done) < MAX_CANDIDATES:
            self._steps += 1
            if self._steps > _MAX_STEPS:
                return []
            so_far, at = going.pop(0)
            head = self._subsection_head(owner, at)
            if head is None:
                done.append((so_far, at))
                continue
            name, version, body = head
            for number in self._library.subsections.get((name, version), ()):
                going += [((*so_far, vmsd), end) for vmsd, end in self._vmsd(number, body, subsections=True)]
        return done

    def _subsection_head(self, owner: str, at: int) -> tuple[str, int, int] | None:
        """Name, version and offset of the body of a subsection of ``owner`` at ``at``, as QEMU tells one."""
        head = self._at(at, 2)
        if len(head) < 2 or head[0] != _SUBSECTION:
            return None
        length = head[1]
        rest = self._at(at + 2, length + 4)
        prefix = owner.encode("utf-8", "replace")
        if length <= len(prefix) or len(rest) < length + 4 or not rest.startswith(prefix):
            return None
        return decode(rest[:length]), int.from_bytes(rest[length:], "big"), at + 6 + length

    def _virtio_ends(self, position: int, learned: int) -> Iterator[int]:
        """Where the core of a virtio device may end: behind its subsections, or at the learned size.

        The device's own part stands undescribed in the middle; all that are in use write
        ``virtio/64bit_features`` or another subsection behind it (device-facts §3).
        """
        start = self._virtio_subsection(position)
        if start is not None:
            yield from (end for _, end in self._subsections("virtio", start))
        if learned and position + learned <= self._limit:
            yield position + learned

    def _virtio_subsection(self, position: int) -> int | None:
        """Offset of the first subsection of the virtio core behind ``position``."""
        stop = min(position + _VIRTIO_SEARCHED, self._limit)
        for base in range(position, stop, _WINDOW):
            # A name may lie across the border of two windows.
            data = self._source.read(base, min(_WINDOW + len(_VIRTIO), stop - base))
            index = -1
            while (index := data.find(_VIRTIO, index + 1)) >= 0:
                start = base + index - 2
                if start > position and self._subsection_head("virtio", start):
                    return start
        return None

    def _msix_size(self, position: int) -> int:
        start = max((at for at in self._configs if at < position), default=None)
        return 0 if start is None else msix_size(self._at(start, 256))

    def _zeros(self, position: int, count: int) -> bool:
        return self._at(position, count) == bytes(count)
