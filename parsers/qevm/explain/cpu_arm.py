"""The Arm CPU, AArch32 and AArch64: vmsd ``cpu`` version 22 (device-facts §4.2; target/arm/machine.c)."""

from __future__ import annotations

import struct

from qevm.explain import rules as r
from qevm.explain.arm_sysregs import register_name
from qevm.explain.context import ExplainContext
from qevm.explain.rules import Bit, Rule, Struct
from qevm.field import Field, LazyFields, Role

_MODES = {
    0x10: "usr", 0x11: "fiq", 0x12: "irq", 0x13: "svc", 0x16: "mon", 0x17: "abt", 0x1A: "hyp", 0x1B: "und",
    0x1F: "sys",
}  # fmt: skip
_CONDITIONS = (Bit(31, "N"), Bit(30, "Z"), Bit(29, "C"), Bit(28, "V"))
_PSTATE = r.bits(
    *_CONDITIONS,
    Bit(2, "", 2, {i: f"EL{i}" for i in range(4)}), Bit(0, "SP", 1, {0: "SP_EL0", 1: "SP_ELx"}),
    Bit(4, "AArch32"), Bit(6, "F"), Bit(7, "I"), Bit(8, "A"), Bit(9, "D"), Bit(10, "BTYPE", 2),
    Bit(12, "SSBS"),
    Bit(13, "ALLINT"), Bit(20, "IL"), Bit(21, "SS"), Bit(22, "PAN"), Bit(23, "UAO"), Bit(24, "DIT"),
    Bit(25, "TCO"),
)  # fmt: skip
_CPSR = r.bits(
    *_CONDITIONS, Bit(27, "Q"), Bit(0, "", 5, _MODES), Bit(5, "T"), Bit(6, "F"), Bit(7, "I"), Bit(8, "A"),
    Bit(9, "E"), Bit(10, "IT[7:2]", 6), Bit(16, "GE", 4), Bit(20, "IL"), Bit(21, "DIT"), Bit(22, "PAN"),
    Bit(23, "SSBS"), Bit(24, "J"), Bit(25, "IT[1:0]", 2),
)  # fmt: skip
_XPSR = r.bits(
    *_CONDITIONS, Bit(27, "Q"), Bit(0, "exception", 9), Bit(10, "IT[7:2]", 6), Bit(16, "GE", 4), Bit(24, "T"),
    Bit(25, "IT[1:0]", 2),
)  # fmt: skip
_SCTLR = r.bits(
    Bit(0, "M", text="MMU on"), Bit(1, "A"), Bit(2, "C", text="data cache"), Bit(3, "SA"), Bit(12, "I"),
    Bit(13, "V"), Bit(19, "WXN"), Bit(25, "EE", text="big-endian"),
)  # fmt: skip
_BANKS = ("USR/SYS", "SVC", "ABT", "UND", "IRQ", "FIQ", "HYP", "MON")
_EXCEPTION_CLASSES = {
    0x00: "unknown", 0x01: "WFI/WFE", 0x07: "FP/SIMD access", 0x0E: "illegal state", 0x11: "SVC (AArch32)",
    0x12: "HVC (AArch32)", 0x13: "SMC (AArch32)", 0x15: "SVC", 0x16: "HVC", 0x17: "SMC",
    0x18: "system register",
    0x20: "instruction abort from below", 0x21: "instruction abort", 0x22: "PC alignment",
    0x24: "data abort from below", 0x25: "data abort", 0x26: "SP alignment", 0x2F: "SError",
    0x30: "breakpoint from below", 0x31: "breakpoint", 0x3C: "BRK",
}  # fmt: skip
_ADDRESS_REGISTERS = ("TTBR", "VBAR", "ELR", "FAR", "PAR", "SP_EL", "DFAR", "IFAR", "VTTBR", "HPFAR")


def _program_status(item: Field, context: ExplainContext) -> None:
    """PSTATE, CPSR or XPSR share one field; the architecture decides (see ``_summary``)."""
    value = r.unsigned(item)
    if value is None:
        return
    if value & 0x10:
        r.rename(item, "CPSR")
        _CPSR(item, context)
    else:
        r.rename(item, "PSTATE")
        _PSTATE(item, context)


def _is_microcontroller(item: Field) -> bool:
    return any(child.name == "cpu/m" for child in item.children)


