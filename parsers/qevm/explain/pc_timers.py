"""Clocks and timers of a PC: 8254 PIT, MC146818 RTC, HPET, speaker (device-facts §5)."""

from __future__ import annotations

import datetime

from qevm.explain import rules as r
from qevm.explain.context import ExplainContext
from qevm.explain.rules import Bit, Struct
from qevm.explain.units import duration
from qevm.explain.window import Window
from qevm.field import Field

PIT_HZ = 1193182
_PIT_MODES = {
    0: "interrupt on terminal count", 1: "hardware one-shot", 2: "rate generator", 3: "square wave",
    4: "software strobe", 5: "hardware strobe",
}  # fmt: skip
_PIT_CHANNELS = ("channel 0 (IRQ 0)", "channel 1 (DRAM refresh)", "channel 2 (speaker)")
_ACCESS = {0: "latch", 1: "low byte", 2: "high byte", 3: "low then high byte"}


def _pit_channel(item: Field, _: ExplainContext) -> None:
    count, mode = r.value_of(item, "count"), r.value_of(item, "mode")
    if count is None or mode is None:
        return
    # 0 stands for 65536 (10000 in BCD); QEMU keeps the expanded number.
    count = count or 0x10000
    parts = [f"mode {mode} {_PIT_MODES.get(mode, '')}".strip(), f"count {count}"]
    parts.append(f"{r.hertz(PIT_HZ / count)}" if count > 0 else "bad count")
    if r.value_of(item, "gate") == 0:
        parts.append("gate off")
    r.add_meaning(item, ", ".join(parts))


_RATES = {0: "off", 1: "256 Hz", 2: "128 Hz", **{n: f"{32768 >> (n - 1)} Hz" for n in range(3, 16)}}
_REGISTER_A = r.bits(
    Bit(0, "rate", 4, _RATES),
    Bit(4, "divider", 3, {2: "32.768 kHz", 6: "held in reset", 7: "held in reset"}),
    Bit(7, "UIP", text="update in progress"),
)
_REGISTER_B = r.bits(
    Bit(0, "DSE"), Bit(1, "24h"), Bit(2, "binary"), Bit(3, "SQWE"), Bit(4, "UIE"), Bit(5, "AIE"),
    Bit(6, "PIE"), Bit(7, "SET"),
)  # fmt: skip
_REGISTER_C = r.bits(Bit(4, "UF"), Bit(5, "AF"), Bit(6, "PF"), Bit(7, "IRQF"))
_REGISTER_D = r.bits(Bit(7, "VRT", text="RAM and time valid"))
_CMOS = (
    "seconds", "alarm seconds", "minutes", "alarm minutes", "hours", "alarm hours", "day of week",
    "day of month", "month", "year",
)  # fmt: skip
_CMOS_KNOWN = {
    0x0E: "diagnostic status", 0x0F: "shutdown status", 0x10: "floppy types", 0x12: "hard disk types",
    0x14: "equipment", 0x2D: "boot flags", 0x32: "century", 0x38: "boot order 1",
    0x3D: "boot order 2", 0x5F: "number of CPUs - 1",
}  # fmt: skip
_CMOS_WORDS = {
    0x15: ("base memory in KiB", 1024), 0x17: ("extended memory in KiB", 1024),
    0x30: ("extended memory in KiB", 1024), 0x34: ("memory above 16 MiB in 64 KiB", 65536),
}  # fmt: skip


def _number(value: int, bcd: bool) -> int | None:
    if not bcd:
        return value
    high, low = value >> 4, value & 0xF
    return high * 10 + low if high < 10 and low < 10 else None


def cmos_time(data: bytes) -> str | None:
    """The RTC's date and time from the first 64 bytes of CMOS; None when it is no date."""
    if len(data) < 0x33:
        return None
    mode = data[0x0B]
    bcd = not mode & 4
    parts = [_number(data[i], bcd) for i in (0, 2, 7, 8, 9)]
    century = _number(data[0x32], True)
    pm = data[4] & 0x80 if not mode & 2 else 0
    hour = _number(data[4] & 0x7F, bcd)
    if hour is None or century is None or None in parts:
        return None
    if not mode & 2:
        hour = hour % 12 + (12 if pm else 0)
    second, minute, day, month, year = (part or 0 for part in parts)
    try:
        moment = datetime.datetime(century * 100 + year, month, day, hour, minute, second)
    except ValueError:
        return None
    return moment.isoformat(" ")


