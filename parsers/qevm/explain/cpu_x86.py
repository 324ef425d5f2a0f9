"""The x86 CPU: vmsd ``cpu`` version 12 (device-facts §4.1; target/i386/machine.c)."""

from __future__ import annotations

import math

from qevm.explain import rules as r
from qevm.explain import x86_bits as x
from qevm.explain import x86_msrs
from qevm.explain.context import ExplainContext
from qevm.explain.rules import Bit, Struct
from qevm.field import Field

_GPR64 = ("RAX", "RCX", "RDX", "RBX", "RSP", "RBP", "RSI", "RDI", *(f"R{i}" for i in range(8, 16)))
_GPR32 = ("EAX", "ECX", "EDX", "EBX", "ESP", "EBP", "ESI", "EDI")
_SEGMENTS = ("ES", "CS", "SS", "DS", "FS", "GS")
_SELECTOR = (Bit(0, "RPL", 2), Bit(2, "TI", 1, {0: "GDT", 1: "LDT"}), Bit(3, "index", 13))


def _registers(item: Field, context: ExplainContext) -> None:
    """Hardware order, not alphabetical."""
    r.names(*(_GPR32 if item.type.startswith("uint32") else _GPR64))(item, context)


def _wide(name: str, *rules: r.Rule) -> r.Rule:
    """A register called R… on x86-64 and E… on i386."""

    def rule(item: Field, context: ExplainContext) -> None:
        r.rename(item, ("R" if item.size == 8 else "E") + name)
        for each in rules:
            each(item, context)

    return rule


def _segment(item: Field, context: ExplainContext) -> None:
    """Summary of a segment register's hidden part."""
    flags, base = r.value_of(item, "flags"), r.value_of(item, "base")
    limit, selector = r.value_of(item, "limit"), r.value_of(item, "selector")
    if flags is None or base is None or limit is None or selector is None:
        return
    r.add_meaning(item, f"{selector:04x} base {base:#x} limit {_limit(limit)}, {attributes(flags)}")


def _limit(limit: int) -> str:
    return "4 GiB" if limit == 0xFFFFFFFF else f"{limit:#x}"


def _table(item: Field, _: ExplainContext) -> None:
    """GDTR and IDTR have only a base and a limit."""
    base, limit = r.value_of(item, "base"), r.value_of(item, "limit")
    if base is not None and limit is not None:
        item.meaning = f"base {base:#x} limit {limit:#x}"


def attributes(flags: int) -> str:
    """The attributes of a descriptor's high dword in words."""
    if not flags >> 15 & 1:
        return "not present"
    level = f"DPL {flags >> 13 & 3}"
    kind = flags >> 8 & 0xF
    if not flags >> 12 & 1:
        return f"{level} {x.SYSTEM_SEGMENTS.get(kind, f'system type {kind}')}"
    if kind & 8:
        width = "64-bit" if flags >> 21 & 1 else "32-bit" if flags >> 22 & 1 else "16-bit"
        parts = [level, width, "code", "readable" if kind & 2 else "execute-only"]
        parts += ["conforming"] if kind & 4 else []
    else:
        parts = [level, "32-bit" if flags >> 22 & 1 else "16-bit", "data"]
        parts += ["writable" if kind & 2 else "read-only"]
        parts += ["expand-down"] if kind & 4 else []
    parts += ["accessed"] if kind & 1 else []
    return " ".join(parts)


def float80(mantissa: int, exponent: int) -> str:
    """An x87 80-bit number in decimal: 64-bit mantissa with explicit integer bit, sign + 15-bit exponent."""
    sign = "-" if exponent >> 15 else ""
    power = exponent & 0x7FFF
    if power == 0x7FFF:
        return f"{sign}infinity" if mantissa << 1 & ((1 << 64) - 1) == 0 else f"{sign}NaN"
    if not mantissa:
        return f"{sign}0.0"
    try:
        value = math.ldexp(mantissa, power - 16383 - 63)
    except OverflowError:
        return f"{sign}{mantissa:#x} × 2^{power - 16383 - 63}"
    return f"{sign}{value!r}" if value else f"{sign}{mantissa:#x} × 2^{power - 16383 - 63}"


