"""The filter in the app: it narrows both trees while one types and while the walk goes on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import cast

from hypothesis import given
from hypothesis import strategies as st
from test_tree_model import as_capture, leaves
from tuihelp import MadeUp, press, running, screen_text, selected, type_text

from qevm.filter import read_filter
from qevm.problems import Problem, Severity
from qevm.section import SectionKind
from qevm_tui.outline import Outline
from qevm_tui.panes.narrowing import NarrowedByDevice, NarrowedByStream, Narrowing
from qevm_tui.panes.tree_model import TreeModel
from qevm_tui.problem_rows import ProblemRows

Captures = Callable[[str], Path]


def tree_rows(text: str) -> list[str]:
    return [line.split("│")[0].strip() for line in text.splitlines()[2:-2]]


async def test_f_narrows_the_tree_while_one_types_and_the_title_says_so(microbit: Path):
    async with running(microbit) as (app, pilot):
        await press(app, pilot, "f")
        await type_text(app, pilot, "timer size<100")
        lines = screen_text(app).splitlines()
        assert "1 of 23 sections" in lines[-1]
        await press(app, pilot, "enter")
        assert "1 of 23: timer size<100" in screen_text(app).splitlines()[1]
        assert any(row.startswith("timer") for row in tree_rows(screen_text(app)))
        assert not any(row.startswith("globalstate") for row in tree_rows(screen_text(app)))


async def test_the_filter_holds_in_both_trees(microbit: Path):
    async with running(microbit) as (app, pilot):
        await press(app, pilot, "f")
        await type_text(app, pilot, "type:PART,END")
        await press(app, pilot, "enter")
        assert "ram" in screen_text(app)
        assert app.tree_pane.mode == "by device"
        await press(app, pilot, "t")
        assert app.tree_pane.mode == "by stream"
        assert app.tree_pane.title() == "2 of 23: type:PART,END"
        await press(app, pilot, *["greater_than_sign"] * 10)
        assert app.tree_pane.title() == "2 of 23 by stream: type:PART,END"
        assert [row.split()[0] for row in tree_rows(screen_text(app)) if row] == ["PART", "END"]
        await press(app, pilot, "down")
        assert selected(app) == "END ram@0"


async def test_escape_and_an_empty_text_show_all_again(microbit: Path):
    async with running(microbit) as (app, pilot):
        for last in ("escape", "enter"):
            await press(app, pilot, "f")
            await type_text(app, pilot, "ram")
            await press(app, pilot, "enter")
            assert app.tree_pane.filter is not None
            await press(app, pilot, "f", *["backspace"] * 3, last)
            assert app.tree_pane.filter is None
            assert app.tree_pane.title() == "sections by device"
        await press(app, pilot, "f", "up", "enter")
        assert app.tree_pane.filter is not None
        await press(app, pilot, "escape")
        assert app.tree_pane.filter is None
        assert "all sections are shown" in app.status_bar.plain


async def test_an_error_points_to_its_column_and_is_not_taken(microbit: Path):
    async with running(microbit) as (app, pilot):
        await press(app, pilot, "f")
        await type_text(app, pilot, "ram size>big")
        assert "column 10: big is no number" in screen_text(app)
        await press(app, pilot, "enter")
        assert app.screen.is_modal
        assert app.tree_pane.filter is not None
        assert app.tree_pane.filter.text == "ram size"


async def test_the_keys_of_an_empty_tree_do_nothing(microbit: Path):
    async with running(microbit) as (app, pilot):
        await press(app, pilot, "f")
        await type_text(app, pilot, "no-such-device")
        await press(app, pilot, "enter")
        before = app.selection
        assert app.tree_pane.row_count == 0
        await press(app, pilot, "down", "right", "left", "enter", "end", "pagedown", "space")
        assert app.selection == before
        await press(app, pilot, "t")
        assert app.tree_pane.title().startswith("0 of 23: ")


async def test_a_selection_that_is_filtered_away_stays_selected(microbit: Path):
    async with running(microbit) as (app, pilot):
        await press(app, pilot, "d")
        await type_text(app, pilot, "globalstate")
        await press(app, pilot, "enter", "f")
        await type_text(app, pilot, "ram")
        await press(app, pilot, "enter")
        assert selected(app) == "FULL globalstate@0"
        await press(app, pilot, "escape")
        assert selected(app) == "FULL globalstate@0"
        assert app.tree_pane._node(app.tree_pane.cursor_row).section == app.selection.section


async def test_the_tree_of_a_hundred_thousand_sections_is_narrowed(capture_path: Captures):
    async with running(capture_path("dirty-bitmaps")) as (app, pilot):
        await press(app, pilot, "f")
        await type_text(app, pilot, "type:PART name:dirty-bitmap size>100")
        await press(app, pilot, "enter")
        words = app.tree_pane.narrowed_words()
        assert words.endswith(f"of {len(app.capture.index):,}")
        index = app.capture.index
        expected = sum(
            s.kind is SectionKind.PART and s.idstr == "dirty-bitmap" and s.size > 100 for s in index
        )
        assert words.startswith(f"{expected:,} of")


# -- the models while the walk goes on ------------------------------------------------------------


def both(made_up: MadeUp, text: str, problems: ProblemRows | None = None) -> list[TreeModel]:
    capture = as_capture(made_up)
    problems = problems or ProblemRows(capture)
    return [
        NarrowedByDevice(capture, Narrowing(capture, read_filter(text), problems)),
        NarrowedByStream(capture, Narrowing(capture, read_filter(text), problems)),
    ]


KINDS = [0, 1, 2, 3, 3, 3, 4, 5, 6, 7, 8, 9]


@given(
    st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 2), st.integers(1, 40)), max_size=60),
    st.sampled_from(
        ["size>20", "type:PART", "type:FULL,HEADER,EOF", "bitmap", "-ram", "type:COMMAND or ram"]
    ),
    st.integers(1, 20),
)
def test_a_narrowed_tree_shows_what_the_filter_takes_however_it_grew(
    sections: list[tuple[int, int, int]], text: str, step: int
) -> None:
    made_up = MadeUp()
    for name in ("ram", "dirty-bitmap", "block"):
        made_up.device(name)
    models = both(made_up, text)
    outlines = [Outline(model.count) for model in models]
    for number, (kind, device, size) in enumerate(sections):
        made_up.add(SectionKind(kind), device if 2 <= kind <= 5 else None, size)
        if number % step == 0:
            for model, outline in zip(models, outlines, strict=True):
                outline.shift(*model.update())
                outline.recount()
    for model, outline in zip(models, outlines, strict=True):
        outline.shift(*model.update())
        outline.recount()
        assert outline.rows == model.count(())
    capture = as_capture(made_up)
    expected = list(Narrowing(capture, read_filter(text), ProblemRows(capture)).rows)
    by_device, by_stream = models
    assert leaves(by_stream) == expected
    assert sorted(leaves(by_device)) == expected
    for model in models:
        for row in range(len(made_up.index)):
            path = model.find(made_up.index[row])
            assert (path is not None) == (row in expected)
            if path is not None:
                section = model.node(path).section
                assert section is not None
                assert section.index == row


def test_a_section_that_grows_out_of_the_filter_is_noticed() -> None:
    made_up = MadeUp()
    made_up.add(SectionKind.FULL, made_up.device("ram", iterative=False), 16)
    capture = as_capture(made_up)
    narrowing = Narrowing(capture, read_filter("size<100"), ProblemRows(capture))
    assert list(narrowing.rows) == [0]
    assert not narrowing.outdated()
    made_up.index.finish(0, 900, 900)
    assert narrowing.outdated()


def test_problems_that_are_found_later_are_noticed() -> None:
    made_up = MadeUp()
    made_up.add(SectionKind.FULL, made_up.device("ram", iterative=False), 16)
    problems = ProblemRows(as_capture(made_up))
    capture = as_capture(made_up)
    asking = Narrowing(capture, read_filter("problem"), problems)
    other = Narrowing(capture, read_filter("ram"), problems)
    made_up.problems.append(Problem(3, "bad", severity=Severity.ERROR))
    assert problems.update()
    assert asking.outdated()
    assert not other.outdated()
    assert list(Narrowing(capture, read_filter("problem:error"), problems).rows) == [0]


def test_the_size_of_a_device_is_that_of_its_sections_that_are_shown() -> None:
    made_up = MadeUp()
    device = made_up.device("ram")
    model, _ = both(made_up, "size>20")
    for size in (10, 30, 15, 40):
        made_up.add(SectionKind.PART, device, size)
        model.update()
    node = model.node((0,))
    assert (node.size, node.count) == (70, 2)
    assert cast(NarrowedByDevice, model).find(made_up.index[1]) == (0, 0)
