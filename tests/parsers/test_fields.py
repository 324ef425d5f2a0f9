"""Field trees: paths by offset, and long runs that are made when looked at."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from qevm.field import Field, LazyFields


@given(st.lists(st.integers(1, 9), min_size=1, max_size=60), st.data())
def test_a_lazy_run_answers_like_a_list(sizes: list[int], data: st.DataObject):
    offsets = [sum(sizes[:n]) for n in range(len(sizes))]
    plain = [Field(f"[{n}]", offsets[n], size) for n, size in enumerate(sizes)]
    lazy = LazyFields(len(sizes), lambda n: plain[n])
    assert len(lazy) == len(plain)
    assert list(lazy) == plain
    index = data.draw(st.integers(-len(sizes), len(sizes) - 1))
    assert lazy[index] is plain[index]
    cut = data.draw(st.slices(len(sizes)))
    assert lazy[cut] == plain[cut]
    offset = data.draw(st.integers(0, sum(sizes) + 2))
    wanted = [item for item in plain if item.offset <= offset < item.end]
    assert lazy.covering(offset) is (wanted[0] if wanted else None)


def test_a_lazy_run_keeps_a_bounded_number_of_fields():
    made = []
    lazy = LazyFields(100_000, lambda n: made.append(n) or Field(str(n), n, 1), lambda offset: offset)
    for number in range(20_000):
        assert lazy[number].offset == number
    assert len(lazy._kept) <= 4096
    assert lazy[19_999].name == "19999"
    assert len(made) == 20_000


def test_the_smallest_field_that_covers_an_offset_ends_the_path():
    inner = Field("inner", 4, 2)
    wide = Field("wide", 2, 8, children=[Field("low", 2, 2), inner])
    root = Field("root", 0, 20, children=[Field("head", 0, 2), wide, Field("empty", 10, 0)])
    assert [item.name for item in root.at(5)] == ["root", "wide", "inner"]
    assert [item.name for item in root.at(8)] == ["root", "wide"]
    assert [item.name for item in root.at(10)] == ["root"]
    assert root.at(20) == []


def test_walk_is_depth_first_and_bounded():
    root = Field("a", 0, 3, children=[Field("b", 0, 1, children=[Field("c", 0, 1)]), Field("d", 1, 2)])
    assert [(depth, item.name) for depth, item in root.walk()] == [(0, "a"), (1, "b"), (2, "c"), (1, "d")]
    assert [item.name for _, item in root.walk(limit=2)] == ["a", "b"]


def test_an_array_is_a_run_of_children_with_one_name():
    first, second = Field("irr", 0, 1), Field("irr", 1, 1)
    root = Field("pic", 0, 3, children=[first, second, Field("imr", 2, 1)])
    assert root.child("irr") is first
    assert root.all("irr") == [first, second]
    assert root.child("isr") is None
