"""The PCI Express capability and the extended capabilities (PCIe 5.0 §7.5.3, §7.8)."""

from __future__ import annotations

from collections.abc import Callable

from qevm.explain import rules as r
from qevm.explain.rules import Bit
from qevm.explain.window import Window
from qevm.field import Field

_PORTS = {
    0: "endpoint", 1: "legacy endpoint", 4: "root port", 5: "upstream switch port",
    6: "downstream switch port", 7: "PCIe-to-PCI bridge", 8: "PCI-to-PCIe bridge",
    9: "root complex integrated endpoint", 10: "root complex event collector",
}  # fmt: skip
_PAYLOAD = {i: f"{128 << i} bytes" for i in range(6)}
_SPEED = {1: "2.5 GT/s", 2: "5 GT/s", 3: "8 GT/s", 4: "16 GT/s", 5: "32 GT/s", 6: "64 GT/s"}
_WIDTH = {n: f"x{n}" for n in (1, 2, 4, 8, 12, 16, 32)}
_INDICATOR = {1: "on", 2: "blink", 3: "off"}
_LINK = (Bit(0, "speed", 4, _SPEED), Bit(4, "width", 6, _WIDTH))
_ERRORS = {
    4: "data-link-protocol", 5: "surprise-down", 12: "poisoned-TLP", 13: "flow-control",
    14: "completion-timeout", 15: "completer-abort", 16: "unexpected-completion",
    17: "receiver-overflow", 18: "malformed-TLP", 19: "ECRC", 20: "unsupported-request",
    21: "ACS-violation", 22: "internal", 23: "MC-blocked-TLP", 24: "AtomicOp-blocked",
    25: "TLP-prefix-blocked",
}  # fmt: skip
_UNCORRECTABLE = tuple(Bit(low, name) for low, name in _ERRORS.items())
_CORRECTABLE = (
    Bit(0, "receiver"), Bit(6, "bad-TLP"), Bit(7, "bad-DLLP"), Bit(8, "REPLAY-rollover"),
    Bit(12, "replay-timer"), Bit(13, "advisory-non-fatal"), Bit(14, "internal"),
    Bit(15, "header-log-overflow"),
)  # fmt: skip

_SLOT_CAPABILITIES = r.bits(
    *r.one_bits("attention-button power-controller MRL-sensor attention-LED power-LED surprise hotplug"),
    Bit(7, "power-limit", 8), Bit(15, "power-scale", 2), Bit(17, "interlock"),
    Bit(18, "no-command-completed"), Bit(19, "slot", 13),
)  # fmt: skip
_SLOT_CONTROL = r.bits(
    *r.one_bits(
        "attention-button-ie power-fault-ie MRL-ie presence-ie command-completed-ie hotplug-ie"
    ),
    Bit(6, "attention-LED", 2, _INDICATOR), Bit(8, "power-LED", 2, _INDICATOR),
    Bit(10, "slot-power-off"), Bit(11, "interlock"), Bit(12, "link-state-ie"),
)  # fmt: skip
_SLOT_STATUS = r.bits(
    *r.one_bits(
        "attention-button power-fault MRL-changed presence-changed command-completed MRL-open "
        "card-present interlock link-state-changed"
    )
)


