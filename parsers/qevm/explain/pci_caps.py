"""The capability lists of PCI configuration space (device-facts §2; PCI 3.0 §6.7, PCIe 5.0 §7)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from qevm.explain import pcie
from qevm.explain import rules as r
from qevm.explain.pcie import EXTENDED
from qevm.explain.rules import Bit
from qevm.explain.window import Window
from qevm.field import Field

_HOPS = 48
_FIRST = 0x40

NAMES = {
    0x00: "null", 0x01: "power management", 0x02: "AGP", 0x03: "vital product data",
    0x04: "slot identification", 0x05: "MSI", 0x06: "CompactPCI hot swap", 0x07: "PCI-X",
    0x08: "HyperTransport", 0x09: "vendor-specific", 0x0A: "debug port", 0x0C: "SHPC hotplug",
    0x0D: "bridge subsystem id", 0x0E: "AGP 8x", 0x10: "PCI Express", 0x11: "MSI-X",
    0x12: "SATA index/data", 0x13: "advanced features", 0x14: "enhanced allocation",
}  # fmt: skip
_VIRTIO = {
    1: "common configuration", 2: "notifications", 3: "ISR status", 4: "device-specific configuration",
    5: "PCI configuration access", 8: "shared memory", 9: "vendor data",
}  # fmt: skip
_POWER = {0: "D0", 1: "D1", 2: "D2", 3: "D3hot"}

Cut = Callable[[Window, int], tuple[str, str, list[Field]]]


def capabilities(w: Window, header: Sequence[Field]) -> list[Field]:
    """The capabilities of a configuration space, in order of their offset, none overlapping.

    ``header`` holds the pointer that starts the list; a bad pointer gets a ``problem``.
    """
    fields: list[Field] = []
    # Without the status bit the pointer means nothing.
    start = next(item for item in header if item.name == "capabilities pointer")
    if w.get(0x06, 2) & 0x10:
        fields += _walk(w, start)
    if len(w.data) >= 0x104:
        fields += _walk_extended(w)
    return fields


def _walk(w: Window, pointer: Field) -> list[Field]:
    found: list[Field] = []
    at = pointer.value if isinstance(pointer.value, int) else 0
    seen: set[int] = set()
    while at:
        # The two low bits are reserved and must be masked.
        at &= 0xFC
        if at < _FIRST:
            pointer.problem = f"points to {at:#x}, inside the header"
        elif at in seen or len(seen) >= _HOPS:
            pointer.problem = f"loop: points back to {at:#x}"
        elif _overlaps(w, found, at, 2):
            pointer.problem = f"points to {at:#x}, inside another capability"
        if pointer.problem:
            break
        seen.add(at)
        item = _capability(w, at, _room(w, found, at))
        found.append(item)
        pointer = item.children[1]
        at = w.get(at + 1, 1)
    return found


def _overlaps(w: Window, found: Sequence[Field], at: int, size: int) -> bool:
    first = w.base + at
    return any(item.offset < first + size and first < item.end for item in found)


def _room(w: Window, found: Sequence[Field], at: int, top: int = 0x100) -> int:
    """Bytes from ``at`` to the next capability behind it."""
    behind = [item.offset - w.base for item in found if item.offset - w.base > at]
    return min([*behind, top, len(w.data)]) - at


def _capability(w: Window, at: int, room: int) -> Field:
    number = w.get(at, 1)
    cut = _CUTS.get(number)
    title, meaning, fields = cut(w, at) if cut is not None else ("", "", [])
    name = title or NAMES.get(number, f"capability {number:#04x}")
    head = [
        w.number("capability id", at, 1, r.words(NAMES, "unknown")),
        w.number("next", at + 1, 1, r.say_if(0, "last")),
    ]
    fields = [item for item in fields if item.end <= w.base + at + room]
    size = max(item.end for item in [*head, *fields]) - w.base - at
    return w.group(name, at, size, [*head, *fields], meaning)


def _power_management(w: Window, at: int) -> tuple[str, str, list[Field]]:
    return (
        "",
        _POWER[w.get(at + 4, 2) & 3],
        [
            w.number(
                "PM capabilities", at + 2, 2,
                r.bits(
                    Bit(0, "version", 3), Bit(3, "PME-clock"), Bit(5, "DSI"), Bit(6, "AUX-current", 3),
                    Bit(9, "D1"), Bit(10, "D2"), Bit(11, "PME", 5),
                ),
            ),
            w.number(
                "PM control/status", at + 4, 2,
                r.bits(
                    Bit(0, "state", 2, _POWER), Bit(3, "no-soft-reset"), Bit(8, "PME-enable"),
                    Bit(9, "data-select", 4), Bit(13, "data-scale", 2), Bit(15, "PME-status"),
                ),
            ),
            w.number("bridge extensions", at + 6, 1),
            w.number("data", at + 7, 1),
        ],
    )  # fmt: skip


def _msi(w: Window, at: int) -> tuple[str, str, list[Field]]:
    control = w.get(at + 2, 2)
    wide, maskable = control >> 7 & 1, control >> 8 & 1
    counts = {i: str(1 << i) for i in range(6)}
    fields = [
        w.number(
            "message control", at + 2, 2,
            r.bits(
                Bit(0, "enable"), Bit(1, "capable", 3, counts), Bit(4, "allocated", 3, counts),
                Bit(7, "64-bit"), Bit(8, "per-vector-mask"),
            ),
        ),
        w.number("message address", at + 4, 4, r.address),
    ]  # fmt: skip
    next_at = at + 8
    if wide:
        fields.append(w.number("message upper address", next_at, 4, r.address))
        next_at += 4
    fields.append(w.number("message data", next_at, 2))
    if maskable:
        fields.append(w.number("mask bits", next_at + 4, 4))
        fields.append(w.number("pending bits", next_at + 8, 4))
    return "", "enabled" if control & 1 else "disabled", fields


def _location(item: Field, _: object) -> None:
    value = r.number(item) or 0
    r.add_meaning(item, f"BAR {value & 7} + {value & ~7:#x}")


def _msix(w: Window, at: int) -> tuple[str, str, list[Field]]:
    control = w.get(at + 2, 2)
    count = (control & 0x7FF) + 1
    state = "enabled" if control >> 15 else "disabled"
    return (
        "",
        f"{r.plural(count, 'vector')}, {state}" + (", function masked" if control >> 14 & 1 else ""),
        [
            w.number(
                "message control", at + 2, 2,
                r.bits(Bit(0, "table size - 1", 11), Bit(14, "function-mask"), Bit(15, "enable")),
            ),
            w.number("table", at + 4, 4, _location),
            w.number("pending bit array", at + 8, 4, _location),
        ],
    )  # fmt: skip


def _vendor(w: Window, at: int) -> tuple[str, str, list[Field]]:
    length = w.get(at + 2, 1)
    fields = [w.number("length", at + 2, 1)]
    if w.get(0, 2) != 0x1AF4 or length < 16:
        if 3 < length <= len(w.data) - at:
            fields.append(w.raw("vendor data", at + 3, length - 3))
        return "", "", fields
    kind, bar = w.get(at + 3, 1), w.get(at + 4, 1)
    offset, size = w.get(at + 8, 4), w.get(at + 12, 4)
    fields += [
        w.number("cfg_type", at + 3, 1, r.words(_VIRTIO, "unknown")),
        w.number("bar", at + 4, 1),
        w.number("id", at + 5, 1),
        w.number("offset", at + 8, 4),
        w.number("length in BAR", at + 12, 4),
    ]
    if kind == 2 and length >= 20:
        fields.append(w.number("notify_off_multiplier", at + 16, 4))
    elif kind == 5 and length >= 20:
        fields.append(w.raw("pci_cfg_data", at + 16, 4))
    where = f"BAR {bar} + {offset:#x}, {size} bytes" if kind != 5 or size else ""
    return f"virtio {_VIRTIO.get(kind, f'cfg_type {kind}')}", where, fields


def _bridge_subsystem(w: Window, at: int) -> tuple[str, str, list[Field]]:
    fields = [w.number("subsystem vendor", at + 4, 2), w.number("subsystem", at + 6, 2)]
    return "", f"{w.get(at + 4, 2):04x}:{w.get(at + 6, 2):04x}", fields


def _slot_id(w: Window, at: int) -> tuple[str, str, list[Field]]:
    slots = Bit(0, "expansion slots", 5)
    fields = [
        w.number("expansion slot", at + 2, 1, r.bits(slots, Bit(5, "first in chassis"))),
        w.number("chassis", at + 3, 1),
    ]
    return "", f"chassis {w.get(at + 3, 1)}", fields


def _shpc(w: Window, at: int) -> tuple[str, str, list[Field]]:
    fields = [
        w.number("dword select", at + 2, 1),
        w.number("dword pending", at + 3, 1),
        w.number("dword data", at + 4, 4),
    ]
    return "", "", fields


def _sata(w: Window, at: int) -> tuple[str, str, list[Field]]:
    return "", "", [w.number("revision", at + 2, 2), w.number("location", at + 4, 4)]


def _advanced_features(w: Window, at: int) -> tuple[str, str, list[Field]]:
    fields = [
        w.number("length", at + 2, 1),
        w.number("AF capabilities", at + 3, 1, r.bits(*r.one_bits("TP FLR"))),
        w.number("AF control", at + 4, 1, r.bits(Bit(0, "initiate-FLR"))),
        w.number("AF status", at + 5, 1, r.bits(Bit(0, "transactions-pending"))),
    ]
    return "", "", fields


_CUTS: dict[int, Cut] = {
    0x01: _power_management,
    0x04: _slot_id,
    0x05: _msi,
    0x09: _vendor,
    0x0C: _shpc,
    0x0D: _bridge_subsystem,
    0x10: pcie.express,
    0x11: _msix,
    0x12: _sata,
    0x13: _advanced_features,
}


def _walk_extended(w: Window) -> list[Field]:
    """Extended capabilities from 0x100: 16-bit id, 4-bit version, 12-bit next."""
    found: list[Field] = []
    at = 0x100
    seen: set[int] = set()
    while True:
        head = w.get(at, 4)
        if not head & 0xFFFF or head == 0xFFFFFFFF:
            break
        seen.add(at)
        item = _extended(w, at, _room(w, found, at, 0x1000))
        found.append(item)
        following = head >> 20 & 0xFFC
        if not following:
            break
        pointer = item.children[0]
        if following < 0x100 or following + 4 > len(w.data):
            pointer.problem = f"next points to {following:#x}, outside the extended space"
        elif following in seen:
            pointer.problem = f"loop: next points back to {following:#x}"
        elif _overlaps(w, found, following, 4):
            pointer.problem = f"next points to {following:#x}, inside another capability"
        if pointer.problem:
            break
        at = following
    return found


def _extended(w: Window, at: int, room: int) -> Field:
    number = w.get(at, 2)
    name, cut = EXTENDED.get(number, (f"extended capability {number:#06x}", None))
    head = w.number(
        "extended capability", at, 4, r.bits(Bit(0, "id", 16), Bit(16, "version", 4), Bit(20, "next", 12))
    )
    head.meaning = f"id {number:#06x} version {w.get(at, 4) >> 16 & 0xF}"
    fields = [] if cut is None else cut(w, at)
    fields = [item for item in fields if item.end <= w.base + at + room]
    size = max(item.end for item in [head, *fields]) - w.base - at
    return w.group(name, at, size, [head, *fields])
