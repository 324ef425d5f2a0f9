"""PCI functions, BARs and capability lists against ``info pci``, and lists that lie."""

from __future__ import annotations

import re
from collections.abc import Callable
from random import Random

import oracles
import pytest
from devices import at, everything, unsigned, with_answers
from examples import Example
from hypothesis import given, settings
from hypothesis import strategies as st

from qevm.explain import ExplainContext
from qevm.explain.pci import bar_text, config_fields
from qevm.field import Field

Devices = Callable[[Example], dict[str, Field]]


def _configs(root: Field) -> list[Field]:
    return [item for item in everything(root) if item.type == "pci config" and item.children]


def _functions(devices: dict[str, Field]) -> dict[tuple[int, int, int], Field]:
    """(bus, device, function) → configuration space.  A path ``0000:00:07.0:00.0`` goes through a bridge."""
    buses = {(): 0}
    found = {}
    # Shorter paths first: a bridge is met before what lies behind it.
    places = []
    for name, root in devices.items():
        path = re.match(r"0000:00:((?:[0-9a-f]{2}\.\d:?)+)/", name)
        configs = _configs(root)
        if configs:
            steps = () if path is None else tuple(path[1].rstrip(":").split(":"))
            places.append((steps, configs[0]))
    for steps, config in sorted(places, key=lambda place: len(place[0])):
        if not steps:
            continue
        bus = buses.get(steps[:-1])
        if bus is None:
            continue
        device, _, function = steps[-1].partition(".")
        found[bus, int(device, 16), int(function)] = config
        if config.child("secondary bus") is not None:
            buses[steps] = unsigned(config, "secondary bus")
    return found


@pytest.mark.parametrize("example", with_answers("info_pci"), ids=lambda one: one.name)
def test_functions_equal_info_pci(example: Example, explained: Devices) -> None:
    functions = _functions(explained(example))
    expected = list(oracles.pci(example.manifest["oracle"]["info_pci"]))
    assert len(expected) > 3
    seen = 0
    for one in expected:
        config = functions.get((one.bus, one.device, one.function))
        if config is None:
            continue  # host bridge and ISA bridge have no PCI address in their idstr
        seen += 1
        assert (unsigned(config, "vendor"), unsigned(config, "device")) == (one.vendor, one.product)
        assert at(config, "device").meaning, f"no name for {one.vendor:04x}:{one.product:04x}"
        for number, (start, kind, prefetch) in one.bars.items():
            bar = at(config, f"BAR {number}")
            assert (bar.size, bar.offset) == (4, config.offset + 0x10 + 4 * number)
            assert f"at {start:#x}" in bar.meaning
            assert {"I/O": "I/O ports", "32 bit": "32-bit", "64 bit": "64-bit"}[kind] in bar.meaning
            assert ("prefetchable" in bar.meaning) == prefetch
            if kind == "64 bit":
                assert at(config, f"BAR {number + 1}").meaning == f"upper half of BAR {number}"
        shown = {
            number for number in range(6) if " at 0x" in getattr(config.child(f"BAR {number}"), "meaning", "")
        }
        assert shown == set(one.bars)
        if one.irq is not None:
            assert at(config, "interrupt line").meaning == f"IRQ {one.irq}"
            assert at(config, "interrupt pin").meaning == f"INT{one.pin}"
        if one.secondary is not None:
            assert unsigned(config, "secondary bus") == one.secondary
            assert unsigned(config, "subordinate bus") == one.subordinate
            for kind, (first, last) in one.windows.items():
                label = {
                    "IO": "I/O base",
                    "memory": "memory base",
                    "prefetchable memory": "prefetchable base",
                }[kind]
                text = at(config, label).meaning
                assert ("closed" in text) if first > last else f"{first:#x}–{last:#x}" in text
    assert seen >= len(expected) - 3


def test_capabilities_of_a_root_port_and_of_virtio(
    capture_of: Callable[[str], object], explained: Devices
) -> None:
    example = next(one for one in with_answers("info_pci") if one.name == "q35-virtio")
    functions = _functions(explained(example))
    port = functions[0, 7, 0]
    names = [item.name for item in port.children if item.type == "struct"]
    assert names == [
        "bridge subsystem id", "MSI-X", "PCI Express", "advanced error reporting", "access control services",
    ]  # fmt: skip
    assert at(port, "PCI Express").meaning == "root port, slot 1"
    assert at(port, "PCI Express", "link capabilities").meaning.startswith("speed=16 GT/s width=x32")
    net = functions[0, 2, 0]
    kinds = [item.name for item in net.children if item.type == "struct"]
    assert kinds.count("virtio common configuration") == kinds.count("virtio notifications") == 1
    assert at(net, "virtio common configuration").meaning == "BAR 4 + 0x0, 4096 bytes"
    vectors = at(net, "MSI-X", "message control")
    assert unsigned(vectors.children[0]) + 1 == 4