def _cmos(item: Field, context: ExplainContext) -> None:
    """128 bytes of CMOS: clock, registers A…D, and what firmware keeps there."""
    data = item.value
    if not isinstance(data, bytes) or len(data) < 64:
        return
    w = Window(data, item.offset, context)
    bcd = not data[0x0B] & 4
    fields = []
    for i, name in enumerate(_CMOS):
        shown = _number(data[i] & (0x7F if i in (4, 5) else 0xFF), bcd)
        text = str(shown) if shown is not None else "any" if data[i] >= 0xC0 else ""
        fields.append(w.number(name, i, 1, r.say(text)))
    for i, rule in enumerate((_REGISTER_A, _REGISTER_B, _REGISTER_C, _REGISTER_D)):
        fields.append(w.number(f"register {'ABCD'[i]}", 0x0A + i, 1, rule))
    for at, name in _CMOS_KNOWN.items():
        if at < len(data):
            fields.append(w.number(name, at, 1))
    for at, (name, unit) in _CMOS_WORDS.items():
        if at + 2 <= len(data):
            fields.append(w.number(name, at, 2, r.say(r.size_text(w.get(at, 2) * unit))))
    item.children = w.tiled(fields, 0, len(data), "NVRAM")
    r.add_meaning(item, f"RTC reads {cmos_time(data)}" if cmos_time(data) else "no valid date")


def epoch(seconds: int) -> str:
    """Seconds since 1970 as a date in UTC."""
    try:
        return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError, OSError):
        return "no date"


def _rtc(item: Field, _: ExplainContext) -> None:
    data = item.child("cmos_data")
    if data is not None and data.meaning:
        r.add_meaning(item, data.meaning)


_HPET_TIMER = r.bits(
    Bit(1, "level"), Bit(2, "interrupt-enabled"), Bit(3, "periodic"), Bit(4, "periodic-capable"),
    Bit(5, "64-bit-capable"), Bit(6, "set-value"), Bit(8, "32-bit-mode"), Bit(9, "route", 5),
    Bit(14, "FSB-enabled"), Bit(15, "FSB-capable"), Bit(32, "routes", 32, quiet=True),
)  # fmt: skip


def _hpet_timer(item: Field, _: ExplainContext) -> None:
    config, timer = r.value_of(item, "config"), item.child("qemu_timer")
    if config is not None and timer is not None:
        state = "enabled" if config >> 2 & 1 else "disabled"
        r.add_meaning(item, f"{state}, {timer.meaning}")


STRUCTS = (
    Struct(
        "i8254",
        {
            "channels": r.names(*_PIT_CHANNELS),
            "channels[0].irq_disabled": r.yes_no("the HPET drives IRQ 0 instead"),
            "channels[0].next_transition_time": r.moment,
        },
    ),
    Struct(
        "pit channel",
        {
            "mode": r.words(_PIT_MODES),
            "rw_mode": r.words(_ACCESS),
            "read_state": r.words(_ACCESS),
            "write_state": r.words({**_ACCESS, 4: "second of two bytes"}),
            "count_load_time": r.moment,
            "next_transition_time": r.moment,
        },
        after=_pit_channel,
    ),
    Struct(
        "mc146818rtc",
        {
            "cmos_data": _cmos,
            "cmos_index": r.shown(lambda n: f"register {n & 0x7F:#04x} selected"),
            "next_periodic_time": r.moment,
            "base_rtc": r.shown(epoch),
            "last_update": r.say("host clock in ns when base_rtc was set"),
            "offset": r.nanoseconds,
            "next_alarm_time": r.moment,
            "period": r.say("in ticks of 32768 Hz"),
        },
        after=_rtc,
    ),
    Struct(
        "hpet",
        {
            "config": r.bits(Bit(0, "enabled"), Bit(1, "legacy-replacement"), empty="stopped"),
            "isr": r.label("interrupt status"),
            "hpet_counter": r.label(
                "main counter", r.shown(lambda n: f"in ticks of 10 ns: {duration(10 * n)}")
            ),
            "timer": r.numbered("timer {}"),
            "num_timers": r.say("timers there are"),
        },
    ),
    Struct(
        "hpet_timer",
        {
            "config": _HPET_TIMER,
            "cmp": r.label("comparator"),
            "fsb": r.say("MSI: data low, address high"),
            "period": r.say("in ticks of 10 ns"),
        },
        after=_hpet_timer,
    ),
    Struct("pcspk", {"data_on": r.yes_no("speaker on", "speaker off")}),
    Struct(
        "port92",
        {"outport": r.bits(Bit(0, "fast-reset"), Bit(1, "A20"), empty="A20 off")},
    ),
)
