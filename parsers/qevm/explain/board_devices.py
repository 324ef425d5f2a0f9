"""Devices of RISC-V, s390x and pseries machines (device-facts §5; spec of each device model)."""

from __future__ import annotations

from qevm.explain import rules as r
from qevm.explain.context import ExplainContext
from qevm.explain.cpu_s390x import tod_date
from qevm.explain.rules import Bit, Rule, Struct
from qevm.explain.units import duration
from qevm.explain.window import Window
from qevm.field import Field


def _sources(word: str) -> Rule:
    """Words of 32 sources each, source 0 does not exist."""
    return r.set_bits(f"sources {word}:", f"no source {word}")


def _timecmp(item: Field, _: ExplainContext) -> None:
    def named(index: int, child: Field) -> Field:
        r.rename(child, f"hart {index}")
        if r.unsigned(child) == (1 << 64) - 1:
            r.add_meaning(child, "never")
        return child

    if item.type.endswith("]"):
        r.update_each(item, named)
    else:
        named(0, item)


def _since_epoch(value: int) -> str:
    return f"{duration(value)} since 1970" if value else ""


_RISCV = (
    Struct(
        "riscv_mtimer", {"timecmp": r.both(r.say("mtimecmp, in ticks of the machine's timebase"), _timecmp)}
    ),
    Struct(
        "riscv_sifive_plic",
        {
            "source_priority": r.numbered("source {}", first=0),
            "target_priority": r.both(r.say("priority threshold of each context"), r.numbered("context {}")),
            "pending": _sources("pending"),
            "claimed": _sources("claimed"),
            "enable": r.say("enabled sources, one bit vector a context"),
        },
    ),
    Struct("riscv_aplic", {"domaincfg": r.bits(Bit(0, "BE"), Bit(2, "DM"), Bit(8, "IE"))}),
    Struct(
        "goldfish_rtc",
        {
            "tick_offset": r.shown(_since_epoch),
            "tick_offset_vmstate": r.shown(_since_epoch),
            "alarm_next": r.shown(_since_epoch),
            "alarm_running": r.yes_no("alarm set", "no alarm"),
            "irq_pending": r.yes_no("interrupt pending"),
            "irq_enabled": r.yes_no("interrupt enabled"),
        },
    ),
)


def _tod_clock(item: Field, context: ExplainContext) -> None:
    """Legacy section: u8 valid, u8 high, be64 low (hw/s390x/tod.c).  0x00 valid means nothing follows."""
    data = item.value
    if not isinstance(data, bytes) or not data:
        return
    w = Window(data, item.offset, context, "big")
    fields = [w.number("flags", 0, 1, r.bits(Bit(0, "valid")))]
    if len(data) >= 10:
        fields += [
            w.number("tod_high", 1, 1, r.say("epoch index")),
            w.number("tod_low", 2, 8, r.shown(tod_date)),
        ]
        r.add_meaning(item, tod_date(w.get(2, 8)))
    item.children = w.tiled(fields, 0, len(data))


_SKEY_END, _SKEY_ERROR, _SKEY_KEYS = 1, 4, 2


def _storage_keys(item: Field, context: ExplainContext) -> None:
    """Legacy section: (be64 address | flags, be64 number, keys)*, be64 END (hw/s390x/s390-skeys.c)."""
    data = item.value
    if not isinstance(data, bytes):
        return
    w = Window(data, item.offset, context, "big")
    fields: list[Field] = []
    at = total = 0
    while at + 8 <= len(data):
        word = w.get(at, 8)
        flags = r.bits(*r.one_bits("END KEYS ERROR"), Bit(12, "page", 52, quiet=True))
        fields.append(w.number("address and flags", at, 8, flags))
        at += 8
        if not word & _SKEY_KEYS:
            break
        count = w.get(at, 8)
        if at + 8 + count > len(data):
            fields[-1].problem = f"announces {count} keys, {max(len(data) - at - 8, 0)} bytes are left"
            break
        fields.append(w.number("number of keys", at, 8))
        if count:
            fields.append(w.raw("keys", at + 8, count, meaning="one byte a page: ACC 7:4, F 3, R 2, C 1"))
        at += 8 + count
        total += count
    item.children = w.tiled(fields, 0, len(data), "rest")
    r.add_meaning(item, f"{r.plural(total, 'storage key')}")


