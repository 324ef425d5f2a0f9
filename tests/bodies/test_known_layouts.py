from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import described
import learn_layouts
import pytest
from bodyhelp import opened, unpacked
from hypothesis import given
from hypothesis import strategies as st

from qevm.bodies import hand_layouts
from qevm.bodies.known_layouts import layouts_for, library, match_body
from qevm.bodies.layout_library import DATA_FILE, Library, builtin, dump, load
from qevm.section import SectionKind
from qevm.source import BytesSource, FileSource

CAPTURES = os.environ.get("QEVM_UNPACKED_CAPTURES", "")
HERE = (
    "aarch64-virt-a57",
    "arm-virt-a15",
    "block-q72",
    "dirty-bitmaps",
    "i386-q72",
    "mips-malta",
    "pc-smp4",
    "ppc64-pseries",
    "q35-devices",
    "riscv64-virt",
    "s390x-ccw",
    "s390x-ccw-q72",
    "virtio-mem",
)
FOOTER = b"\x7e\0\0\0\1\0"


def ends(body: bytes, idstr: str, version: int, known: Library | None = None) -> list[int]:
    data = BytesSource(body + FOOTER)
    return [end for end, _ in match_body(data, 0, data.size, idstr, version, known)]


def test_small_devices_are_known_by_heart() -> None:
    assert [vmsd.length for vmsd in layouts_for("timer", 2)] == [24]
    assert [vmsd.length for vmsd in layouts_for("cpu_common", 1)] == [8]
    assert 104 in [vmsd.length for vmsd in layouts_for("globalstate", 1)]
    assert layouts_for("no-such-device", 1) == []
    assert layouts_for("timer", 77) == []


def test_an_array_is_as_long_as_its_counter_says() -> None:
    for count in (1, 4, 32):
        body = count.to_bytes(4, "big") + bytes(4 * count)
        assert 4 + 4 * count in ends(body, "PCIBUS", 1)


def test_a_counter_beyond_the_data_fits_nothing() -> None:
    assert 4 + 4 * 0x7FFFFFFF not in ends(b"\x7f\xff\xff\xff", "PCIBUS", 1)


def test_subsections_announce_themselves() -> None:
    body = bytes(24) + b"\x05\x0ctimer/icount\0\0\0\1" + bytes(16)
    data = BytesSource(body + FOOTER)
    ((end, vmsd),) = match_body(data, 0, data.size, "timer", 2)
    assert end == len(body)
    assert vmsd.length == len(body)
    assert [sub.name for sub in vmsd.subsections] == ["timer/icount"]


def test_the_last_component_of_the_idstr_names_the_device() -> None:
    assert ends(bytes(24), "0000:00:01.0/timer", 2) == [24]


def test_an_unknown_subsection_fits_nothing() -> None:
    assert ends(bytes(24) + b"\x05\x0dtimer/unknown\0\0\0\1" + bytes(16), "timer", 2) == []


def test_subsections_of_kvm_guests_are_known() -> None:
    names = {name for name, _ in library().subsections}
    assert {"cpu/steal_time_msr", "cpu/nested_state", "cpu/msr_hyperv_synic", "virtio/disabled"} <= names


def test_a_nested_guest_has_its_vmcs() -> None:
    nested = (
        b"\x05\x10cpu/nested_state\0\0\0\1" + bytes(8)
        + b"\x05\x18cpu/kvm_nested_state/vmx\0\0\0\1" + bytes(18)
        + b"\x05\x1fcpu/kvm_nested_state/vmx/vmcs12\0\0\0\1" + bytes(4096)
    )  # fmt: skip
    owner = hand_layouts.layout("cpu", 99, "env.regs:uint64*16")
    known = Library()
    hand_layouts.extend(known)
    known.add(known.devices, owner)
    body = bytes(128) + nested
    assert ends(body, "cpu", 99, known) == [len(body)]


def test_the_data_file_is_small_and_reproducible() -> None:
    raw = Path(hand_layouts.__file__).with_name(DATA_FILE).read_bytes()
    assert len(raw) < 100_000
    assert dump(load(raw)) == raw


def test_hand_written_layouts_agree_with_learned_ones() -> None:
    learned = builtin()
    for name, version, text in hand_layouts.SUBSECTIONS:
        numbers = learned.subsections.get((name, version))
        if numbers:
            mine = [
                (f.name, f.type, f.size, f.count) for f in hand_layouts.layout(name, version, text).fields
            ]
            theirs = [
                [(f.name, f.type, f.size, f.count) for f in learned.layouts[number].fields]
                for number in numbers
            ]
            assert mine in theirs, name


@pytest.mark.parametrize("name", ["pc-no-vmdesc", "pc-bare", "postcopy"])
def test_every_device_of_a_stream_without_description_is_decoded(name: str, tmp_path: Path) -> None:
    capture = opened(name, tmp_path)
    full = [section for section in capture.index if section.kind is SectionKind.FULL]
    assert len(full) == 33
    for section in full:
        candidates = match_body(
            capture.source, section.body, section.body_end, section.idstr or "", section.version_id or 0
        )
        assert section.body_end in [end for end, _ in candidates], section.device_id


def check_hold_out(paths: list[Path]) -> Counter[str]:
    """Each capture with the layouts learned from all the others."""
    found = {path: list(described.devices(path)) for path in paths}
    result: Counter[str] = Counter()
    for left_out in paths:
        learner = learn_layouts.Learner()
        for path in paths:
            if path != left_out:
                learner.learn_devices(path.name, found[path])
        known = learner.library()
        hand_layouts.extend(known)
        source = FileSource(left_out)
        for device in found[left_out]:
            vmsd = device.vmsd
            if "vmsd_name" not in vmsd or not known.of_device(device.idstr, vmsd["version"]):
                result["never seen"] += 1
                continue
            candidates = match_body(source, device.offset, source.size, device.idstr, vmsd["version"], known)
            for end, layout in candidates:
                assert layout.length == end - device.offset
            true = device.offset + len(device.body)
            places = [end for end, _ in candidates]
            result["first" if places[:1] == [true] else "later" if true in places else "missed"] += 1
        source.close()
    return result


def test_layouts_learned_elsewhere_predict_lengths(tmp_path: Path) -> None:
    result = check_hold_out([unpacked(name, tmp_path) for name in HERE])
    # The missed ones have conditional fields that no other capture shows.
    assert result["first"] >= 280, result
    assert result["missed"] <= 12, result


@pytest.mark.skipif(not CAPTURES, reason="QEVM_UNPACKED_CAPTURES names no folder of unpacked captures")
def test_layouts_learned_from_all_other_captures_predict_lengths() -> None:
    paths = [path for path in sorted(Path(CAPTURES).glob("*.bin")) if path.stat().st_size < 6_000_000]
    result = check_hold_out(paths)
    known = result["first"] + result["later"] + result["missed"]
    assert result["first"] + result["later"] > 0.98 * known


@given(st.data())
def test_any_bytes_are_survived(data: st.DataObject) -> None:
    name, version = data.draw(st.sampled_from(sorted(k for k in library().devices if k[1] is not None)))
    body = data.draw(st.binary(max_size=600))
    source = BytesSource(body)
    for end, vmsd in match_body(source, 0, source.size, name, version or 0):
        assert end <= source.size
        assert vmsd.length == end
