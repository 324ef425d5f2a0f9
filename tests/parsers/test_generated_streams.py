"""Properties of streams that were made at random, and of what is left of them when they are damaged."""

from __future__ import annotations

from itertools import pairwise

from counting_source import CountingSource
from field_tiles import behind_tiles
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stream_maker import Row, Stream, streams

from qevm.capture import Capture
from qevm.problems import CannotOpen, Severity
from qevm.section import Confidence, Section, SectionKind
from qevm.source import BytesSource

# The same examples each time: searching for new ones is what tests/fuzz is for.
QUICK = settings(
    max_examples=80,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@given(streams())
@QUICK
def test_the_walk_finds_the_sections_that_were_made(made: Stream) -> None:
    capture = _walked(bytes(made.data))
    assert [_row(section) for section in capture.index] == made.rows
    assert [str(p) for p in capture.problems if p.severity > Severity.NOTE] == []
    assert capture.facts.page_size in (made.page_size, None)


@given(streams(described=True))
@QUICK
def test_what_is_described_is_exact_and_located_from_the_tail(made: Stream) -> None:
    capture = _walked(bytes(made.data))
    assert all(section.confidence is Confidence.EXACT for section in capture.index)
    full = [row for row in made.rows if row.kind is SectionKind.FULL]
    assert [_row(section) for section in capture.located] == full
    fresh = Capture(BytesSource(bytes(made.data)))
    assert [_row(section) for section in fresh.located] == full


@given(streams())
@QUICK
def test_fields_tile_each_section_and_analyze_names_each_device(made: Stream) -> None:
    capture = _walked(bytes(made.data))
    for section in capture.index:
        end = behind_tiles(capture.decode(section), section.offset, section)
        inside = [row for row in made.rows if row.depth and section.offset < row.offset < section.end]
        assert end == (inside[0].offset if inside else section.end)
    found = capture.analyze()
    assert len(found) == len({(row.idstr, row.section_id) for row in made.rows if row.idstr})


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A stream with up to three places damaged."""
    data = bytes(draw(streams()).data)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        size = draw(st.integers(1, 64))
        how = draw(st.sampled_from(["flip", "overwrite", "insert", "delete", "truncate", "repeat", "zero"]))
        piece = data[at : at + size]
        if how == "flip":
            piece = bytes(byte ^ 1 << draw(st.integers(0, 7)) for byte in piece[:1]) + piece[1:]
        elif how == "overwrite":
            piece = draw(st.binary(min_size=len(piece), max_size=len(piece)))
        elif how == "insert":
            piece = draw(st.binary(max_size=16)) + piece
        elif how == "repeat":
            piece += piece
        elif how == "zero":
            piece = bytes(len(piece))
        else:
            piece = b""
        data = data[:at] + piece + (b"" if how == "truncate" else data[at + size :])
    return data


@given(damaged())
@settings(QUICK, max_examples=250)
def test_a_damaged_stream_never_raises_and_its_rows_tile_it(data: bytes) -> None:
    source = CountingSource(data)
    try:
        capture = Capture(source)
    except CannotOpen:
        assert data[:8] != b"QEVM\0\0\0\3"
        return
    capture.walk_all()
    assert source.bytes_read <= 12 * len(data) + (1 << 16)
    rows = [section for section in capture.index if section.depth == 0]
    assert rows[0].offset == 0
    assert rows[-1].end == len(data)
    assert all(before.end == after.offset for before, after in pairwise(rows))
    for section in capture.index:
        root = capture.decode(section)
        assert (root.offset, root.end) == (section.offset, section.end)
        assert all(item.size >= 0 for _, item in root.walk(3000))
    capture.analyze()


@given(streams(described=True, footers=True), st.data())
@QUICK
def test_no_change_of_a_type_an_id_or_a_footer_goes_unnoticed(made: Stream, data: st.DataObject) -> None:
    place = data.draw(st.sampled_from(made.structure))
    at = data.draw(st.integers(place.start, place.stop - 1))
    changed = bytearray(made.data)
    changed[at] ^= data.draw(st.integers(1, 255))
    capture = _walked(bytes(changed))
    assert any(p.severity > Severity.NOTE for p in capture.problems)


@given(streams(), st.data())
@QUICK
def test_no_cut_goes_unnoticed_and_all_before_it_is_kept(made: Stream, data: st.DataObject) -> None:
    first = made.rows[1].offset
    cut = data.draw(st.integers(first, len(made.data) - 1))
    vmdesc = made.rows[-1].kind is SectionKind.VMDESCRIPTION
    capture = _walked(bytes(made.data[:cut]))
    if not (vmdesc and cut == made.rows[-1].offset):
        # All but the description: QEMU itself would not miss it.
        assert any(p.severity > Severity.NOTE for p in capture.problems)
    whole = [row for row in made.rows if row.end <= cut]
    if made.footers:
        found = {_row(section) for section in capture.index}
        assert [row for row in whole if row not in found] == []


def _walked(data: bytes) -> Capture:
    capture = Capture(BytesSource(data))
    capture.walk_all()
    return capture


def _row(section: Section) -> Row:
    return Row(
        section.kind, section.offset, section.body, section.body_end, section.end,
        section.section_id, section.idstr, section.instance_id, section.depth,
    )  # fmt: skip
