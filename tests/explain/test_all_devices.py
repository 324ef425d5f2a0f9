"""What must hold for every device of every capture, and for every damage to one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

import devices as helpers
import pytest
from examples import Example
from hypothesis import given, settings
from hypothesis import strategies as st

from qevm.capture import Capture
from qevm.explain import ExplainContext, explain
from qevm.explain.render import details, value_text
from qevm.field import Field
from qevm.source import BytesSource
from qevm.tail import find_description, locate_devices
from qevm.vmdesc import Vmsd
from qevm.vmstate import VmstateDecoder


def _check(root: Field) -> None:
    """Names, texts and bits of a tree agree with its bytes."""
    for item in helpers.everything(root):
        assert item.name
        assert root.offset <= item.offset <= item.end <= root.end, (root.name, item.name)
        assert "\x1b" not in item.meaning
        assert value_text(item).isprintable()
        assert all(text.isprintable() for _, text in details(item, root.offset))
        for child in item.children if item.size <= 8 and isinstance(item.value, int) else ():
            if child.bits is not None:
                low, width = child.bits
                assert (child.offset, child.size) == (item.offset, item.size)
                assert child.value == item.value >> low & ((1 << width) - 1), (item.name, child.name)


@pytest.mark.parametrize("example", helpers.with_answers("info_registers"), ids=lambda one: one.name)
def test_every_device_explains_itself(
    example: Example, explained: Callable[[Example], dict[str, Field]]
) -> None:
    for root in explained(example).values():
        _check(root)


def test_an_explained_field_keeps_its_bytes(capture_of: Callable[[str], Capture]) -> None:
    capture = capture_of("pc-i440fx")
    for section in helpers.sections(capture):
        for item in helpers.everything(capture.decode(section)):
            if item.bits is None and item.type != "derived" and isinstance(item.value, int) and item.size:
                raw = capture.source.read(item.offset, item.size)
                order = "little" if item.type.endswith(" le") and item.type.startswith("uint") else "big"
                mask = (1 << 8 * item.size) - 1
                assert item.value & mask == int.from_bytes(raw, order), (section.device_id, item.name)


def test_long_runs_stay_lazy(capture_of: Callable[[str], Capture], monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    original = VmstateDecoder.element

    def count(self: VmstateDecoder, *arguments: object) -> Field:
        made.append(str(arguments[1]))
        return original(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(VmstateDecoder, "element", count)
    capture = capture_of("pc-i440fx")
    section = next(one for one in helpers.sections(capture) if one.device_id.endswith("/e1000@0"))
    root = capture.decode(section)
    assert len(made) < 1200
    registers = helpers.at(root, "e1000/full_mac_state", "register file")
    assert len(registers.children) == 32768
    assert len(made) < 1200
    assert registers.children[2].name == "STATUS"


def test_vmstate_names_still_find_renamed_fields(capture_of: Callable[[str], Capture]) -> None:
    capture = capture_of("pc-long-mode")
    root = capture.decode(capture.find("cpu@0")[0])
    pointer = root.child("env.eip")
    assert pointer is not None
    assert (pointer.name, pointer.alias) == ("RIP", "env.eip")
    path = root.at(pointer.offset)
    assert [item.name for item in path][-1] == "RIP"


def test_cursor_in_a_register_stops_at_the_register_not_at_a_bit(
    capture_of: Callable[[str], Capture],
) -> None:
    capture = capture_of("pc-long-mode")
    root = capture.decode(capture.find("cpu@0")[0])
    flags = root.child("RFLAGS")
    assert flags is not None
    assert len(flags.children) > 10
    assert root.at(flags.offset + 7)[-1] is flags


@pytest.fixture(scope="module")
def bodies(explain_folder: Path) -> list[tuple[str, Vmsd, int, bytes]]:
    """(idstr, vmsd, version, body) of the devices of some captures, small enough to be damaged often."""
    found = []
    for example in helpers.with_answers("info_registers"):
        if example.name not in DAMAGED:
            continue
        data = example.unpack(explain_folder).read_bytes()
        source = BytesSource(data)
        description = find_description(source)
        assert description is not None
        for section in locate_devices(source, description.description, description.offset - 1):
            size = section.body_end - section.body
            if size <= 70000:
                body = data[section.body : section.body_end]
                found.append((section.device.name, section.device.vmsd, section.version_id, body))
    return found


DAMAGED = {
    "q35-virtio", "pc-i440fx", "aarch64-virt-a57", "aarch64-virt-q111", "riscv64-virt", "s390x-ccw",
    "ppc-mac99",
    "mips-malta", "sparc-ss5", "alpha-clipper", "or1k-sim", "avr-mega-q72", "microvm",
}  # fmt: skip


def _explained(idstr: str, vmsd: Vmsd, version: int, body: bytes) -> Field:
    def read(offset: int, length: int) -> bytes:
        return body[offset : offset + length]

    root = Field(idstr, 0, len(body), "FULL", children=VmstateDecoder(read, len(body)).body(vmsd, 0))
    explain(root, ExplainContext(idstr, read, 0, vmsd.name, version, 10**9, "x86"))
    return root


@settings(max_examples=250, deadline=None)
@given(st.data())
def test_damaged_bodies_never_break(
    bodies: Sequence[tuple[str, Vmsd, int, bytes]], data: st.DataObject
) -> None:
    idstr, vmsd, version, body = data.draw(st.sampled_from(bodies), label="device")
    raw = bytearray(body)
    for _ in range(data.draw(st.integers(0, 12))):
        if raw:
            raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(
                st.sampled_from([0, 1, 5, 0x7F, 0x80, 0xFF])
            )
    size = len(raw) if data.draw(st.booleans()) else data.draw(st.integers(0, len(raw)))
    _check(_explained(idstr, vmsd, version, bytes(raw[:size])))


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_any_bytes_in_a_device_never_break(
    bodies: Sequence[tuple[str, Vmsd, int, bytes]], data: st.DataObject
) -> None:
    idstr, vmsd, version, body = data.draw(st.sampled_from(bodies), label="device")
    random = Random(data.draw(st.integers(0, 1 << 32)))
    _check(_explained(idstr, vmsd, version, random.randbytes(len(body))))