def _summary(item: Field, context: ExplainContext) -> None:
    status, pc = item.child("cpsr"), item.child("env.pc")
    value = r.unsigned(status) if status is not None else None
    if status is None or value is None:
        return
    off = r.value_of(item, "power_state")
    power = ", powered off" if off else ""
    if _is_microcontroller(item):
        status.meaning, status.children = "", ()
        r.rename(status, "XPSR")
        _XPSR(status, context)
        mode = "handler" if value & 0x1FF else "thread"
        text = f"M profile, {mode} mode, PC {_general(item, 15):#x}{power}"
    elif value & 0x10:
        text = f"AArch32 {_MODES.get(value & 0x1F, 'bad')} mode, PC {_general(item, 15):#x}{power}"
        _note(item, "env.xregs", "not used in AArch32")
    else:
        stack = "h" if value & 1 else "t"
        where = r.number(pc) or 0
        text = f"AArch64 EL{value >> 2 & 3}{stack}, PC {where:#x}{power}"
        _note(item, "env.regs", "AArch32 view: stale in AArch64")
    r.add_derived(item, r.derived("mode", status, text), *_system_registers(item))
    r.add_meaning(item, text)


def _note(item: Field, name: str, text: str) -> None:
    child = item.child(name)
    if child is not None:
        r.add_meaning(child, text)


def _general(item: Field, index: int) -> int:
    array = item.child("env.regs")
    if array is None or len(array.children) <= index:
        return 0
    return r.number(array.children[index]) or 0


def _system_registers(item: Field) -> list[Field]:
    """Indexes and values as one table, made line by line."""
    indexes, values = item.child("cpreg_vmstate_indexes"), item.child("cpreg_vmstate_values")
    if indexes is None or values is None:
        return []
    keys, found = indexes.children, values.children
    count = min(len(keys), len(found))

    def line(i: int) -> Field:
        value, index = found[i], r.unsigned(keys[i])
        entry = Field(
            register_name(index) if index is not None else f"register {i}", value.offset, value.size,
            value.type,
            value.value, "" if index is None else f"id {index:016x}", role=value.role,
        )  # fmt: skip
        _explain_register(entry)
        return entry

    table = LazyFields(count, line)
    return [r.derived("system registers", values, r.plural(count, "register"), children=table)]


def _explain_register(entry: Field) -> None:
    """What well-known system registers say."""
    value = r.unsigned(entry) or 0
    if entry.name.startswith("ESR_EL") and value:
        r.add_meaning(entry, _EXCEPTION_CLASSES.get(value >> 26 & 0x3F, f"class {value >> 26 & 0x3F:#x}"))
    elif entry.name.startswith("SCTLR"):
        r.add_meaning(entry, "MMU on" if value & 1 else "MMU off")
    elif entry.name.startswith("CNTFRQ"):
        r.add_meaning(entry, r.hertz(value) if value else "")
    elif entry.name.startswith(_ADDRESS_REGISTERS):
        entry.role = Role.ADDRESS


def _system_index(item: Field, _: ExplainContext) -> None:
    index = r.unsigned(item)
    if index is not None:
        r.add_meaning(item, register_name(index))


def _vector_register(number: int) -> Rule:
    """Two 64-bit words, low first: V register of AArch64, Q register of AArch32."""

    def rule(item: Field, _: ExplainContext) -> None:
        r.rename(item, f"V{number}")
        words = [r.unsigned(child) for child in item.children]
        if len(words) < 2 or words[0] is None or words[1] is None:
            return
        r.rename(item.children[0], f"D{2 * number}" if number < 16 else "low half")
        r.rename(item.children[1], f"D{2 * number + 1}" if number < 16 else "high half")
        text = f"{words[1]:016x}{words[0]:016x}"
        if number < 16:
            text = f"Q{number}; {text}"
        r.add_meaning(item, text)
        if any(words):
            low = struct.unpack("<d", words[0].to_bytes(8, "little"))[0]
            r.add_meaning(item.children[0], f"{low!r} as float64")

    return rule


