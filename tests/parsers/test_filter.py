"""The filter of the section tree takes what a plain reading of its expression takes."""

from __future__ import annotations

from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qevm.filter import FilterError, read_filter
from qevm.index import SectionIndex
from qevm.problems import Severity
from qevm.section import Confidence, Section, SectionKind
from qevm.section_columns import Columns

NAMES = ["ram", "cpu", "0000:00:01.1/ide", "virtio-net", "VIRTIO-BLK", "fw_cfg"]
UNITS = {"": 1, "k": 1 << 10, "M": 1 << 20}


@st.composite
def indexes(draw: st.DrawFn) -> tuple[SectionIndex, dict[int, Severity]]:
    index = SectionIndex()
    problems: dict[int, Severity] = {}
    for number in range(draw(st.integers(0, 4))):
        index.add_device(number + 5, draw(st.sampled_from(NAMES)), number, draw(st.integers(0, 3)), True)
    offset = 0
    for row in range(draw(st.integers(0, 12))):
        kind = draw(st.sampled_from(SectionKind))
        size = draw(st.sampled_from([1, 16, 1023, 1024, 5000, 1 << 20]))
        device = None
        if kind.of_device and index.devices:
            device = draw(st.integers(0, len(index.devices) - 1))
        index.append(
            kind,
            offset,
            offset,
            offset + size,
            offset + size,
            device=device,
            section_id=None if device is None else device + 5,
            parent=draw(st.sampled_from([None, 0])) if row else None,
            confidence=draw(st.sampled_from(Confidence)),
        )
        offset += size
        if draw(st.booleans()):
            problems[row] = draw(st.sampled_from(Severity))
    return index, problems


Plain = Callable[[Section, Severity | None], bool]


def simple() -> st.SearchStrategy[tuple[str, Plain]]:
    """An expression's text and what it means, for one term."""

    def numeric(key: str, sign: str, number: int, unit: str) -> tuple[str, Plain]:
        compare = {"<": int.__lt__, ">": int.__gt__, ":": int.__eq__, ">=": int.__ge__, "!=": int.__ne__}[
            sign
        ]
        values: dict[str, Callable[[Section], int | None]] = {
            "size": lambda s: s.size,
            "offset": lambda s: s.offset,
            "depth": lambda s: s.depth,
            "id": lambda s: s.section_id,
            "instance": lambda s: s.instance_id,
            "version": lambda s: s.version_id,
        }

        def test(section: Section, _: Severity | None) -> bool:
            value = values[key](section)
            return value is not None and bool(compare(value, number * UNITS[unit]))

        return f"{key}{sign}{number}{unit}", test

    def named(pattern: str) -> tuple[str, Plain]:
        def test(section: Section, _: Severity | None) -> bool:
            name = (section.idstr or "").lower()
            whole = section.device_id.lower()
            low = pattern.lower()
            return section.idstr is not None and any(
                fnmatchcase(one, low) for one in (name, whole, name.rpartition("/")[2])
            )

        return f"name:{pattern}", test

    return st.one_of(
        st.sampled_from(SectionKind).map(lambda k: (f"type:{k.name}", lambda s, _: s.kind is k)),
        st.sampled_from(Confidence).map(lambda c: (f"confidence:{c.label}", lambda s, _: s.confidence is c)),
        st.just(("problem", lambda _, p: p is not None)),
        st.sampled_from(Severity).map(lambda v: (f"problem:{v.name.lower()}", lambda _, p: p is v)),
        st.sampled_from(["ide", "CPU", "@1", "virtio-net@2", '"r"']).map(
            lambda w: (w, lambda s, _: s.idstr is not None and w.strip('"').lower() in s.device_id.lower())
        ),
        st.sampled_from(["virtio*", "ide", "*", "?am", "cpu@0", "nothing"]).map(named),
        st.builds(
            numeric,
            st.sampled_from(["size", "offset", "depth", "id", "instance", "version"]),
            st.sampled_from(["<", ">", ":", ">=", "!="]),
            st.integers(0, 9),
            st.sampled_from(sorted(UNITS)),
        ),
    )


