"""Rows and paths of trees with any number of children."""

from hypothesis import given
from hypothesis import strategies as st

from qevm_tui.outline import FAN_OUT, Outline, Path, span_of

WIDE = 1_000_000


def wide(path: Path) -> int:
    return WIDE if len(path) < 3 else 0


def test_a_closed_branch_with_a_million_children_is_one_row():
    outline = Outline(wide)
    assert outline.rows == WIDE
    outline.open((5,))
    assert outline.rows == 2 * WIDE
    assert outline.path_at(5) == (5,)
    assert outline.path_at(6) == (5, 0)
    assert outline.path_at(5 + WIDE) == (5, WIDE - 1)
    assert outline.path_at(6 + WIDE) == (6,)


@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from([(), (0,), (1,), (2, 2), (3,)])), max_size=12))
def test_rows_and_paths_are_inverse(steps: list[tuple[int, Path]]):
    outline = Outline(lambda path: 4 if len(path) < 4 else 0)
    for number, above in steps:
        outline.toggle((*above, number))
    seen = [outline.path_at(row) for row in range(outline.rows)]
    assert seen == sorted(seen)
    assert [outline.row_of(path) for path in seen] == list(range(outline.rows))


def test_revealing_opens_all_above():
    outline = Outline(lambda path: 10 if len(path) < 4 else 0)
    row = outline.reveal((3, 4, 5))
    assert outline.path_at(row) == (3, 4, 5)
    assert outline.is_open((3, 4))
    assert not outline.is_open((3, 4, 5))


def test_a_hidden_path_is_at_its_nearest_visible_ancestor():
    outline = Outline(lambda path: 10 if len(path) < 4 else 0)
    assert outline.row_of((3, 4, 5)) == 3


def test_growing_keeps_what_is_open():
    sizes: dict[Path, int] = {(): 2, (0,): 3}
    outline = Outline(lambda path: sizes.get(path, 0))
    outline.open((0,))
    sizes[(0,)] = 5
    sizes[()] = 4
    outline.recount()
    assert outline.rows == 9
    assert outline.path_at(6) == (1,)


def test_open_nodes_move_along_when_nodes_come_in_before_them():
    outline = Outline(lambda path: 5 if len(path) < 2 else 0)
    outline.open((3,))
    outline.shift(2, 1)
    assert outline.is_open((4,))
    assert not outline.is_open((3,))


def test_ranges_hold_at_most_a_thousand():
    assert span_of(FAN_OUT) == 1
    assert span_of(FAN_OUT + 1) == FAN_OUT
    assert span_of(16_000_000) == FAN_OUT**2