def _fpu_register(item: Field, _: ExplainContext) -> None:
    """Mantissa and exponent lie in a ``tmp`` struct below."""
    inner = item.children[0] if item.children else item
    mantissa, exponent = r.value_of(inner, "tmp_mant"), r.value_of(inner, "tmp_exp")
    if mantissa is not None and exponent is not None:
        r.add_meaning(item, f"{float80(mantissa, exponent)} ({exponent:04x} {mantissa:016x})")


def _vector(item: Field, low: str, high: str) -> int | None:
    first, second = r.value_of(item, low), r.value_of(item, high)
    return None if first is None or second is None else second << 64 | first


def _xmm(item: Field, _: ExplainContext) -> None:
    value = _vector(item, "_q_ZMMReg[0]", "_q_ZMMReg[1]")
    if value is not None:
        r.add_meaning(item, f"{value:032x}")


def _ymm_high(item: Field, _: ExplainContext) -> None:
    value = _vector(item, "_q_ZMMReg[2]", "_q_ZMMReg[3]")
    if value is not None:
        r.add_meaning(item, f"{value:032x}")


def _mode(flags: int) -> str:
    """Operating mode from QEMU's cached hflags (device-facts §4.1)."""
    if flags >> 14 & 1:
        mode = "64-bit mode" if flags >> 15 & 1 else "compatibility mode"
    elif flags >> 17 & 1:
        mode = "virtual-8086 mode"
    elif flags >> 7 & 1:
        mode = f"{'32' if flags >> 4 & 1 else '16'}-bit protected mode"
    else:
        mode = "real mode"
    if flags >> 19 & 1:
        mode += ", in SMM"
    if flags >> 21 & 1:
        mode += ", in a nested guest"
    return mode


def _paging(cr0: int, cr4: int, efer: int) -> str:
    if not cr0 >> 31 & 1:
        return "paging off"
    if efer >> 10 & 1:
        return "5-level paging" if cr4 >> 12 & 1 else "4-level paging"
    return "PAE paging" if cr4 >> 5 & 1 else "32-bit paging"


def _summary(item: Field, context: ExplainContext) -> None:
    flags, ip = r.value_of(item, "env.hflags"), r.value_of(item, "env.eip")
    if flags is None or ip is None:
        return
    parts = [_mode(flags), f"CPL {flags & 3}"]
    cr0, cr4 = r.value_of(item, "env.cr[0]"), r.value_of(item, "env.cr[4]")
    if cr0 is not None and cr4 is not None:
        parts.append(_paging(cr0, cr4, r.value_of(item, "env.efer") or 0))
    segments = item.child("env.segs")
    code = segments.children[1] if segments is not None and len(segments.children) > 1 else None
    if code is not None:
        selector, base = r.value_of(code, "selector"), r.value_of(code, "base")
        if selector is not None and base is not None:
            parts.append(f"CS:IP {selector:04x}:{ip:x}" + (f" = {base + ip:#x} linear" if base else ""))
    where = item.child("env.hflags")
    if where is not None:
        groups = (*_ymm(item), *_stack(item))
        r.add_derived(item, r.derived("mode", where, ", ".join(parts)))
        r.append_derived(item, *groups)
    r.add_meaning(item, ", ".join(parts))


def _ymm(item: Field) -> list[Field]:
    """YMM registers put together from the two arrays that hold their halves."""
    low, high = item.child("env.xmm_regs[0]"), item.child("env.xmm_regs[1]")
    if low is None or high is None:
        return []
    group = []
    for i, (first, second) in enumerate(zip(low.children, high.children, strict=False)):
        a = _vector(first, "_q_ZMMReg[0]", "_q_ZMMReg[1]")
        b = _vector(second, "_q_ZMMReg[2]", "_q_ZMMReg[3]")
        if a is None or b is None:
            continue
        group.append(r.derived(f"YMM{i}", first, f"{b << 128 | a:064x}", children=[first, second]))
    return [r.derived("YMM registers", low, f"{len(group)} × 256 bit", children=group)] if group else []


def _stack(item: Field) -> list[Field]:
    """ST(0)…ST(7): the x87 registers counted from the top of the stack."""
    status, array = r.value_of(item, "env.fpus_vmstate"), item.child("env.fpregs")
    tags = r.value_of(item, "env.fptag_vmstate") or 0
    if status is None or array is None or len(array.children) != 8:
        return []
    top = status >> 11 & 7
    group = []
    for i in range(8):
        number = (top + i) & 7
        register = array.children[number]
        state = register.meaning if tags >> number & 1 else "empty"
        group.append(r.derived(f"ST({i})", register, state, children=[register]))
    used = r.plural(tags.bit_count(), "register")
    return [r.derived("x87 stack", array, f"TOP={top}, {used} in use", children=group)]


