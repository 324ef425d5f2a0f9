"""Model-specific registers of the x86 CPU and its subsections (device-facts §4.1; target/i386/machine.c)."""

from __future__ import annotations

from qevm.explain import rules as r
from qevm.explain.context import ExplainContext
from qevm.explain.rules import Bit, Rule, Struct
from qevm.explain.x86_bits import MEMORY_TYPES
from qevm.field import Field

_MTRR_FIXED = (
    "64K_00000", "16K_80000", "16K_A0000", "4K_C0000", "4K_C8000", "4K_D0000", "4K_D8000", "4K_E0000",
    "4K_E8000", "4K_F0000", "4K_F8000",
)  # fmt: skip


def msr(name: str, index: int, *rules: Rule) -> Rule:
    """A model-specific register by its manual's name and its RDMSR index."""
    return r.label(name, *rules, r.say(f"MSR {index:#x}"))


def _types(prefix: str, width: int) -> Rule:
    """Eight memory types of one byte each, lowest first; ``width`` bits of a byte count."""

    def rule(item: Field, _: ExplainContext) -> None:
        value = r.unsigned(item)
        if value is None:
            return
        bits = [Bit(8 * i, f"{prefix}{i}", width, MEMORY_TYPES) for i in range(8)]
        item.children = [r.bit_field(item, value, bit) for bit in bits]
        kinds = [child.meaning or str(child.value) for child in item.children]
        r.add_meaning(item, f"all {kinds[0]}" if len(set(kinds)) == 1 else " ".join(kinds))

    return rule


def _variable_mtrr(item: Field, _: ExplainContext) -> None:
    base, mask = r.value_of(item, "base") or 0, r.value_of(item, "mask") or 0
    if not mask >> 11 & 1:
        r.add_meaning(item, "not valid")
        return
    kind = MEMORY_TYPES.get(base & 0xFF, f"type {base & 0xFF:#x}")
    # The mask has as many bits as the guest's physical addresses: its lowest bit tells the size.
    high = mask & ~0xFFF
    size = high & -high
    r.add_meaning(item, f"{kind} {base & ~0xFFF:#x}, {r.size_text(size)}")


SYSTEM = {
    "env.sysenter_cs": msr("IA32_SYSENTER_CS", 0x174),
    "env.sysenter_esp": msr("IA32_SYSENTER_ESP", 0x175, r.address),
    "env.sysenter_eip": msr("IA32_SYSENTER_EIP", 0x176, r.address),
    "env.star": msr("IA32_STAR", 0xC0000081, r.say("SYSCALL segment selectors")),
    "env.lstar": msr("IA32_LSTAR", 0xC0000082, r.address, r.say("64-bit SYSCALL entry of the kernel")),
    "env.cstar": msr("IA32_CSTAR", 0xC0000083, r.address, r.say("compatibility SYSCALL entry")),
    "env.fmask": msr("IA32_FMASK", 0xC0000084),
    "env.kernelgsbase": msr("IA32_KERNEL_GS_BASE", 0xC0000102, r.address),
    "env.pat": msr("IA32_PAT", 0x277, _types("PA", 3)),
    "env.vm_hsave": msr("VM_HSAVE_PA", 0xC0010117, r.address),
    "env.mtrr_fixed": r.label(
        "IA32_MTRR_FIX", r.names(*(f"IA32_MTRR_FIX{name}" for name in _MTRR_FIXED), rule=_types("range ", 8))
    ),
    "env.mtrr_deftype": msr(
        "IA32_MTRR_DEF_TYPE",
        0x2FF,
        r.bits(
            Bit(0, "type", 8, MEMORY_TYPES), Bit(10, "FE", text="fixed ranges"), Bit(11, "E", text="enabled")
        ),
    ),
    "env.mtrr_var": r.label("IA32_MTRR_PHYS", r.numbered("IA32_MTRR_PHYS{}")),
    "env.tsc": msr("IA32_TIME_STAMP_COUNTER", 0x10, r.say("value when saved")),
    "env.tsc_aux": msr("IA32_TSC_AUX", 0xC0000103, r.say("the kernel keeps CPU and node number here")),
    "env.mcg_cap": msr(
        "IA32_MCG_CAP",
        0x179,
        r.bits(
            Bit(0, "banks", 8),
            Bit(8, "CTL_P"),
            Bit(9, "EXT_P"),
            Bit(10, "CMCI_P"),
            Bit(11, "TES_P"),
            Bit(24, "SER_P"),
            Bit(26, "ELOG_P"),
            Bit(27, "LMCE_P"),
        ),
    ),
    "env.mcg_status": msr("IA32_MCG_STATUS", 0x17A, r.bits(*r.one_bits("RIPV EIPV MCIP LMCE"))),
    "env.mcg_ctl": msr("IA32_MCG_CTL", 0x17B),
    "env.mce_banks": r.both(
        r.say("CTL, STATUS, ADDR, MISC of each machine check bank"),
        r.names(*(f"MC{i}_{kind}" for i in range(10) for kind in ("CTL", "STATUS", "ADDR", "MISC"))),
    ),
    "env.system_time_msr": msr(
        "KVM_SYSTEM_TIME", 0x12, r.say("guest address of the KVM clock page, bit 0 enable")
    ),
    "env.wall_clock_msr": msr("KVM_WALL_CLOCK", 0x11, r.address),
    "env.v_tpr": r.say("TPR of a nested SVM guest"),
    "env.vm_vmcb": r.both(r.address, r.say("VMCB of the nested SVM guest")),
    "env.intercept": r.say("SVM intercepts of the nested guest"),
}
"""Fields of ``cpu`` that are MSRs."""