_FPSCR = r.bits(
    *_CONDITIONS, Bit(27, "QC"), Bit(26, "AHP"), Bit(25, "DN"), Bit(24, "FZ"),
    Bit(22, "rounding", 2, {0: "", 1: "up", 2: "down", 3: "zero"}), Bit(19, "FZ16"), Bit(16, "LEN", 3),
    Bit(15, "IDE"), Bit(12, "IXE"), Bit(11, "UFE"), Bit(10, "OFE"), Bit(9, "DZE"), Bit(8, "IOE"),
    Bit(7, "IDC"),
    Bit(4, "IXC"), Bit(3, "UFC"), Bit(2, "OFC"), Bit(1, "DZC"), Bit(0, "IOC"),
)  # fmt: skip
_VFP: dict[str, Rule] = {f"env.vfp.zregs[{i}].d": _vector_register(i) for i in range(32)}
_VFP |= {
    "fpscr": r.label("FPSCR", _FPSCR),
    "fpcr_fpsr": _FPSCR,
    "env.vfp.xregs[0]": r.label("FPSID"),
    "env.vfp.xregs": r.names(
        *(
            {3: "MVFR2", 4: "MVFR1", 5: "MVFR0", 6: "FPEXC", 7: "FPINST", 8: "FPINST2"}.get(
                i, f"vfp.xregs[{i + 2}]"
            )
            for i in range(14)
        )
    ),
}
_CPU = Struct(
    "cpu",
    {
        "env.regs": r.label(
            "AArch32 registers",
            r.names(*(f"R{i}" for i in range(13)), "SP", "LR", "PC"),
            r.say("R13 SP, R14 LR, R15 PC"),
        ),
        "env.xregs": r.label("AArch64 registers", r.names(*(f"X{i}" for i in range(31)), "SP")),
        "env.pc": r.label("PC", r.address),
        "cpsr": _program_status,
        "env.spsr": r.label("SPSR", r.say("of the current AArch32 mode")),
        "env.banked_spsr": r.names(*(f"SPSR_{bank}" for bank in _BANKS)),
        "env.banked_r13": r.names(*(f"SP_{bank}" for bank in _BANKS)),
        "env.banked_r14": r.names(*(f"LR_{bank}" for bank in _BANKS)),
        "env.usr_regs": r.names(*(f"R{i}_usr" for i in range(8, 13))),
        "env.fiq_regs": r.names(*(f"R{i}_fiq" for i in range(8, 13))),
        "env.elr_el": r.names(*(f"ELR_EL{i}" for i in range(4)), rule=r.address),
        "env.sp_el": r.names(*(f"SP_EL{i}" for i in range(4)), rule=r.address),
        "cpreg_vmstate_array_len": r.say("system registers in the two arrays"),
        "cpreg_vmstate_indexes": r.each(_system_index),
        "env.exclusive_addr": r.both(
            r.address, r.shown(lambda n: "monitor open" if n == (1 << 64) - 1 else "monitored")
        ),
        "env.exception.syndrome": r.say("ESR of the exception in delivery"),
        "env.exception.vaddress": r.address,
        "power_state": r.words({0: "on", 1: "off (PSCI)", 2: "being turned on (PSCI)"}),
    },
    requires=("cpreg_vmstate_array_len",),
    after=_summary,
)
_CONTROL = r.bits(Bit(0, "nPRIV"), Bit(1, "SPSEL"), Bit(2, "FPCA"), Bit(3, "SFPA"))
STRUCTS = (
    _CPU,
    Struct("cpu/vfp", _VFP),
    Struct(
        "cpu/irq-line-state",
        {"env.irq_line_state": r.bits(Bit(1, "IRQ"), Bit(6, "FIQ"), empty="no line raised")},
    ),
    Struct(
        "cpu/m",
        {
            "env.v7m.vecbase[M_REG_NS]": r.label("VTOR", r.address),
            "env.v7m.basepri[M_REG_NS]": r.label("BASEPRI"),
            "env.v7m.control[M_REG_NS]": r.label("CONTROL", _CONTROL),
            "env.v7m.ccr[M_REG_NS]": r.label("CCR"),
            "env.v7m.cfsr[M_REG_NS]": r.label("CFSR", r.yes_no("a fault is recorded")),
            "env.v7m.hfsr": r.label("HFSR"),
            "env.v7m.dfsr": r.label("DFSR"),
            "env.v7m.mmfar[M_REG_NS]": r.label("MMFAR", r.address),
            "env.v7m.bfar": r.label("BFAR", r.address),
            "env.v7m.mpu_ctrl[M_REG_NS]": r.label("MPU_CTRL"),
            "env.v7m.exception": r.label("IPSR", r.shown(lambda n: f"exception {n}" if n else "thread mode")),
        },
    ),
    Struct(
        "cpu/m/faultmask-primask",
        {
            "env.v7m.faultmask[M_REG_NS]": r.label("FAULTMASK"),
            "env.v7m.primask[M_REG_NS]": r.label("PRIMASK"),
        },
    ),
    Struct(
        "cpu/m/other-sp",
        {"env.v7m.other_sp": r.label("other SP", r.address, r.say("the stack not in use, MSP or PSP"))},
    ),
    Struct(
        "cpu/m/scr",
        {
            "env.v7m.scr[M_REG_NS]": r.label(
                "SCR", r.bits(Bit(1, "SLEEPONEXIT"), Bit(2, "SLEEPDEEP"), Bit(4, "SEVONPEND"))
            )
        },
    ),
    Struct("cpu/thumb2ee", {"env.teecr": r.label("TEECR"), "env.teehbr": r.label("TEEHBR")}),
    Struct(
        "cpu/sve", {"env.vfp.zregs": r.numbered("Z{} above 128 bits"), "env.vfp.pregs": r.numbered("P{}")}
    ),
    Struct("cpu/serror", {"env.serror.pending": r.yes_no("SError pending")}),
)
