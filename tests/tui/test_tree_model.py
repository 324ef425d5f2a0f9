"""What the tree shows of an index, while it grows and when it is huge."""

from __future__ import annotations

import random
import time
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tuihelp import MadeUp

from qevm.capture import Capture
from qevm.section import Confidence, Section, SectionKind
from qevm_tui.outline import FAN_OUT, Outline
from qevm_tui.panes.tree_model import ByDevice, ByStream, TreeModel

PART = SectionKind.PART


def as_capture(made_up: MadeUp) -> Capture:
    return cast(Capture, made_up)


def leaves(model: TreeModel) -> list[int]:
    """Index rows in the order of the tree, with everything opened."""
    found: list[int] = []

    def visit(path: tuple[int, ...]) -> None:
        for number in range(model.count(path)):
            below = (*path, number)
            node = model.node(below)
            if node.leaf:
                assert node.section is not None
                found.append(node.section.index)
            else:
                visit(below)

    visit(())
    return found


def stream(kinds: list[int], chunk: int, made_up: MadeUp) -> list[ByStream]:
    ram, bitmap = made_up.device("ram"), made_up.device("dirty-bitmap")
    growing = ByStream(as_capture(made_up))
    for number, kind in enumerate(kinds):
        device = (ram, bitmap)[number % 2] if kind in (2, 3, 4) else None
        made_up.add(SectionKind(kind), device)
        if number % chunk == 0:
            growing.update()
    growing.update()
    return [growing, ByStream(as_capture(made_up))]


runs = st.lists(st.tuples(st.sampled_from([3, 3, 3, 6, 2, 4]), st.integers(1, 260)), min_size=1, max_size=8)


@given(runs, st.integers(1, 400))
def test_by_stream_shows_every_section_in_order_however_it_grew(parts: list[tuple[int, int]], chunk: int):
    kinds = [kind for kind, count in parts for _ in range(count if kind == 3 else 1)]
    for model in stream(kinds, chunk, MadeUp()):
        assert leaves(model) == list(range(len(kinds)))


def test_long_runs_of_parts_of_interleaved_chains_are_ranges():
    made_up = MadeUp()
    model, _ = stream([0, 2, 2, *[3] * 2500, 4, 4, 7], 333, made_up)
    labels = [model.node((n,)).label for n in range(model.count(()))]
    assert labels == ["", "", "", "PART ×1,000", "PART ×1,000", "PART ×500", "", "", ""]


@pytest.mark.parametrize("make", [ByDevice, ByStream])
def test_every_section_is_found_where_it_is_shown(make: type[ByDevice] | type[ByStream]):
    made_up = MadeUp()
    stream([0, 1, 2, 2, *[3] * 4100, 6, 4, 4, 7, 8], 10_000, made_up)
    model: TreeModel = make(as_capture(made_up))
    for row in random.Random(7).sample(range(len(made_up.index)), 300):
        path = model.find(made_up.index[row])
        assert path is not None
        node = model.node(path)
        assert node.leaf
        assert node.section is not None
        assert node.section.index == row


def test_by_device_has_start_devices_commands_and_end():
    made_up = MadeUp()
    ram, cpu = made_up.device("ram"), made_up.device("cpu", iterative=False)
    for kind, device in (
        (SectionKind.HEADER, None),
        (SectionKind.CONFIGURATION, None),
        (SectionKind.START, ram),
        (PART, ram),
        (SectionKind.COMMAND, None),
        (SectionKind.END, ram),
        (SectionKind.FULL, cpu),
        (SectionKind.EOF, None),
        (SectionKind.VMDESCRIPTION, None),
    ):
        made_up.add(kind, device)
    model = ByDevice(as_capture(made_up))
    nodes = [model.node((n,)) for n in range(model.count(()))]
    assert [node.children for node in nodes] == [2, 3, 0, 1, 2]
    assert [node.label for node in nodes] == ["start of stream", "", "", "commands", "end of stream"]
    assert nodes[2].leaf


def test_located_devices_are_there_before_the_walk_and_make_way_for_it():
    made_up = MadeUp()
    located = [
        Section(
            index=-1 - number,
            kind=SectionKind.FULL,
            offset=offset,
            body=offset + 4,
            body_end=offset + 9,
            end=offset + 10,
            confidence=Confidence.VERIFIED_TAIL,
            idstr=name,
            instance_id=0,
        )
        for number, (name, offset) in enumerate((("timer", 1000), ("cpu", 1010)))
    ]
    made_up.located = located
    model = ByDevice(as_capture(made_up))
    assert model.count(()) == 3
    made_up.add(SectionKind.HEADER, None, 1000)
    made_up.add(SectionKind.FULL, made_up.device("timer", iterative=False), 10)
    first, by = model.update()
    assert by == 0
    assert model.count(()) == 3
    assert model.node((1,)).section == made_up.index[1]
    assert model.node((2,)).section == located[1]
    assert model.find(located[1]) == (2,)
    assert first == 3


@pytest.mark.parametrize("make", [ByDevice, ByStream])
def test_a_million_sections_cost_what_is_looked_at(make: type[ByDevice] | type[ByStream]):
    made_up = MadeUp()
    ram = made_up.device("ram")
    index = made_up.index
    made_up.add(SectionKind.START, ram)
    for offset in range(16, 16 * 1_000_000, 16):
        index.append(PART, offset, offset + 5, offset + 11, offset + 16, device=ram, section_id=0)
    begun = time.perf_counter()
    model: TreeModel = make(as_capture(made_up))
    outline = Outline(model.count)
    path = model.find(index[777_777])
    assert path is not None
    row = outline.reveal(path)
    section = model.node(outline.path_at(row)).section
    assert section is not None
    assert section.index == 777_777
    assert outline.rows < 3 * FAN_OUT
    # Not a benchmark: making a million objects would take many times as long.
    assert time.perf_counter() - begun < 0.5