_S390 = (
    Struct("todclock", {"data": _tod_clock}),
    Struct("s390-skeys", {"data": _storage_keys}),
    Struct(
        "s390_css",
        {
            "pending_crws": r.say("channel report words not yet fetched"),
            "sei_pending": r.yes_no("store-event information pending"),
            "do_crw_mchk": r.yes_no("the next report raises a machine check"),
            "crws_lost": r.yes_no("reports were lost"),
            "max_cssid": r.say("highest channel subsystem the guest sees"),
            "max_ssid": r.say("highest subchannel set the guest sees"),
            "chnmon_active": r.yes_no("channel measurement on", "channel measurement off"),
            "chnmon_area": r.address,
            "css": r.both(
                r.say("one entry a channel subsystem id; 0xfe holds virtio"), r.numbered("css {:#04x}")
            ),
            "default_cssid": r.shown(lambda n: f"css {n:#04x}"),
        },
    ),
    Struct("s390_css_img", {"chpids": r.numbered("channel path {:#04x}")}),
    Struct(
        "s390_chp_info",
        after=lambda item, _: r.add_meaning(
            item, f"in use, type {r.value_of(item, 'type')}" if r.value_of(item, "in_use") else "free"
        ),
    ),
    Struct(
        "ipl",
        {
            "compat_start_addr": r.address,
            "compat_bios_start_addr": r.address,
            "iplb_valid": r.yes_no("the IPL block is valid", "no IPL block"),
            "devno": r.shown(lambda n: f"{n:04x}"),
        },
    ),
    Struct(
        "qemu-s390-flic",
        {"simm": r.say("single-interruption-mode ISCs"), "nimm": r.say("no-interruption-mode ISCs")},
    ),
    Struct(
        "qemu-s390-flic-full",
        {
            "pending": r.yes_no("floating interrupts pending", "nothing pending"),
            **{f"io[{i}]": r.say(f"I/O interrupts of ISC {i}") for i in range(8)},
        },
    ),
    Struct("sclpquiesce", {"event_pending": r.yes_no("a shutdown request waits for the guest")}),
    Struct("vmstate-event-facility", {"receive_mask_pieces[1]": r.say("SCLP events that the guest wants")}),
)
_XICS = r.bits(*r.one_bits("ASSERTED SENT REJECTED MASKED_PENDING PRESENTED QUEUED"))
_PPC = (
    Struct("ics", {"irqs": r.numbered("source {}")}),
    Struct(
        "ics/irq",
        {
            "status": _XICS,
            "flags": r.bits(Bit(0, "LSI"), Bit(1, "MSI")),
            "priority": r.say_if(0xFF, "masked"),
        },
    ),
    Struct("icp/server", {"xirr": r.label("XIRR", r.bits(Bit(0, "source", 24), Bit(24, "CPPR", 8)))}),
    Struct(
        "timebase",
        {"guest_timebase": r.say("value of TB when saved"), "time_of_the_day_ns": r.shown(_since_epoch)},
    ),
    Struct(
        "spapr_iommu",
        {
            "liobn": r.label("LIOBN", r.shown(lambda n: f"{n:#x}")),
            "mig_table": r.say("TCE entries"),
            "bypass": r.yes_no("bypassed"),
        },
    ),
    Struct(
        "spapr_iommu_ex",
        {
            "bus_offset": r.address,
            "page_shift": r.shown(lambda n: f"pages of {r.size_text(1 << n)}" if n < 64 else ""),
        },
    ),
    Struct("spapr_pci", {"buid": r.label("BUID", r.shown(lambda n: f"{n:#x}"))}),
    Struct("spapr/rtc", {"ns_offset": r.both(r.say("guest clock minus host clock"), r.nanoseconds)}),
    Struct("spapr_dtb", {"fdt_blob": r.say("flattened device tree"), "fdt_size": r.byte_count}),
    Struct("spapr_vio", {"reg": r.say("unit address"), "crq.qladdr": r.address}),
    Struct("spapr-xive/eas", {"w": r.bits(Bit(63, "valid"), Bit(32, "masked"), Bit(0, "data", 31))}),
)
STRUCTS = (*_RISCV, *_S390, *_PPC)
