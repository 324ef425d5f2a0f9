"""Names of the Arm system registers in ``cpreg_vmstate_indexes`` (device-facts §4.2; Arm ARM).

An index is KVM's 64-bit register id.  AArch64: ``6030 0000 0013 xxxx`` with xxxx = op0<<14 | op1<<11 |
CRn<<7 | CRm<<3 | op2.  AArch32: ``4020 …`` (32-bit) or ``4030 …`` (64-bit), then NS<<29 | coprocessor<<16 |
CRn<<11 | CRm<<7 | opc1<<3 | opc2.
"""

from __future__ import annotations

_EL1 = {
    (0, 0, 0): "MIDR", (0, 0, 5): "MPIDR", (0, 0, 6): "REVIDR",
    (1, 0, 0): "SCTLR", (1, 0, 1): "ACTLR", (1, 0, 2): "CPACR", (1, 0, 3): "SCTLR2", (1, 0, 5): "RGSR",
    (1, 0, 6): "GCR", (1, 2, 0): "ZCR", (1, 2, 1): "TRFCR", (1, 2, 4): "SMPRI", (1, 2, 6): "SMCR",
    (2, 0, 0): "TTBR0", (2, 0, 1): "TTBR1", (2, 0, 2): "TCR", (2, 0, 3): "TCR2",
    (2, 1, 0): "APIAKeyLo", (2, 1, 1): "APIAKeyHi", (2, 1, 2): "APIBKeyLo", (2, 1, 3): "APIBKeyHi",
    (2, 2, 0): "APDAKeyLo", (2, 2, 1): "APDAKeyHi", (2, 2, 2): "APDBKeyLo", (2, 2, 3): "APDBKeyHi",
    (2, 3, 0): "APGAKeyLo", (2, 3, 1): "APGAKeyHi", (2, 5, 0): "GCSCR", (2, 5, 1): "GCSPR",
    (2, 5, 2): "GCSCRE0", (4, 0, 0): "SPSR", (4, 0, 1): "ELR", (4, 1, 0): "SP_EL0", (4, 2, 0): "SPSel",
    (4, 3, 0): "ALLINT", (4, 6, 0): "ICC_PMR", (5, 1, 0): "AFSR0", (5, 1, 1): "AFSR1", (5, 2, 0): "ESR",
    (5, 3, 0): "ERRIDR", (5, 3, 1): "ERRSELR", (5, 6, 0): "TFSR", (6, 0, 0): "FAR", (7, 4, 0): "PAR",
    (9, 14, 1): "PMINTENSET", (9, 14, 2): "PMINTENCLR", (9, 14, 6): "PMMIR", (10, 2, 0): "MAIR",
    (10, 2, 1): "MAIR2", (10, 2, 2): "PIRE0", (10, 2, 3): "PIR", (10, 3, 0): "AMAIR",
    (10, 3, 1): "AMAIR2", (10, 4, 0): "LORSA", (10, 4, 1): "LOREA", (10, 4, 2): "LORN",
    (10, 4, 3): "LORC", (10, 4, 7): "LORID", (12, 0, 0): "VBAR", (12, 0, 1): "RVBAR", (12, 0, 2): "RMR",
    (12, 1, 0): "ISR", (12, 1, 1): "DISR", (12, 12, 5): "ICC_SRE", (12, 12, 6): "ICC_IGRPEN0",
    (12, 12, 7): "ICC_IGRPEN1", (13, 0, 1): "CONTEXTIDR", (13, 0, 4): "TPIDR", (13, 0, 7): "SCXTNUM",
    (14, 1, 0): "CNTKCTL",
}  # fmt: skip
_EL2 = {
    (0, 0, 0): "VPIDR", (0, 0, 5): "VMPIDR", (1, 0, 0): "SCTLR", (1, 0, 1): "ACTLR", (1, 0, 3): "SCTLR2",
    (1, 1, 0): "HCR", (1, 1, 1): "MDCR", (1, 1, 2): "CPTR", (1, 1, 3): "HSTR", (1, 1, 4): "HFGRTR",
    (1, 1, 5): "HFGWTR", (1, 1, 6): "HFGITR", (1, 1, 7): "HACR", (1, 2, 0): "ZCR", (1, 2, 1): "TRFCR",
    (1, 2, 2): "HCRX", (1, 2, 5): "SMPRIMAP", (1, 2, 6): "SMCR", (2, 0, 0): "TTBR0", (2, 0, 1): "TTBR1",
    (2, 0, 2): "TCR", (2, 0, 3): "TCR2", (2, 1, 0): "VTTBR", (2, 1, 2): "VTCR", (2, 2, 0): "VNCR",
    (2, 5, 0): "GCSCR", (2, 5, 1): "GCSPR", (2, 6, 0): "VSTTBR", (2, 6, 2): "VSTCR",
    (3, 0, 0): "DACR32", (3, 1, 4): "HDFGRTR", (3, 1, 5): "HDFGWTR", (4, 0, 0): "SPSR", (4, 0, 1): "ELR",
    (5, 0, 1): "IFSR32", (5, 1, 0): "AFSR0", (5, 1, 1): "AFSR1", (5, 2, 0): "ESR", (5, 2, 3): "VSESR",
    (5, 3, 0): "FPEXC32", (5, 6, 0): "TFSR", (6, 0, 0): "FAR", (6, 0, 4): "HPFAR",
    (10, 2, 0): "MAIR", (10, 3, 0): "AMAIR", (12, 0, 0): "VBAR", (12, 0, 1): "RVBAR", (12, 0, 2): "RMR",
    (12, 1, 1): "VDISR", (13, 0, 1): "CONTEXTIDR", (13, 0, 2): "TPIDR", (13, 0, 7): "SCXTNUM",
    (14, 0, 3): "CNTVOFF", (14, 0, 6): "CNTPOFF", (14, 1, 0): "CNTHCTL", (14, 2, 0): "CNTHP_TVAL",
    (14, 2, 1): "CNTHP_CTL", (14, 2, 2): "CNTHP_CVAL", (14, 3, 1): "CNTHV_CTL", (14, 3, 2): "CNTHV_CVAL",
}  # fmt: skip
_EL3 = {
    (1, 0, 0): "SCTLR", (1, 0, 1): "ACTLR", (1, 0, 3): "SCTLR2", (1, 1, 0): "SCR", (1, 1, 1): "SDER32",
    (1, 1, 2): "CPTR", (1, 2, 0): "ZCR", (1, 2, 6): "SMCR", (1, 3, 1): "MDCR", (2, 0, 0): "TTBR0",
    (2, 0, 2): "TCR", (2, 5, 0): "GCSCR", (2, 5, 1): "GCSPR", (4, 0, 0): "SPSR", (4, 0, 1): "ELR",
    (5, 1, 0): "AFSR0", (5, 1, 1): "AFSR1", (5, 2, 0): "ESR", (6, 0, 0): "FAR", (10, 2, 0): "MAIR",
    (10, 3, 0): "AMAIR", (12, 0, 0): "VBAR", (12, 0, 1): "RVBAR", (12, 0, 2): "RMR", (13, 0, 2): "TPIDR",
    (13, 0, 7): "SCXTNUM",
}  # fmt: skip
_OTHER = {
    (3, 1, 0, 0, 0): "CCSIDR_EL1", (3, 1, 0, 0, 1): "CLIDR_EL1", (3, 1, 0, 0, 6): "SMIDR_EL1",
    (3, 1, 0, 0, 7): "AIDR_EL1", (3, 1, 11, 0, 2): "L2CTLR_EL1", (3, 1, 11, 0, 3): "L2ECTLR_EL1",
    (3, 1, 15, 0, 0): "L2ACTLR_EL1", (3, 1, 15, 2, 0): "CPUACTLR_EL1", (3, 1, 15, 2, 1): "CPUECTLR_EL1",
    (3, 1, 15, 2, 2): "CPUMERRSR_EL1", (3, 1, 15, 2, 3): "L2MERRSR_EL1", (3, 1, 15, 3, 0): "CBAR_EL1",
    (3, 2, 0, 0, 0): "CSSELR_EL1", (3, 3, 0, 0, 1): "CTR_EL0", (3, 3, 0, 0, 7): "DCZID_EL0",
    (3, 3, 2, 5, 1): "GCSPR_EL0", (3, 3, 4, 2, 0): "NZCV", (3, 3, 4, 2, 1): "DAIF", (3, 3, 4, 2, 2): "SVCR",
    (3, 3, 4, 2, 5): "DIT", (3, 3, 4, 2, 6): "SSBS", (3, 3, 4, 2, 7): "TCO", (3, 3, 4, 4, 0): "FPCR",
    (3, 3, 4, 4, 1): "FPSR", (3, 3, 4, 4, 2): "FPMR", (3, 3, 9, 12, 0): "PMCR_EL0",
    (3, 3, 9, 12, 1): "PMCNTENSET_EL0", (3, 3, 9, 12, 2): "PMCNTENCLR_EL0", (3, 3, 9, 12, 3): "PMOVSCLR_EL0",
    (3, 3, 9, 12, 5): "PMSELR_EL0", (3, 3, 9, 12, 6): "PMCEID0_EL0", (3, 3, 9, 12, 7): "PMCEID1_EL0",
    (3, 3, 9, 13, 0): "PMCCNTR_EL0", (3, 3, 9, 14, 0): "PMUSERENR_EL0", (3, 3, 9, 14, 3): "PMOVSSET_EL0",
    (3, 3, 13, 0, 2): "TPIDR_EL0", (3, 3, 13, 0, 3): "TPIDRRO_EL0", (3, 3, 13, 0, 5): "TPIDR2_EL0",
    (3, 3, 13, 0, 7): "SCXTNUM_EL0", (3, 3, 14, 0, 0): "CNTFRQ_EL0", (3, 3, 14, 0, 1): "CNTPCT_EL0",
    (3, 3, 14, 0, 2): "CNTVCT_EL0", (3, 3, 14, 2, 1): "CNTP_CTL_EL0", (3, 3, 14, 2, 2): "CNTP_CVAL_EL0",
    (3, 3, 14, 3, 1): "CNTV_CTL_EL0", (3, 3, 14, 3, 2): "CNTV_CVAL_EL0", (3, 3, 14, 15, 7): "PMCCFILTR_EL0",
    (3, 7, 14, 2, 1): "CNTPS_CTL_EL1", (3, 7, 14, 2, 2): "CNTPS_CVAL_EL1",
    (2, 0, 0, 0, 2): "OSDTRRX_EL1", (2, 0, 0, 2, 0): "MDCCINT_EL1", (2, 0, 0, 2, 2): "MDSCR_EL1",
    (2, 0, 0, 3, 2): "OSDTRTX_EL1", (2, 0, 0, 6, 2): "OSECCR_EL1", (2, 0, 1, 0, 0): "MDRAR_EL1",
    (2, 0, 1, 0, 4): "OSLAR_EL1", (2, 0, 1, 1, 4): "OSLSR_EL1", (2, 0, 1, 3, 4): "OSDLR_EL1",
    (2, 0, 7, 8, 6): "DBGCLAIMSET_EL1", (2, 0, 7, 9, 6): "DBGCLAIMCLR_EL1",
    (2, 0, 7, 14, 6): "DBGAUTHSTATUS_EL1", (2, 3, 0, 1, 0): "MDCCSR_EL0", (2, 3, 0, 4, 0): "DBGDTR_EL0",
    (2, 3, 0, 5, 0): "DBGDTRRX_EL0", (2, 4, 0, 7, 0): "DBGVCR32_EL2",
}  # fmt: skip
_FEATURES = (
    # CRm 1, 2, 3: AArch32; 4…7: AArch64.  op2 in order.
    ("ID_PFR0", "ID_PFR1", "ID_DFR0", "ID_AFR0", "ID_MMFR0", "ID_MMFR1", "ID_MMFR2", "ID_MMFR3"),
    ("ID_ISAR0", "ID_ISAR1", "ID_ISAR2", "ID_ISAR3", "ID_ISAR4", "ID_ISAR5", "ID_MMFR4", "ID_ISAR6"),
    ("MVFR0", "MVFR1", "MVFR2", "", "ID_PFR2", "ID_DFR1", "ID_MMFR5", ""),
    ("ID_AA64PFR0", "ID_AA64PFR1", "ID_AA64PFR2", "", "ID_AA64ZFR0", "ID_AA64SMFR0", "", "ID_AA64FPFR0"),
    ("ID_AA64DFR0", "ID_AA64DFR1", "ID_AA64DFR2", "", "ID_AA64AFR0", "ID_AA64AFR1", "", ""),
    ("ID_AA64ISAR0", "ID_AA64ISAR1", "ID_AA64ISAR2", "ID_AA64ISAR3", "", "", "", ""),
    ("ID_AA64MMFR0", "ID_AA64MMFR1", "ID_AA64MMFR2", "ID_AA64MMFR3", "ID_AA64MMFR4", "", "", ""),
)
_DEBUG = {4: "DBGBVR", 5: "DBGBCR", 6: "DBGWVR", 7: "DBGWCR"}
_CP15 = {
    # (CRn, opc1, CRm, opc2)
    (0, 0, 0, 0): "MIDR", (0, 0, 0, 1): "CTR", (0, 0, 0, 2): "TCMTR", (0, 0, 0, 3): "TLBTR",
    (0, 0, 0, 5): "MPIDR", (0, 0, 0, 6): "REVIDR", (0, 1, 0, 0): "CCSIDR", (0, 1, 0, 1): "CLIDR",
    (0, 1, 0, 7): "AIDR", (0, 2, 0, 0): "CSSELR", (0, 4, 0, 0): "VPIDR", (0, 4, 0, 5): "VMPIDR",
    (1, 0, 0, 0): "SCTLR", (1, 0, 0, 1): "ACTLR", (1, 0, 0, 2): "CPACR", (1, 0, 0, 3): "ACTLR2",
    (1, 0, 1, 0): "SCR", (1, 0, 1, 1): "SDER", (1, 0, 1, 2): "NSACR", (1, 4, 0, 0): "HSCTLR",
    (1, 4, 0, 1): "HACTLR", (1, 4, 0, 3): "HACTLR2", (1, 4, 1, 0): "HCR", (1, 4, 1, 1): "HDCR",
    (1, 4, 1, 2): "HCPTR", (1, 4, 1, 3): "HSTR", (1, 4, 1, 4): "HCR2", (1, 4, 1, 7): "HACR",
    (2, 0, 0, 0): "TTBR0", (2, 0, 0, 1): "TTBR1", (2, 0, 0, 2): "TTBCR", (2, 4, 0, 2): "HTCR",
    (2, 4, 1, 2): "VTCR", (3, 0, 0, 0): "DACR", (5, 0, 0, 0): "DFSR", (5, 0, 0, 1): "IFSR",
    (5, 0, 1, 0): "ADFSR", (5, 0, 1, 1): "AIFSR", (5, 4, 1, 0): "HADFSR", (5, 4, 1, 1): "HAIFSR",
    (5, 4, 2, 0): "HSR", (6, 0, 0, 0): "DFAR", (6, 0, 0, 1): "WFAR", (6, 0, 0, 2): "IFAR",
    (6, 4, 0, 0): "HDFAR", (6, 4, 0, 2): "HIFAR", (6, 4, 0, 4): "HPFAR", (7, 0, 4, 0): "PAR",
    (9, 0, 12, 0): "PMCR", (9, 0, 12, 1): "PMCNTENSET", (9, 0, 12, 3): "PMOVSR", (9, 0, 12, 5): "PMSELR",
    (9, 0, 12, 6): "PMCEID0", (9, 0, 12, 7): "PMCEID1", (9, 0, 13, 0): "PMCCNTR",
    (9, 0, 14, 0): "PMUSERENR", (9, 0, 14, 1): "PMINTENSET", (9, 0, 14, 3): "PMOVSSET",
    (9, 0, 14, 4): "PMCEID2", (9, 0, 14, 5): "PMCEID3", (9, 1, 0, 2): "L2CTLR", (9, 1, 0, 3): "L2ECTLR",
    (10, 0, 2, 0): "PRRR/MAIR0", (10, 0, 2, 1): "NMRR/MAIR1", (10, 0, 3, 0): "AMAIR0",
    (10, 0, 3, 1): "AMAIR1", (10, 4, 2, 0): "HMAIR0", (10, 4, 2, 1): "HMAIR1", (10, 4, 3, 0): "HAMAIR0",
    (10, 4, 3, 1): "HAMAIR1", (12, 0, 0, 0): "VBAR", (12, 0, 0, 1): "MVBAR/RVBAR", (12, 0, 0, 2): "RMR",
    (12, 0, 1, 0): "ISR", (12, 0, 1, 1): "DISR", (12, 4, 0, 0): "HVBAR", (13, 0, 0, 0): "FCSEIDR",
    (13, 0, 0, 1): "CONTEXTIDR", (13, 0, 0, 2): "TPIDRURW", (13, 0, 0, 3): "TPIDRURO",
    (13, 0, 0, 4): "TPIDRPRW", (13, 4, 0, 2): "HTPIDR", (14, 0, 0, 0): "CNTFRQ", (14, 0, 1, 0): "CNTKCTL",
    (14, 0, 2, 1): "CNTP_CTL", (14, 0, 3, 1): "CNTV_CTL", (14, 4, 1, 0): "CNTHCTL",
    (14, 4, 2, 1): "CNTHP_CTL", (15, 4, 0, 0): "CBAR",
}  # fmt: skip
_CP15_WIDE = {
    # (CRm, opc1)
    (2, 0): "TTBR0", (2, 1): "TTBR1", (2, 4): "HTTBR", (2, 6): "VTTBR", (7, 0): "PAR",
    (9, 0): "PMCCNTR", (14, 0): "CNTPCT", (14, 1): "CNTVCT", (14, 2): "CNTP_CVAL", (14, 3): "CNTV_CVAL",
    (14, 4): "CNTVOFF", (14, 6): "CNTHP_CVAL", (15, 0): "CPUMERRSR", (15, 1): "L2MERRSR",
}  # fmt: skip
_CP14 = {
    (0, 0, 0, 0): "DBGDIDR", (0, 0, 1, 0): "DBGDSCRint", (0, 0, 2, 0): "DBGDCCINT",
    (0, 0, 5, 0): "DBGDTRTX/RXint", (0, 0, 7, 0): "DBGVCR", (0, 0, 0, 2): "DBGDTRRXext",
    (0, 0, 2, 2): "DBGDSCRext", (0, 0, 3, 2): "DBGDTRTXext", (0, 0, 6, 2): "DBGOSECCR",
    (0, 6, 0, 0): "TEECR", (1, 6, 0, 0): "TEEHBR", (1, 0, 0, 0): "DBGDRAR", (1, 0, 0, 4): "DBGOSLAR",
    (1, 0, 1, 4): "DBGOSLSR", (1, 0, 3, 4): "DBGOSDLR", (2, 0, 0, 0): "DBGDSAR", (0, 7, 0, 0): "JIDR",
    (1, 7, 0, 0): "JOSCR", (2, 7, 0, 0): "JMCR", (7, 0, 0, 0): "DBGDEVID2", (7, 0, 0, 1): "DBGDEVID1",
    (7, 0, 0, 2): "DBGDEVID", (7, 0, 8, 6): "DBGCLAIMSET", (7, 0, 9, 6): "DBGCLAIMCLR",
    (7, 0, 14, 6): "DBGAUTHSTATUS",
}  # fmt: skip


