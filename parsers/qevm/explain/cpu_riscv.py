"""The RISC-V CPU: vmsd ``cpu`` (device-facts §4.5; target/riscv/machine.c)."""

from __future__ import annotations

from qevm.explain import rules as r
from qevm.explain.context import ExplainContext
from qevm.explain.rules import Bit, Rule, Struct
from qevm.field import Field

_GPR = (
    "zero", "ra", "sp", "gp", "tp", "t0", "t1", "t2", "s0", "s1", *(f"a{i}" for i in range(8)),
    *(f"s{i}" for i in range(2, 12)), "t3", "t4", "t5", "t6",
)  # fmt: skip
_FPR = (
    *(f"ft{i}" for i in range(8)), "fs0", "fs1", *(f"fa{i}" for i in range(8)),
    *(f"fs{i}" for i in range(2, 12)), "ft8", "ft9", "ft10", "ft11",
)  # fmt: skip
_PRIVILEGE = {0: "U (user)", 1: "S (supervisor)", 3: "M (machine)"}
_EXTENSION = {0: "", 1: "initial", 2: "clean", 3: "dirty"}
_WIDTHS = {1: "RV32", 2: "RV64", 3: "RV128"}
_STATUS = r.bits(
    Bit(1, "SIE"), Bit(3, "MIE"), Bit(5, "SPIE"), Bit(6, "UBE"), Bit(7, "MPIE"), Bit(8, "SPP"),
    Bit(9, "VS", 2, _EXTENSION), Bit(11, "MPP", 2, {0: "", 1: "S", 3: "M"}), Bit(13, "FS", 2, _EXTENSION),
    Bit(15, "XS", 2, _EXTENSION), Bit(17, "MPRV"), Bit(18, "SUM"), Bit(19, "MXR"), Bit(20, "TVM"),
    Bit(21, "TW"), Bit(22, "TSR"), Bit(32, "UXL", 2, {0: "", **{k: str(16 << k) for k in (1, 2, 3)}}),
    Bit(34, "SXL", 2, {0: "", **{k: str(16 << k) for k in (1, 2, 3)}}), Bit(36, "SBE"), Bit(37, "MBE"),
    Bit(38, "GVA"), Bit(39, "MPV"), Bit(63, "SD"),
)  # fmt: skip
_INTERRUPTS = r.bits(
    Bit(1, "SSI"), Bit(2, "VSSI"), Bit(3, "MSI"), Bit(5, "STI"), Bit(6, "VSTI"), Bit(7, "MTI"), Bit(9, "SEI"),
    Bit(10, "VSEI"), Bit(11, "MEI"), Bit(12, "SGEI"), Bit(13, "LCOFI"), empty="none",
)  # fmt: skip
_EXCEPTIONS = {
    0: "instruction address misaligned", 1: "instruction access fault", 2: "illegal instruction",
    3: "breakpoint", 4: "load address misaligned", 5: "load access fault", 6: "store address misaligned",
    7: "store access fault", 8: "ecall from U", 9: "ecall from S", 10: "ecall from VS", 11: "ecall from M",
    12: "instruction page fault", 13: "load page fault", 15: "store page fault",
    20: "instruction guest-page fault", 21: "load guest-page fault", 22: "virtual instruction",
    23: "store guest-page fault",
}  # fmt: skip
_INTERRUPT_CAUSES = {
    1: "supervisor software", 3: "machine software", 5: "supervisor timer", 7: "machine timer",
    9: "supervisor external", 11: "machine external", 12: "guest external", 13: "counter overflow",
}  # fmt: skip
_MODES = {0: "Bare", 8: "Sv39", 9: "Sv48", 10: "Sv57", 11: "Sv64"}


def _cause(item: Field, _: ExplainContext) -> None:
    """The top bit tells interrupts from exceptions.  0 is also the reset value."""
    value = r.unsigned(item)
    if value is None:
        return
    if value >> 63 & 1:
        code = value & 0xFFFFFFFF
        r.add_meaning(item, f"interrupt: {_INTERRUPT_CAUSES.get(code, f'code {code}')}")
    elif value:
        r.add_meaning(item, _EXCEPTIONS.get(value, f"code {value}"))


def translation(value: int, size: int = 8) -> str:
    """satp in words: mode, address space, page table.  ``size`` is 4 on RV32, else 8 bytes."""
    if size == 4:
        if not value >> 31:
            return "Bare: no translation"
        return f"Sv32, ASID {value >> 22 & 0x1FF}, root {(value & (1 << 22) - 1) << 12:#x}"
    mode = value >> 60
    if not mode:
        return "Bare: no translation"
    root = (value & (1 << 44) - 1) << 12
    return f"{_MODES.get(mode, f'mode {mode}')}, ASID {value >> 44 & 0xFFFF}, root {root:#x}"


def _translation(item: Field, _: ExplainContext) -> None:
    value = r.unsigned(item)
    if value is not None:
        r.add_meaning(item, translation(value, item.size))


def _letters(value: int) -> str:
    return " ".join(chr(ord("A") + i) for i in range(26) if value >> i & 1)


def _trap_vector(item: Field, _: ExplainContext) -> None:
    value = r.unsigned(item)
    if value:
        r.add_meaning(item, f"{value & ~3:#x}, {'vectored' if value & 1 else 'direct'}")


