"""Interrupt controllers, timers and disks against ``info pic``, ``info lapic`` and QEMU's command line."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from devices import at, unsigned, with_answers
from examples import Example

from qevm.field import Field

Devices = Callable[[Example], dict[str, Field]]


@pytest.mark.parametrize("example", with_answers("info_pic"), ids=lambda one: one.name)
def test_8259_and_ioapic_equal_info_pic(example: Example, explained: Devices) -> None:
    if example.name == "background-snapshot":
        pytest.skip("the guest ran on between the snapshot and the question")
    devices = explained(example)
    text = example.manifest["oracle"]["info_pic"]
    compared = 0
    for line in re.findall(r"^pic(\d): (.*)$", text, flags=re.MULTILINE):
        controller = devices.get(f"i8259@{line[0]}")
        if controller is None:
            continue
        told = {name: int(value, 16) for name, value in re.findall(r"(\w+)=([0-9a-f]+)", line[1])}
        for ours, theirs in (
            ("IRR", "irr"),
            ("IMR", "imr"),
            ("ISR", "isr"),
            ("vector base", "irq_base"),
            ("ELCR", "elcr"),
        ):
            assert unsigned(controller, ours) == told[theirs], ours
        compared += 1
    ioapic = devices.get("ioapic@0")
    if ioapic is not None and "ioapic0" in text:
        table = at(ioapic, "redirection table")
        for pin, digits, rest in re.findall(
            r"^ +pin (\d+) +0x([0-9a-f]{16}) (.*)$", text, flags=re.MULTILINE
        ):
            entry = at(table, f"pin {pin}")
            assert unsigned(entry) == int(digits, 16)
            words = entry.meaning.split()
            assert ("masked" in words) == ("masked" in rest)
            assert ("level" in words) == ("level" in rest)
            vector = re.search(r"vec=(\d+)", rest)
            assert vector is not None
            shown = next(child for child in entry.children if child.name == "vector")
            assert (shown.value, shown.bits) == (int(vector[1]), (0, 8))
            compared += 1
    assert compared


_LVT = {
    "LVT0": "LVT LINT0", "LVT1": "LVT LINT1", "LVTPC": "LVT performance counter", "LVTERR": "LVT error",
    "LVTTHMR": "LVT thermal sensor", "LVTT": "LVT timer",
}  # fmt: skip


@pytest.mark.parametrize("example", with_answers("info_lapic"), ids=lambda one: one.name)
def test_apic_equals_info_lapic(example: Example, explained: Devices) -> None:
    if example.name == "background-snapshot":
        pytest.skip("the guest ran on between the snapshot and the question")
    apic = explained(example).get("apic@0")
    text = example.manifest["oracle"]["info_lapic"]
    if apic is None or "LVT0" not in text:
        pytest.skip("no local APIC")
    for theirs, ours in _LVT.items():
        line = re.search(rf"^{theirs}\s+0x([0-9a-f]{{8}}) (.*)$", text, flags=re.MULTILINE)
        assert line is not None
        entry = at(apic, "LVT", ours)
        assert unsigned(entry) == int(line[1], 16)
        assert ("masked" in entry.meaning) == ("masked" in line[2])
        if theirs == "LVTT":
            assert re.search("one-shot|periodic|TSC-deadline", line[2]) is not None
            assert any(word in entry.meaning for word in ("one-shot", "periodic", "TSC-deadline"))
        else:
            delivery = re.search(r"(ExtINT|NMI|SMI|INIT|Fixed)", line[2])
            assert delivery is not None
            assert delivery[1].lower() in entry.meaning.lower()
    spurious = re.search(r"SPIV\s+0x([0-9a-f]+) APIC (\w+), .*spurious vec (\d+)", text)
    assert spurious is not None
    assert unsigned(apic, "SVR") == int(spurious[1], 16)
    assert ("APIC-enabled" in at(apic, "SVR").meaning) == (spurious[2] == "enabled")
    timer = re.search(r"DCR=0x([0-9a-f]+) \((.*?)\) initial_count = (\d+)", text)
    assert timer is not None
    assert at(apic, "timer divide configuration").meaning == timer[2]
    assert unsigned(apic, "timer initial count") == int(timer[3])
    for register in ("ICR", "ICR2"):
        found = re.search(rf"^{register}\s+0x([0-9a-f]+)", text, flags=re.MULTILINE)
        assert found is not None
        assert unsigned(apic, "ICR", "ICR low" if register == "ICR" else "ICR high") == int(found[1], 16)
    for register in ("ISR", "IRR"):
        vectors = re.search(rf"^{register}\s+(.*)$", text, flags=re.MULTILINE)
        assert vectors is not None
        told = (
            []
            if "none" in vectors[1]
            else [int(one) for one in re.findall(r"\b(\d+)(?:\(level\))?", vectors[1])]
        )
        numbers = at(apic, register).meaning
        assert numbers == "none" if not told else all(str(one) in numbers for one in told)


def _oracle(name: str) -> Example:
    return next(one for one in with_answers("info_pci") if one.name == name)


def test_clock_reads_what_the_command_line_set(explained: Devices) -> None:
    rtc = explained(_oracle("pc-i440fx"))["mc146818rtc@0"]
    # -rtc base=2024-02-29T12:34:56, then a few seconds.
    assert re.fullmatch(r"RTC reads 2024-02-29 12:3[45]:\d\d", rtc.meaning)
    assert at(rtc, "cmos_data", "register A").meaning == "rate=1024 Hz divider=32.768 kHz"


def test_disk_says_its_serial_number_and_size(explained: Devices) -> None:
    # serial=QEVM0001, 64 MiB.
    ide = next(root for name, root in explained(_oracle("pc-i440fx")).items() if name.endswith("/ide@0"))
    drive = at(ide, "primary drives", "primary master")
    assert drive.meaning.startswith("QEMU HARDDISK")
    words = at(drive, "identify_data")
    assert at(words, "serial number").meaning == "QEVM0001"
    assert at(words, "LBA28 sectors").value == 64 * 2048
    assert at(words, "serial number").size == 20


def test_run_state_and_clock_in_words(explained: Devices) -> None:
    devices = explained(_oracle("pc-i440fx"))
    assert devices["globalstate@0"].meaning == "paused: paused by the user"
    clock = at(devices["timer@0"], "virtual clock")
    assert re.search(r"[345]\.\d+ s of run time", clock.meaning)
    assert devices["serial@0"].meaning == "115200 baud, 8N1" or "baud" in devices["serial@0"].meaning


def test_timers_are_told_against_the_clock(explained: Devices) -> None:
    devices = explained(_oracle("pc-i440fx"))
    clock = at(devices["timer@0"], "virtual clock").value
    update = at(devices["mc146818rtc@0"], "update_timer")
    assert isinstance(clock, int)
    if "not armed" not in update.meaning:
        assert isinstance(update.value, int)
        left = update.value - clock
        assert ("overdue" in update.meaning) == (left < 0)
    assert at(devices["hpet@0"], "timer", "timer 0", "qemu_timer").meaning == "not armed"
