"""Lookups in the page index against a plain search through all records."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qevm.bodies import page_lookup
from qevm.bodies.page_runs import PageKind, PageRuns

runs = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 60), st.integers(1, 30), st.sampled_from(list(PageKind))),
    max_size=60,
)


def filled(found: list[tuple[int, int, int, PageKind]]) -> PageRuns:
    index = PageRuns()
    at = 0
    for number, (block, page, count, kind) in enumerate(found):
        if number % 5 == 0:
            index.begin_section(number * 3)
        stride = 9 if kind < PageKind.NORMAL else 100
        index.append(at, stride, kind, block, page * 4096, 8, count)
        at += stride * count + number % 3
    return index


@settings(max_examples=150, deadline=None)
@given(runs, st.integers(0, 2), st.integers(0, 100), st.integers(0, 60))
def test_records_of_a_page_come_in_stream_order(
    found: list[tuple[int, int, int, PageKind]], block: int, page: int, until: int
) -> None:
    index = filled(found)
    plain = [r for r in index if r.block == block and r.address == page * 4096]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(page_lookup, "_NEWEST", 4)
        lookup = page_lookup.PageLookup(index)
        assert lookup.records(block, page * 4096) == plain
        assert lookup.records(block, page * 4096, until) == [r for r in plain if r.run < until]
        index.append(1 << 30, 9, PageKind.ZERO, block, page * 4096, 8)
        assert len(lookup.records(block, page * 4096)) == len(plain) + 1


@settings(max_examples=100, deadline=None)
@given(runs)
def test_the_record_at_an_offset_covers_it(found: list[tuple[int, int, int, PageKind]]) -> None:
    index = filled(found)
    covered = {}
    for record in index:
        for offset in {record.offset, record.offset + record.size - 1}:
            covered[offset] = record
    for offset, record in covered.items():
        assert index.record_at(offset) == record
    end = max(covered, default=0) + 1
    assert index.record_at(end) is None


@settings(max_examples=100, deadline=None)
@given(runs)
def test_totals_by_section_sum_up(found: list[tuple[int, int, int, PageKind]]) -> None:
    index = filled(found)
    rows = sorted({number * 3 for number in range(0, len(found), 5)})
    assert [sum(column) for column in zip(*(index.section_totals(row) for row in rows), strict=True)] == (
        index.totals if rows else []
    )
    for row in rows:
        inside = index.section_range(row)
        counts = [0] * len(PageKind)
        for run in inside:
            counts[index.kinds[run]] += index.counts[run]
            assert index.row_of(run) == row
        assert counts == index.section_totals(row)
    assert index.section_totals(1) == [0] * len(PageKind)
