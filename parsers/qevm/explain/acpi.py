"""ACPI power management and chipset: PIIX4 PM, ICH9, hotplug, SMBus, DMA (device-facts §5)."""

from __future__ import annotations

from qevm.explain import rules as r
from qevm.explain.context import ExplainContext
from qevm.explain.rules import Bit, Rule, Struct
from qevm.field import Field

_PM1_STATUS = r.bits(
    Bit(0, "timer"), Bit(4, "bus-master"), Bit(5, "global-lock"), Bit(8, "power-button"),
    Bit(9, "sleep-button"), Bit(10, "RTC"), Bit(14, "PCIe-wake"), Bit(15, "wake"),
)  # fmt: skip
_PM1_ENABLE = r.bits(
    Bit(0, "timer"), Bit(5, "global-lock"), Bit(8, "power-button"), Bit(9, "sleep-button"), Bit(10, "RTC"),
    Bit(14, "PCIe-wake-disable"),
)  # fmt: skip
_PM1_CONTROL = r.bits(
    Bit(0, "SCI_EN", text="ACPI mode"), Bit(1, "BM_RLD"), Bit(2, "GBL_RLS"), Bit(10, "SLP_TYP", 3),
    Bit(13, "SLP_EN"), empty="legacy mode: ACPI not enabled by an OS",
)  # fmt: skip
_SMI_ENABLE = r.bits(
    Bit(0, "GBL_SMI_EN"), Bit(1, "EOS"), Bit(3, "LEGACY_USB"), Bit(4, "SLP_SMI"), Bit(5, "APMC"),
    Bit(6, "SWSMI_TMR"), Bit(13, "TCO"), Bit(14, "PERIODIC"),
)  # fmt: skip


def _pm(prefix: str) -> dict[str, Rule]:
    return {
        f"{prefix}.pm1.evt.sts": r.label("PM1_STS", _PM1_STATUS),
        f"{prefix}.pm1.evt.en": r.label("PM1_EN", _PM1_ENABLE),
        f"{prefix}.pm1.cnt.cnt": r.label("PM1_CNT", _PM1_CONTROL),
        f"{prefix}.tmr.timer": r.label("PM timer overflow"),
        f"{prefix}.tmr.overflow_time": r.say("in ticks of 3.579545 MHz"),
        f"{prefix}.gpe.sts": r.label("GPE_STS", r.set_bits("event", "none", word_bits=8)),
        f"{prefix}.gpe.en": r.label("GPE_EN", r.set_bits("event", "none enabled", word_bits=8)),
    }


_HOTPLUG: dict[str, Rule] = {
    "acpi_pci_hotplug.hotplug_select": r.say("bus selected"),
    "acpi_pci_hotplug.acpi_pcihp_pci_status": r.numbered("bus {}"),
    "acpi_pci_hotplug.acpi_index": r.say("acpi-index of the slot asked for"),
}


def _slots(word: str) -> Rule:
    return r.shown(lambda n: f"slots {r.listed(r.bit_numbers([n]))} {word}" if n else "none")


def _dma_channel(item: Field, _: ExplainContext) -> None:
    mode = r.value_of(item, "mode")
    if mode is not None:
        way = {0: "verify", 1: "to memory", 2: "from memory"}.get(mode >> 2 & 3, "?")
        kind = {0: "demand", 1: "single", 2: "block", 3: "cascade"}[mode >> 6 & 3]
        r.add_meaning(item, f"{kind}, {way}")


def _smbus(item: Field, _: ExplainContext) -> None:
    address = r.value_of(item, "smb_addr")
    if address is not None:
        way = "read from" if address & 1 else "write to"
        r.add_meaning(item, f"last: {way} {address >> 1:#04x}")


STRUCTS = (
    Struct("piix4_pm", {**_pm("ar"), **_HOTPLUG}),
    Struct(
        "ich9_pm",
        {
            **_pm("acpi_regs"),
            "smi_en": r.label("SMI_EN", _SMI_ENABLE),
            "smi_sts": r.label("SMI_STS", _SMI_ENABLE),
        },
    ),
    Struct("ich9_pm/pcihp", _HOTPLUG),
    Struct("gpe", {"sts": r.label("GPE_STS"), "en": r.label("GPE_EN")}),
    Struct("APM State", {"apmc": r.say("last APM command (B2)"), "apms": r.say("APM status (B3)")}),
    Struct("acpi_pcihp_pci_status", {"up": _slots("to be plugged"), "down": _slots("to be unplugged")}),
    Struct("pci_status", {"up": _slots("to be plugged"), "down": _slots("to be unplugged")}),
    Struct("memory hotplug state", {"selector": r.say("DIMM slot selected")}),
    Struct("CPU hotplug state", {"selector": r.say("CPU selected")}),
    Struct("acpi-ged-state", {"sel": r.say("events pending")}),
    Struct(
        "tco io device status",
        {
            "tco.sts1": r.bits(Bit(3, "timeout"), Bit(8, "DMISCI")),
            "tco.sts2": r.bits(Bit(1, "second-timeout"), Bit(2, "boot")),
            "tco.cnt1": r.bits(Bit(11, "halted"), Bit(12, "locked")),
            "tco.tmr": r.say("preload, in 0.6 s"),
            "expire_time": r.moment,
        },
    ),
    Struct("pmsmb", {"smb_stat": r.say("SMBus status")}, after=_smbus),
    Struct(
        "ICH9LPC",
        {
            "chip_config": r.label("chipset configuration registers (RCBA)"),
            "sci_level": r.yes_no("SCI asserted"),
        },
    ),
    Struct(
        "PIIX3",
        {"pci_irq_levels_vmstate": r.label("PIRQ levels", r.names("PIRQA", "PIRQB", "PIRQC", "PIRQD"))},
    ),
    Struct(
        "dma_regs",
        {"base": r.names("base address", "base count"), "now": r.names("offset", "count")},
        after=_dma_channel,
    ),
    Struct("dma", {"regs": r.numbered("channel {}"), "mask": r.say("channels masked")}),
    Struct("i82374", {"commands": r.say("extended DMA modes")}),
    Struct(
        "i6300esb_wdt",
        {
            "enabled": r.yes_no("watchdog running", "watchdog off"),
            "int_type": r.words({0: "IRQ", 1: "reserved", 2: "SMI", 3: "no interrupt"}),
            "stage": r.shown(lambda n: f"stage {n}"),
        },
    ),
    Struct("ipmi-bmc-sim", {"watchdog_running": r.yes_no("watchdog running"), "watchdog_expiry": r.moment}),
)
