"""The s390x CPU: vmsd ``cpu`` version 4 (device-facts §4.4; target/s390x/machine.c)."""

from __future__ import annotations

import datetime
import struct

from qevm.explain import rules as r
from qevm.explain.context import ExplainContext
from qevm.explain.rules import Bit, Rule, Struct
from qevm.explain.units import duration
from qevm.field import Field

_SPACES = {0: "primary space", 1: "access-register mode", 2: "secondary space", 3: "home space"}
PSW = (
    Bit(62, "PER"), Bit(58, "DAT", text="address translation"), Bit(57, "IO", text="I/O interrupts"),
    Bit(56, "EXT", text="external interrupts"), Bit(52, "key", 4), Bit(50, "mcheck"), Bit(49, "wait"),
    Bit(48, "problem", text="user mode"), Bit(46, "", 2, {**_SPACES, 0: ""}), Bit(44, "CC", 2),
    Bit(40, "program-mask", 4), Bit(39, "RI"), Bit(32, "EA"), Bit(31, "BA"),
)  # fmt: skip
_STATES = {0: "uninitialised", 1: "stopped", 2: "check-stop", 3: "operating", 4: "load"}
_CONTROL = {
    0: "control bits", 1: "primary ASCE", 2: "dispatchable-unit control", 3: "secondary keys",
    4: "primary ASN", 5: "primary ASTE", 6: "I/O interrupt subclasses", 7: "secondary ASCE",
    8: "secondary ASN, monitor masks", 9: "PER control", 10: "PER start", 11: "PER end",
    12: "trace entry", 13: "home ASCE", 14: "machine checks", 15: "linkage stack",
}  # fmt: skip
_TOD_EPOCH = datetime.datetime(1900, 1, 1, tzinfo=datetime.UTC)


def tod_date(value: int) -> str:
    """A TOD clock value: bit 51 counts microseconds since 1900."""
    try:
        moment = _TOD_EPOCH + datetime.timedelta(microseconds=value >> 12)
    except OverflowError:
        return "no date"
    return moment.strftime("%Y-%m-%d %H:%M:%S UTC")


def _clock_comparator(item: Field, _: ExplainContext) -> None:
    value = r.unsigned(item)
    if value is not None:
        off = value >> 52 == 0xFFF
        r.add_meaning(item, "far away: no timer set" if off else f"at TOD {duration((value >> 12) * 1000)}")


def _cpu_timer(item: Field, _: ExplainContext) -> None:
    value = r.unsigned(item)
    if value is not None:
        signed = value - (1 << 64) if value >> 63 else value
        microseconds = (abs(signed) >> 12) * 1000
        r.add_meaning(item, f"{duration(microseconds)} {'overdue' if signed < 0 else 'left'}")


def _summary(item: Field, _: ExplainContext) -> None:
    mask, address = r.value_of(item, "env.psw.mask"), r.value_of(item, "env.psw.addr")
    where, state = item.child("env.psw.mask"), item.child("env.cpu_state")
    if mask is None or address is None or where is None:
        return
    width = {0: "24-bit", 1: "31-bit", 3: "64-bit"}.get((mask >> 31) & 3, "bad addressing mode")
    parts = [width, "problem state" if mask >> 48 & 1 else "supervisor state"]
    if mask >> 58 & 1:
        parts.append("DAT on, " + _SPACES[mask >> 46 & 3])
    if mask >> 49 & 1:
        parts.append("waiting" if mask >> 48 & 0x302 else "disabled wait")
    parts.append(f"PSW address {address:#x}")
    if state is not None and state.meaning:
        parts.append(state.meaning)
    r.add_derived(item, r.derived("mode", where, ", ".join(parts)))
    r.add_meaning(item, ", ".join(parts))


def _float(item: Field, _: ExplainContext) -> None:
    value = r.unsigned(item)
    if value:
        r.add_meaning(item, f"{struct.unpack('>d', value.to_bytes(8, 'big'))[0]!r}")


def _halves(half: int) -> dict[str, Rule]:
    word = "high" if half == 0 else "low"
    return {f"env.vregs[{i}][{half}]": r.label(f"V{i} {word} half") for i in range(32)}


_FPR: dict[str, Rule] = {
    f"env.vregs[{i}][0]": r.label(f"F{i}", _float, r.say(f"high half of V{i}")) for i in range(16)
}
STRUCTS = (
    Struct(
        "cpu",
        {
            "env.regs": r.label(
                "general registers",
                r.names(
                    *(f"R{i}" for i in range(16)),
                    rules={"R14": r.say("return address"), "R15": r.say("stack pointer")},
                ),
            ),
            "env.psw.mask": r.label(
                "PSW mask", r.bits(*PSW), r.say("TCG does not save the current condition code")
            ),
            "env.psw.addr": r.label("PSW address", r.address),
            "env.psa": r.label("prefix", r.address),
            "env.todpr": r.label("TOD programmable register"),
            "env.cputm": r.label("CPU timer", _cpu_timer),
            "env.ckc": r.label("clock comparator", _clock_comparator),
            "env.gbea": r.label("breaking event address", r.address),
            "env.pp": r.label("program parameter"),
            "env.aregs": r.label("access registers", r.numbered("A{}")),
            "env.cregs": r.label(
                "control registers",
                r.names(
                    *(f"CR{i}" for i in range(16)),
                    rules={f"CR{number}": r.say(text) for number, text in _CONTROL.items()},
                ),
            ),
            "env.cpu_state": r.words(_STATES),
            "irqstate": r.say("interrupts pending in KVM; empty under TCG"),
        },
        requires=("env.psw.mask",),
        after=_summary,
    ),
    Struct("cpu/fpu", {**_FPR, "env.fpc": r.label("FPC")}, requires=("env.fpc",)),
    Struct("cpu/vregs", {**_halves(0), **_halves(1)}),
    Struct("cpu/etoken", {"env.etoken": r.label("etoken")}),
)