def express(w: Window, at: int) -> tuple[str, str, list[Field]]:
    """PCI Express capability: 0x3c bytes as QEMU writes it (version 2), 0x14 or 0x24 (version 1)."""
    flags = w.get(at + 2, 2)
    version, port = flags & 0xF, flags >> 4 & 0xF
    has_slot = bool(flags >> 8 & 1)
    full = version >= 2
    fields = [
        w.number(
            "PCIe capabilities", at + 2, 2,
            r.bits(Bit(0, "version", 4), Bit(4, "type", 4, _PORTS), Bit(8, "slot"), Bit(9, "interrupt", 5)),
        ),
        w.number(
            "device capabilities", at + 4, 4,
            r.bits(
                Bit(0, "max-payload", 3, _PAYLOAD), Bit(3, "phantom", 2), Bit(5, "extended-tag"),
                Bit(6, "L0s-latency", 3), Bit(9, "L1-latency", 3), Bit(15, "role-based-errors"),
                Bit(18, "slot-power", 8), Bit(26, "slot-power-scale", 2), Bit(28, "FLR"),
            ),
        ),
        w.number(
            "device control", at + 8, 2,
            r.bits(
                *r.one_bits("correctable-ee non-fatal-ee fatal-ee unsupported-ee relaxed-ordering"),
                Bit(5, "max-payload", 3, _PAYLOAD), Bit(8, "extended-tag"), Bit(9, "phantom"),
                Bit(10, "AUX-power"), Bit(11, "no-snoop"), Bit(12, "max-read", 3, _PAYLOAD),
                Bit(15, "bridge-retry/FLR"),
            ),
        ),
        w.number(
            "device status", at + 10, 2,
            r.bits(*r.one_bits("correctable non-fatal fatal unsupported-request AUX-power pending")),
        ),
    ]  # fmt: skip
    if port not in (9, 10) or full:
        fields += [
            w.number("link capabilities", at + 12, 4, r.bits(*_LINK, *_LINK_MORE)),
            w.number("link control", at + 16, 2, r.bits(*_LINK_CONTROL)),
            w.number("link status", at + 18, 2, r.bits(*_LINK, *_LINK_STATUS)),
        ]
    if has_slot or full:
        fields += [
            w.number("slot capabilities", at + 20, 4, _SLOT_CAPABILITIES),
            w.number("slot control", at + 24, 2, _SLOT_CONTROL),
            w.number("slot status", at + 26, 2, _SLOT_STATUS),
        ]
    if port in (4, 10) or full:
        fields += [
            w.number(
                "root control", at + 28, 2,
                r.bits(*r.one_bits("SERR-correctable SERR-non-fatal SERR-fatal PME-ie CRS-visible")),
            ),
            w.number("root capabilities", at + 30, 2, r.bits(Bit(0, "CRS-visible"))),
            w.number(
                "root status", at + 32, 4,
                r.bits(Bit(0, "PME-requester", 16), Bit(16, "PME"), Bit(17, "PME-pending")),
            ),
        ]  # fmt: skip
    if full:
        fields += [
            w.number("device capabilities 2", at + 36, 4),
            w.number("device control 2", at + 40, 2, r.bits(Bit(0, "completion-timeout", 4), Bit(5, "ARI"))),
            w.number("device status 2", at + 42, 2),
            w.number("link capabilities 2", at + 44, 4),
            w.number("link control 2", at + 48, 2, r.bits(Bit(0, "target-speed", 4, _SPEED))),
            w.number("link status 2", at + 50, 2),
            w.number("slot capabilities 2", at + 52, 4),
            w.number("slot control 2", at + 56, 2),
            w.number("slot status 2", at + 58, 2),
        ]
    meaning = _PORTS.get(port, f"port type {port}")
    if has_slot:
        meaning += f", slot {w.get(at + 20, 4) >> 19}"
        # With ACPI hotplug QEMU leaves the bit clear although a card is there: clear says nothing.
        meaning += ", card present" if w.get(at + 26, 2) & 0x40 else ""
    return "", meaning, fields


_LINK_MORE = (
    Bit(10, "ASPM", 2, {1: "L0s", 2: "L1", 3: "L0s+L1"}), Bit(12, "L0s-exit", 3), Bit(15, "L1-exit", 3),
    Bit(18, "clock-PM"), Bit(19, "surprise-down"), Bit(20, "DLL-active-reporting"),
    Bit(21, "bandwidth-notification"), Bit(22, "ASPM-optionality"), Bit(24, "port", 8),
)  # fmt: skip
_LINK_CONTROL = (
    Bit(0, "ASPM", 2, {1: "L0s", 2: "L1", 3: "L0s+L1"}), Bit(3, "RCB-128"), Bit(4, "disable"),
    Bit(5, "retrain"), Bit(6, "common-clock"), Bit(7, "extended-sync"), Bit(8, "clock-PM"),
    Bit(9, "autonomous-width-disable"), Bit(10, "bandwidth-ie"), Bit(11, "autonomous-bandwidth-ie"),
)  # fmt: skip
_LINK_STATUS = (
    Bit(11, "training"), Bit(12, "slot-clock"), Bit(13, "DLL-active"), Bit(14, "bandwidth-changed"),
    Bit(15, "autonomous-bandwidth-changed"),
)  # fmt: skip


def _advanced_errors(w: Window, at: int) -> list[Field]:
    uncorrectable, correctable = r.bits(*_UNCORRECTABLE), r.bits(*_CORRECTABLE)
    return [
        w.number("uncorrectable status", at + 4, 4, uncorrectable),
        w.number("uncorrectable mask", at + 8, 4, uncorrectable),
        w.number("uncorrectable severity", at + 12, 4, uncorrectable),
        w.number("correctable status", at + 16, 4, correctable),
        w.number("correctable mask", at + 20, 4, correctable),
        w.number(
            "AER capabilities/control", at + 24, 4,
            r.bits(
                Bit(0, "first-error", 5), Bit(5, "ECRC-generate-capable"), Bit(6, "ECRC-generate"),
                Bit(7, "ECRC-check-capable"), Bit(8, "ECRC-check"), Bit(9, "multiple-headers-capable"),
                Bit(10, "multiple-headers"), Bit(11, "TLP-prefix-log"),
            ),
        ),
        w.raw("header log", at + 28, 16),
        w.number(
            "root error command", at + 44, 4, r.bits(*r.one_bits("correctable-ie non-fatal-ie fatal-ie"))
        ),
        w.number(
            "root error status", at + 48, 4,
            r.bits(
                *r.one_bits(
                    "correctable multiple-correctable fatal/non-fatal multiple-fatal/non-fatal "
                    "first-fatal non-fatal fatal"
                ),
                Bit(27, "interrupt", 5),
            ),
        ),
        w.number("correctable source", at + 52, 2),
        w.number("error source", at + 54, 2),
        w.raw("TLP prefix log", at + 56, 16),
    ]  # fmt: skip


