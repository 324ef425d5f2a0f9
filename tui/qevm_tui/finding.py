"""Searching in the app: the prompt, the next and the previous match, and what is said about them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, partial
from typing import TYPE_CHECKING

from textual import on
from textual.message import Message

from qevm.problems import QevmError
from qevm.safetext import safe
from qevm.search import Match, Origin, Query, Scope, Search, read_query
from qevm.section import Section
from qevm_tui.explorer import Explorer
from qevm_tui.seeker import Count, Seek, Seeker, Task
from qevm_tui.selection import Selection

if TYPE_CHECKING:
    from qevm.containers import ContainerPart
    from qevm.source import Source
    from qevm_tui.palette import Palette
    from qevm_tui.panes.section_tree import SectionTree

_REMEMBERED = 50
_NEAR = 4096
"""A field that begins so far before the screen is not tinted: it would fill all of it."""


class SearchReport(Message):
    """A search has got further (posted from its thread)."""

    def __init__(self, task: Task) -> None:
        super().__init__()
        self.task = task


class Finder:
    """What is searched for, what was found, and where one was before."""

    def __init__(self) -> None:
        self.seek: Seek | None = None
        """The last question, answered or not."""
        self.count: Count | None = None
        self.section: Section | None = None
        """Whose section or device is searched, where the scope is one."""
        self.part: ContainerPart | None = None
        """The part of the container that is searched, where the scope is that."""
        self.known = (0, 0)
        """The capture's generation and sections when the search was made."""
        self.former: list[str] = []
        self.scope = Scope.CAPTURE
        self.before: Selection | None = None
        """Where one was when the prompt was opened; None without a prompt."""
        self.tinted = True

    def remember(self, text: str) -> None:
        """Keep an entry for the arrow keys of the prompt."""
        self.former = [*(one for one in self.former if one != text), text][-_REMEMBERED:]

    def leave(self) -> bool:
        """Leave what runs; returns whether anything did."""
        running = [task.leave() for task in (self.seek, self.count) if task is not None]
        return any(running)

    def near(self, source: Source, low: int, high: int) -> list[tuple[int, int]]:
        """(start, end) of the matches that overlap ``low`` … ``high`` of ``source``, for the hex pane."""
        seek = self.seek
        if seek is None or not self.tinted or seek.search.source is not source:
            return []
        try:
            found = seek.search.near(low, high)
        except QevmError:
            return []
        if found is not None:
            return found
        # Without a count only the match that one is at is known.
        known = self.count.matches[:] if self.count is not None else []
        matches = known or ([seek.match] if seek.match is not None else [])
        return [(m.start, m.end) for m in matches if low - _NEAR <= m.start < high and m.end > low]


