"""PCI configuration space (type ``pci config``) and MSI-X tables (device-facts §2).

All numbers are little-endian.  256 bytes for PCI, 4096 for PCIe.
"""

from __future__ import annotations

from qevm.explain import pci_caps
from qevm.explain import rules as r
from qevm.explain.context import ExplainContext
from qevm.explain.pci_ids import CLASSES, VENDORS, device_name
from qevm.explain.rules import Bit, Rule, Struct
from qevm.explain.window import Window
from qevm.field import Field, Role

_MIN_CONFIG = 0x40

COMMAND = r.bits(
    Bit(0, "I/O"), Bit(1, "memory"), Bit(2, "bus-master"), Bit(3, "special-cycles"), Bit(4, "MWI"),
    Bit(5, "VGA-snoop"), Bit(6, "parity"), Bit(8, "SERR"), Bit(9, "fast-B2B"), Bit(10, "INTx-disable"),
    empty="decodes nothing: not enabled by firmware or guest",
)  # fmt: skip
STATUS = r.bits(
    Bit(3, "INTx-pending", text="always 0 in a stream"), Bit(4, "capability-list"), Bit(5, "66MHz"),
    Bit(7, "fast-B2B"), Bit(8, "master-parity-error"),
    Bit(9, "DEVSEL", 2, {0: "", 1: "medium", 2: "slow"}), Bit(11, "signalled-target-abort"),
    Bit(12, "received-target-abort"), Bit(13, "received-master-abort"), Bit(14, "signalled-SERR"),
    Bit(15, "parity-error"),
)  # fmt: skip
BRIDGE_CONTROL = r.bits(
    Bit(0, "parity"), Bit(1, "SERR"), Bit(2, "ISA"), Bit(3, "VGA"), Bit(4, "VGA-16bit"),
    Bit(5, "master-abort"), Bit(6, "secondary-bus-reset"), Bit(7, "fast-B2B"),
    Bit(8, "primary-discard-timer"), Bit(9, "secondary-discard-timer"), Bit(10, "discard-status"),
    Bit(11, "discard-SERR"),
)  # fmt: skip
_HEADER_TYPES = {0: "endpoint", 1: "PCI-PCI bridge", 2: "CardBus bridge"}
_PINS = {0: "none", 1: "INTA", 2: "INTB", 3: "INTC", 4: "INTD"}


def config_space(item: Field, context: ExplainContext) -> None:
    """The rule for fields of type ``pci config``."""
    data = item.value
    if not isinstance(data, bytes) or len(data) < _MIN_CONFIG:
        return
    item.children = config_fields(data, item.offset, context)
    r.add_meaning(item, config_summary(data))


def config_summary(data: bytes) -> str:
    """One line for a device: ids, name, class."""
    vendor, device = r.reads(data, 0, 2), r.reads(data, 2, 2)
    name = device_name(vendor, device) or VENDORS.get(vendor, "")
    kind = CLASSES.get(r.reads(data, 0x0A, 2), "")
    return ", ".join(part for part in (f"{vendor:04x}:{device:04x}", name, kind) if part)


def config_fields(data: bytes, base: int, context: ExplainContext) -> list[Field]:
    """The fields of a configuration space at source offset ``base``; they tile it.

    Header, capabilities in order of their offset, and what lies between as
    ``device-specific`` bytes.  A capability list with a loop or a bad pointer is cut there; the
    offending pointer carries the ``problem``.
    """
    w = Window(data, base, context)
    fields = _header(w)
    fields += pci_caps.capabilities(w, fields)
    return w.tiled(fields, 0, len(data), "device-specific")


def _header(w: Window) -> list[Field]:
    vendor, device = w.get(0, 2), w.get(2, 2)
    kind = w.get(0x0E, 1) & 0x7F
    fields = [
        w.number("vendor", 0x00, 2, r.words(VENDORS, "unknown vendor")),
        w.number("device", 0x02, 2, r.say(device_name(vendor, device))),
        w.number("command", 0x04, 2, COMMAND),
        w.number("status", 0x06, 2, STATUS),
        w.number("revision", 0x08, 1),
        w.number("prog-if", 0x09, 1),
        w.number("class", 0x0A, 2, r.words(CLASSES, "unknown class")),
        w.number("cache line size", 0x0C, 1, r.shown(lambda n: f"{4 * n} bytes" if n else "")),
        w.number("latency timer", 0x0D, 1),
        w.number(
            "header type", 0x0E, 1,
            r.bits(Bit(0, "", 7, _HEADER_TYPES), Bit(7, "multifunction")),
        ),
        w.number("BIST", 0x0F, 1),
    ]  # fmt: skip
    fields += _bars(w, 2 if kind == 1 else 6)
    fields += _bridge(w) if kind == 1 else _endpoint(w)
    fields.append(w.number("capabilities pointer", 0x34, 1))
    fields.append(w.number("interrupt line", 0x3C, 1, r.shown(lambda n: f"IRQ {n}" if n < 255 else "none")))
    fields.append(w.number("interrupt pin", 0x3D, 1, r.words(_PINS)))
    return fields