def register_name(index: int) -> str:
    """The register that KVM's register id ``index`` stands for, by the manual's name or its encoding."""
    low = index & 0xFFFFFFFF
    coprocessor = low >> 16 & 0xFFF
    if index >> 48 == 0x6030 and coprocessor == 0x13:
        return _aarch64(low >> 14 & 3, low >> 11 & 7, low >> 7 & 15, low >> 3 & 15, low & 7)
    if index >> 56 == 0x40 and coprocessor in (14, 15):
        bank = "" if low >> 29 & 1 else " (secure)"
        wide = index >> 48 == 0x4030
        name = _aarch32(coprocessor, low >> 11 & 15, low >> 7 & 15, low >> 3 & 15, low & 7, wide)
        return name + bank
    return f"register {index:#018x}"


def _aarch64(op0: int, op1: int, crn: int, crm: int, op2: int) -> str:
    key = (crn, crm, op2)
    if op0 == 3:
        for level, table in ((0, _EL1), (4, _EL2), (6, _EL3)):
            if op1 == level and key in table:
                name = table[key]
                return name if name in ("SP_EL0", "SPSel") else f"{name}_EL{max(level // 2, 1)}"
        if op1 == 0 and crn == 0 and 1 <= crm <= 7 and _FEATURES[crm - 1][op2]:
            return f"{_FEATURES[crm - 1][op2]}_EL1"
        if op1 == 3 and crn == 14 and crm >= 8 and (crm, op2) != (15, 7):
            kind = "PMEVTYPER" if crm >= 12 else "PMEVCNTR"
            return f"{kind}{(crm & 3) * 8 + op2}_EL0"
    if op0 == 2 and op1 == 0 and crn == 0 and op2 in _DEBUG:
        return f"{_DEBUG[op2]}{crm}_EL1"
    known = _OTHER.get((op0, op1, crn, crm, op2))
    return known or f"S{op0}_{op1}_C{crn}_C{crm}_{op2}"


def _aarch32(coprocessor: int, crn: int, crm: int, opc1: int, opc2: int, wide: bool) -> str:
    if wide:
        known = _CP15_WIDE.get((crm, opc1)) if coprocessor == 15 else None
        return f"{known} (64-bit)" if known else f"p{coprocessor}, {opc1}, c{crm} (64-bit)"
    if coprocessor == 14 and crn == 0 and opc1 == 0 and opc2 in _DEBUG:
        return f"{_DEBUG[opc2]}{crm}"
    if coprocessor == 15 and crn == 0 and opc1 == 0 and crm in (1, 2):
        return _FEATURES[crm - 1][opc2]
    known = (_CP15 if coprocessor == 15 else _CP14).get((crn, opc1, crm, opc2))
    return known or f"p{coprocessor}, {opc1}, c{crn}, c{crm}, {opc2}"
