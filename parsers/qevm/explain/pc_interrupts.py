"""Interrupt controllers of a PC: local APIC, I/O APIC, 8259 (device-facts §5)."""

from __future__ import annotations

from qevm.explain import rules as r
from qevm.explain.context import ExplainContext
from qevm.explain.rules import Bit, Rule, Struct
from qevm.field import Field

_DELIVERY = {
    0: "fixed", 1: "lowest priority", 2: "SMI", 3: "reserved", 4: "NMI", 5: "INIT", 6: "SIPI",
    7: "ExtINT",
}  # fmt: skip
_SHORTHAND = {0: "", 1: "self", 2: "all", 3: "all but self"}
_LVT_NAMES = ("timer", "thermal sensor", "performance counter", "LINT0", "LINT1", "error")
_TIMER_MODES = {0: "one-shot", 1: "periodic", 2: "TSC-deadline"}


def _lvt(timer: bool) -> Rule:
    table: tuple[Bit, ...] = (
        Bit(0, "vector", 8), Bit(8, "", 3, _DELIVERY), Bit(12, "pending"), Bit(13, "active-low"),
        Bit(14, "remote-IRR"), Bit(15, "level"), Bit(16, "masked"),
    )  # fmt: skip
    if timer:
        table = (
            Bit(0, "vector", 8),
            Bit(12, "pending"),
            Bit(16, "masked"),
            Bit(17, "", 2, _TIMER_MODES),
        )
    return r.bits(*table)


_APIC_BASE = r.bits(
    Bit(8, "BSP"),
    Bit(10, "x2APIC"),
    Bit(11, "enabled"),
    Bit(12, "page", 52, text="address >> 12", quiet=True),
)
_ESR = r.bits(
    Bit(0, "send-checksum"), Bit(1, "receive-checksum"), Bit(2, "send-accept"), Bit(3, "receive-accept"),
    Bit(4, "redirectable-IPI"), Bit(5, "send-illegal-vector"), Bit(6, "receive-illegal-vector"),
    Bit(7, "illegal-register"),
)  # fmt: skip
_ICR_LOW = r.bits(
    Bit(0, "vector", 8), Bit(8, "", 3, _DELIVERY), Bit(11, "logical"), Bit(12, "pending"),
    Bit(14, "assert"), Bit(15, "level"), Bit(18, "to", 2, _SHORTHAND),
)  # fmt: skip


_VECTOR_WORDS = tuple(f"vectors {32 * i}–{32 * i + 31}" for i in range(8))


def _vectors(word: str) -> Rule:
    return r.both(r.set_bits(f"{word}: vector", "none"), r.names(*_VECTOR_WORDS))


def _divide(value: int) -> str:
    code = value & 3 | value >> 1 & 4
    return "divide by 1" if code == 7 else f"divide by {2 << code}"


def _apic(item: Field, _: ExplainContext) -> None:
    spurious, base = r.value_of(item, "spurious_vec"), r.value_of(item, "apicbase")
    if spurious is None or base is None:
        return
    state = "enabled" if spurious >> 8 & 1 else "software-disabled"
    if not base >> 11 & 1:
        state = "disabled in apicbase"
    parts = [f"APIC {r.value_of(item, 'id')}", state]
    for name in ("isr", "irr"):
        field = item.child(name)
        numbers = [] if field is None else r.bit_numbers([r.number(c) or 0 for c in field.children])
        if numbers:
            parts.append(f"{'in service' if name == 'isr' else 'requested'} {r.listed(numbers)}")
    r.add_meaning(item, ", ".join(parts))


_REDIRECTION = (
    Bit(0, "vector", 8), Bit(8, "", 3, _DELIVERY), Bit(11, "logical"), Bit(12, "pending"),
    Bit(13, "active-low"), Bit(14, "remote-IRR"), Bit(15, "level"), Bit(16, "masked"),
    Bit(56, "destination", 8),
)  # fmt: skip


def _pins(word: str) -> Rule:
    return r.shown(lambda value: f"{word} {r.listed(r.bit_numbers([value]))}" if value else "none")


def _ioapic(item: Field, _: ExplainContext) -> None:
    table = item.child("ioredtbl")
    if table is not None:
        open_pins = [i for i, pin in enumerate(table.children) if not (r.number(pin) or 0) >> 16 & 1]
        r.add_meaning(item, f"pins {r.listed(open_pins)} unmasked" if open_pins else "all pins masked")


