"""The map says of each part of a file what is in it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qevm.capture import Capture
from qevm.section import SectionKind
from qevm.source import BytesSource
from qevm_tui.map_buckets import Buckets, Cell, _covered

Captures = Callable[[str], Path]


def drawn(buckets: Buckets) -> str:
    return "".join(Cell(cell).glyph for cell in buckets.cells)


def walked(path: Path) -> Capture:
    capture = Capture.open(path)
    capture.walk_all()
    return capture


@given(st.lists(st.integers(0, 60), max_size=12), st.integers(1, 20), st.integers(1, 300))
def test_covered_bytes_are_those_of_counting_one_by_one(lengths: list[int], width: int, size: int):
    starts, ends, at = [], [], 0
    for number, length in enumerate(lengths):
        at += number % 3
        starts.append(at)
        at += length
        ends.append(at)
    edges = np.array([size * number // width for number in range(width + 1)])
    found = _covered(np.array(starts, np.int64), np.array(ends, np.int64), edges)
    covered = {byte for start, end in zip(starts, ends, strict=True) for byte in range(start, end)}
    for number in range(width):
        assert found[number] == len(covered & set(range(edges[number], edges[number + 1])))


def test_a_capture_is_head_ram_devices_description(capture_path: Captures):
    with_devices = drawn(Buckets(walked(capture_path("pc-live")), 140))
    assert with_devices.strip("z")[0] == "H"
    assert set(with_devices) <= set("HRzDV")
    assert with_devices.endswith("DV")
    assert with_devices.count("R") > 100


def test_small_captures_show_each_kind_where_it_is(capture_path: Captures):
    capture = walked(capture_path("arm-microbit"))
    buckets = Buckets(capture, 100)
    for section in capture.index:
        cell = Cell(buckets.cells[buckets.of(section.offset + section.size // 2)])
        if section.size > 2 * buckets.size / buckets.width:
            expected = {SectionKind.VMDESCRIPTION: Cell.DESCRIPTION}.get(section.kind, Cell.DEVICE)
            assert cell is expected or section.idstr == "ram"


def test_pages_that_mapped_ram_left_out_are_zero_pages(capture_path: Captures):
    cells = drawn(Buckets(walked(capture_path("mapped-ram")), 100))
    assert cells.count("z") > 50
    assert "R" in cells


def test_a_jump_leads_to_what_makes_the_cell_look_as_it_does(capture_path: Captures):
    capture = walked(capture_path("pc-live"))
    buckets = Buckets(capture, 140)
    last = drawn(buckets).index("D")
    section = capture.section_at(buckets.target(last))
    assert section is not None
    assert section.idstr != "ram"
    assert section.kind is SectionKind.FULL
    assert buckets.of(buckets.target(last)) == last
    for cell in range(140):
        assert buckets.of(buckets.target(cell)) == cell


def test_problems_and_what_is_not_indexed_are_shown(capture_path: Captures):
    data = capture_path("pc-live").read_bytes()[:8_000_000]
    capture = Capture(BytesSource(data + b"\xee" * 100_000))
    capture.walk_all()
    assert "!" in drawn(Buckets(capture, 100))
    ahead = Capture.open(capture_path("pc-live"))
    next(ahead.walk())
    cells = drawn(Buckets(ahead, 140))
    assert cells.count(".") > 100
    assert cells[-2:].count("D") >= 1


@pytest.mark.parametrize("width", [1, 7, 1000])
def test_any_width_and_any_size(capture_path: Captures, width: int):
    assert len(Buckets(walked(capture_path("none-machine")), width).cells) == width
    tiny = Capture(BytesSource(b"QEVM\0\0\0\3"))
    tiny.walk_all()
    assert 1 <= len(Buckets(tiny, width).cells) <= 8
