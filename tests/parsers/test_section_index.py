"""The columnar index against a list that is searched from front to back."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qevm.index import SectionIndex
from qevm.section import SectionKind


@dataclass
class Naive:
    """A stream as plain lists: (offset, end, parent, device) of each row."""

    rows: list[tuple[int, int, int | None, int | None]] = field(default_factory=list)

    def at(self, offset: int) -> int | None:
        covering = [n for n, (start, end, _, _) in enumerate(self.rows) if start <= offset < end]
        # The innermost is the one that was appended last.
        return covering[-1] if covering else None

    def depth(self, number: int) -> int:
        parent = self.rows[number][2]
        return 0 if parent is None else 1 + self.depth(parent)

    def chain(self, device: int) -> list[int]:
        return [n for n, row in enumerate(self.rows) if row[3] == device]


@st.composite
def streams(draw: st.DrawFn) -> tuple[SectionIndex, Naive]:
    """Sections one after the other from some base, some of them packages of more sections."""
    index, naive = SectionIndex(), Naive()
    devices = [index.add_device(n, f"device{n % 3}", n // 3, 1, True) for n in range(draw(st.integers(0, 5)))]

    def fill(start: int, parent: int | None, level: int) -> int:
        for _ in range(draw(st.integers(0, 6 if level == 0 else 3))):
            size = draw(st.integers(1, 40))
            device = draw(st.sampled_from([None, *devices]))
            number = index.append(
                SectionKind.PART, start, start, start + size, start + size, device=device, parent=parent
            )
            naive.rows.append((start, start + size, parent, device))
            start += size
            if level < 2 and draw(st.integers(0, 4)) == 0:
                end = fill(start, number, level + 1)
                index.finish(number, end, end)
                naive.rows[number] = (naive.rows[number][0], end, parent, device)
                start = end
        return start

    fill(draw(st.integers(0, 100)), None, 0)
    return index, naive


@given(streams())
def test_lookups_equal_a_search_from_front_to_back(made: tuple[SectionIndex, Naive]):
    index, naive = made
    assert len(index) == len(naive.rows)
    last = max((end for _, end, _, _ in naive.rows), default=0)
    for offset in range(last + 3):
        assert index.at(offset) == naive.at(offset), offset
    for number, section in enumerate(index):
        start, end, parent, device = naive.rows[number]
        assert (section.offset, section.end, section.parent, section.device) == (start, end, parent, device)
        assert section.depth == index.depth(number) == naive.depth(number)


@given(streams())
def test_chains_equal_a_search_from_front_to_back(made: tuple[SectionIndex, Naive]):
    index, naive = made
    for device in index.devices:
        chain = naive.chain(device.number)
        assert list(device.sections) == chain
        assert device.size == sum(naive.rows[n][1] - naive.rows[n][0] for n in chain)
        for place, number in enumerate(chain):
            assert index[number].chunk == place
            for step in (-2, -1, 0, 1, 2):
                wanted = place + step
                assert index.chunk(number, step) == (chain[wanted] if 0 <= wanted < len(chain) else None)
    for number, row in enumerate(naive.rows):
        if row[3] is None:
            assert index.chunk(number, 1) is None


def test_a_row_outside_of_the_index_is_an_error():
    index = SectionIndex()
    index.append(SectionKind.HEADER, 0, 0, 8, 8)
    assert index[-1] == index[0]
    for number in (1, -2):
        with pytest.raises(IndexError):
            index[number]


def test_a_device_is_found_by_name_and_instance():
    index = SectionIndex()
    first = index.add_device(7, "cpu", 0, 12, False)
    second = index.add_device(8, "cpu", 1, 12, False)
    assert [index.device("cpu", n) for n in (0, 1)] == [index.devices[first], index.devices[second]]
    assert index.device("cpu", 2) is None
