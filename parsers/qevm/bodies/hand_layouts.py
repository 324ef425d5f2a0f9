"""Layouts written by hand, from QEMU's sources: what captures of test guests do not show.

Small devices of every machine, what KVM guests have (``kvmclock``, subsections of the x86 ``cpu``), and the
inside of virtio devices, which no description tells.  A field is ``name:type`` or ``name:type*count``;
where QEMU declares an array of structs of one integer type, the integers are written here.
"""

from __future__ import annotations

from qevm.bodies.layout_library import SIZED_BY_COUNT, Layout, LayoutField, Library

_SIZES = {
    "bool": 1,
    "uint8": 1,
    "uint16": 2,
    "uint32": 4,
    "uint64": 8,
    "int8": 1,
    "int16": 2,
    "int32": 4,
    "int64": 8,
    "int32_equal": 4,
    "timer": 8,
}

DEVICES = (
    ("timer", 2, "cpu_ticks_offset:int64 unused:unused_buffer*8 cpu_clock_offset:int64"),
    ("cpu_common", 1, "halted:uint32 interrupt_request:uint32"),
    ("globalstate", 1, "size:uint32 runstate:buffer*100"),
    ("PCIHost", 1, "config_reg:uint32"),
    ("PCIBUS", 1, "nirq:int32_equal irq_count:int32*nirq"),
    (
        "i8259",
        1,
        "last_irr:uint8 irr:uint8 imr:uint8 isr:uint8 priority_add:uint8 irq_base:uint8 read_reg_select:uint8"
        " poll:uint8 special_mask:uint8 init_state:uint8 auto_eoi:uint8 rotate_on_auto_eoi:uint8"
        " special_fully_nested_mode:uint8 init4:uint8 single_mode:uint8 elcr:uint8",
    ),
    ("pcspk", 1, "data_on:uint8 dummy_refresh_clock:uint8"),
    ("port92", 1, "outport:uint8"),
    ("acpi_build", 1, "patched:uint8"),
    ("virt_acpi_build", 1, "patched:bool"),
    ("kvmclock", 1, "clock:uint64"),
    ("virtio-9p", 1, "virtio:virtio"),
    ("virtio-crypto", 1, "virtio:virtio"),
    ("virtio-vhost_vsock", 0, "virtio:virtio"),
    ("vhost-user-blk", 1, "virtio:virtio"),
    ("vhost-user-fs", 1, "virtio:virtio"),
)

