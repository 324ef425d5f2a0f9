"""Malformed RAM (stream-format §14, rows 4 and 15 to 21): message, offset, and what is still read."""

from __future__ import annotations

import struct
import zlib

import pytest
from streams import EOS, PAGE, block_list, compressed, normal, part, scan, start, stream, word, xbzrle, zero

from qevm.bodies.protocol import BadBody
from qevm.capture import Capture
from qevm.cursor import Truncated
from qevm.guest_memory import GuestMemory, PageState
from qevm.memory_check import packed_page_problems
from qevm.source import BytesSource

BLOCKS = {b"pc.ram": 64 * PAGE, b"rom": 16 * PAGE}
HEAD = start(block_list(BLOCKS) + EOS)
DATA = bytes(range(256)) * 16
FIRST = len(HEAD) + 5


def zeros(first: int, count: int, name: bytes | None = None) -> bytes:
    return b"".join(zero(first + i, name if not i else None) for i in range(count))


def test_truncated_inside_a_page() -> None:
    body = zeros(0, 8, b"pc.ram") + normal(8, DATA)[:25]
    with pytest.raises(Truncated) as cut:
        scan([HEAD, b"\2\0\0\0\2" + body])
    at = len(HEAD) + 5 + len(body)
    assert cut.value.message == (
        f"truncated at 0x{at:x}: page pc.ram+0x8000 needs 4096 bytes, 17 left; 8 pages indexed"
    )
    assert cut.value.offset + cut.value.left == at


def test_continue_before_any_name() -> None:
    scanned = scan([HEAD, part(zeros(0, 4) + EOS)])
    (problem,) = scanned.body.problems
    assert problem.offset == FIRST
    assert problem.message.startswith("page record continues an unnamed block")
    assert [r[3:] for r in scanned.records] == [(0, i) for i in range(4)]


def test_unknown_block_name_is_reported_at_the_name_and_seen_through() -> None:
    damaged = word(0, 2) + b"\6??.ram\0" + zeros(1, 5)
    scanned = scan([HEAD, part(damaged + EOS)])
    (problem,) = scanned.body.problems
    assert problem.offset == FIRST + 9
    assert "'??.ram'" in problem.message
    assert [r[4] for r in scanned.records] == list(range(6))


def test_a_page_outside_its_block_is_skipped() -> None:
    scanned = scan([HEAD, part(zeros(0, 3, b"pc.ram") + zero(64) + zeros(4, 3) + EOS)])
    (problem,) = scanned.body.problems
    assert problem.message == "page pc.ram+0x40000 is outside its block of 0x40000 bytes; skipped"
    assert [r[4] for r in scanned.records] == [0, 1, 2, 4, 5, 6]


@pytest.mark.parametrize("flags", [0x0A, 0x00, 0x400, 0x808, 0x22 | 0x800, 0x32, 0x24, 0x120 | 2])
def test_illegal_flags_cost_one_record(flags: int) -> None:
    body = zeros(0, 9, b"pc.ram")
    bad = word(9 * PAGE, flags) + b"\0"
    scanned = scan([HEAD, part(body + bad + zeros(10, 9) + EOS)])
    (problem,) = scanned.body.problems
    assert problem.offset == FIRST + len(body)
    assert f"RAM flags 0x{flags:02x} not valid" in problem.message
    assert f"last good record at 0x{problem.offset - 9:x}" in problem.message
    assert [r[4] for r in scanned.records] == [*range(9), *range(10, 19)]


def test_damage_across_several_pages_is_skipped_and_the_pages_are_lost() -> None:
    pages = b"".join(normal(i, DATA, b"pc.ram" if not i else None) for i in range(20))
    broken = bytearray(pages + zeros(20, 10) + EOS)
    broken[5 * 4104 + 7 : 9 * 4104 + 100] = bytes(range(1, 200, 2)) * 165 + b"\xff" * 9
    broken = broken[: 20 * 4104 + 7 + 90 + 8] if len(broken) != 20 * 4104 + 7 + 90 + 8 else broken
    data = stream(HEAD, part(bytes(broken)), part(EOS, kind=3))
    capture = Capture(BytesSource(data))
    capture.walk_all()
    memory = GuestMemory.of(capture)
    states = [memory.page(memory.blocks[0], i * PAGE).state for i in range(30)]
    lost = [i for i, state in enumerate(states) if state is PageState.LOST]
    assert lost
    assert lost == list(range(lost[0], lost[-1] + 1))
    assert lost[0] >= 5
    assert lost[-1] <= 10
    assert all(state.known for i, state in enumerate(states) if i not in lost)


def test_a_section_without_its_eos_ends_at_its_footer() -> None:
    damaged = part(zeros(0, 9, b"pc.ram") + word(0, 0x18))
    scanned = scan([HEAD, damaged, part(zeros(9, 9) + EOS)])
    assert scanned.ends[1] == len(damaged) - 5
    assert len(scanned.records) == 18


def test_hook_records_are_refused() -> None:
    with pytest.raises(BadBody, match="RDMA"):
        scan([HEAD, part(word(0, 0x80) + EOS)])


def test_the_sum_of_the_list_is_held_against_its_total() -> None:
    scanned = scan([start(block_list(BLOCKS, total=99 * PAGE) + EOS)])
    (problem,) = scanned.body.problems
    assert problem.offset == 17
    assert problem.message == "block list sums to 0x50000 but announces 0x63000"
    assert scanned.body.block_list() == [("pc.ram", 64 * PAGE), ("rom", 16 * PAGE)]