def _lines(word: str) -> Rule:
    """Eight lines of one controller; bit n is its line n."""
    return r.shown(lambda value: f"{word} {r.listed(r.bit_numbers([value], 8))}" if value else "none")


def _i8259(item: Field, context: ExplainContext) -> None:
    master = context.instance_id == 0
    irr, imr = r.value_of(item, "irr"), r.value_of(item, "imr")
    base, isr = r.value_of(item, "irq_base"), r.value_of(item, "isr")
    if irr is None or imr is None or base is None or isr is None:
        return
    start = 0 if master else 8
    parts = ["master" if master else "slave", f"IRQ {start}–{start + 7} → vectors {base:#x}–{base + 7:#x}"]
    for value, word in ((irr, "requested"), (isr, "in service"), (imr, "masked")):
        if value:
            parts.append(f"IRQ {r.listed(r.bit_numbers([value], 8, start))} {word}")
    r.add_meaning(item, ", ".join(parts))


STRUCTS = (
    Struct(
        "apic",
        {
            "apicbase": r.label("IA32_APIC_BASE", _APIC_BASE),
            "id": r.label("APIC ID"),
            "arb_id": r.label("arbitration ID"),
            "tpr": r.label("TPR", r.say("task priority")),
            "spurious_vec": r.label(
                "SVR",
                r.bits(Bit(0, "vector", 8), Bit(8, "APIC-enabled"), Bit(9, "focus-off"), Bit(12, "EOI-off")),
            ),
            "log_dest": r.label("LDR", r.say("logical destination")),
            "dest_mode": r.label("DFR", r.words({0xF: "flat model", 0: "cluster model"})),
            "isr": r.label("ISR", _vectors("in service")),
            "tmr": r.label("TMR", _vectors("level-triggered")),
            "irr": r.label("IRR", _vectors("requested")),
            "lvt": r.label(
                "LVT",
                r.names(
                    *(f"LVT {name}" for name in _LVT_NAMES),
                    rules={f"LVT {name}": _lvt(name == "timer") for name in _LVT_NAMES},
                ),
            ),
            "esr": r.label("ESR", _ESR),
            "icr": r.label(
                "ICR",
                r.names(
                    "ICR low",
                    "ICR high",
                    rules={"ICR low": _ICR_LOW, "ICR high": r.bits(Bit(24, "destination", 8))},
                ),
            ),
            "divide_conf": r.label("timer divide configuration", r.shown(_divide)),
            "count_shift": r.say("log2 of the divisor"),
            "initial_count": r.label("timer initial count"),
            "initial_count_load_time": r.moment,
            "next_time": r.moment,
            "timer_expiry": r.deadline,
        },
        after=_apic,
    ),
    Struct("apic/vapic", {"vapic_paddr": r.address}),
    Struct(
        "ioapic",
        {
            "id": r.label("I/O APIC ID"),
            "ioregsel": r.say("register selected"),
            "irr": r.label("IRR", _pins("pins requesting:")),
            "ioredtbl": r.label("redirection table", r.numbered("pin {}", rule=r.bits(*_REDIRECTION))),
        },
        after=_ioapic,
    ),
    Struct(
        "i8259",
        {
            "last_irr": _lines("lines high:"),
            "irr": r.label("IRR", _lines("requested: line")),
            "imr": r.label("IMR", _lines("masked: line")),
            "isr": r.label("ISR", _lines("in service: line")),
            "priority_add": r.say("line with the highest priority"),
            "irq_base": r.label(
                "vector base",
                r.words(
                    {
                        0x08: "as the BIOS sets it",
                        0x70: "as the BIOS sets it",
                        0x20: "as Linux and DOS extenders set it",
                        0x28: "protected-mode slave",
                        0x30: "as Linux sets the slave",
                    }
                ),
            ),
            "read_reg_select": r.yes_no("reads give ISR", "reads give IRR"),
            "init_state": r.shown(lambda n: "initialised" if n == 0 else f"waits for ICW{n + 1}"),
            "auto_eoi": r.yes_no("automatic EOI"),
            "elcr": r.label("ELCR", _lines("level-triggered: line")),
        },
        after=_i8259,
    ),
)
