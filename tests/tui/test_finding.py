"""Searching in the app: the prompt, next and previous, tints, progress and cancel."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from tuihelp import press, running, screen_text, selected, settled, type_text

from qevm.search import Match, Origin, Scope, Search, Step, read_query
from qevm_tui.seeker import Count, Seek, Seeker, Task

Captures = Callable[[str], Path]


async def test_slash_shows_the_first_match_while_one_types(microbit: Path):
    async with running(microbit) as (app, pilot):
        await press(app, pilot, "slash")
        assert "Enter keeps" in screen_text(app)
        await type_text(app, pilot, "nrf51_soc.rng")
        assert selected(app) == "FULL nrf51_soc.rng@0"
        lines = screen_text(app).splitlines()
        assert "in whole capture" in lines[-2]
        assert "match 1 of 3" in lines[-1]
        assert "text, ASCII and UTF-16, 13 characters" in lines[-1]
        await press(app, pilot, "enter")
        assert selected(app) == "FULL nrf51_soc.rng@0"
        assert "match 1 of 3" in app.status_bar.plain


async def test_escape_in_the_prompt_goes_back_to_where_one_was(microbit: Path):
    async with running(microbit) as (app, pilot):
        await press(app, pilot, "down", "down", "slash")
        before = app.selection
        await type_text(app, pilot, "nrf51")
        assert app.selection != before
        await press(app, pilot, "escape")
        assert app.selection == before
        await press(app, pilot, "n")
        assert "nothing is searched for" in app.status_bar.plain


async def test_what_was_looked_at_while_typing_leaves_the_tree_as_it_was(microbit: Path):
    async with running(microbit) as (app, pilot):
        before = tree_of(screen_text(app))
        await press(app, pilot, "slash")
        await type_text(app, pilot, "pc")
        await press(app, pilot, "backspace", "backspace")
        await type_text(app, pilot, "sram")
        assert selected(app) == "START ram@0"
        await press(app, pilot, "escape")
        assert tree_of(screen_text(app)) == before
        await press(app, pilot, "slash")
        await type_text(app, pilot, "sram")
        await press(app, pilot, "enter")
        assert "START" in tree_of(screen_text(app))


def tree_of(text: str) -> str:
    return "\n".join(line[:30] for line in text.splitlines()[:-2])


async def test_what_is_not_found_or_not_a_query_leaves_one_where_one_was(microbit: Path):
    async with running(microbit) as (app, pilot):
        await press(app, pilot, "slash")
        before = app.selection
        await type_text(app, pilot, "nrfx")
        assert app.selection == before
        assert "not found in whole capture" in screen_text(app)
        await press(app, pilot, *["backspace"] * 4)
        await type_text(app, pilot, "hex:7e 0")
        assert "column 8: a byte has two hex digits" in screen_text(app)


async def test_n_and_shift_n_go_round_and_say_so(microbit: Path):
    async with running(microbit) as (app, pilot):
        await press(app, pilot, "slash")
        await type_text(app, pilot, "timer@")
        await press(app, pilot, *["backspace"] * 6)
        await type_text(app, pilot, "device:timer@")
        await press(app, pilot, "enter")
        assert selected(app) == "FULL timer@0"
        seen = []
        for _ in range(4):
            await press(app, pilot, "n")
            seen.append(selected(app))
        assert seen == [f"FULL nrf51_soc.timer@{n}" for n in range(3)] + ["FULL timer@0"]
        assert "match 1 of 4 (round the end)" in app.status_bar.plain
        await press(app, pilot, "N")
        assert selected(app) == "FULL nrf51_soc.timer@2"
        assert "match 4 of 4 (round the beginning)" in app.status_bar.plain


async def test_a_field_is_found_and_shown_in_the_detail(microbit: Path):
    async with running(microbit) as (app, pilot):
        await press(app, pilot, "slash")
        await type_text(app, pilot, "field:prescaler")
        await press(app, pilot, "enter")
        assert selected(app).startswith("FULL nrf51_soc.timer")
        assert "› prescaler" in app.status_bar.plain
        assert app.selection.path
        assert app.selection.size == 4


async def test_matches_are_tinted_until_escape_and_again_with_n(microbit: Path):
    async with running(microbit) as (app, pilot):
        await press(app, pilot, "slash")
        await type_text(app, pilot, "hex:51 45 56 4d")
        await press(app, pilot, "enter")

        def tinted() -> bool:
            styles = {segment.style for segment in app.hex_pane.render_line(1)}
            return any(style is not None and style.underline and style.bold for style in styles)

        assert tinted()
        await press(app, pilot, "escape")
        assert not app.selection.marked
        await press(app, pilot, "tab", "down", "down")
        assert tinted()
        await press(app, pilot, "escape")
        assert not tinted()
        await press(app, pilot, "n")
        assert tinted()


async def test_tab_changes_the_scope_and_the_search_stays_in_it(microbit: Path):
    async with running(microbit) as (app, pilot):
        await press(app, pilot, "d")
        await type_text(app, pilot, "timer@1")
        await press(app, pilot, "enter", "slash")
        await type_text(app, pilot, "nrf51_soc")
        assert "match 8 of 23" in screen_text(app)
        await press(app, pilot, "tab")
        assert "in this section" in screen_text(app)
        assert "match 1 of 1 ·" in screen_text(app)
        await press(app, pilot, "enter", "n", "n")
        assert selected(app) == "FULL nrf51_soc.timer@1"
        await press(app, pilot, "slash", "tab", "tab")
        assert "in RAM pages" in screen_text(app)
        await press(app, pilot, "shift+tab", "escape")
        assert app.finder.scope is Scope.SECTION


async def test_up_brings_back_earlier_searches(microbit: Path):
    async with running(microbit) as (app, pilot):
        for text in ("one", "two"):
            await press(app, pilot, "slash")
            await type_text(app, pilot, text)
            await press(app, pilot, "enter")
        await press(app, pilot, "slash", "t", "up", "up")
        assert app.screen.query_one("Input").value == "one"  # type: ignore[attr-defined]
        await press(app, pilot, "down", "down")
        assert app.screen.query_one("Input").value == "t"  # type: ignore[attr-defined]


async def test_back_returns_from_a_match_to_where_one_searched(microbit: Path):
    async with running(microbit) as (app, pilot):
        await press(app, pilot, "d")
        await type_text(app, pilot, "globalstate")
        await press(app, pilot, "enter", "slash")
        await type_text(app, pilot, "rng")
        await press(app, pilot, "enter", "backspace")
        assert selected(app) == "FULL globalstate@0"


async def test_a_search_sees_what_is_indexed_later(microbit: Path):
    async with running(microbit, walk=False) as (app, pilot):
        await press(app, pilot, "slash")
        await type_text(app, pilot, "device:zzz")
        await press(app, pilot, "enter")
        assert "only what was indexed so far" in app.status_bar.plain
        app.start_walk()
        await settled(app, pilot)
        await press(app, pilot, "n")
        assert "indexed so far" not in app.status_bar.plain


class Endless:
    """A search that goes on until it is left."""

    def __init__(self, search: Search) -> None:
        self.query, self.scope, self.left_out = search.query, search.scope, ""
        self.source = search.source
        self.steps_made = 0

    def steps(self, origin: Origin, *, backward: bool = False) -> Iterator[Step]:
        while True:
            self.steps_made += 1
            yield Step(self.steps_made)

    def all(self) -> Iterator[Step]:
        return self.steps(Origin())

    def near(self, low: int, high: int) -> list[tuple[int, int]]:
        return []


async def test_escape_cancels_a_search_that_takes_long(microbit: Path):
    async with running(microbit) as (app, pilot):
        endless = Endless(Search(app.capture, read_query("abc")))
        app._seek(Seek(endless))  # type: ignore[arg-type]
        await pilot.press("j")
        await pilot.pause()
        assert app.finder.seek is not None
        assert app.finder.seek.running
        await press(app, pilot, "escape")
        assert not app.finder.seek.running
        assert "search cancelled" in app.status_bar.plain


def test_a_task_that_is_left_stops_at_the_next_step_and_reports_no_more(microbit: Path) -> None:
    from qevm.capture import Capture

    capture = Capture.open(microbit)
    endless = Endless(Search(capture, read_query("abc")))
    reports: list[Task] = []
    task = Count(endless)  # type: ignore[arg-type]
    made = endless.steps

    def steps(origin: Origin, *, backward: bool = False) -> Iterator[Step]:
        for step in made(origin):
            if step.reached == 5:
                assert task.leave()
            yield step

    endless.steps = steps  # type: ignore[method-assign]
    Seeker(reports.append).count(task)
    assert endless.steps_made == 5
    assert not task.running
    assert not task.whole
    assert not task.leave()
    assert reports == []
    capture.close()


def test_the_count_says_how_far_it_is() -> None:
    count = Count(None)  # type: ignore[arg-type]
    assert count.words(Match(5, 6)) == ""
    count.matches = [Match(n, n + 1) for n in range(0, 3000, 2)]
    assert count.words(Match(4, 5)) == "3 of 1,500+"
    assert count.words(Match(5, 6)) == "of 1,500+"
    count.whole = True
    assert count.words(Match(0, 1)) == "1 of 1,500"


async def test_text_of_a_capture_in_an_answer_is_harmless(microbit: Path, tmp_path: Path):
    evil = tmp_path / "evil.bin"
    evil.write_bytes(microbit.read_bytes().replace(b"nrf51_soc.rng", b"[red]]52;c;xy"))
    async with running(evil) as (app, pilot):
        await press(app, pilot, "slash")
        await type_text(app, pilot, "]52;c")
        assert "match 1 of" in screen_text(app)
        await press(app, pilot, "enter")
        assert "[red]]52;c;xy" in app.status_bar.plain


async def test_in_a_part_of_the_container_one_searches_that_first(capture_path: Captures):
    async with running(capture_path("libvirt-real-raw")) as (app, pilot):
        await press(app, pilot, "home", "down", "down", "slash")
        assert "in this part" in screen_text(app)
        await type_text(app, pilot, "</name>")
        # The file's own bytes say where that is.
        assert app.selection.cursor == app.source.read(0, 4096).index(b"</name>")
        assert app.selection.part is not None
        assert app.selection.part.name == "domain XML"
        lines = screen_text(app).splitlines()
        assert "match 1 of 1 · domain XML" in lines[-1]
        await press(app, pilot, "enter")
        assert "hex  domain XML" in screen_text(app)
        await press(app, pilot, "n")
        assert "match 1 of 1 (round the end)" in app.status_bar.plain


async def test_from_a_part_of_the_container_the_stream_can_be_searched(capture_path: Captures):
    async with running(capture_path("libvirt-real-raw")) as (app, pilot):
        await press(app, pilot, "home", "down", "down", "slash", "tab")
        assert "in whole capture" in screen_text(app)
        await type_text(app, pilot, "cpu_common")
        assert selected(app) == "FULL cpu_common@0"
        await press(app, pilot, "tab", "tab", "tab", "tab")
        assert app.selection.part is not None
        assert "not found in this part" in screen_text(app)
        await press(app, pilot, *["backspace"] * 10)
        await type_text(app, pilot, "field:version")
        assert "not in a part of the container" in screen_text(app)


async def test_matches_in_the_stream_tint_no_bytes_of_the_file(capture_path: Captures):
    async with running(capture_path("libvirt-real-raw")) as (app, pilot):
        await press(app, pilot, "slash")
        await type_text(app, pilot, "QEVM")
        await press(app, pilot, "enter")
        assert app.finder.near(app.capture.source, 0, 64) == [(0, 4)]
        await press(app, pilot, "home")
        assert app.selection.part is not None
        assert app.finder.near(app.source, 0, 64) == []