class Finding(Explorer):
    """Adds searching to the explorer."""

    palette: Palette
    tree_pane: SectionTree

    @cached_property
    def finder(self) -> Finder:
        """The state of the search."""
        return Finder()

    @cached_property
    def _seeker(self) -> Seeker:
        return Seeker(self._searched)

    def _searched(self, task: Task) -> None:
        self.post_message(SearchReport(task))

    def show_matches(self) -> None:
        """Tint the matches that are in view (the panes do that)."""

    # -- asking -----------------------------------------------------------------------------------

    def action_search(self) -> None:
        """Ask what to find; the first match is shown while one types."""
        from qevm_tui.dialogs.search import SearchPrompt

        finder = self.finder
        finder.leave()
        earlier = (finder.seek, finder.count)
        before = finder.before = self.selection
        finder.tinted = True
        self.tree_pane.opens = False

        def done(asked: tuple[str, Scope] | None) -> None:
            finder.before = None
            self._back_to(before)
            self.tree_pane.opens = True
            if asked is None:
                finder.leave()
                finder.seek, finder.count = earlier
            else:
                finder.remember(asked[0])
                if asked[1] is not Scope.PART:
                    finder.scope = asked[1]
                self._keep()
            self.show_matches()

        prompt = SearchPrompt(
            self.palette, finder.former, finder.scope, self._typed, part=before.part is not None
        )
        self.push_screen(prompt, done)

    def _typed(self, text: str, scope: Scope) -> None:
        """Another text in the prompt: look for it from where one was."""
        finder = self.finder
        before = finder.before
        if before is None:
            return
        finder.leave()
        finder.seek = finder.count = None
        if not text.strip():
            self._back_to(before)
            self._answer("Enter keeps, Esc goes back, Tab: where to search, ↑ ↓ earlier searches")
        else:
            try:
                query = read_query(text)
                finder.section, finder.part = before.section, before.part
                # Outside of the stream the cursor says nothing of a place in it.
                at = before.cursor if scope is Scope.PART or before.part is None else self.capture.base
                self._ask(query, scope, Origin(at, inclusive=True))
            except QevmError as error:
                self._back_to(before)
                self._answer(safe(str(error)), bad=True)
            else:
                self._answer(self._words())
        self.show_matches()

    def _back_to(self, place: Selection) -> None:
        if self.selection != place:
            self.select(place)

    def _keep(self) -> None:
        """Enter: go to the match, now as to a place that one comes back from."""
        seek = self.finder.seek
        if seek is not None:
            if seek.match is not None:
                self._go_to(seek.match, jump=True)
            self._tell()

    # -- next and previous ------------------------------------------------------------------------

    def action_next_match(self, step: int) -> None:
        """To the next (1) or the previous (-1) match, round the ends."""
        finder = self.finder
        last = finder.seek
        if last is None:
            self.say("nothing is searched for yet: / asks what to find")
            return
        finder.tinted = True
        last.leave()
        here = last.match if last.match is not None and self._is_at(last.match) else None
        # Outside of what is searched the cursor says nothing of a place in it.
        origin = Origin(self.selection.cursor if self.source is last.search.source else 0, here)
        if finder.known == self._known():
            self._seek(Seek(last.search, origin=origin, backward=step < 0))
        else:
            # More is indexed now, or other bytes: the search is to see them.
            finder.leave()
            finder.count = None
            if self.capture.generation != finder.known[0]:
                finder.section = self.selection.section
            try:
                self._ask(last.search.query, last.search.scope, origin, backward=step < 0)
            except QevmError as error:
                self.say(str(error), bad=True)

    def _is_at(self, match: Match) -> bool:
        selection = self.selection
        return (selection.cursor, selection.end) == (match.start, match.end)

    # -- the search in the background -------------------------------------------------------------

    def _known(self) -> tuple[int, int]:
        return self.capture.generation, len(self.capture.index)

    def _ask(self, query: Query, scope: Scope, origin: Origin, *, backward: bool = False) -> None:
        finder = self.finder
        search = Search(self.capture, query, scope, finder.section, finder.part)
        finder.known = self._known()
        self._seek(Seek(search, origin=origin, backward=backward))

    def _seek(self, seek: Seek) -> None:
        self.finder.seek = seek
        self._begin(partial(self._seeker.seek, seek))

    def _begin(self, work: Callable[[], None]) -> None:
        self.run_worker(work, thread=True, group="search")

    def on_key(self) -> None:
        """Keys come before the search."""
        self._seeker.make_way()

    def on_unmount(self) -> None:
        """The search's threads must not outlive the app."""
        self.finder.leave()

    @on(SearchReport)
    def _search_reported(self, message: SearchReport) -> None:
        finder, task = self.finder, message.task
        if task.left or not (task is finder.seek or task is finder.count):
            return
        seek = finder.seek
        if seek is not None and seek.match is not None and not seek.shown:
            seek.shown = True
            self._go_to(seek.match, jump=finder.before is None)
            if finder.count is None:
                finder.count = Count(seek.search)
                self._begin(partial(self._seeker.count, finder.count))
        elif finder.before is not None and seek is not None and not seek.running and seek.match is None:
            self._back_to(finder.before)
        self.show_matches()
        self._tell()

    def _go_to(self, match: Match, *, jump: bool) -> None:
        if match.section is not None:
            self.select(Selection(match.section, match.path, match.start, match.start, match.end), jump=jump)
        else:
            seek = self.finder.seek
            source = self.capture.source if seek is None else seek.search.source
            self.count_in(None if source is self.capture.source else source)
            self.select_offset(match.start, jump=jump, anchor=match.end - 1)

    def stop_searching(self) -> bool:
        """Leave a search that runs; returns whether there was one."""
        seek = self.finder.seek
        if not self.finder.leave():
            return False
        self.say("search cancelled" if seek is None or seek.match is None else "counting stopped")
        return True

    def forget_matches(self) -> bool:
        """Drop the tints of the matches; returns whether there were any.  ``n`` brings them back."""
        finder = self.finder
        if finder.seek is None or finder.seek.match is None or not finder.tinted:
            return False
        finder.tinted = False
        self.show_matches()
        return True

    # -- words ------------------------------------------------------------------------------------

    def _words(self) -> str:
        """What the search is doing or has found."""
        seek, count = self.finder.seek, self.finder.count
        if seek is None:
            return ""
        query = seek.search.query
        how = safe(query.how)
        error = seek.error or (count.error if count is not None else "")
        if error:
            return safe(error)
        if seek.match is None:
            if seek.running:
                percent = 100 * seek.reached // max(1, seek.search.source.size)
                return f"searching {percent} %, Esc cancels · {how}"
            left_out = f" ({seek.search.left_out})" if seek.search.left_out else ""
            return f"not found in {seek.search.scope.value}: {how}{left_out}"
        counted = count.words(seek.match) if count is not None else ""
        words = f"match {counted}".rstrip()
        if seek.wrapped:
            words += " (round the beginning)" if seek.backward else " (round the end)"
        return f"{words} · {self.place_words()} · {how}"

    def _tell(self) -> None:
        seek = self.finder.seek
        if seek is None:
            return
        bad = bool(seek.error) or (seek.match is None and not seek.running)
        if self.finder.before is not None:
            self._answer(self._words(), bad=bad)
        elif seek.match is None or self._is_at(seek.match):
            self.say(self._words(), bad=bad)

    def _answer(self, text: str, *, bad: bool = False) -> None:
        from qevm_tui.dialogs.search import SearchPrompt

        if isinstance(self.screen, SearchPrompt):
            self.screen.answer(text, self.palette.problem if bad else self.palette.meaning)
