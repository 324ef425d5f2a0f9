"""Other CPUs, plainly by register name: MIPS, SPARC, Alpha, OpenRISC, AVR, m68k, RX (target/*/machine.c)."""

from __future__ import annotations

from qevm.explain import rules as r
from qevm.explain.context import ExplainContext
from qevm.explain.rules import Bit, Struct
from qevm.field import Field

_MIPS = (
    "r0", "at", "v0", "v1", *(f"a{i}" for i in range(4)), *(f"t{i}" for i in range(8)),
    *(f"s{i}" for i in range(8)), "t8", "t9", "k0", "k1", "gp", "sp", "s8", "ra",
)  # fmt: skip
_MIPS_STATUS = r.bits(
    Bit(0, "IE"), Bit(1, "EXL"), Bit(2, "ERL"), Bit(3, "", 2, {0: "", 1: "supervisor", 2: "user"}),
    Bit(5, "UX"),
    Bit(6, "SX"), Bit(7, "KX"), Bit(8, "IM", 8), Bit(19, "NMI"), Bit(20, "SR"), Bit(21, "TS"), Bit(22, "BEV"),
    Bit(23, "PX"), Bit(24, "MX"), Bit(25, "RE"), Bit(26, "FR"), Bit(27, "RP"), Bit(28, "CU0"), Bit(29, "CU1"),
    Bit(30, "CU2"), Bit(31, "CU3"),
)  # fmt: skip
_MIPS_CAUSES = {
    0: "interrupt", 1: "TLB modification", 2: "TLB load", 3: "TLB store", 4: "address error load",
    5: "address error store", 6: "bus error fetch", 7: "bus error data", 8: "syscall", 9: "breakpoint",
    10: "reserved instruction", 11: "coprocessor unusable", 12: "overflow", 13: "trap", 15: "FPU",
    23: "watch", 24: "machine check",
}  # fmt: skip
_MIPS_CAUSE = r.bits(
    Bit(2, "exception", 5, {**_MIPS_CAUSES, 0: ""}), Bit(8, "IP", 8), Bit(22, "WP"), Bit(23, "IV"),
    Bit(26, "PCI"),
    Bit(27, "DC"), Bit(28, "CE", 2), Bit(30, "TI"), Bit(31, "BD"),
)  # fmt: skip
_CP0 = (
    "Index", "Random", "EntryLo0", "EntryLo1", "Context", "PageMask", "Wired", "HWREna", "BadVAddr", "Count",
    "EntryHi", "Compare", "IntCtl", "SRSCtl", "SRSMap", "PRid", "EBase", "LLAddr", "GlobalNumber",
    "MVPControl", "MVPConf0", "MVPConf1", *(f"Config{i}" for i in range(8)),
)  # fmt: skip
_ALPHA = (
    "v0", *(f"t{i}" for i in range(8)), *(f"s{i}" for i in range(6)), "fp", *(f"a{i}" for i in range(6)),
    "t8", "t9", "t10", "t11", "ra", "t12", "at", "gp", "sp",
)  # fmt: skip
_PSR = r.bits(
    Bit(0, "CWP", 5), Bit(5, "ET", text="traps enabled"), Bit(6, "PS"), Bit(7, "S", text="supervisor"),
    Bit(8, "PIL", 4),
    Bit(12, "EF"), Bit(13, "EC"), Bit(20, "C"), Bit(21, "V"), Bit(22, "Z"), Bit(23, "N"),
    Bit(24, "version", 4, quiet=True), Bit(28, "implementation", 4, quiet=True),
)  # fmt: skip


def _integer(item: Field) -> int | None:
    """The value of a field whose type the decoder keeps as bytes (psr, fsr, sreg, …)."""
    if isinstance(item.value, bytes) and 0 < len(item.value) <= 8:
        return int.from_bytes(item.value, "big")
    return r.unsigned(item)


def _bytes_as(rule: r.Rule) -> r.Rule:
    """Treat a raw register as the integer that its big-endian bytes are."""

    def apply(item: Field, context: ExplainContext) -> None:
        value = _integer(item)
        if value is not None:
            item.value = value
            rule(item, context)

    return apply


def _mips(item: Field, _: ExplainContext) -> None:
    thread = item.child("env.active_tc")
    pc = r.value_of(thread, "PC") if thread is not None else None
    status = r.value_of(item, "env.CP0_Status")
    if pc is not None and status is not None:
        kernel = status & 6 or not status >> 3 & 3
        r.add_meaning(item, f"{'kernel' if kernel else 'user'} mode, PC {pc & 0xFFFFFFFFFFFFFFFF:#x}")


