"""The PowerPC CPU, 32 and 64 bit: vmsd ``cpu`` version 5 (device-facts §4.3; target/ppc/machine.c)."""

from __future__ import annotations

import struct

from qevm.explain import rules as r
from qevm.explain.context import ExplainContext
from qevm.explain.rules import Bit, Rule, Struct
from qevm.field import Field

SPR = {
    1: "XER", 3: "DSCR (user)", 8: "LR", 9: "CTR", 13: "AMR (user)", 17: "DSCR", 18: "DSISR", 19: "DAR",
    22: "DEC", 25: "SDR1", 26: "SRR0", 27: "SRR1", 28: "CFAR", 29: "AMR", 48: "PID", 61: "IAMR",
    80: "EIE", 81: "EID", 128: "TFHAR", 129: "TFIAR", 130: "TEXASR", 131: "TEXASRU", 136: "CTRL (read)",
    152: "CTRL", 153: "FSCR", 157: "UAMOR", 159: "PSPB", 176: "DPDES", 180: "DAWR0", 186: "RPR",
    187: "CIABR", 188: "DAWRX0", 190: "HFSCR", 256: "VRSAVE", 259: "SPRG3 (user)", 268: "TBL", 269: "TBU",
    272: "SPRG0", 273: "SPRG1", 274: "SPRG2", 275: "SPRG3", 276: "SPRG4", 277: "SPRG5", 278: "SPRG6",
    279: "SPRG7", 282: "EAR", 284: "TBL (write)", 285: "TBU (write)", 286: "TBU40", 287: "PVR", 304: "HSPRG0",
    305: "HSPRG1", 306: "HDSISR", 307: "HDAR", 308: "SPURR", 309: "PURR", 310: "HDEC", 312: "RMOR",
    313: "HRMOR", 314: "HSRR0", 315: "HSRR1", 318: "LPCR", 319: "LPIDR", 336: "HMER", 337: "HMEER",
    338: "PCR", 339: "HEIR", 349: "AMOR", 446: "TIR", 464: "PTCR", 528: "IBAT0U", 529: "IBAT0L",
    530: "IBAT1U", 531: "IBAT1L", 532: "IBAT2U", 533: "IBAT2L", 534: "IBAT3U", 535: "IBAT3L",
    536: "DBAT0U", 537: "DBAT0L", 538: "DBAT1U", 539: "DBAT1L", 540: "DBAT2U", 541: "DBAT2L",
    542: "DBAT3U", 543: "DBAT3L", 560: "IBAT4U", 561: "IBAT4L", 562: "IBAT5U", 563: "IBAT5L",
    564: "IBAT6U", 565: "IBAT6L", 566: "IBAT7U", 567: "IBAT7L", 568: "DBAT4U", 569: "DBAT4L",
    570: "DBAT5U", 571: "DBAT5L", 572: "DBAT6U", 573: "DBAT6L", 574: "DBAT7U", 575: "DBAT7L",
    768: "SIER (user)", 769: "MMCR2 (user)", 770: "MMCRA (user)", 779: "MMCR0 (user)", 784: "SIER",
    785: "MMCR2", 786: "MMCRA", 787: "PMC1", 788: "PMC2", 789: "PMC3", 790: "PMC4", 791: "PMC5",
    792: "PMC6", 795: "MMCR0", 796: "SIAR", 797: "SDAR", 798: "MMCR1", 800: "BESCRS", 804: "EBBHR",
    805: "EBBRR", 806: "BESCR", 815: "TAR", 816: "ASDR", 823: "PSSCR", 848: "IC", 849: "VTB",
    855: "PSSCR (hypervisor)", 880: "ACTR", 896: "PPR", 898: "PPR32", 952: "MMCR0 (74xx)",
    980: "PTEHI", 981: "PTELO", 1008: "HID0", 1009: "HID1", 1010: "IABR", 1011: "HID2/ICTRL",
    1012: "HID4", 1013: "DABR", 1014: "MSSCR0", 1015: "DABRX", 1016: "LDSTCR", 1017: "L2CR",
    1018: "L3CR", 1019: "ICTC", 1020: "THRM1", 1021: "THRM2", 1022: "THRM3", 1023: "PIR",
}  # fmt: skip
"""Special purpose registers of Book3S processors by number (Power ISA 3.1 §5.4.4, 74xx manual)."""

