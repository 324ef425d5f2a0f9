"""UARTs: 16550 ``serial``, PL011, and small ones of other boards (device-facts §5)."""

from __future__ import annotations

from qevm.explain import rules as r
from qevm.explain.context import ExplainContext
from qevm.explain.rules import Bit, Struct
from qevm.field import Field

_BASE_BAUD = 115200
_IER = r.bits(Bit(0, "receive"), Bit(1, "transmit-empty"), Bit(2, "line-status"), Bit(3, "modem-status"))
_IIR = r.bits(
    Bit(0, "", 4, {
        0: "modem status", 1: "no interrupt", 2: "transmit empty", 4: "data received", 6: "line status",
        12: "receive timeout",
    }),
    Bit(6, "", 2, {0: "", 2: "FIFO unusable", 3: "FIFO on"}),
)  # fmt: skip
_LCR = r.bits(
    Bit(0, "", 2, {0: "5 bits", 1: "6 bits", 2: "7 bits", 3: "8 bits"}), Bit(2, "2-stop"),
    Bit(3, "parity"), Bit(4, "even"), Bit(5, "stick"), Bit(6, "break"), Bit(7, "DLAB"),
)  # fmt: skip
_LSR = r.bits(*r.one_bits("DR OE PE FE BI THRE TEMT FIFO-error"))
_MCR = r.bits(*r.one_bits("DTR RTS OUT1 OUT2 loopback"))
_MSR = r.bits(*r.one_bits("ΔCTS ΔDSR TERI ΔDCD CTS DSR RI DCD"))
_FCR = r.bits(
    Bit(0, "FIFO"), Bit(1, "clear-receive"), Bit(2, "clear-transmit"), Bit(3, "DMA"),
    Bit(6, "trigger", 2, {0: "", 1: "4 bytes", 2: "8 bytes", 3: "14 bytes"}),
)  # fmt: skip


def _baud(value: int) -> str:
    return f"{_BASE_BAUD / value:.6g} baud at 1.8432 MHz" if value else "no divider set"


def _character(value: int) -> str:
    return f"'{chr(value)}'" if 0x20 <= value < 0x7F else ""


def _serial(item: Field, _: ExplainContext) -> None:
    divider, lcr = r.value_of(item, "divider"), r.value_of(item, "lcr")
    if divider is None or lcr is None:
        return
    parity = "N" if not lcr & 8 else "E" if lcr & 16 else "O"
    speed = f"{_BASE_BAUD / divider:.6g} baud" if divider else "no baud rate"
    r.add_meaning(item, f"{speed}, {5 + (lcr & 3)}{parity}{2 if lcr & 4 else 1}")


def _outer(item: Field, _: ExplainContext) -> None:
    for child in item.children:
        if child.vmsd == "serial":
            r.add_meaning(item, child.meaning)


_REGISTERS = Struct(
    "serial",
    {
        "divider": r.label("divisor latch", r.shown(_baud)),
        "rbr": r.label("RBR", r.shown(_character), r.say("byte received")),
        "ier": r.label("IER", _IER),
        "iir": r.label("IIR", _IIR),
        "lcr": r.label("LCR", _LCR),
        "mcr": r.label("MCR", _MCR),
        "lsr": r.label("LSR", _LSR),
        "msr": r.label("MSR", _MSR),
        "scr": r.label("SCR", r.say("scratch")),
        "fcr_vmstate": r.label("FCR", _FCR),
    },
    requires=("divider",),
    after=_serial,
)
_PL011_FLAGS = r.bits(
    Bit(0, "CTS"), Bit(3, "BUSY"), Bit(4, "RXFE"), Bit(5, "TXFF"), Bit(6, "RXFF"), Bit(7, "TXFE")
)
_PL011_INTERRUPTS = r.bits(*r.one_bits("RI CTS DCD DSR RX TX RT FE PE BE OE"))
_PL011 = Struct(
    "pl011",
    {
        "flags": r.label("UARTFR", _PL011_FLAGS),
        "lcr": r.label(
            "UARTLCR_H",
            r.bits(
                Bit(0, "break"),
                Bit(1, "parity"),
                Bit(2, "even"),
                Bit(3, "2-stop"),
                Bit(4, "FIFO"),
                Bit(5, "", 2, {0: "5 bits", 1: "6 bits", 2: "7 bits", 3: "8 bits"}),
                Bit(7, "stick"),
            ),
        ),
        "rsr": r.label("UARTRSR", r.bits(*r.one_bits("FE PE BE OE"))),
        "cr": r.label(
            "UARTCR",
            r.bits(
                Bit(0, "UARTEN"),
                Bit(1, "SIREN"),
                Bit(2, "SIRLP"),
                Bit(7, "LBE"),
                Bit(8, "TXE"),
                Bit(9, "RXE"),
                Bit(10, "DTR"),
                Bit(11, "RTS"),
                Bit(14, "RTSEn"),
                Bit(15, "CTSEn"),
            ),
        ),
        "dmacr": r.label("UARTDMACR"),
        "int_enabled": r.label("UARTIMSC", _PL011_INTERRUPTS),
        "int_level": r.label("UARTRIS", _PL011_INTERRUPTS),
        "read_fifo": r.say("receive FIFO"),
        "ilpr": r.label("UARTILPR"),
        "ibrd": r.label("UARTIBRD", r.say("integer baud rate divisor")),
        "fbrd": r.label("UARTFBRD", r.say("fractional baud rate divisor, 1/64")),
        "ifl": r.label("UARTIFLS"),
        "read_count": r.say("bytes in the receive FIFO"),
    },
)
STRUCTS = (
    _REGISTERS,
    Struct("serial", requires=("state",), after=_outer),
    Struct("serial-isa", after=_outer),
    Struct("pci-serial", after=_outer),
    Struct("serial/thr_ipending", {"thr_ipending": r.yes_no("transmit interrupt pending")}),
    Struct("serial/timeout_ipending", {"timeout_ipending": r.yes_no("timeout interrupt pending")}),
    Struct("serial/poll", {"poll_msl": r.say("modem status polling; -1 = off")}),
    _PL011,
    Struct(
        "parallel_isa",
        {
            "state.dataw": r.label("data written", r.shown(_character)),
            "state.status": r.bits(
                Bit(3, "ERROR#"), Bit(4, "SELECT"), Bit(5, "PAPER-OUT"), Bit(6, "ACK#"), Bit(7, "BUSY#")
            ),
            "state.control": r.bits(*r.one_bits("STROBE AUTO-LF INIT# SELECT-IN IRQ-enable BIDIR")),
        },
    ),
    Struct(
        "cmsdk-apb-uart",
        {
            "state": r.bits(*r.one_bits("TXFULL RXFULL TXOVERRUN RXOVERRUN")),
            "ctrl": r.bits(
                *r.one_bits("TX RX TX-interrupt RX-interrupt TX-overrun-ie RX-overrun-ie high-speed-test")
            ),
            "bauddiv": r.say("divides the clock for the baud rate"),
        },
    ),
    Struct("spapr_vty", {"buf": r.say("receive buffer"), "in": r.say("written"), "out": r.say("read")}),
)
