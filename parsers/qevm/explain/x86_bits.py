"""Bits of the x86 registers by the names of Intel's and AMD's manuals (device-facts §4.1)."""

from __future__ import annotations

from qevm.explain import rules as r
from qevm.explain.rules import Bit

RFLAGS = (
    Bit(0, "CF", text="carry"), Bit(1, "bit 1", text="always 1", quiet=True),
    Bit(2, "PF", text="parity"),
    Bit(4, "AF", text="auxiliary carry"), Bit(6, "ZF", text="zero"), Bit(7, "SF", text="sign"),
    Bit(8, "TF", text="single-step trap"), Bit(9, "IF", text="interrupts enabled"),
    Bit(10, "DF", text="string direction down"), Bit(11, "OF", text="overflow"),
    Bit(12, "IOPL", 2), Bit(14, "NT", text="nested task"), Bit(16, "RF", text="resume"),
    Bit(17, "VM", text="virtual-8086"), Bit(18, "AC", text="alignment check"),
    Bit(19, "VIF"), Bit(20, "VIP"), Bit(21, "ID", text="CPUID available"),
)  # fmt: skip
CR0 = (
    Bit(0, "PE", text="protected mode"), Bit(1, "MP"), Bit(2, "EM"), Bit(3, "TS", text="task switched"),
    Bit(4, "ET"), Bit(5, "NE"), Bit(16, "WP", text="supervisor writes respect page protection"),
    Bit(18, "AM"), Bit(29, "NW"), Bit(30, "CD", text="cache disabled"), Bit(31, "PG", text="paging"),
)  # fmt: skip
CR4 = (
    *r.one_bits("VME PVI TSD DE PSE PAE MCE PGE PCE OSFXSR OSXMMEXCPT UMIP"),
    Bit(12, "LA57", text="5-level paging"), Bit(13, "VMXE"), Bit(14, "SMXE"), Bit(16, "FSGSBASE"),
    Bit(17, "PCIDE"), Bit(18, "OSXSAVE"), Bit(19, "KL"), Bit(20, "SMEP"), Bit(21, "SMAP"),
    Bit(22, "PKE"), Bit(23, "CET"), Bit(24, "PKS"), Bit(25, "UINTR"), Bit(28, "LAM_SUP"), Bit(32, "FRED"),
)  # fmt: skip
EFER = (
    Bit(0, "SCE", text="SYSCALL enabled"), Bit(8, "LME", text="long mode enabled"),
    Bit(10, "LMA", text="long mode active"), Bit(11, "NXE", text="no-execute pages"),
    Bit(12, "SVME", text="AMD virtualization"), Bit(13, "LMSLE"), Bit(14, "FFXSR"), Bit(15, "TCE"),
)  # fmt: skip
HFLAGS = (
    Bit(0, "CPL", 2), Bit(3, "INHIBIT_IRQ"), Bit(4, "CS32"), Bit(5, "SS32"), Bit(6, "ADDSEG"),
    Bit(7, "PE"), Bit(8, "TF"), Bit(9, "MP"), Bit(10, "EM"), Bit(11, "TS"), Bit(12, "IOPL", 2),
    Bit(14, "LMA"), Bit(15, "CS64"), Bit(16, "RF"), Bit(17, "VM"), Bit(18, "AC"), Bit(19, "SMM"),
    Bit(20, "SVME"), Bit(21, "GUEST", text="runs a nested SVM guest"), Bit(22, "OSFXSR"),
    Bit(23, "SMAP"), Bit(24, "IOBPT"), Bit(25, "MPX_EN"), Bit(26, "MPX_IU"), Bit(27, "UMIP"),
    Bit(28, "AVX_EN"),
)  # fmt: skip
HFLAGS2 = r.one_bits("GIF HIF NMI VINTR SMM_INSIDE_NMI MPX_PR NPT IGNNE VGIF")
FPU_CONTROL = (
    *r.one_bits("IM DM ZM OM UM PM"), Bit(6, "bit 6", text="always 1", quiet=True),
    Bit(8, "PC", 2, {0: "single", 2: "double", 3: "extended"}),
    Bit(10, "RC", 2, {0: "nearest", 1: "down", 2: "up", 3: "zero"}),
)  # fmt: skip
FPU_STATUS = (*r.one_bits("IE DE ZE OE UE PE SF ES C0 C1 C2"), Bit(11, "TOP", 3), *r.one_bits("C3 B", 14))
MXCSR = (
    *r.one_bits("IE DE ZE OE UE PE DAZ IM DM ZM OM UM PM"),
    Bit(13, "RC", 2, {0: "", 1: "down", 2: "up", 3: "zero"}), Bit(15, "FZ"),
)  # fmt: skip
DR6 = (
    *r.one_bits("B0 B1 B2 B3"), Bit(4, "fixed", 8, quiet=True), Bit(13, "BD"), Bit(14, "BS"), Bit(15, "BT"),
    Bit(16, "RTM", text="clear: in a transaction", quiet=True), Bit(17, "fixed", 15, quiet=True),
)  # fmt: skip
DR7 = (
    *r.one_bits("L0 G0 L1 G1 L2 G2 L3 G3 LE GE"), Bit(10, "fixed", quiet=True), Bit(13, "GD"),
    Bit(16, "R/W0", 2), Bit(18, "LEN0", 2), Bit(20, "R/W1", 2), Bit(22, "LEN1", 2),
    Bit(24, "R/W2", 2), Bit(26, "LEN2", 2), Bit(28, "R/W3", 2), Bit(30, "LEN3", 2),
)  # fmt: skip
XCR0 = (
    *r.one_bits("x87 SSE AVX BNDREG BNDCSR opmask ZMM_Hi256 Hi16_ZMM PT PKRU"),
    Bit(11, "CET_U"), Bit(12, "CET_S"), Bit(15, "LBR"), Bit(17, "XTILECFG"), Bit(18, "XTILEDATA"),
)  # fmt: skip
SEGMENT = (
    Bit(0, "base 23:16", 8, quiet=True), Bit(8, "A", text="accessed"),
    Bit(9, "R/W", text="code: readable, data: writable"),
    Bit(10, "C/E", text="code: conforming, data: expand down"), Bit(11, "code"),
    Bit(12, "S", text="code or data; clear: system segment"), Bit(13, "DPL", 2), Bit(15, "P", text="present"),
    Bit(16, "limit 19:16", 4, quiet=True), Bit(20, "AVL"), Bit(21, "L", text="64-bit code"),
    Bit(22, "D/B", text="32-bit default or big stack"),
    Bit(23, "G", text="limit counted in 4 KiB"), Bit(24, "base 31:24", 8, quiet=True),
)  # fmt: skip
SYSTEM_SEGMENTS = {
    1: "TSS16 available", 2: "LDT", 3: "TSS16 busy", 4: "call gate 16", 5: "task gate",
    6: "interrupt gate 16", 7: "trap gate 16", 9: "TSS available", 11: "TSS busy", 12: "call gate",
    14: "interrupt gate", 15: "trap gate",
}  # fmt: skip
EXCEPTIONS = {
    -1: "none", 0: "#DE divide error", 1: "#DB debug", 2: "NMI", 3: "#BP breakpoint", 4: "#OF overflow",
    5: "#BR bound range", 6: "#UD invalid opcode", 7: "#NM device not available", 8: "#DF double fault",
    10: "#TS invalid TSS", 11: "#NP segment not present", 12: "#SS stack fault",
    13: "#GP general protection", 14: "#PF page fault", 16: "#MF x87 error", 17: "#AC alignment check",
    18: "#MC machine check", 19: "#XM SIMD error", 20: "#VE virtualization", 21: "#CP control protection",
}  # fmt: skip
MEMORY_TYPES = {0: "UC", 1: "WC", 4: "WT", 5: "WP", 6: "WB", 7: "UC-"}
MP_STATES = {
    0: "runnable", 1: "uninitialised, waits for INIT", 2: "INIT received", 3: "halted",
    4: "SIPI received", 5: "stopped", 6: "check stop", 7: "operating", 8: "load",
}  # fmt: skip