_MSR = (
    Bit(63, "SF", text="64-bit mode"), Bit(60, "HV", text="hypervisor"), Bit(33, "TS-transactional"),
    Bit(34, "TS-suspended"), Bit(32, "TM"), Bit(25, "VEC"), Bit(23, "VSX"), Bit(18, "POW"), Bit(17, "TGPR"),
    Bit(16, "ILE"), Bit(15, "EE", text="external interrupts"), Bit(14, "PR", text="user mode"),
    Bit(13, "FP"), Bit(12, "ME"), Bit(11, "FE0"), Bit(10, "SE"), Bit(9, "BE"), Bit(8, "FE1"), Bit(6, "EP"),
    Bit(5, "IR"), Bit(4, "DR"), Bit(2, "PMM"), Bit(1, "RI"), Bit(0, "LE", text="little-endian"),
)  # fmt: skip
_LPCR = (
    Bit(63, "VPM0"), Bit(62, "VPM1"), Bit(61, "ISL"), Bit(60, "KBV"), Bit(52, "DPFD", 3), Bit(25, "ILE"),
    Bit(23, "AIL", 2), Bit(22, "UPRT"), Bit(21, "EVIRT"), Bit(20, "HR"), Bit(18, "ONL"), Bit(17, "LD"),
    Bit(12, "PECE", 5), Bit(11, "MER"), Bit(10, "GTSE"), Bit(9, "TC"), Bit(4, "HEIC"), Bit(3, "LPES0"),
    Bit(2, "LPES1"), Bit(1, "HVICE"), Bit(0, "HDICE"),
)  # fmt: skip
_XER = (Bit(31, "SO"), Bit(30, "OV"), Bit(29, "CA"), Bit(19, "OV32"), Bit(18, "CA32"), Bit(0, "count", 7))
_PVR = {
    0x0008: "7xx (G3)", 0x000C: "7400 (G4)", 0x0039: "970", 0x003C: "970FX", 0x0044: "970MP",
    0x003F: "POWER7",
    0x004A: "POWER7+", 0x004B: "POWER8E", 0x004C: "POWER8NVL", 0x004D: "POWER8", 0x004E: "POWER9",
    0x0080: "POWER10", 0x0082: "POWER11", 0x0003: "603", 0x0004: "604", 0x8000: "7441/7450", 0x8001: "7455",
    0x8002: "7447/7457", 0x0009: "604E",
}  # fmt: skip
_GPR_ROLES = {1: "stack pointer", 2: "TOC pointer", 13: "thread pointer, PACA in the kernel"}
_POINTERS = {8, 19, 26, 28, 128, 129, 180, 314, 815}


def _general(item: Field, _: ExplainContext) -> None:
    def named(index: int, child: Field) -> Field:
        r.rename(child, f"r{index}")
        r.add_meaning(child, _GPR_ROLES.get(index, ""))
        return child

    r.update_each(item, named)


def _condition(item: Field, _: ExplainContext) -> None:
    """CR0…CR7, each 4 bits in a word of its own; the summary is the 32-bit CR."""
    total = 0

    def named(index: int, child: Field) -> Field:
        nonlocal total
        r.rename(child, f"CR{index}")
        value = r.unsigned(child) or 0
        total |= (value & 0xF) << (28 - 4 * index)
        flags = [name for bit, name in ((8, "LT"), (4, "GT"), (2, "EQ"), (1, "SO")) if value & bit]
        r.add_meaning(child, " ".join(flags))
        return child

    r.update_each(item, named)
    r.rename(item, "CR")
    r.add_meaning(item, f"{total:08x}")


def _special(item: Field, context: ExplainContext) -> None:
    """1024 special purpose registers by number; most do not exist and are 0."""

    def named(index: int, child: Field) -> Field:
        r.rename(child, SPR.get(index, f"SPR {index}"))
        if index == 1:
            r.bits(*_XER)(child, context)
        elif index == 318:
            r.bits(*_LPCR)(child, context)
        elif index == 287:
            r.add_meaning(child, _PVR.get((r.unsigned(child) or 0) >> 16, ""))
        elif index in (27, 315):
            r.bits(*_MSR)(child, context)
        elif index in _POINTERS:
            r.address(child, context)
        if index in SPR:
            r.add_meaning(child, f"SPR {index}")
        return child

    r.update_each(item, named)


