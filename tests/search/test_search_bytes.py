"""Byte searches find what a naive search finds, wherever chunks end."""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qevm.bodies.page_runs import PageKind, PageRuns
from qevm.search.bytescan import PatternScan, Scan
from qevm.search.pages import PlacedPages, RecordPages
from qevm.search.patterns import Literal, Masked, Pattern
from qevm.search.regex import LONGEST, RegexScan, TooSlow
from qevm.search.result import Match
from qevm.source import BytesSource

few = st.binary(max_size=200).map(lambda data: bytes(b"\x00\x01\x7e\xff"[b & 3] for b in data))
some = st.binary(min_size=1, max_size=4).map(lambda data: bytes(b"\x00\x01\x7e\xff"[b & 3] for b in data))
nibbles = st.sampled_from([0xFF, 0xF0, 0x0F, 0x00])


def found(
    scan: Scan, start: int = 0, stop: int = 1 << 62, *, backward: bool = False
) -> list[tuple[int, int]]:
    steps = scan.backward(start, stop) if backward else scan.forward(start, stop)
    return [(step.match.start, step.match.end) for step in steps if step.match is not None]


def naive(data: bytes, values: bytes, masks: bytes) -> list[int]:
    return [
        at
        for at in range(len(data) - len(values) + 1)
        if all(data[at + i] & m == v for i, (v, m) in enumerate(zip(values, masks, strict=True)))
    ]


@given(
    few, st.lists(some, min_size=1, max_size=3), st.integers(1, 40), st.integers(0, 60), st.integers(0, 220)
)
def test_literals_are_found_as_a_naive_search_finds_them(
    data: bytes, wanted: list[bytes], chunk: int, start: int, stop: int
) -> None:
    scan = PatternScan(BytesSource(data), [Literal(w) for w in wanted], [(0, len(data))], chunk=chunk)
    expected = sorted({at for w in wanted for at in naive(data, w, b"\xff" * len(w)) if start <= at < stop})
    assert [at for at, _ in found(scan, start, stop)] == expected
    assert [at for at, _ in found(scan, start, stop, backward=True)] == expected[::-1]
    for at, end in found(scan):
        assert data[at:end] in wanted


@given(
    few,
    st.lists(st.tuples(st.sampled_from(b"\x00\x01\x7e\xff"), nibbles), min_size=1, max_size=5),
    st.integers(1, 40),
)
def test_wildcards_are_found_as_a_naive_search_finds_them(
    data: bytes, wanted: list[tuple[int, int]], chunk: int
) -> None:
    masks = bytes(mask for _, mask in wanted)
    values = bytes(value & mask for value, mask in wanted)
    scan = PatternScan(BytesSource(data), [Masked(values, masks)], [(0, len(data))], chunk=chunk)
    expected = naive(data, values, masks)
    assert [at for at, _ in found(scan)] == expected
    assert [at for at, _ in found(scan, backward=True)] == expected[::-1]


def test_wildcards_with_an_anchor_that_is_everywhere_are_found() -> None:
    data = b"\x01" * 5000 + b"\x01\x02" + b"\x01" * 5000
    pattern = Masked(b"\x01\x00\x02", b"\xff\x00\xff")
    assert pattern.find(data, 0, len(data)) == 4999
    assert pattern.rfind(data, 0, len(data)) == 4999


@pytest.mark.parametrize("pattern", [Literal(b"needle"), Masked(b"ne\0dle", b"\xff\xff\0\xff\xff\xff")])
def test_a_match_across_a_chunk_border_is_found_once(pattern: Pattern) -> None:
    for at in range(90, 110):
        data = bytes(at) + b"needle" + bytes(200)
        scan = PatternScan(BytesSource(data), [pattern], [(0, len(data))], chunk=100)
        assert found(scan) == [(at, at + 6)] == found(scan, backward=True)


def test_only_the_spans_are_searched() -> None:
    data = b"ab" * 50
    scan = PatternScan(BytesSource(data), [Literal(b"ab")], [(3, 8), (20, 23)], chunk=3)
    assert found(scan) == [(4, 6), (6, 8), (20, 22)]
    assert found(scan, backward=True) == [(20, 22), (6, 8), (4, 6)]


# -- guest pages ----------------------------------------------------------------------------------

PAGE = 16