def _endpoint(w: Window) -> list[Field]:
    return [
        w.number("CardBus CIS", 0x28, 4),
        w.number("subsystem vendor", 0x2C, 2, r.words(VENDORS)),
        w.number("subsystem", 0x2E, 2),
        _rom(w, 0x30),
        w.number("minimum grant", 0x3E, 1),
        w.number("maximum latency", 0x3F, 1),
    ]


def _bridge(w: Window) -> list[Field]:
    return [
        w.number("primary bus", 0x18, 1),
        w.number("secondary bus", 0x19, 1),
        w.number("subordinate bus", 0x1A, 1),
        w.number("secondary latency timer", 0x1B, 1),
        w.number("I/O base", 0x1C, 1, _io_window),
        w.number("I/O limit", 0x1D, 1),
        w.number("secondary status", 0x1E, 2, STATUS),
        w.number("memory base", 0x20, 2, _memory_window),
        w.number("memory limit", 0x22, 2),
        w.number("prefetchable base", 0x24, 2, _prefetch_window),
        w.number("prefetchable limit", 0x26, 2),
        w.number("prefetchable base upper", 0x28, 4),
        w.number("prefetchable limit upper", 0x2C, 4),
        w.number("I/O base upper", 0x30, 2),
        w.number("I/O limit upper", 0x32, 2),
        _rom(w, 0x38),
        w.number("bridge control", 0x3E, 2, BRIDGE_CONTROL),
    ]


def _window(first: int, last: int, kind: str) -> str:
    return f"{kind} {first:#x}–{last:#x}" if first <= last else f"{kind} window closed"


def _peer(item: Field, context: ExplainContext, delta: int, size: int) -> int:
    return int.from_bytes(context.read(item.offset + delta, size), "little")


def _io_window(item: Field, context: ExplainContext) -> None:
    base, limit = r.number(item) or 0, _peer(item, context, 1, 1)
    high = _peer(item, context, 0x14, 2) << 16 if base & 0xF == 1 else 0
    top = _peer(item, context, 0x16, 2) << 16 if base & 0xF == 1 else 0
    first, last = high | (base & 0xF0) << 8, top | (limit & 0xF0) << 8 | 0xFFF
    r.add_meaning(item, _window(first, last, "I/O"))


def _memory_window(item: Field, context: ExplainContext) -> None:
    base, limit = r.number(item) or 0, _peer(item, context, 2, 2)
    r.add_meaning(item, _window((base & 0xFFF0) << 16, (limit & 0xFFF0) << 16 | 0xFFFFF, "memory"))


def _prefetch_window(item: Field, context: ExplainContext) -> None:
    base, limit = r.number(item) or 0, _peer(item, context, 2, 2)
    high = _peer(item, context, 4, 4) << 32 if base & 0xF == 1 else 0
    top = _peer(item, context, 8, 4) << 32 if base & 0xF == 1 else 0
    first, last = high | (base & 0xFFF0) << 16, top | (limit & 0xFFF0) << 16 | 0xFFFFF
    r.add_meaning(item, _window(first, last, "prefetchable memory"))


def _bars(w: Window, count: int) -> list[Field]:
    """Base address registers: four bytes each; a 64-bit one takes the next for its upper half."""
    fields = []
    number = 0
    while number < count:
        at = 0x10 + 4 * number
        item = w.number(f"BAR {number}", at, 4)
        item.role = Role.ADDRESS
        fields.append(item)
        wide = _is_wide(w.get(at, 4)) and number + 1 < count
        r.add_meaning(item, bar_text(w.get(at, 8) if wide else w.get(at, 4), wide))
        number += 1
        if wide:
            upper = w.number(f"BAR {number}", at + 4, 4)
            upper.role = Role.ADDRESS
            r.add_meaning(upper, f"upper half of BAR {number - 1}")
            fields.append(upper)
            number += 1
    return fields


def _is_wide(value: int) -> bool:
    return value & 7 == 4