def _debug_registers(item: Field, context: ExplainContext) -> None:
    rules = {"DR6": r.bits(*x.DR6), "DR7": r.bits(*x.DR7)}
    r.names(*(f"DR{i}" for i in range(8)), rules=rules)(item, context)


_CPU = Struct(
    "cpu",
    {
        **x86_msrs.SYSTEM,
        "env.regs": r.label("general registers", _registers),
        "env.eip": _wide("IP", r.address),
        "env.eflags": _wide("FLAGS", r.bits(*x.RFLAGS)),
        "env.hflags": r.both(r.say("QEMU's cached mode bits"), r.bits(*x.HFLAGS)),
        "env.hflags2": r.bits(*x.HFLAGS2),
        "env.fpuc": r.label("FCW", r.bits(*x.FPU_CONTROL)),
        "env.fpus_vmstate": r.label("FSW", r.bits(*x.FPU_STATUS)),
        "env.fptag_vmstate": r.label(
            "FTW",
            r.shown(lambda n: f"in use: R{r.listed(r.bit_numbers([n], 8))}" if n else "all registers empty"),
        ),
        "env.fpregs_format_vmstate": r.say_if(0, "80-bit format"),
        "env.fpregs": r.label("x87 registers", r.numbered("FPR{}", rule=_fpu_register)),
        "env.segs": r.label("segment registers", r.names(*_SEGMENTS)),
        "env.ldt": r.label("LDT"),
        "env.tr": r.label("TR"),
        "env.gdt": r.label("GDT", _table),
        "env.idt": r.label("IDT", _table),
        "env.cr[0]": r.label("CR0", r.bits(*x.CR0)),
        "env.cr[2]": r.label("CR2", r.address, r.say("page fault address")),
        "env.cr[3]": r.label("CR3", r.address, r.say("page table root")),
        "env.cr[4]": r.label("CR4", r.bits(*x.CR4)),
        "env.dr": r.label("debug registers", _debug_registers),
        "env.a20_mask": r.label("A20 mask", r.shown(lambda n: "A20 on" if n >> 20 & 1 else "A20 off")),
        "env.mxcsr": r.label("MXCSR", r.bits(*x.MXCSR)),
        "env.xmm_regs[0]": r.label("XMM", r.say("low 128 bits"), r.numbered("XMM{}", rule=_xmm)),
        "env.xmm_regs[1]": r.label(
            "YMM high", r.say("high 128 bits"), r.numbered("YMM{} high", rule=_ymm_high)
        ),
        "env.efer": x86_msrs.msr("EFER", 0xC0000080, r.bits(*x.EFER)),
        "env.smbase": r.label("SMBASE", r.address, r.say_if(0x30000, "reset value")),
        "env.xcr0": r.label("XCR0", r.bits(*x.XCR0)),
        "env.xstate_bv": r.label("XSTATE_BV", r.bits(*x.XCR0)),
        "env.interrupt_injected": r.shown(
            lambda n: "no interrupt in injection" if n == 0xFFFFFFFF else f"vector {n}"
        ),
        "env.mp_state": r.words(x.MP_STATES),
        "env.exception_nr": r.words(x.EXCEPTIONS),
        "env.soft_interrupt": r.yes_no("software interrupt in injection"),
        "env.nmi_injected": r.yes_no("NMI in injection"),
        "env.nmi_pending": r.yes_no("NMI pending"),
        "env.has_error_code": r.yes_no("the exception has an error code"),
        "env.sipi_vector": r.shown(lambda n: f"starts at {n << 12:#x}" if n else ""),
    },
    requires=("env.eip",),
    after=_summary,
)
_SEGMENT = Struct(
    "segment",
    {
        "selector": r.bits(*_SELECTOR),
        "base": r.address,
        "limit": r.byte_count,
        "flags": r.both(r.bits(*x.SEGMENT), r.say("high dword of the descriptor")),
    },
    after=_segment,
)


STRUCTS = (
    _CPU,
    _SEGMENT,
    Struct("fpreg_tmp", {"tmp_mant": r.label("mantissa"), "tmp_exp": r.label("sign and exponent")}),
    *x86_msrs.SUBSECTIONS,
)