def _subsection(name: str, **fields: Rule) -> Struct:
    return Struct(f"cpu/{name}", {f"env.{key}": rule for key, rule in fields.items()})


SUBSECTIONS = (
    Struct("mtrr_var", {"base": r.address, "mask": r.address}, after=_variable_mtrr),
    _subsection("async_pf_msr", async_pf_en_msr=msr("KVM_ASYNC_PF_EN", 0x4B564D02)),
    _subsection("async_pf_int_msr", async_pf_int_msr=msr("KVM_ASYNC_PF_INT", 0x4B564D06)),
    _subsection("pv_eoi_msr", pv_eoi_en_msr=msr("KVM_PV_EOI_EN", 0x4B564D04)),
    _subsection("steal_time_msr", steal_time_msr=msr("KVM_STEAL_TIME", 0x4B564D03)),
    _subsection(
        "poll_control_msr",
        poll_control_msr=msr("KVM_POLL_CONTROL", 0x4B564D05, r.say_if(1, "host-side polling on")),
    ),
    _subsection("msr_tsc_adjust", tsc_adjust=msr("IA32_TSC_ADJUST", 0x3B)),
    _subsection("msr_tscdeadline", tsc_deadline=msr("IA32_TSC_DEADLINE", 0x6E0)),
    _subsection("msr_ia32_misc_enable", msr_ia32_misc_enable=msr("IA32_MISC_ENABLE", 0x1A0)),
    _subsection("msr_ia32_feature_control", msr_ia32_feature_control=msr("IA32_FEATURE_CONTROL", 0x3A)),
    _subsection("msr_smi_count", msr_smi_count=msr("MSR_SMI_COUNT", 0x34, r.say("SMIs taken"))),
    _subsection("tsc_khz", tsc_khz=r.label("TSC frequency", r.shown(lambda n: r.hertz(n * 1e3)))),
    _subsection("avx512", opmask_regs=r.numbered("K{}")),
    _subsection("xss", xss=msr("IA32_XSS", 0xDA0)),
    _subsection("umwait", umwait=msr("IA32_UMWAIT_CONTROL", 0xE1)),
    _subsection("pkru", pkru=r.label("PKRU", r.say("user protection keys"))),
    _subsection("pkrs", pkrs=msr("IA32_PKRS", 0x6E1)),
    _subsection("tsx_ctrl", tsx_ctrl=msr("IA32_TSX_CTRL", 0x122)),
    _subsection("spec_ctrl", spec_ctrl=msr("IA32_SPEC_CTRL", 0x48, r.bits(*r.one_bits("IBRS STIBP SSBD")))),
    _subsection("virt_ssbd", virt_ssbd=msr("VIRT_SPEC_CTRL", 0xC001011F)),
    _subsection("mcg_ext_ctl", mcg_ext_ctl=msr("IA32_MCG_EXT_CTL", 0x4D0)),
    _subsection("svm_npt", nested_cr3=r.label("nested CR3", r.address)),
    _subsection("svm_guest", int_ctl=r.say("int_ctl of the nested SVM guest")),
    _subsection(
        "msr_hyperv_hypercall",
        msr_hv_guest_os_id=msr(
            "HV_X64_MSR_GUEST_OS_ID", 0x40000000, r.say("a guest with Hyper-V enlightenments")
        ),
        msr_hv_hypercall=msr("HV_X64_MSR_HYPERCALL", 0x40000001),
    ),
    _subsection("msr_hyperv_vapic", msr_hv_vapic=msr("HV_X64_MSR_VP_ASSIST_PAGE", 0x40000073)),
    _subsection("msr_hyperv_time", msr_hv_tsc=msr("HV_X64_MSR_REFERENCE_TSC", 0x40000021)),
    _subsection("msr_hyperv_runtime", msr_hv_runtime=msr("HV_X64_MSR_VP_RUNTIME", 0x40000010)),
    _subsection(
        "msr_hyperv_crash",
        msr_hv_crash_params=r.both(r.say("crash parameters P0…P4 of the guest"), r.numbered("P{}")),
    ),
    _subsection(
        "msr_hyperv_synic",
        msr_hv_synic_control=msr("HV_X64_MSR_SCONTROL", 0x40000080),
        msr_hv_synic_evt_page=msr("HV_X64_MSR_SIEFP", 0x40000082),
        msr_hv_synic_msg_page=msr("HV_X64_MSR_SIMP", 0x40000083),
        msr_hv_synic_sint=r.numbered("SINT{}"),
    ),
    _subsection(
        "msr_hyperv_reenlightenment",
        msr_hv_reenlightenment_control=msr("HV_X64_MSR_REENLIGHTENMENT_CONTROL", 0x40000106),
        msr_hv_tsc_emulation_control=msr("HV_X64_MSR_TSC_EMULATION_CONTROL", 0x40000107),
        msr_hv_tsc_emulation_status=msr("HV_X64_MSR_TSC_EMULATION_STATUS", 0x40000108),
    ),
    Struct(
        "cpu/nested_state",
        after=lambda item, _: r.add_meaning(item, "the guest runs virtual machines itself"),
    ),
    Struct(
        "cpu/kvm_nested_state/vmx",
        after=lambda item, _: r.add_meaning(item, "Intel VMX, with the VMCS12 page"),
    ),
    Struct(
        "cpu/kvm_nested_state/svm", after=lambda item, _: r.add_meaning(item, "AMD SVM, with the VMCB12 page")
    ),
)