@st.composite
def streams(draw: st.DrawFn) -> tuple[bytes, PageRuns, list[tuple[int, int]]]:
    """Bytes with page records between other bytes, their index, and where the contents are."""
    runs = PageRuns()
    runs.page_size = PAGE
    data = bytearray(draw(few)[:20])
    contents: list[tuple[int, int]] = []
    runs.begin_section(0)
    for number in range(draw(st.integers(0, 8))):
        kind = draw(st.sampled_from([PageKind.ZERO, PageKind.NORMAL, PageKind.XBZRLE]))
        count = draw(st.integers(1, 4))
        size = {PageKind.ZERO: 1, PageKind.NORMAL: PAGE, PageKind.XBZRLE: 5}[kind]
        runs.append(len(data), 3 + size, kind, 0, number * 1000 * PAGE, 3, count)
        for _ in range(count):
            data += draw(st.binary(min_size=3, max_size=3))
            if kind is not PageKind.ZERO:
                contents.append((len(data), len(data) + size))
            data += draw(st.sampled_from([b"\0" * size, b"\x01\x7e" * size, b"\0\xff\xff" * size]))[:size]
        data += draw(few)[:7]
    return bytes(data), runs, contents


@settings(max_examples=200)
@given(streams(), some, st.integers(1, 60))
def test_in_guest_pages_only_what_lies_inside_of_one_is_found(
    stream: tuple[bytes, PageRuns, list[tuple[int, int]]], wanted: bytes, chunk: int
) -> None:
    data, runs, contents = stream
    pages = RecordPages(runs)
    scan = PatternScan(BytesSource(data), [Literal(wanted)], [(0, len(data))], pages, chunk=chunk)
    expected = [
        at
        for at in naive(data, wanted, b"\xff" * len(wanted))
        if any(low <= at and at + len(wanted) <= high for low, high in contents)
    ]
    assert [at for at, _ in found(scan)] == expected
    assert [at for at, _ in found(scan, backward=True)] == expected[::-1]
    assert list(pages.pieces(0, len(data))) == contents


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(1, 9)), max_size=8),
    st.integers(0, 90),
    st.integers(1, 9),
)
def test_places_in_mapped_pages_are_those_of_a_naive_search(
    gaps: list[tuple[int, int]], offset: int, length: int
) -> None:
    starts, ends = array("Q"), array("Q")
    at = 0
    for gap, size in gaps:
        at += gap + 1
        starts.append(at)
        at += size
        ends.append(at)
    fitting = [
        place
        for place in range(200)
        if any(s <= place and place + length <= e for s, e in zip(starts, ends, strict=True))
    ]
    pages = PlacedPages(starts, ends)
    assert pages.next_fit(offset, length) == min((p for p in fitting if p >= offset), default=None)
    assert pages.last_fit(offset, length) == max((p for p in fitting if p <= offset), default=None)


# -- expressions ----------------------------------------------------------------------------------


def windows(data: bytes, expression: bytes, window: int) -> Iterator[tuple[int, int]]:
    for begin in range(0, len(data), window):
        for match in re.compile(expression, re.DOTALL).finditer(data, max(0, begin - 4096)):
            if begin <= match.start() < begin + window and match.end() > match.start():
                yield match.span()


@settings(max_examples=15, deadline=None)
@given(
    few,
    st.sampled_from([b"\x00+", b"\x01.", b"(?<=\x01)\x7e", b"[^\x00]+\x00", b"\x00*"]),
    st.integers(1, 80),
)
def test_expressions_match_as_they_do_in_one_process(data: bytes, expression: bytes, window: int) -> None:
    scan = RegexScan(BytesSource(data), expression, [(0, len(data))], window=window)
    expected = list(windows(data, expression, window))
    assert found(scan) == expected
    assert found(scan, backward=True) == expected[::-1]


def test_an_expression_is_matched_across_windows_and_not_twice() -> None:
    data = b"." * 95 + b"needle" + b"." * 500
    scan = RegexScan(BytesSource(data), b"n[a-z]+", [(0, len(data))], window=98)
    assert found(scan) == [(95, 101)]


def test_an_expression_stays_inside_of_a_page() -> None:
    data = b"xxxAAAAyyyAAAA"
    pages = PlacedPages(array("Q", [3, 10]), array("Q", [7, 14]))
    scan = RegexScan(BytesSource(data), b"A.*", [(0, len(data))], pages)
    assert found(scan) == [(3, 7), (10, 14)]
    assert found(scan, 4) == [(10, 14)]


def test_matches_have_a_greatest_length() -> None:
    data = b"a" * (3 * LONGEST)
    scan = RegexScan(BytesSource(data), b"a+", [(0, len(data))], window=LONGEST)
    assert all(end - start <= 2 * LONGEST + 4096 for start, end in found(scan))


def test_a_catastrophic_expression_is_given_up() -> None:
    scan = RegexScan(BytesSource(b"a" * 100), b"(a+)+b", [(0, 100)], patience=0.2)
    with pytest.raises(TooSlow, match="nested repeats"):
        found(scan)


def test_a_catastrophic_expression_can_be_left() -> None:
    steps = RegexScan(BytesSource(b"a" * 100), b"(a+)+b", [(0, 100)]).forward(0, 100)
    assert next(steps).match is None
    steps.close()  # type: ignore[attr-defined]


def test_a_match_is_in_order_before_those_behind_it() -> None:
    assert Match(5, 9).order < Match(6, 7).order
