"""The struct reads of headers against their construct declarations."""

from __future__ import annotations

import construct
from hypothesis import given
from hypothesis import strategies as st

from qevm.cursor import Cursor, Truncated
from qevm.layout import FileHeader, Footer, PartHeader, StartHeader, SubsectionHeader, fields_of
from qevm.source import BytesSource
from qevm.walk.headers import COMMAND_LENGTHS, footer, parse_head

U32 = st.integers(0, (1 << 32) - 1)


def declared(data: bytes) -> construct.Container | None:
    try:
        return StartHeader.parse(data)
    except construct.StreamError:
        return None


@given(st.binary(max_size=10), st.binary(max_size=40), st.integers(0, 1 << 40))
def test_any_bytes_read_as_declared(before: bytes, data: bytes, offset: int):
    head, wanted = parse_head(before + data, len(before), offset), declared(data)
    if wanted is None:
        assert head is None
        return
    assert head is not None
    assert (head.type, head.section_id, head.idstr, head.instance_id, head.version_id) == (
        wanted.type,
        wanted.section_id,
        wanted.idstr,
        wanted.instance_id,
        wanted.version_id,
    )
    assert head.body - head.offset == len(StartHeader.build(wanted))


@given(st.sampled_from((1, 4)), U32, st.binary(max_size=255), U32, U32)
def test_every_header_that_can_be_written_is_read(kind, section_id, idstr, instance_id, version_id):
    data = StartHeader.build(
        {
            "type": kind,
            "section_id": section_id,
            "idstr_length": len(idstr),
            "idstr": idstr,
            "instance_id": instance_id,
            "version_id": version_id,
        }
    )
    head = parse_head(data, 0, 0)
    assert head is not None
    assert (head.section_id, head.idstr, head.instance_id, head.version_id, head.body) == (
        section_id,
        idstr,
        instance_id,
        version_id,
        len(data),
    )
    assert all(parse_head(data[:cut], 0, 0) is None for cut in range(len(data)))


@given(U32)
def test_footers_are_as_declared(section_id: int):
    assert footer(section_id) == Footer.build({"section_id": section_id})


def test_headers_of_real_streams_read_as_declared(walked):
    for name in ("microvm", "postcopy", "old-i440fx14-q52", "ppc64-pseries"):
        capture = walked(name)
        for section in capture.index:
            if not section.kind.of_device:
                continue
            data = capture.source.read(section.offset, section.body - section.offset)
            if section.kind.name in ("START", "FULL"):
                head = parse_head(data, 0, section.offset)
                wanted = StartHeader.parse(data)
                assert head is not None
                assert (head.section_id, head.idstr, head.body) == (
                    wanted.section_id,
                    wanted.idstr,
                    section.body,
                )
                assert head.plausible
            else:
                assert PartHeader.build(PartHeader.parse(data)) == data
                assert PartHeader.parse(data).section_id == section.section_id


@given(st.binary(max_size=40), st.integers(1, 7))
def test_the_cursor_reads_integers_and_strings_as_declared(data: bytes, window: int):
    for read, declaration in (
        (Cursor.u8, construct.Int8ub),
        (Cursor.be16, construct.Int16ub),
        (Cursor.be32, construct.Int32ub),
        (Cursor.be64, construct.Int64ub),
        (Cursor.cstr, construct.PascalString(construct.Int8ub, "latin-1")),
    ):
        cursor = Cursor(BytesSource(data), window=window)
        try:
            wanted = declaration.parse(data)
        except construct.StreamError:
            try:
                read(cursor)
            except Truncated:
                assert cursor.position == 0
            else:
                raise AssertionError(f"{read.__name__} read past the end") from None
        else:
            found = read(cursor)
            assert (found.decode("latin-1") if isinstance(found, bytes) else found) == wanted
            assert cursor.position == len(declaration.build(wanted))


@given(
    st.sampled_from((FileHeader, StartHeader, PartHeader, Footer, SubsectionHeader)), st.binary(max_size=60)
)
def test_the_fields_of_a_record_follow_each_other_whatever_the_bytes(record, data: bytes):
    at = 100
    for item in fields_of(record, data, 100):
        assert item.offset == at
        at = item.end
    assert at <= 100 + len(data)


def test_the_command_lengths_cover_every_command_that_qemu_accepts():
    assert set(COMMAND_LENGTHS) == set(range(1, 12))
