"""Sections that every machine has: run state, clocks, fw_cfg, and small helpers (device-facts §4, §5)."""

from __future__ import annotations

from qevm import safetext
from qevm.explain import rules as r
from qevm.explain.context import ExplainContext
from qevm.explain.rules import Bit, Struct
from qevm.explain.units import duration
from qevm.field import Field, Role

_RUN_STATES = {
    "debug": "stopped by a debugger",
    "inmigrate": "waiting for an incoming migration",
    "internal-error": "stopped by an internal error",
    "io-error": "stopped by an I/O error",
    "paused": "paused by the user",
    "postmigrate": "stopped after a migration",
    "prelaunch": "created, never started (-S)",
    "finish-migrate": "stopped for the end of a migration",
    "restore-vm": "restoring a snapshot",
    "running": "the guest was running",
    "save-vm": "saving a snapshot",
    "shutdown": "the guest has shut down (-no-shutdown)",
    "suspended": "suspended to RAM (ACPI S3)",
    "watchdog": "stopped by its watchdog",
    "guest-panicked": "the guest reported a panic",
    "colo": "COLO secondary",
}


def _run_state(item: Field, _: ExplainContext) -> None:
    """NUL-terminated text: the state before saving paused the VM."""
    data = item.value
    if isinstance(data, bytes):
        text, _nul, rest = data.partition(b"\0")
        name = safetext.safe(safetext.decode(text), 40)
        item.role = Role.TEXT
        r.add_meaning(item, f"{name}: {_RUN_STATES.get(name, 'no run state that QEMU has')}")
        if rest.strip(b"\0"):
            r.add_meaning(item, "bytes behind the NUL are not zero")


def _global_state(item: Field, _: ExplainContext) -> None:
    state = item.child("runstate")
    if state is not None and state.meaning:
        r.add_meaning(item, state.meaning)


def _uptime(item: Field, _: ExplainContext) -> None:
    value = r.number(item)
    if value is not None:
        r.add_meaning(item, f"QEMU's virtual clock: {duration(value)} of run time when saved")


def _clock(item: Field, _: ExplainContext) -> None:
    """A clock period in units of 2^-32 ns (hw/core/clock.c)."""
    value = r.unsigned(item)
    if value is None:
        return
    r.add_meaning(item, r.hertz(1e9 * 2**32 / value) if value else "clock off")


def _cpu_common(item: Field, _: ExplainContext) -> None:
    halted, pending = r.value_of(item, "halted"), r.value_of(item, "interrupt_request")
    if halted is not None and pending is not None:
        text = "halted, waits for an interrupt" if halted else "executing"
        r.add_meaning(item, text + (", interrupt pending" if pending else ""))


_INTERRUPTS = (
    Bit(1, "HARD"), Bit(2, "EXITTB"), Bit(3, "TGT_EXT_0"), Bit(4, "TGT_EXT_1"), Bit(5, "HALT"),
    Bit(6, "TGT_EXT_2"), Bit(7, "DEBUG"), Bit(8, "TGT_INT_0"), Bit(9, "TGT_EXT_3"), Bit(10, "RESET"),
    Bit(11, "TGT_INT_1"), Bit(12, "TGT_EXT_4"), Bit(13, "TGT_INT_2"), Bit(14, "TGT_INT_3"),
    Bit(15, "TGT_INT_4"),
)  # fmt: skip
_FW_CFG = {
    0x00: "signature", 0x01: "interface id", 0x02: "system UUID", 0x03: "RAM size", 0x04: "nographic",
    0x05: "number of CPUs", 0x06: "machine id", 0x07: "kernel address", 0x08: "kernel size",
    0x09: "kernel command line", 0x0A: "initrd address", 0x0B: "initrd size", 0x0C: "boot device",
    0x0D: "NUMA data", 0x0E: "boot menu", 0x0F: "maximum CPUs", 0x10: "kernel entry",
    0x11: "kernel data", 0x12: "initrd data", 0x13: "command line address",
    0x14: "command line size", 0x15: "command line data", 0x16: "setup address",
    0x17: "setup size", 0x18: "setup data", 0x19: "file directory",
    0x8000: "ACPI tables", 0x8001: "SMBIOS entries", 0x8002: "IRQ0 override", 0x8003: "e820 table",
    0x8004: "HPET data", 0xFFFF: "none selected",
}  # fmt: skip


def _fw_cfg_entry(item: Field, _: ExplainContext) -> None:
    value = r.unsigned(item)
    if value is not None:
        number = value & 0x3FFF | value & 0x8000
        if value == 0xFFFF:
            number = value
        name = _FW_CFG.get(number) or (f"file {number - 0x20}" if 0x20 <= number < 0x8000 else "unknown")
        r.add_meaning(item, name)


