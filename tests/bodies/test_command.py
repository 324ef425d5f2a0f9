from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from bodyhelp import assert_tiles, facts, opened
from hypothesis import given
from hypothesis import strategies as st

from qevm.bodies.command import CommandInfo, command_fields, command_summary, scan_command
from qevm.bodies.protocol import BadBody
from qevm.cursor import Cursor, Truncated
from qevm.facts import StreamFacts
from qevm.problems import Severity
from qevm.section import SectionKind
from qevm.source import BytesSource


def scanned(data: bytes) -> tuple[CommandInfo, StreamFacts, str]:
    known = facts(data)
    cursor = Cursor(known.source, 1)
    info = scan_command(cursor, known)
    assert cursor.position == 5 + info.length
    assert_tiles(command_fields(known.source, 0, len(data)), 0, 5 + info.length)
    return info, known, command_summary(known.source, 0, len(data))


# The recorded postcopy stream of stream-format §9.3.
@pytest.mark.parametrize(
    ("text", "summary"),
    [
        ("08 0001 0000", "OPEN_RETURN_PATH"),
        ("08 0002 0004 00000001", "PING 1"),
        (
            "08 0003 0010 0000000000001000 0000000000001000",
            "POSTCOPY_ADVISE: RAM pages of 4,096 bytes",
        ),
        ("08 0003 0000", "POSTCOPY_ADVISE: only dirty bitmaps may follow in postcopy"),
        ("08 0004 0000", "POSTCOPY_LISTEN"),
        ("08 0005 0000", "POSTCOPY_RUN"),
        (
            "08 0006 0019 00 06 70632e72616d 00 0000000000010000 0000000000080000",
            "POSTCOPY_RAM_DISCARD: pc.ram 1 ranges, 524,288 bytes",
        ),
        ("08 0007 0004 0000346b", "PACKAGED: 13,419 bytes of nested stream"),
        ("08 0008 0000", "ENABLE_COLO"),
        ("08 0009 0000", "POSTCOPY_RESUME"),
        ("08 000a 0007 06 70632e72616d", "RECV_BITMAP: pc.ram"),
        ("08 000b 0000", "SWITCHOVER_START"),
    ],
)
def test_each_command(text: str, summary: str) -> None:
    info, _, shown = scanned(bytes.fromhex(text))
    assert not info.problems
    assert shown == summary
    assert info.package_length == (13419 if "PACKAGED" in summary else None)


def test_advise_tells_page_sizes() -> None:
    _, known, summary = scanned(bytes.fromhex("08 0003 0010 0000000000201000 0000000000001000"))
    assert known.page_size_summary == 0x201000
    assert known.page_size == 4096
    assert summary.endswith("RAM pages of 4,096, 2,097,152 bytes")


def test_advise_that_contradicts_is_a_problem() -> None:
    data = bytes.fromhex("08 0003 0010 0000000000001000 0000000000002000")
    known = facts(data)
    known.page_size = 4096
    (problem,) = scan_command(Cursor(known.source, 1), known).problems
    assert problem.offset == 13


def test_listen_and_run_begin_the_postcopy_phase() -> None:
    assert scanned(bytes.fromhex("08 0005 0000"))[1].postcopy_running


def test_discarded_ranges() -> None:
    ranges = "0000000000010000 0000000000080000 0000000000100000 0000000000001000"
    data = bytes.fromhex("08 0006 0029 00 06 70632e72616d 00" + ranges)
    fields = command_fields(BytesSource(data), 0, len(data))
    found = [field for field in fields if field.name == "range"]
    assert [field.children[0].value for field in found] == [0x10000, 0x100000]
    assert found[0].meaning == "0x10000..0x90000, 524,288 bytes, stale until sent again"


def test_an_unknown_command_is_skipped_with_a_warning() -> None:
    info, _, summary = scanned(bytes.fromhex("08 0100 0003 616263"))
    assert [problem.severity for problem in info.problems] == [Severity.WARNING]
    assert summary == "command 256"


@pytest.mark.parametrize("text", ["08 0002 0003 000001", "08 0001 0001 00", "08 0003 0008 0000000000001000"])
def test_a_wrong_length_is_a_problem_and_is_skipped(text: str) -> None:
    info, _, _ = scanned(bytes.fromhex(text))
    (problem,) = info.problems
    assert problem.offset == 3
    assert problem.severity is Severity.ERROR


@pytest.mark.parametrize("text", ["08 0000 0000", "08 0007 0002 0001"])
def test_what_makes_the_rest_unknowable_is_refused(text: str) -> None:
    data = bytes.fromhex(text)
    with pytest.raises(BadBody):
        scan_command(Cursor(BytesSource(data), 1), facts(data))


def test_a_cut_discard_is_a_problem() -> None:
    info, _, _ = scanned(bytes.fromhex("08 0006 0012 00 06 70632e72616d 00 0000000000010000 00"))
    assert len(info.problems) == 1


def test_a_real_postcopy(tmp_path: Path) -> None:
    capture = opened("postcopy", tmp_path)
    summaries = [
        command_summary(capture.source, s.offset, s.end)
        for s in capture.index
        if s.kind is SectionKind.COMMAND
    ]
    assert len(summaries) == 11
    for word in ("OPEN_RETURN_PATH", "PING 1", "POSTCOPY_ADVISE", "POSTCOPY_RAM_DISCARD", "PACKAGED"):
        assert any(text.startswith(word) for text in summaries)


@given(st.integers(0, 300), st.binary(max_size=80), st.integers(-3, 3))
def test_any_bytes_are_survived(number: int, payload: bytes, more: int) -> None:
    length = max(0, len(payload) + more)
    data = b"\x08" + number.to_bytes(2, "big") + length.to_bytes(2, "big") + payload
    known = facts(data)
    with suppress(BadBody, Truncated):
        scan_command(Cursor(known.source, 1), known)
    fields = command_fields(known.source, 0, len(data))
    assert_tiles(fields, 0, min(len(data), 5 + length))
    assert isinstance(command_summary(known.source, 0, len(data)), str)