@pytest.mark.parametrize("length", [0, 5, (1 << 64) - 1, 1 << 40])
def test_an_impossible_length_is_found_and_follows_from_the_others(length: int) -> None:
    body = bytearray(block_list(BLOCKS) + EOS)
    body[8 + 7 : 8 + 15] = struct.pack(">Q", length)
    scanned = scan([start(bytes(body))])
    (problem,) = scanned.body.problems
    assert problem.offset == 17 + 15
    assert scanned.body.block_list() == [("pc.ram", 64 * PAGE), ("rom", 16 * PAGE)]


def test_hugepage_fields_are_read_when_postcopy_announced_them() -> None:
    entries = b"\3mem" + struct.pack(">QQ", 4 << 20, 2 << 20) + b"\3rom" + struct.pack(">Q", 16 * PAGE)
    body = word((4 << 20) + 16 * PAGE, 4) + entries + EOS
    scanned = scan([start(body)], facts={"page_size_summary": 0x201000})
    assert not scanned.body.problems
    assert [(b.text, b.host_page_size) for b in scanned.body.blocks] == [("mem", 2 << 20), ("rom", None)]


def test_addresses_are_read_with_ignore_shared() -> None:
    body = word(4 << 20, 4) + b"\3mem" + struct.pack(">QQ", 4 << 20, 0x1000000) + EOS
    scanned = scan([start(body)], facts={"capabilities": ["x-ignore-shared"]})
    assert [(b.length, b.address) for b in scanned.body.blocks] == [(4 << 20, 0x1000000)]


def test_without_a_list_blocks_are_made_when_named() -> None:
    scanned = scan([part(zeros(0, 3, b"pc.ram") + zeros(0, 2, b"rom") + EOS)])
    assert not scanned.body.problems
    assert [(b.text, b.length) for b in scanned.body.blocks] == [("pc.ram", None), ("rom", None)]
    assert len(scanned.records) == 5


@pytest.mark.parametrize("size", [256, 1024, 4096, 8192, 16384, 65536])
def test_the_page_size_is_found_from_records(size: int) -> None:
    data = bytes(range(256)) * (size // 256)
    blocks = {b"ram": 64 * size}
    body = zero(0, b"ram", size=size) + b"".join(
        normal(i, data, size=size) if i % 3 else zero(i, size=size) for i in range(1, 40)
    )
    scanned = scan([start(block_list(blocks) + EOS), part(body + EOS)], page_size=None)
    assert scanned.body.page_size == scanned.body.facts.page_size == size
    assert len(scanned.records) == 40


def test_broken_packed_pages_are_found_by_the_check_and_cost_one_page() -> None:
    packed = zlib.compress(DATA)
    body = b"".join(
        (
            normal(0, DATA, b"pc.ram"),
            xbzrle(0, b"\5\0"),
            compressed(1, packed),
            compressed(2, packed[:-2]),
            compressed(3, zlib.compress(bytes(PAGE * 1000))),
            compressed(4, zlib.compress(DATA[:100])),
            xbzrle(5, b"\0\1x"),
        )
    )
    data = stream(HEAD, part(body + EOS), part(EOS, kind=3))
    capture = Capture(BytesSource(data))
    capture.walk_all()
    memory = GuestMemory.of(capture)
    states = [memory.page(memory.blocks[0], i * PAGE) for i in range(6)]
    bad = PageState.UNDECODABLE
    assert [p.state for p in states] == [bad, PageState.DATA, bad, bad, bad, bad]
    found = [p.message.partition(" undecodable: ") for p in packed_page_problems(memory.body)]
    assert [(name, why) for name, _, why in found] == [
        ("page pc.ram+0x0", "XBZRLE: nzrun of 0"),
        ("page pc.ram+0x2000", "zlib stream is not finished"),
        ("page pc.ram+0x3000", "zlib stream inflates to more than 4096 bytes, not 4096"),
        ("page pc.ram+0x4000", "zlib stream inflates to 100 bytes, not 4096"),
        ("page pc.ram+0x5000", "XBZRLE delta without a page before it"),
    ]


@pytest.mark.parametrize("length", [0, 5000, 0xFFFFFFFF])
def test_an_impossible_packed_length_costs_one_record(length: int) -> None:
    bad = word(PAGE, 0x120) + struct.pack(">I", length) + b"xyz"
    scanned = scan([HEAD, part(zeros(0, 1, b"pc.ram") + bad + zeros(2, 8) + EOS)])
    assert [p.offset for p in scanned.body.problems] == [FIRST + 16 + 8]
    assert [r[4] for r in scanned.records] == [0, *range(2, 10)]


def test_zeros_to_the_end_inside_end_are_a_failed_save() -> None:
    data = stream(HEAD, part(zeros(0, 9, b"pc.ram") + EOS), b"\3\0\0\0\2" + bytes(300), tail=b"")
    capture = Capture(BytesSource(data))
    capture.walk_all()
    assert any("the save failed in QEMU" in p.message for p in capture.problems)


def test_a_hostile_number_of_problems_and_blocks_is_bounded() -> None:
    body = b"".join(zero(64, b"pc.ram") for _ in range(3000))
    assert len(scan([HEAD, part(body + EOS)]).body.problems) == 1000
    names = word(1 << 40, 4) + (b"\2AB" + struct.pack(">Q", PAGE)) * 20000
    assert len(scan([start(names + EOS)]).body.blocks) <= 16384 + 1
