from __future__ import annotations

import pytest
from bodyhelp import Chain, assert_tiles, facts, survives
from hypothesis import given
from hypothesis import strategies as st

from qevm.bodies.protocol import BadBody
from qevm.bodies.vfio import VfioBody
from qevm.cursor import Cursor, Truncated
from qevm.section import SectionKind
from qevm.source import BytesSource

START, PART, END, FULL = SectionKind.START, SectionKind.PART, SectionKind.END, SectionKind.FULL


def tag(number: int) -> bytes:
    return (0xFFFFFFFFEF100000 | number).to_bytes(8, "big")


EOS, CONFIG, SETUP, DATA, SENT, READY = map(tag, range(1, 7))


def data_record(payload: bytes) -> bytes:
    return DATA + len(payload).to_bytes(8, "big") + payload


def pci_config(size: int, msix: int = 0, *, express: bool = False) -> bytes:
    config = bytearray(size)
    config[0:4] = bytes.fromhex("de10 0b22")
    config[6] = 0x10
    config[0x34] = 0x40
    config[0x40:0x42] = bytes([0x10 if express else 0x05, 0x60])
    if msix:
        config[0x60:0x64] = bytes([0x11, 0]) + (msix - 1).to_bytes(2, "little")
    return bytes(config)


def pci_device(size: int, msix: int = 0, *, express: bool = False) -> bytes:
    body = (2).to_bytes(4, "big") + pci_config(size, msix, express=express) + bytes(16)
    return body + bytes(msix * 16 + (msix + 7) // 8)


def test_a_whole_life() -> None:
    chain = Chain(
        VfioBody,
        (START, SETUP + EOS),
        (PART, data_record(b"a" * 100) + SENT + EOS),
        (PART, EOS),
        (END, data_record(b"b" * 20) + data_record(b"") + EOS),
        (FULL, CONFIG + pci_device(4096, 9, express=True) + EOS),
    )
    assert [field.name for field in chain.fields(0)] == ["DEV_SETUP_STATE", "END_OF_STATE"]
    assert chain.fields(1)[0].meaning == "100 bytes of vendor data"
    assert chain.body.summary(chain.sections[3]) == "2 data records, 20 bytes of data"
    config, _ = chain.fields(4)
    assert config.child("config").meaning == "PCI configuration space of 10de:220b"
    assert config.child("config").size == 4096
    assert config.child("msix_table").size == 9 * 16
    assert config.child("msix_pending").size == 2


@pytest.mark.parametrize(("size", "msix", "express"), [(256, 0, False), (256, 3, True), (4096, 0, True)])
def test_the_configuration_has_one_of_two_sizes(size: int, msix: int, express: bool) -> None:
    body = CONFIG + pci_device(size, msix, express=express) + EOS
    config, _ = Chain(VfioBody, (FULL, body)).fields(0)
    assert config.child("config").size == size


def test_subsections_of_the_configuration_are_kept_whole() -> None:
    sub = b"\x05\x19VFIOPCIDevice/VFIODisplay\0\0\0\1" + bytes(30)
    body = CONFIG + pci_device(256) + sub + EOS
    config, eos = Chain(VfioBody, (FULL, body)).fields(0)
    assert config.size == 8 + 276 + len(sub)
    assert eos.name == "END_OF_STATE"


def test_over_multifd_the_full_section_is_a_lone_tag() -> None:
    assert len(Chain(VfioBody, (FULL, EOS)).fields(0)) == 1
    assert Chain(VfioBody, (FULL, READY)).fields(0)[0].name == "DEV_CONFIG_LOAD_READY"


def test_an_unknown_tag_is_refused_where_it_stands() -> None:
    data = data_record(b"xy") + tag(9)
    with pytest.raises(BadBody) as error:
        list(VfioBody(facts(data)).scan(Cursor(BytesSource(data)), PART, 0))
    assert error.value.offset == 18


def test_a_huge_size_is_truncated() -> None:
    data = DATA + b"\x10" + bytes(40)
    with pytest.raises(Truncated):
        list(VfioBody(facts(data)).scan(Cursor(BytesSource(data)), PART, 0))
    survives(VfioBody, PART, data)


records = st.lists(
    st.one_of(st.binary(max_size=200).map(data_record), st.just(SENT), st.just(SETUP)), max_size=6
)


@given(records)
def test_any_valid_body_is_tiled(parts: list[bytes]) -> None:
    data = b"".join(parts) + EOS
    assert_tiles(Chain(VfioBody, (END, data)).fields(0), 0, len(data))


@given(st.data(), records)
def test_any_damage_is_survived(data: st.DataObject, parts: list[bytes]) -> None:
    raw = bytearray(b"".join(parts) + CONFIG + pci_device(256, 2) + EOS)
    for at in data.draw(st.lists(st.integers(0, len(raw) - 1), max_size=4)):
        raw[at] = data.draw(st.integers(0, 255))
    survives(
        VfioBody, data.draw(st.sampled_from([END, FULL])), bytes(raw[: data.draw(st.integers(0, len(raw)))])
    )