def bar_text(value: int, wide: bool) -> str:
    """What a BAR's value says.  After sizing (all ones written) it reads as the size mask."""
    if value == 0:
        return "not used, or not assigned"
    if value & 1:
        base = value & ~3
        if value >= 0xFFFF0000:
            return f"I/O, being sized: {(~base & 0xFFFFFFFF) + 1} ports"
        return f"I/O ports at {base:#x}" if base else "I/O, no address assigned"
    kind = "64-bit" if wide else "below 1 MiB" if value & 6 == 2 else "32-bit"
    if value & 8:
        kind += " prefetchable"
    top = (1 << 64 if wide else 1 << 32) - 1
    base = value & ~0xF
    if value == top or base == top - 0xF:
        return f"{kind} memory, all ones: being sized, or not assigned"
    return f"{kind} memory at {base:#x}" if base else f"{kind} memory, no address assigned"


def _rom(w: Window, at: int) -> Field:
    item = w.number("ROM BAR", at, 4)
    item.role = Role.ADDRESS
    value = w.get(at, 4)
    base = value & 0xFFFFF800
    state = "enabled" if value & 1 else "disabled"
    r.add_meaning(item, f"expansion ROM at {base:#x}, {state}" if base else f"no address, {state}")
    item.children = [
        r.bit_field(item, value, Bit(0, "enable")),
        r.bit_field(item, value >> 11 << 11, Bit(11, "address", 21)),
    ]
    return item


def msix_state(item: Field, context: ExplainContext) -> None:
    """The rule for ``msix state``: n entries of 16 bytes, then ceil(n/8) bytes of pending bits."""
    data = item.value
    if isinstance(data, bytes) and data:
        count = next((n for n in range(len(data) // 16, 0, -1) if 16 * n + (n + 7) // 8 == len(data)), 0)
        if count:
            item.children = msix_fields(data, item.offset, count, context)
            r.add_meaning(item, msix_summary(data, count))


def msix_summary(data: bytes, count: int) -> str:
    """How many vectors there are, masked, pending."""
    masked = sum(data[16 * i + 12] & 1 for i in range(count))
    pending = sum(byte.bit_count() for byte in data[16 * count :])
    return f"{r.plural(count, 'vector')}, {masked} masked, {pending} pending"


def msix_fields(data: bytes, base: int, count: int, context: ExplainContext) -> list[Field]:
    """The fields of an MSI-X table with ``count`` entries and its pending bits; they tile it."""
    w = Window(data, base, context)
    fields = []
    for i in range(count):
        at = 16 * i
        low, high, message = w.get(at, 4), w.get(at + 4, 4), w.get(at + 8, 4)
        masked = "masked" if w.get(at + 12, 4) & 1 else "unmasked"
        used = f"{high << 32 | low:#x} ← {message:#x}" if low or high or message else "never set"
        fields.append(
            w.group(
                f"vector {i}", at, 16,
                [
                    w.number("address low", at, 4, r.address),
                    w.number("address high", at + 4, 4, r.address),
                    w.number("data", at + 8, 4, _message),
                    w.number("vector control", at + 12, 4, r.bits(Bit(0, "masked"))),
                ],
                f"{used}, {masked}",
            )
        )  # fmt: skip
    rest = len(data) - 16 * count
    if rest:
        pending = r.bit_numbers(list(data[16 * count :]), 8)
        text = f"vectors {r.listed(pending)} pending" if pending else "nothing pending"
        fields.append(w.raw("pending bits", 16 * count, rest, meaning=text))
    return fields


def _message(item: Field, context: ExplainContext) -> None:
    """Message data as an x86 APIC reads it."""
    value = r.number(item) or 0
    if value and context.target in ("x86", ""):
        r.add_meaning(item, f"vector {value & 0xFF}, if the target is x86")


def _irq_line(item: Field, _: ExplainContext) -> None:
    value = r.number(item)
    if value is not None:
        r.add_meaning(item, "must be 2" if value != 2 else "layout of PCIDevice")


def _device(item: Field, _: ExplainContext) -> None:
    """The struct takes its summary from the configuration space inside."""
    for child in item.children:
        if child.type == "pci config":
            r.add_meaning(item, child.meaning)


CONFIG: Rule = r.label("config", config_space)
STRUCTS = (
    Struct("PCIDevice", {"version_id": _irq_line}, after=_device),
    Struct(
        "PCIBUS",
        {
            "nirq": r.say("interrupt lines of the bus"),
            "irq_count": r.both(r.say("how many devices drive each line"), r.numbered("line {}")),
        },
    ),
    Struct(
        "PCIHost",
        {
            "config_reg": r.label(
                "CONFIG_ADDRESS (CF8)",
                r.bits(
                    Bit(0, "register", 8),
                    Bit(8, "function", 3),
                    Bit(11, "device", 5),
                    Bit(16, "bus", 8),
                    Bit(31, "enable"),
                ),
            )
        },
    ),
)
