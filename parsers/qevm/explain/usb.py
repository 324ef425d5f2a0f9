"""USB: host controllers UHCI, OHCI, EHCI, xHCI, hubs and devices (device-facts §5)."""

from __future__ import annotations

from qevm.explain import rules as r
from qevm.explain.context import ExplainContext
from qevm.explain.rules import Bit, Struct
from qevm.field import Field

_STATES = {
    0: "not attached", 1: "attached", 2: "powered", 3: "default", 4: "address assigned",
    5: "configured", 6: "suspended",
}  # fmt: skip
_SETUP = {0: "idle", 1: "setup", 2: "data", 3: "acknowledge", 4: "parameters"}
_HUB_STATUS = r.bits(
    *r.one_bits("connected enabled suspended over-current reset"), Bit(8, "power"), Bit(9, "low-speed"),
    Bit(10, "high-speed"), Bit(11, "test"), Bit(12, "indicator"),
)  # fmt: skip
_HUB_CHANGE = r.bits(*r.one_bits("connection enable suspend over-current reset"))


def _device(item: Field, _: ExplainContext) -> None:
    address, state = r.value_of(item, "addr"), item.child("state")
    if address is not None and state is not None:
        r.add_meaning(item, f"USB address {address}, {state.meaning}")


def _lift(item: Field, _: ExplainContext) -> None:
    """A device says what its USBDevice part says."""
    for child in item.children:
        if child.vmsd == "USBDevice":
            r.add_meaning(item, child.meaning)


def _run(name: str) -> r.Rule:
    def rule(item: Field, _: ExplainContext) -> None:
        command = item.child(name)
        value = r.number(command)
        if value is not None:
            r.add_meaning(item, "running" if value & 1 else "stopped")

    return rule


_UHCI_PORT = r.bits(
    *r.one_bits("connected connect-change enabled enable-change D+ D- resume"),
    Bit(7, "always-1", quiet=True), Bit(8, "low-speed"), Bit(9, "reset"), Bit(12, "suspend"),
)  # fmt: skip
_EHCI_PORT = r.bits(
    *r.one_bits("connected connect-change enabled enable-change over-current over-current-change"),
    *r.one_bits("resume suspend reset", 6),
    Bit(10, "line", 2, {0: "", 1: "K", 2: "J"}), Bit(12, "power"), Bit(13, "companion-owned"),
    Bit(14, "indicator", 2), Bit(16, "test", 4),
)  # fmt: skip
_LINK = {
    0: "U0", 1: "U1", 2: "U2", 3: "U3 suspended", 4: "disabled", 5: "RxDetect", 6: "inactive", 7: "polling",
    8: "recovery", 9: "hot reset", 10: "compliance", 11: "test", 15: "resume",
}  # fmt: skip
_SPEEDS = {0: "", 1: "full speed", 2: "low speed", 3: "high speed", 4: "super speed"}
_XHCI_PORT = r.bits(
    Bit(0, "connected"), Bit(1, "enabled"), Bit(3, "over-current"), Bit(4, "reset"),
    Bit(5, "link", 4, _LINK), Bit(9, "power"), Bit(10, "", 4, _SPEEDS), Bit(14, "indicator", 2),
    Bit(17, "connect-change"), Bit(18, "enable-change"), Bit(19, "warm-reset-change"),
    Bit(20, "over-current-change"), Bit(21, "reset-change"), Bit(22, "link-change"),
    Bit(23, "config-error"), Bit(30, "not-removable"),
)  # fmt: skip
_OHCI_STATES = {0: "USB reset", 1: "USB resume", 2: "USB operational", 3: "USB suspend"}