def _ptimer(item: Field, _: ExplainContext) -> None:
    """ptimer: a down-counter (hw/core/ptimer.c)."""
    enabled = r.value_of(item, "enabled")
    delta, limit = r.value_of(item, "delta"), r.value_of(item, "limit")
    if enabled is not None:
        state = {0: "stopped", 1: "periodic", 2: "one-shot"}.get(enabled, f"state {enabled}")
        r.add_meaning(item, f"{state}, {delta} of {limit}")


STRUCTS = (
    Struct(
        "globalstate",
        {
            "runstate": _run_state,
            "size": r.say("length of the name with its NUL"),
            "has_vm_was_suspended": r.yes_no("the next byte counts"),
            "vm_was_suspended": r.yes_no("suspended before it was paused"),
        },
        after=_global_state,
    ),
    Struct(
        "timer",
        {
            "cpu_ticks_offset": r.say("offset of the guest's cycle counter"),
            "cpu_clock_offset": r.label("virtual clock", _uptime),
        },
        requires=("cpu_clock_offset",),
    ),
    Struct("timer/icount", after=lambda item, _: r.add_meaning(item, "instruction counting was on")),
    Struct(
        "cpu_common",
        {
            "halted": r.yes_no("waits in HLT, WFI or the like", "not halted"),
            "interrupt_request": r.bits(*_INTERRUPTS, empty="nothing pending"),
            "exception_index": r.say_if(-1, "none"),
            "crash_occurred": r.yes_no("the guest reported a crash"),
        },
        after=_cpu_common,
    ),
    Struct("clock", {"period": _clock}),
    Struct(
        "fw_cfg",
        {"cur_entry": _fw_cfg_entry, "cur_offset[1]": r.say("bytes of the entry read so far")},
    ),
    Struct("fw_cfg/dma", {"dma_addr": r.address}),
    Struct(
        "fw_cfg/acpi_mr",
        {
            "table_mr_size": r.both(r.say("etc/acpi/tables"), r.byte_count),
            "linker_mr_size": r.both(r.say("etc/table-loader"), r.byte_count),
            "rsdp_mr_size": r.both(r.say("etc/acpi/rsdp"), r.byte_count),
        },
    ),
    Struct(
        "acpi_build",
        {"patched": r.yes_no("firmware has fetched the ACPI tables", "ACPI tables not fetched yet")},
    ),
    Struct(
        "virt_acpi_build",
        {"patched": r.yes_no("firmware has fetched the ACPI tables", "ACPI tables not fetched yet")},
    ),
    Struct(
        "vmcoreinfo",
        {
            "has_vmcoreinfo": r.yes_no("the guest has given a note for dumps", "no note given"),
            "vmcoreinfo.guest_format": r.words({0: "none", 1: "ELF note"}),
            "vmcoreinfo.paddr": r.address,
        },
    ),
    Struct(
        "vmgenid",
        after=lambda item, _: _generation_id(item),
    ),
    Struct(
        "slirp",
        {"data": r.say("user-mode network stack: QEMU does not describe its layout (libslirp)")},
    ),
    Struct(
        "ptimer", {"period": r.nanoseconds, "last_event": r.moment, "next_event": r.moment}, after=_ptimer
    ),
    Struct("or-irq", {"levels": r.numbered("input {}")}),
    Struct("led", {"intensity_percent": r.shown(lambda n: f"{n} %")}),
    Struct("i2c_bus", {"saved_address": r.shown(lambda n: "idle" if n == 0xFF else f"slave {n:#04x}")}),
    Struct(
        "kvm-tpr-opt",
        {
            "state": r.words({0: "inactive", 1: "active", 2: "standby"}),
            "real_tpr_addr": r.address,
            "rom_state_vaddr": r.address,
            "vapic_paddr": r.address,
            "rom_state_paddr": r.address,
        },
    ),
    Struct(
        "kvmvapic-guest-rom",
        dict.fromkeys(("vaddr", "fixup_start", "fixup_end", "vapic_vaddr", "real_tpr_addr"), r.address),
    ),
    Struct(
        "virtio-mem-device-early",
        {
            "size": r.both(r.say("plugged"), r.byte_count),
            "bitmap": r.say("one bit a block: set = plugged"),
        },
    ),
    Struct(
        "virtio-mem-device/sanity-checks",
        {
            "addr": r.address,
            "region_size": r.byte_count,
            "block_size": r.byte_count,
            "node": r.say("NUMA node"),
        },
    ),
)


def _generation_id(item: Field) -> None:
    field = item.child("vmgenid_addr_le")
    if field is not None:
        data = r.raw_bytes(field)
        place = int.from_bytes(data, "little")
        r.add_meaning(field, f"GUID at guest address {place:#x}" if place else "the guest has not placed it")