def _alternative_routing(w: Window, at: int) -> list[Field]:
    bits = (Bit(0, "MFVC"), Bit(1, "ACS"), Bit(8, "next-function", 8))
    return [
        w.number("ARI capabilities", at + 4, 2, r.bits(*bits)),
        w.number("ARI control", at + 6, 2),
    ]


def _serial_number(w: Window, at: int) -> list[Field]:
    return [w.number("serial number", at + 4, 8)]


def _access_control(w: Window, at: int) -> list[Field]:
    table = r.bits(
        *r.one_bits(
            "source-validation translation-blocking request-redirect completion-redirect "
            "upstream-forwarding egress-control direct-translated"
        )
    )
    return [
        w.number("ACS capabilities", at + 4, 2, table),
        w.number("ACS control", at + 6, 2, table),
    ]


def _address_translation(w: Window, at: int) -> list[Field]:
    return [
        w.number("ATS capabilities", at + 4, 2, r.bits(Bit(0, "queue-depth", 5), Bit(5, "page-aligned"))),
        w.number("ATS control", at + 6, 2, r.bits(Bit(0, "smallest-unit", 5), Bit(15, "enable"))),
    ]


def _virtual_functions(w: Window, at: int) -> list[Field]:
    fields = [
        w.number("SR-IOV capabilities", at + 4, 4, r.bits(Bit(0, "VF-migration"), Bit(1, "ARI-preserved"))),
        w.number(
            "SR-IOV control", at + 8, 2,
            r.bits(*r.one_bits("VF-enable VF-migration VF-migration-ie VF-memory ARI")),
        ),
        w.number("SR-IOV status", at + 10, 2),
        w.number("initial VFs", at + 12, 2),
        w.number("total VFs", at + 14, 2),
        w.number("number of VFs", at + 16, 2),
        w.number("function dependency link", at + 18, 1),
        w.number("first VF offset", at + 20, 2),
        w.number("VF stride", at + 22, 2),
        w.number("VF device", at + 26, 2),
        w.number("supported page sizes", at + 28, 4),
        w.number("system page size", at + 32, 4),
    ]  # fmt: skip
    fields += [w.number(f"VF BAR {i}", at + 36 + 4 * i, 4, r.address) for i in range(6)]
    fields.append(w.number("VF migration state array", at + 60, 4))
    return fields


def _page_requests(w: Window, at: int) -> list[Field]:
    return [
        w.number("PRI control", at + 4, 2, r.bits(Bit(0, "enable"), Bit(1, "reset"))),
        w.number("PRI status", at + 6, 2),
        w.number("outstanding page requests capacity", at + 8, 4),
        w.number("outstanding page requests", at + 12, 4),
    ]


def _address_spaces(w: Window, at: int) -> list[Field]:
    return [
        w.number("PASID capabilities", at + 4, 2, r.bits(Bit(1, "execute"), Bit(2, "privileged"))),
        w.number("PASID control", at + 6, 2, r.bits(Bit(0, "enable"), Bit(1, "execute"))),
    ]


ExtendedCut = Callable[[Window, int], list[Field]]
EXTENDED: dict[int, tuple[str, ExtendedCut | None]] = {
    0x0001: ("advanced error reporting", _advanced_errors),
    0x0002: ("virtual channel", None),
    0x0003: ("device serial number", _serial_number),
    0x0004: ("power budgeting", None),
    0x000B: ("vendor-specific extended", None),
    0x000D: ("access control services", _access_control),
    0x000E: ("alternative routing-ID", _alternative_routing),
    0x000F: ("address translation service", _address_translation),
    0x0010: ("SR-IOV", _virtual_functions),
    0x0012: ("multicast", None),
    0x0013: ("page request interface", _page_requests),
    0x0015: ("resizable BAR", None),
    0x0018: ("latency tolerance reporting", None),
    0x0019: ("secondary PCI Express", None),
    0x001B: ("PASID", _address_spaces),
    0x001D: ("downstream port containment", None),
    0x001E: ("L1 PM substates", None),
    0x0023: ("DVSEC", None),
    0x0024: ("VF resizable BAR", None),
    0x002E: ("data object exchange", None),
}
"""Extended capability id → name and how to cut it."""