STRUCTS = (
    Struct(
        "USBDevice",
        {
            "addr": r.label("USB address"),
            "state": r.words(_STATES),
            "remote_wakeup": r.yes_no("may wake the host"),
            "setup_state": r.words(_SETUP),
            "setup_buf": r.say("last SETUP packet: bmRequestType, bRequest, wValue, wIndex, wLength"),
        },
        after=_device,
    ),
    *(Struct(name, after=_lift) for name in ("usb-kbd", "usb-ptr", "usb-mouse", "usb-tablet", "usb-hub")),
    Struct(
        "usb-storage",
        {
            "mode": r.words({0: "waits for a command (CBW)", 1: "data out", 2: "data in", 3: "status (CSW)"}),
            "csw.sig": r.say_if(0x53425355, "USBS"),
        },
        after=_lift,
    ),
    Struct("usb-hub-port", {"wPortStatus": _HUB_STATUS, "wPortChange": _HUB_CHANGE}),
    Struct("uhci port", {"ctrl": r.label("PORTSC", _UHCI_PORT)}),
    Struct(
        "uhci",
        {
            "cmd": r.label(
                "USBCMD", r.bits(*r.one_bits("run HCRESET GRESET suspend resume debug configured MAXP-64"))
            ),
            "status": r.label(
                "USBSTS", r.bits(*r.one_bits("USBINT error resume system-error process-error halted"))
            ),
            "intr": r.label("USBINTR", r.bits(*r.one_bits("timeout/CRC resume complete short-packet"))),
            "frnum": r.label("FRNUM"),
            "fl_base_addr": r.label("FRBASEADD", r.address),
            "ports": r.numbered("port {}", first=1),
            "expire_time": r.moment,
        },
        after=_run("cmd"),
    ),
    Struct(
        "ehci-core",
        {
            "usbcmd": r.label(
                "USBCMD",
                r.bits(
                    Bit(0, "run"),
                    Bit(1, "reset"),
                    Bit(2, "frame-list", 2),
                    Bit(4, "periodic"),
                    Bit(5, "async"),
                    Bit(6, "doorbell"),
                    Bit(16, "interrupt-threshold", 8),
                ),
            ),
            "usbsts": r.label(
                "USBSTS",
                r.bits(
                    *r.one_bits("USBINT USBERRINT port-change frame-rollover host-error async-advance"),
                    Bit(12, "halted"),
                    Bit(13, "reclamation"),
                    Bit(14, "periodic"),
                    Bit(15, "async"),
                ),
            ),
            "usbintr": r.label("USBINTR"),
            "frindex": r.label("FRINDEX"),
            "ctrldssegment": r.label("CTRLDSSEGMENT"),
            "periodiclistbase": r.label("PERIODICLISTBASE", r.address),
            "asynclistaddr": r.label("ASYNCLISTADDR", r.address),
            "configflag": r.label(
                "CONFIGFLAG", r.yes_no("ports belong to EHCI", "ports belong to the companions")
            ),
            **{f"portsc[{i}]": r.label(f"PORTSC{i + 1}", _EHCI_PORT) for i in range(6)},
            "last_run_ns": r.moment,
        },
        after=_run("usbcmd"),
    ),
    Struct(
        "ohci-core",
        {
            "ctl": r.label(
                "HcControl",
                r.bits(
                    Bit(0, "CBSR", 2),
                    *r.one_bits("PLE IE CLE BLE", 2),
                    Bit(6, "", 2, _OHCI_STATES),
                    Bit(8, "IR"),
                    Bit(9, "RWC"),
                    Bit(10, "RWE"),
                ),
            ),
            "intr_status": r.label(
                "HcInterruptStatus", r.bits(*r.one_bits("SO WDH SF RD UE FNO RHSC"), Bit(30, "OC"))
            ),
            "intr": r.label(
                "HcInterruptEnable",
                r.bits(*r.one_bits("SO WDH SF RD UE FNO RHSC"), Bit(30, "OC"), Bit(31, "MIE")),
            ),
            "hcca": r.label("HcHCCA", r.address),
            "ctrl_head": r.label("HcControlHeadED", r.address),
            "bulk_head": r.label("HcBulkHeadED", r.address),
            "per_cur": r.label("HcPeriodCurrentED", r.address),
            "done": r.label("HcDoneHead", r.address),
            "rhport": r.numbered("port {}", first=1),
            "sof_time": r.moment,
        },
    ),
    Struct(
        "ohci-core/port",
        {
            "ctrl": r.label(
                "HcRhPortStatus",
                r.bits(
                    *r.one_bits("connected enabled suspended over-current reset"),
                    Bit(8, "power"),
                    Bit(9, "low-speed"),
                    *r.one_bits(
                        "connect-change enable-change suspend-change over-current-change reset-change", 16
                    ),
                ),
            )
        },
    ),
    Struct(
        "xhci-core",
        {
            "usbcmd": r.label(
                "USBCMD",
                r.bits(Bit(0, "run"), Bit(1, "reset"), Bit(2, "INTE"), Bit(3, "HSEE"), Bit(10, "EWE")),
            ),
            "usbsts": r.label(
                "USBSTS",
                r.bits(
                    Bit(0, "halted"),
                    Bit(2, "host-error"),
                    Bit(3, "event"),
                    Bit(4, "port-change"),
                    Bit(11, "not-ready"),
                    Bit(12, "controller-error"),
                ),
            ),
            "dnctrl": r.label("DNCTRL"),
            "crcr_low": r.label("CRCR low"),
            "crcr_high": r.label("CRCR high"),
            "dcbaap_low": r.label("DCBAAP low", r.address),
            "dcbaap_high": r.label("DCBAAP high", r.address),
            "config": r.label("CONFIG", r.say("device slots enabled")),
            "mfindex_start": r.moment,
            "ports": r.numbered("port {}", first=1),
            "slots": r.numbered("slot {}", first=1),
        },
        after=_run("usbcmd"),
    ),
    Struct("xhci-port", {"portsc": r.label("PORTSC", _XHCI_PORT)}),
    Struct("xhci-slot", {"ctx": r.address}),
    Struct("xhci-ring", {"dequeue": r.address, "ccs": r.label("consumer cycle state")}),
    Struct(
        "xhci-intr",
        {
            "iman": r.label("IMAN", r.bits(Bit(0, "pending"), Bit(1, "enabled"))),
            "imod": r.label("IMOD"),
            "erstsz": r.label("ERSTSZ"),
            "erstba_low": r.label("ERSTBA low", r.address),
            "erstba_high": r.label("ERSTBA high", r.address),
            "erdp_low": r.label("ERDP low", r.address),
            "erdp_high": r.label("ERDP high", r.address),
            "er_start": r.address,
        },
    ),
)