def _summary(item: Field, _: ExplainContext) -> None:
    nip, msr = r.value_of(item, "env.nip"), r.value_of(item, "env.msr")
    array, where = item.child("env.spr"), item.child("env.msr")
    if nip is None or msr is None or where is None:
        return
    parts = ["64-bit" if msr >> 63 & 1 else "32-bit", "little-endian" if msr & 1 else "big-endian"]
    parts.append("user" if msr >> 14 & 1 else "hypervisor" if msr >> 60 & 1 else "supervisor")
    parts.append("translation on" if msr & 0x20 else "real mode")
    parts.append(f"NIP {nip:#x}")
    r.add_derived(item, r.derived("mode", where, ", ".join(parts)), *_named(array))
    r.add_meaning(item, ", ".join(parts))


def _named(array: Field | None) -> list[Field]:
    """The SPRs that have a name and are not zero, in front of the thousand others."""
    if array is None:
        return []
    children = array.children
    known = [number for number in sorted(SPR) if number < len(children)]
    live = [children[n] for n in known if children[n].value or n in (1, 8, 9)]
    return [
        r.derived("special purpose registers in use", array, r.plural(len(live), "register"), children=live)
    ]


def _float(item: Field, _: ExplainContext) -> None:
    """An FPR: the 64 bits of an IEEE double (type fpr); VSR low halves alike."""
    data = (
        item.value.to_bytes(8, "big")
        if isinstance(item.value, int) and 0 <= item.value < 1 << 64
        else item.value
    )
    if isinstance(data, bytes) and len(data) == 8:
        value = struct.unpack(">d", data)[0]
        r.add_meaning(item, f"{value!r}")


def _slb_entry(item: Field, _: ExplainContext) -> None:
    """esid then vsid, be64 each."""
    data = item.value
    if isinstance(data, bytes) and len(data) == 16:
        esid, vsid = int.from_bytes(data[:8], "big"), int.from_bytes(data[8:], "big")
        valid = "valid" if esid >> 27 & 1 else "empty"
        r.add_meaning(item, f"{valid}, ESID {esid:#x} VSID {vsid:#x}" if esid or vsid else "empty")


def _vector(item: Field, _: ExplainContext) -> None:
    if isinstance(item.value, bytes):
        r.add_meaning(item, item.value.hex())


_ACCESS: dict[str, Rule] = {
    "env.gpr": r.label("general registers", _general),
    "env.gprh": r.label("SPE high halves", r.numbered("r{} high")),
    "env.crf": _condition,
    "env.nip": r.label("NIP", r.address, r.say("program counter")),
    "env.spr": r.label("SPR", _special),
    "env.msr": r.label("MSR", r.bits(*_MSR)),
    "env.reserve_addr": r.both(
        r.address,
        r.shown(lambda n: "no reservation" if n in ((1 << 64) - 1, (1 << 32) - 1) else "reserved line"),
    ),
    "env.xer": r.label("XER", r.bits(*_XER)),
}
STRUCTS = (
    Struct("cpu", _ACCESS, requires=("env.nip",), after=_summary),
    Struct(
        "cpu/fpu",
        {
            "env.vsr": r.label("floating-point registers", r.numbered("f{}", rule=_float)),
            "env.fpscr": r.label("FPSCR"),
        },
        requires=("env.fpscr",),
    ),
    Struct(
        "cpu/altivec",
        {"env.vsr": r.label("vector registers", r.numbered("v{}", rule=_vector)), "vscr": r.label("VSCR")},
    ),
    Struct("cpu/vsx", {"env.vsr": r.label("VSX low halves", r.numbered("vs{} low", rule=_float))}),
    Struct("cpu/slb", {"env.slb": r.label("SLB", r.numbered("entry {}", rule=_slb_entry))}),
    Struct("cpu/sr", {"env.sr": r.label("segment registers", r.numbered("SR{}"))}),
    Struct("cpu/bhrb", {"env.bhrb": r.label("branch history", r.numbered("entry {}", rule=r.address))}),
    Struct("cpu/tm", after=lambda item, _: r.add_meaning(item, "a transaction is in progress")),
)