def _context() -> ExplainContext:
    return ExplainContext("test", lambda offset, length: b"\0" * length, vmsd="PCIDevice")


def _tiles(fields: list[Field], start: int, end: int) -> bool:
    at_offset = start
    for item in fields:
        if item.offset != at_offset:
            return False
        at_offset = item.end
    return at_offset == end


@settings(max_examples=200)
@given(st.binary(min_size=256, max_size=256), st.integers(0, 255), st.booleans())
def test_any_256_bytes_are_tiled(data: bytes, pointer: int, listed: bool) -> None:
    raw = bytearray(data)
    raw[0x34] = pointer
    raw[6] = raw[6] & ~0x10 | (0x10 if listed else 0)
    fields = config_fields(bytes(raw), 1000, _context())
    assert _tiles(fields, 1000, 1256)
    for item in fields:
        if item.type == "struct":
            assert _tiles(list(item.children), item.offset, item.end)


@settings(max_examples=100)
@given(st.integers(0, 1 << 32), st.integers(1, 64))
def test_any_4096_bytes_are_tiled(seed: int, zeros: int) -> None:
    random = Random(seed)
    data = bytes(random.choice((0, random.randrange(256))) if i % zeros else 0 for i in range(4096))
    assert _tiles(config_fields(data, 0, _context()), 0, 4096)


def _config(*capabilities: tuple[int, int, int], start: int = 0x40) -> bytes:
    raw = bytearray(256)
    raw[6] = 0x10
    raw[0x34] = start
    for at_byte, number, following in capabilities:
        raw[at_byte : at_byte + 2] = bytes((number, following))
    return bytes(raw)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (_config((0x40, 5, 0x60), (0x60, 1, 0x40)), "loop: points back to 0x40"),
        (_config((0x40, 1, 0x40)), "loop: points back to 0x40"),
        (_config((0x40, 1, 0x10)), "points to 0x10, inside the header"),
        (_config(start=0x20), "points to 0x20, inside the header"),
        (_config((0x40, 1, 0x44), (0x44, 1, 0)), "points to 0x44, inside another capability"),
    ],
)
def test_bad_lists_are_told_at_the_pointer(data: bytes, said: str) -> None:
    fields = config_fields(data, 0, _context())
    problems = [item.problem for top in fields for item in everything(top) if item.problem]
    assert problems == [said]


def test_extended_loop_is_told() -> None:
    raw = bytearray(4096)
    raw[0x100:0x104] = (0x0001 | 1 << 16 | 0x200 << 20).to_bytes(4, "little")
    raw[0x200:0x204] = (0x0003 | 1 << 16 | 0x100 << 20).to_bytes(4, "little")
    fields = config_fields(bytes(raw), 0, _context())
    problems = [item.problem for top in fields for item in everything(top) if item.problem]
    assert problems == ["loop: next points back to 0x100"]


@pytest.mark.parametrize(
    ("value", "wide", "text"),
    [
        # The encodings of the PCI Local Bus Specification 3.0, §6.2.5.1.
        (0, False, "not used, or not assigned"),
        (0xC001, False, "I/O ports at 0xc000"),
        (1, False, "I/O, no address assigned"),
        (0xFEBC0000, False, "32-bit memory at 0xfebc0000"),
        (0xFD000008, False, "32-bit prefetchable memory at 0xfd000000"),
        (0x38000000000C, True, "64-bit prefetchable memory at 0x380000000000"),
        (0x0000000C, True, "64-bit prefetchable memory, no address assigned"),
        (0xFFFFFFFF, False, "32-bit memory, all ones: being sized, or not assigned"),
        (0xFFFFFFC1, False, "I/O, being sized: 64 ports"),
    ],
)
def test_bar_values_in_words(value: int, wide: bool, text: str) -> None:
    if value == 0xFFFFFFFF:
        assert "all ones" in bar_text(value, wide) or "sized" in bar_text(value, wide)
    else:
        assert bar_text(value, wide) == text
