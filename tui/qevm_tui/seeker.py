"""Searches in the background: one thread looks for the next match, another counts all of them.

Both can be left at any time, and both stand still for a moment after a key.
"""

from __future__ import annotations

import sys
import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from qevm.problems import QevmError
from qevm.search import Match, Origin, Search, Step

REPORT_EVERY = 0.25
COURTESY = 0.06
"""Seconds that a search stands still after a key, for the paint to come first."""

COUNTED = 50_000
"""Matches that are counted and kept; of more it is said that there are more."""

AT_ONCE = 0.05
"""Seconds that a search for the next match may work before it stands still: mostly it is near."""

COUNT_SECONDS = 10.0
"""So long matches are counted."""

_SWITCH_INTERVAL = 0.001
"""How long a search may keep the interpreter when the screen wants it (Python's default is 5 ms)."""


@dataclass(slots=True)
class Task:
    """What a thread works on: it writes, the screen reads."""

    search: Search
    running: bool = True
    reached: int = 0
    error: str = ""
    _left: threading.Event = field(default_factory=threading.Event)

    def leave(self) -> bool:
        """Stop at the next step; returns whether it was still running."""
        was = self.running and not self.left
        self._left.set()
        return was

    @property
    def left(self) -> bool:
        """True when nobody wants the answer any more."""
        return self._left.is_set()


@dataclass(slots=True)
class Seek(Task):
    """The next match from ``origin``."""

    origin: Origin = field(default_factory=Origin)
    backward: bool = False
    match: Match | None = None
    wrapped: bool = False
    shown: bool = False
    """The screen has gone to the match."""


@dataclass(slots=True)
class Count(Task):
    """All matches from the first of the scope on.  ``whole``: there are no more than these."""

    matches: list[Match] = field(default_factory=list)
    whole: bool = False

    def words(self, match: Match) -> str:
        """``3 of 1,204+`` as far as it is known."""
        found = len(self.matches)
        place = bisect_left(self.matches, match.order, 0, found, key=lambda one: one.order)
        known = place < found and self.matches[place].order == match.order
        if not known and not found:
            return ""
        count = f"of {found:,}{'' if self.whole else '+'}"
        return f"{place + 1:,} {count}" if known else count


class Seeker:
    """Runs tasks, each in whatever thread its method is called from.  ``report`` is called from there."""

    def __init__(self, report: Callable[[Task], None]) -> None:
        self._report = report
        self._courtesy_until = 0.0

    def make_way(self) -> None:
        """The user has just pressed a key: stand still for a moment."""
        self._courtesy_until = time.monotonic() + COURTESY

    def seek(self, task: Seek) -> None:
        """Find the match."""

        def work() -> None:
            steps = task.search.steps(task.origin, backward=task.backward)
            for step in self._steps(task, steps, at_once=AT_ONCE):
                if step.match is not None:
                    task.match, task.wrapped = step.match, step.wrapped
                    return

        self._run(task, work)

    def count(self, task: Count) -> None:
        """Count the matches, as far as there is time and room."""

        def work() -> None:
            until = time.monotonic() + COUNT_SECONDS
            for step in self._steps(task, task.search.all()):
                if step.match is not None:
                    if len(task.matches) >= COUNTED:
                        return
                    task.matches.append(step.match)
                elif time.monotonic() > until:
                    return
            task.whole = not task.left

        self._run(task, work)

    def _run(self, task: Task, work: Callable[[], None]) -> None:
        before = sys.getswitchinterval()
        sys.setswitchinterval(min(before, _SWITCH_INTERVAL))
        try:
            work()
        except QevmError as failure:
            task.error = str(failure)
        finally:
            sys.setswitchinterval(before)
            task.running = False
            if not task.left:
                self._report(task)

    def _steps(self, task: Task, steps: Iterator[Step], at_once: float = 0.0) -> Iterator[Step]:
        """The steps until the task is left, with reports and pauses between them."""
        begun = reported = time.monotonic()
        for step in steps:
            now = time.monotonic()
            while begun + at_once < now < self._courtesy_until and not task.left:
                time.sleep(0.005)
                now = time.monotonic()
            if task.left:
                return
            task.reached = step.reached
            if now - reported >= REPORT_EVERY:
                reported = now
                self._report(task)
            yield step