_QUEUES = 1024
SUBSECTIONS = (
    ("timer/icount", 1, "qemu_icount_bias:int64 qemu_icount:int64"),
    ("timer/icount/warp_timer", 1, "vm_clock_warp_start:int64 icount_warp_timer:timer"),
    ("timer/icount/timer", 1, "icount_vm_timer:timer"),
    ("timer/icount/icount_rt_timer", 1, "icount_rt_timer:timer"),
    ("cpu_common/exception_index", 1, "exception_index:int32"),
    ("cpu_common/crash_occurred", 1, "crash_occurred:bool"),
    ("kvmclock/clock_is_reliable", 1, "clock_is_reliable:bool"),
    ("virtio/device_endian", 1, "device_endian:uint8"),
    ("virtio/64bit_features", 1, "guest_features:uint64"),
    ("virtio/virtqueues", 1, f"vq:uint64*{2 * _QUEUES}"),
    ("virtio/packed_virtqueues", 1, f"vq:buffer*{10 * _QUEUES}"),
    ("virtio/ringsize", 1, f"vq:uint32*{_QUEUES}"),
    ("virtio/broken", 1, "broken:bool"),
    ("virtio/started", 1, "started:bool"),
    ("virtio/disabled", 1, "disabled:bool"),
    (
        "virtio_pci/modern_state",
        1,
        f"dfselect:uint32 gfselect:uint32 guest_features:uint32*2 vqs:buffer*{28 * _QUEUES}",
    ),
    ("virtio_mmio/state", 1, f"guest_features:uint32*2 vqs:buffer*{27 * _QUEUES}"),
    (
        "cpu/exception_info",
        1,
        "env.exception_pending:uint8 env.exception_injected:uint8 env.exception_has_payload:uint8"
        " env.exception_payload:uint64",
    ),
    ("cpu/async_pf_msr", 1, "env.async_pf_en_msr:uint64"),
    ("cpu/async_pf_int_msr", 1, "env.async_pf_int_msr:uint64"),
    ("cpu/async_pv_eoi_msr", 1, "env.pv_eoi_en_msr:uint64"),
    ("cpu/steal_time_msr", 1, "env.steal_time_msr:uint64"),
    ("cpu/poll_control_msr", 1, "env.poll_control_msr:uint64"),
    ("cpu/fpop_ip_dp", 1, "env.fpop:uint16 env.fpip:uint64 env.fpdp:uint64"),
    ("cpu/msr_tsc_adjust", 1, "env.tsc_adjust:uint64"),
    ("cpu/msr_smi_count", 1, "env.msr_smi_count:uint64"),
    ("cpu/msr_tscdeadline", 1, "env.tsc_deadline:uint64"),
    ("cpu/msr_ia32_misc_enable", 1, "env.msr_ia32_misc_enable:uint64"),
    ("cpu/msr_ia32_feature_control", 1, "env.msr_ia32_feature_control:uint64"),
    (
        "cpu/msr_architectural_pmu",
        1,
        "env.msr_fixed_ctr_ctrl:uint64 env.msr_global_ctrl:uint64 env.msr_global_status:uint64"
        " env.msr_global_ovf_ctrl:uint64 env.msr_fixed_counters:uint64*3 env.msr_gp_counters:uint64*18"
        " env.msr_gp_evtsel:uint64*18",
    ),
    (
        "cpu/mpx",
        1,
        "env.bnd_regs:uint64*8 env.bndcs_regs.cfgu:uint64 env.bndcs_regs.sts:uint64 env.msr_bndcfgs:uint64",
    ),
    ("cpu/msr_hyperv_hypercall", 1, "env.msr_hv_guest_os_id:uint64 env.msr_hv_hypercall:uint64"),
    ("cpu/msr_hyperv_vapic", 1, "env.msr_hv_vapic:uint64"),
    ("cpu/msr_hyperv_time", 1, "env.msr_hv_tsc:uint64"),
    ("cpu/msr_hyperv_crash", 1, "env.msr_hv_crash_params:uint64*5"),
    ("cpu/msr_hyperv_runtime", 1, "env.msr_hv_runtime:uint64"),
    (
        "cpu/msr_hyperv_synic",
        1,
        "env.msr_hv_synic_control:uint64 env.msr_hv_synic_evt_page:uint64 env.msr_hv_synic_msg_page:uint64"
        " env.msr_hv_synic_sint:uint64*16",
    ),
    ("cpu/msr_hyperv_stimer", 1, "env.msr_hv_stimer_config:uint64*4 env.msr_hv_stimer_count:uint64*4"),
    (
        "cpu/msr_hyperv_reenlightenment",
        1,
        "env.msr_hv_reenlightenment_control:uint64 env.msr_hv_tsc_emulation_control:uint64"
        " env.msr_hv_tsc_emulation_status:uint64",
    ),
    # 32-bit emulators have neither ZMM16..31 nor 16 registers: those are not written here.
    ("cpu/avx512", 1, "env.opmask_regs:uint64*8 env.xmm_regs[2]:uint64*64 env.xmm_regs[3]:uint64*128"),
    ("cpu/xss", 1, "env.xss:uint64"),
    ("cpu/umwait", 1, "env.umwait:uint32"),
    ("cpu/pkru", 1, "env.pkru:uint32"),
    ("cpu/tsc_khz", 1, "env.tsc_khz:int64"),
    ("cpu/mcg_ext_ctl", 1, "env.mcg_ext_ctl:uint64"),
    ("cpu/spec_ctrl", 1, "env.spec_ctrl:uint64"),
    (
        "cpu/intel_pt",
        1,
        "env.msr_rtit_ctrl:uint64 env.msr_rtit_status:uint64 env.msr_rtit_output_base:uint64"
        " env.msr_rtit_output_mask:uint64 env.msr_rtit_cr3_match:uint64 env.msr_rtit_addrs:uint64*8",
    ),
    ("cpu/virt_ssbd", 1, "env.virt_ssbd:uint64"),
    ("cpu/svn_npt", 1, "env.nested_cr3:uint64 env.nested_pg_mode:uint32"),
    ("cpu/efer32", 1, "env.efer:uint64"),
    (
        "cpu/kvm_nested_state/vmx",
        1,
        "hdr.vmx.vmxon_pa:uint64 hdr.vmx.vmcs12_pa:uint64 hdr.vmx.smm.flags:uint16",
    ),
    ("cpu/kvm_nested_state/vmx/vmcs12", 1, "data.vmx[0].vmcs12:uint8*4096"),
    ("cpu/kvm_nested_state/vmx/shadow_vmcs12", 1, "data.vmx[0].shadow_vmcs12:uint8*4096"),
)

# A subsection whose one field is a struct with subsections: name, field, inner vmsd, version, its fields.
_NESTED = (
    ("virtio/extra_state", "extra_state", "virtio_pci", 1, ""),
    ("virtio/extra_state", "extra_state", "virtio_mmio", 1, ""),
    (
        "cpu/nested_state",
        "env.nested_state",
        "cpu/kvm_nested_state",
        1,
        "flags:uint16 format:uint16 size:uint32",
    ),
)


def layout(name: str, version: int, text: str) -> Layout:
    """The layout that ``text`` spells: ``name:type`` or ``name:type*count``, separated by spaces."""
    return Layout(name, version, tuple(_field(part) for part in text.split()))


def _field(text: str) -> LayoutField:
    name, _, rest = text.rpartition(":")
    kind, _, given = rest.partition("*")
    count: int | str = int(given or 1) if not given or given.isdigit() else given
    if kind == "virtio":
        count = 0
    size = 0 if kind == "virtio" or kind in SIZED_BY_COUNT else _SIZES[kind]
    return LayoutField(name, kind.replace("_equal", " equal"), size, count)


def extend(library: Library) -> None:
    """Add the hand-written layouts to ``library``, where it does not have the same already."""
    for name, version, text in DEVICES:
        library.add(library.devices, layout(name, version, text))
    for name, version, text in SUBSECTIONS:
        library.add(library.subsections, layout(name, version, text))
    for name, field, vmsd, version, text in _NESTED:
        library.layouts.append(layout(vmsd, version, text))
        inner = LayoutField(field, "struct", 0, 1, len(library.layouts) - 1)
        library.add(library.subsections, Layout(name, 1, (inner,)))