def _summary(item: Field, _: ExplainContext) -> None:
    pc, privilege = r.value_of(item, "env.pc"), r.value_of(item, "env.priv")
    where, satp = item.child("env.priv"), item.child("env.satp")
    if pc is None or privilege is None or where is None:
        return
    width = _WIDTHS.get(r.value_of(item, "env.misa_mxl") or 0, "")
    parts = [width, f"{_PRIVILEGE.get(privilege, 'bad')} mode", f"PC {pc:#x}"]
    if satp is not None:
        parts.append(translation(r.unsigned(satp) or 0, satp.size))
    text = ", ".join(part for part in parts if part)
    r.add_derived(item, r.derived("mode", where, text))
    r.add_meaning(item, text)


_CSR: dict[str, Rule] = {
    "mstatus": _STATUS, "mip": _INTERRUPTS, "mie": _INTERRUPTS, "mideleg": _INTERRUPTS, "sie": _INTERRUPTS,
    "mvien": _INTERRUPTS, "mvip": _INTERRUPTS, "miclaim": _INTERRUPTS, "satp": _translation,
    "stval": r.address, "mtval": r.address, "sepc": r.address, "mepc": r.address, "stvec": _trap_vector,
    "mtvec": _trap_vector, "scause": _cause, "mcause": _cause, "resetvec": r.address,
    "mhartid": r.say("hart number"), "sscratch": r.address, "mscratch": r.address,
    "medeleg": r.say("exceptions delegated to S mode"), "stimecmp": r.say("Sstc timer compare"),
    "scounteren": r.say("counters that U mode may read"),
    "mcounteren": r.say("counters that S mode may read"),
}  # fmt: skip
_HYPERVISOR: dict[str, Rule] = {
    "vsatp": _translation,
    "hgatp": r.address,
    "vsstatus": _STATUS,
    "mstatus_hs": _STATUS,
    "vscause": _cause,
    "scause_hs": _cause,
    "vstvec": _trap_vector,
    "stvec_hs": _trap_vector,
    "vsepc": r.address,
    "vstval": r.address,
    "satp_hs": _translation,
    "hideleg": _INTERRUPTS,
    "hstatus": r.bits(
        Bit(5, "VSBE"),
        Bit(6, "GVA"),
        Bit(7, "SPV"),
        Bit(8, "SPVP"),
        Bit(9, "HU"),
        Bit(20, "VTVM"),
        Bit(21, "VTW"),
        Bit(22, "VTSR"),
        Bit(32, "VSXL", 2, {0: "", 1: "32", 2: "64"}),
    ),
}


_PLAIN = (
    "hedeleg", "hcounteren", "htval", "htinst", "hgeie", "hgeip", "htimedelta", "vstimecmp", "hvictl",
    "vsscratch", "vsiselect", "mtval2", "mtinst", "sscratch_hs", "sepc_hs", "stval_hs", "hvien", "hvip",
    "vsie",
)  # fmt: skip


def _labelled(table: dict[str, Rule], *plain: str) -> dict[str, Rule]:
    named = {f"env.{name}": r.label(name) for name in plain}
    return named | {f"env.{name}": r.label(name, rule) for name, rule in table.items()}


def _pmp_entry(item: Field, _: ExplainContext) -> None:
    config, place = r.value_of(item, "cfg_reg"), r.value_of(item, "addr_reg")
    if config is None or place is None:
        return
    mode = {0: "off", 1: "TOR", 2: "NA4", 3: "NAPOT"}[config >> 3 & 3]
    rights = "".join(letter if config >> bit & 1 else "-" for bit, letter in enumerate("RWX"))
    r.add_meaning(item, f"{mode} {rights} {place << 2:#x}" if config else "off")


STRUCTS = (
    Struct(
        "cpu",
        {
            **_labelled(_CSR),
            "env.gpr": r.label("integer registers", r.names(*_GPR)),
            "env.fpr": r.label("floating-point registers", r.names(*_FPR)),
            "env.pc": r.label("pc", r.address),
            "env.priv": r.label("privilege", r.words(_PRIVILEGE)),
            "env.virt_enabled": r.label("V", r.yes_no("in a virtual machine", "not in a virtual machine")),
            "env.virt": r.label("V", r.yes_no("in a virtual machine", "not in a virtual machine")),
            "env.misa_mxl": r.words(_WIDTHS),
            "env.misa_ext": r.shown(_letters),
            "env.misa_ext_mask": r.shown(_letters),
            "env.load_res": r.both(
                r.address, r.shown(lambda n: "no reservation" if n == (1 << 64) - 1 else "")
            ),
            "env.badaddr": r.address,
        },
        requires=("env.misa_ext",),
        after=_summary,
    ),
    Struct("cpu/hyper", _labelled(_HYPERVISOR, *_PLAIN)),
    Struct("cpu/envcfg", {f"env.{name}": r.label(name) for name in ("menvcfg", "senvcfg", "henvcfg")}),
    Struct("cpu/pmp", {"env.pmp_state.pmp": r.label("PMP", r.numbered("entry {}"))}),
    Struct("cpu/pmp/entry", {"addr_reg": r.say("address >> 2")}, after=_pmp_entry),
    Struct(
        "cpu/vector",
        {"env.vl": r.label("vl"), "env.vtype": r.label("vtype"), "env.vstart": r.label("vstart")},
    ),
)