def compound(inner: st.SearchStrategy[tuple[str, Plain]]) -> st.SearchStrategy[tuple[str, Plain]]:
    def both(a: tuple[str, Plain], b: tuple[str, Plain], word: str) -> tuple[str, Plain]:
        return f"({a[0]}{word}{b[0]})", lambda s, p: a[1](s, p) and b[1](s, p)

    def either(a: tuple[str, Plain], b: tuple[str, Plain], word: str) -> tuple[str, Plain]:
        return f"({a[0]}{word}{b[0]})", lambda s, p: a[1](s, p) or b[1](s, p)

    def not_(a: tuple[str, Plain], word: str) -> tuple[str, Plain]:
        return word + a[0], lambda s, p: not a[1](s, p)

    return st.one_of(
        st.builds(both, inner, inner, st.sampled_from([" ", " and ", " & "])),
        st.builds(either, inner, inner, st.sampled_from([" or ", " | "])),
        st.builds(not_, inner, st.sampled_from(["-", "not ", "! ".strip()])),
    )


expressions = st.recursive(simple(), compound, max_leaves=6)


@given(indexes(), expressions)
def test_a_filter_takes_what_its_parts_take(
    made: tuple[SectionIndex, dict[int, Severity]], expression: tuple[str, Plain]
) -> None:
    index, problems = made
    text, plain = expression
    columns = Columns.of_index(index, 0, len(index), problems)
    taken = read_filter(text).takes(columns)
    assert taken.tolist() == [plain(section, problems.get(section.index)) for section in index]


@given(indexes(), expressions, st.integers(0, 12))
def test_it_does_not_matter_in_which_pieces_rows_come(
    made: tuple[SectionIndex, dict[int, Severity]], expression: tuple[str, Plain], cut: int
) -> None:
    index, problems = made
    cut = min(cut, len(index))
    takes = read_filter(expression[0]).takes
    whole = takes(Columns.of_index(index, 0, len(index), problems)).tolist()
    first = takes(Columns.of_index(index, 0, cut, problems)).tolist()
    assert whole == first + takes(Columns.of_index(index, cut, len(index), problems)).tolist()


@given(indexes(), expressions)
def test_sections_that_are_only_located_are_taken_alike(
    made: tuple[SectionIndex, dict[int, Severity]], expression: tuple[str, Plain]
) -> None:
    index, _ = made
    sections = list(index)
    taken = read_filter(expression[0]).takes(Columns.of_sections(sections))
    assert taken.tolist() == [expression[1](section, None) for section in sections]


def test_and_binds_stronger_than_or() -> None:
    index = SectionIndex()
    index.append(SectionKind.EOF, 0, 0, 10, 10)
    columns = Columns.of_index(index, 0, 1, {})
    assert read_filter("type:EOF or type:FULL size>100").takes(columns).tolist() == [True]
    assert read_filter("(type:EOF or type:FULL) size>100").takes(columns).tolist() == [False]


def test_a_kind_can_be_shortened_and_several_are_one_of_them() -> None:
    index = SectionIndex()
    for kind in (SectionKind.EOF, SectionKind.FULL, SectionKind.CONFIGURATION):
        index.append(kind, 0, 0, 10, 10)
    columns = Columns.of_index(index, 0, 3, {})
    assert read_filter("type:conf,eof").takes(columns).tolist() == [True, False, True]


@pytest.mark.parametrize(
    ("text", "column", "says"),
    [
        ("", 1, "type an expression"),
        ("type:FULL size>", 16, "size needs a value"),
        ("type:FULL size>big", 16, "no number"),
        ("type:NOPE", 6, "is not one of HEADER"),
        ("type:E", 6, "is not one of HEADER"),
        ("typo:FULL", 1, "is not one of type, name"),
        ("(type:FULL", 1, "not closed"),
        ("type:FULL)", 10, "no ( to this"),
        ("a or", 5, "missing"),
        ("or a", 1, "missing"),
        ("a ()", 4, "missing"),
        ('x name:"abc', 8, "not closed"),
        ("name>a", 5, "no number: write name:a"),
        ("not", 4, "missing"),
        ("confidence:sure", 12, "is not one of exact"),
        ("(" * 60 + "a", 52, "nested too deep"),
    ],
)
def test_errors_point_to_the_column(text: str, column: int, says: str) -> None:
    with pytest.raises(FilterError, match=f"column {column}: ") as caught:
        read_filter(text)
    assert caught.value.column == column
    assert says in str(caught.value)


@given(st.text(alphabet=st.sampled_from('ab:<>=!-()"0kM ortypenamsiz'), max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    refused: FilterError | None = None
    taken: Any = None
    try:
        taken = read_filter(text).takes(Columns.of_sections([]))
    except FilterError as error:
        refused = error
    if refused is None:
        assert taken.tolist() == []
    else:
        assert 1 <= refused.column <= len(text) + 1
