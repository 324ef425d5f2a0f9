from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from bodyhelp import assert_tiles, facts, opened, section
from hypothesis import given
from hypothesis import strategies as st

from qevm.bodies.config import configuration_fields, scan_configuration
from qevm.bodies.protocol import BadBody
from qevm.cursor import Cursor, Truncated
from qevm.facts import StreamFacts
from qevm.field import Field
from qevm.problems import Problem, Severity
from qevm.section import SectionKind
from qevm.source import BytesSource
from qevm.vmdesc import VmField, Vmsd

RAM_START = b"\x01\0\0\0\1\x03ram"
UUID = bytes.fromhex("123456789abcdef0123456789abcdef0")


def name(text: bytes) -> bytes:
    return len(text).to_bytes(4, "big") + text


def sub(text: bytes, body: bytes, version: int = 1) -> bytes:
    return b"\x05" + bytes([len(text)]) + text + version.to_bytes(4, "big") + body


PAGE_BITS = sub(b"configuration/target-page-bits", b"\0\0\0\x0c")
CAPABILITIES = sub(b"configuration/capabilities", b"\0\0\0\2\x0fx-ignore-shared\x0amapped-ram")
UUID_SUB = sub(b"configuration/uuid", UUID)
UNKNOWN = sub(b"configuration/novel", b"12345")
NOVEL = Vmsd("configuration", 1, (), (Vmsd("configuration/novel", 1, (VmField("x", "buffer", 5),)),))


def scanned(data: bytes, describe: Vmsd | None = None) -> tuple[StreamFacts, list[Problem], list[Field]]:
    known = facts(data + RAM_START)
    cursor = Cursor(known.source)
    problems = scan_configuration(cursor, known, lambda: describe)
    assert cursor.position == len(data)
    row = section(SectionKind.CONFIGURATION, 0, len(data))
    fields = configuration_fields(row, known, lambda: describe)
    assert_tiles(fields, 0, len(data))
    return known, problems, fields


def test_a_name_alone() -> None:
    known, problems, fields = scanned(name(b"pc-i440fx-10.0"))
    assert known.machine == "pc-i440fx-10.0"
    assert not problems
    assert [field.value for field in fields] == [14, "pc-i440fx-10.0"]


def test_all_subsections() -> None:
    known, problems, fields = scanned(name(b"virt-10.0") + PAGE_BITS + CAPABILITIES + UUID_SUB)
    assert not problems
    assert known.page_size == 4096
    assert known.page_size_from == "configuration/target-page-bits"
    assert known.capabilities == ["x-ignore-shared", "mapped-ram"]
    assert known.uuid == UUID
    assert [field.meaning for field in fields[2:]] == [
        "target pages of 4,096 bytes",
        "x-ignore-shared, mapped-ram",
        "12345678-9abc-def0-1234-56789abcdef0",
    ]
    assert fields[2].vmsd == "configuration/target-page-bits"
    assert fields[2].version == 1


def test_an_unknown_subsection_is_skipped_by_its_description() -> None:
    known, problems, fields = scanned(name(b"pc") + UNKNOWN + UUID_SUB, NOVEL)
    assert known.uuid == UUID
    assert [problem.severity for problem in problems] == [Severity.NOTE]
    assert fields[2].child("data").size == 5


def test_an_unknown_subsection_without_a_description_stops_there() -> None:
    data = name(b"pc") + UNKNOWN
    with pytest.raises(BadBody) as error:
        scan_configuration(Cursor(BytesSource(data)), facts(data))
    assert error.value.offset == 6
    assert "configuration/novel" in error.value.found


@pytest.mark.parametrize("length", [256, 0xFFFFFFFF])
def test_a_long_name_is_refused_before_it_is_read(length: int) -> None:
    data = length.to_bytes(4, "big") + b"pc" * 300
    with pytest.raises(BadBody) as error:
        scan_configuration(Cursor(BytesSource(data)), facts(data))
    assert error.value.offset == 0
    assert_tiles(configuration_fields(section(SectionKind.CONFIGURATION, 0, 604), facts(data)), 0, 604)


def test_a_name_that_cannot_be_printed_is_a_problem() -> None:
    _, (problem,), _ = scanned(name(b"pc\x1b]52"))
    assert problem.offset == 4


@pytest.mark.parametrize("bits", [0, 7, 17, 0xFFFFFFFF])
def test_page_bits_that_cannot_be_do_not_count(bits: int) -> None:
    known, (problem,), _ = scanned(
        name(b"virt") + sub(b"configuration/target-page-bits", bits.to_bytes(4, "big"))
    )
    assert known.page_size is None
    assert problem.offset == 8 + 2 + 30 + 4


def test_more_capabilities_than_bytes_are_refused() -> None:
    data = name(b"pc") + sub(b"configuration/capabilities", b"\xff\xff\xff\xff\x01a")
    with pytest.raises(BadBody):
        scan_configuration(Cursor(BytesSource(data)), facts(data))


def test_a_foreign_subsection_is_refused() -> None:
    data = name(b"pc") + sub(b"timer/icount", bytes(16))
    with pytest.raises(BadBody) as error:
        scan_configuration(Cursor(BytesSource(data)), facts(data))
    assert error.value.offset == 6


def test_a_real_uuid(tmp_path: Path) -> None:
    capture = opened("validate-uuid", tmp_path)
    row = next(s for s in capture.index if s.kind is SectionKind.CONFIGURATION)
    fields = configuration_fields(row, capture.facts)
    assert fields[-1].name == "configuration/uuid"
    assert_tiles(fields, row.body, row.body_end)


@given(st.data())
def test_any_damage_is_survived(data: st.DataObject) -> None:
    raw = bytearray(name(b"virt-10.0") + PAGE_BITS + CAPABILITIES + UUID_SUB)
    for at in data.draw(st.lists(st.integers(0, len(raw) - 1), max_size=4)):
        raw[at] = data.draw(st.integers(0, 255))
    cut = bytes(raw[: data.draw(st.integers(0, len(raw)))])
    known = facts(cut)
    with suppress(BadBody, Truncated):
        scan_configuration(Cursor(known.source), known, lambda: NOVEL)
    assert_tiles(configuration_fields(section(SectionKind.CONFIGURATION, 0, len(cut)), known), 0, len(cut))