def _sparc(item: Field, _: ExplainContext) -> None:
    """The registers of the current window: regbase holds nwindows × 16, o0–o7 of a window being i0–i7 of
    the next."""
    pc, psr, array = r.value_of(item, "env.pc"), item.child("psr"), item.child("env.regbase")
    status = _integer(psr) if psr is not None else None
    windows = r.value_of(item, "env.nwindows") or 0
    if pc is None or status is None:
        return
    r.add_meaning(item, f"{'supervisor' if status >> 7 & 1 else 'user'}, PC {pc:#x}, window {status & 31}")
    if array is None or not 0 < windows <= 32 or len(array.children) < 16 * windows:
        return
    start = 16 * (status & 31)
    names = [f"{group}{i}" for group in "oli" for i in range(8)]
    current = []
    for i, name in enumerate(names):
        source = array.children[(start + i) % (16 * windows)]
        current.append(Field(name, source.offset, source.size, source.type, source.value, role=source.role))
    r.add_derived(item, r.derived("current window", array, f"window {status & 31}", children=current))


STRUCTS = (
    Struct(
        "cpu",
        {
            **{f"env.CP0_{name}": r.label(f"CP0 {name}") for name in _CP0},
            "env.CP0_Status": r.label("CP0 Status", _MIPS_STATUS),
            "env.CP0_Cause": r.label("CP0 Cause", _MIPS_CAUSE),
            "env.CP0_EPC": r.label("CP0 EPC", r.address),
            "env.active_tc": r.label("registers"),
            "env.active_fpu": r.label("FPU"),
            "env.tlb": r.label("TLB"),
        },
        requires=("env.active_tc",),
        after=_mips,
    ),
    *(
        Struct(
            name,
            {
                "gpr": r.label("general registers", r.names(*_MIPS)),
                "PC": r.address,
                "HI": r.names("HI", "HI1", "HI2", "HI3"),
                "LO": r.names("LO", "LO1", "LO2", "LO3"),
            },
        )
        for name in ("cpu/tc", "cpu/inactive_tc")
    ),
    Struct("cpu/fpu", {"fpr": r.label("floating-point registers", r.numbered("f{}"))}, requires=("fcr31",)),
    Struct("cpu/inactive_fpu", {"fpr": r.label("floating-point registers", r.numbered("f{}"))}),
    Struct(
        "cpu",
        {
            "env.gregs": r.label("global registers", r.numbered("g{}")),
            "env.regbase": r.label("register windows", r.say("16 words a window: o0–o7, l0–l7")),
            "env.fpr": r.label("floating-point registers", r.numbered("f{}/2")),
            "env.pc": r.label("pc", r.address),
            "env.npc": r.label("npc", r.address),
            "env.y": r.label("y"),
            "psr": _bytes_as(_PSR),
            "fsr": _bytes_as(
                r.bits(
                    Bit(0, "cexc", 5),
                    Bit(5, "aexc", 5),
                    Bit(10, "fcc", 2),
                    Bit(14, "ftt", 3),
                    Bit(17, "version", 3, quiet=True),
                    Bit(22, "NS"),
                    Bit(23, "TEM", 5),
                    Bit(30, "RD", 2),
                )
            ),
            "env.tbr": r.label("tbr", r.say("trap base")),
            "env.wim": r.label("wim", r.say("windows that trap")),
            "env.mmuregs": r.label(
                "MMU registers",
                r.names("control", "context table", "context", "fault status", "fault address"),
            ),
        },
        requires=("env.npc",),
        after=_sparc,
    ),
    Struct(
        "env",
        {
            "ir": r.label("integer registers", r.names(*_ALPHA)),
            "fir": r.label("floating-point registers", r.numbered("f{}")),
            "pc": r.address,
            "flags": r.bits(Bit(0, "PAL", 8), Bit(8, "PS", 8), Bit(16, "RX", 8), Bit(24, "FEN", 8)),
            "shadow": r.label("PALcode shadow registers", r.numbered("shadow {}")),
        },
        requires=("palbr",),
    ),
    Struct(
        "env",
        {
            "shadow_gpr": r.label(
                "general registers", r.names(*(f"r{i}" for i in range(32))), r.say("16 sets of 32")
            ),
            "pc": r.address,
            "ppc": r.both(r.address, r.say("previous PC")),
            "sr": _bytes_as(r.bits(*r.one_bits("SM TEE IEE DCE ICE DME IME LEE CE F CY OV OVE DSX EPH FO"))),
        },
        requires=("shadow_gpr",),
    ),
    Struct(
        "cpu",
        {
            "env.pc_w": r.label("PC", r.say("counts 16-bit words")),
            "env.sp": r.label("SP", r.address),
            "env.r": r.label("general registers", r.numbered("r{}")),
            "env": r.label("SREG", _bytes_as(r.bits(*r.one_bits("C Z N V S H T I")))),
            "env.skip": r.yes_no("the next instruction is skipped"),
        },
        requires=("env.pc_w",),
    ),
    Struct(
        "cpu",
        {
            "env.dregs": r.label("data registers", r.numbered("D{}")),
            "env.aregs": r.label("address registers", r.numbered("A{}")),
            "env.pc": r.label("PC", r.address),
            "env.sr": r.label(
                "SR", r.bits(Bit(8, "IPL", 3), Bit(12, "M"), Bit(13, "S"), Bit(14, "T0"), Bit(15, "T1"))
            ),
        },
        requires=("env.dregs",),
    ),
)
