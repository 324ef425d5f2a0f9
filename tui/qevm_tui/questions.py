"""Questions that a thread has for the user: a snapshot to choose, a disk to fill.

The thread waits; whoever has the screen at that time takes the question and answers it.  Without a screen
any more the answer is None.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from qevm_tui.dialogs.base import Dialog
    from qevm_tui.palette import Palette

Result = TypeVar("Result")


class Question:
    """One question: the dialog that asks it, and its answer."""

    def __init__(self, dialog: Callable[[Palette], Dialog[Any]]) -> None:
        self.dialog = dialog
        self.result: Any = None
        self.answered = threading.Event()

    def answer(self, result: Any) -> None:
        """Let the thread go on."""
        self.result = result
        self.answered.set()


class Questions:
    """The questions that wait for an answer.  Safe from all threads."""

    def __init__(self) -> None:
        self._waiting: deque[Question] = deque()
        self._taken: list[Question] = []
        self._asked = threading.Condition()
        self._listener: Callable[[], None] | None = None
        self._closed = False
        self._woken = False

    def ask(self, dialog: Callable[[Palette], Dialog[Result]]) -> Result | None:
        """Ask, and wait for the answer; None when the user closed the dialog or the app."""
        question = Question(dialog)
        with self._asked:
            if self._closed:
                return None
            self._waiting.append(question)
            self._asked.notify_all()
            listener = self._listener
        if listener is not None:
            listener()
        question.answered.wait()
        result: Result | None = question.result
        return result

    def take(self, timeout: float | None = 0.0) -> Question | None:
        """The oldest question; None when none comes in ``timeout`` seconds or before :meth:`wake`."""
        with self._asked:
            self._asked.wait_for(lambda: self._waiting or self._woken, timeout)
            self._woken = False
            if not self._waiting:
                return None
            question = self._waiting.popleft()
            self._taken = [one for one in self._taken if not one.answered.is_set()] + [question]
            return question

    @property
    def open(self) -> bool:
        """True while somebody waits for an answer."""
        return bool(self._waiting) or any(not question.answered.is_set() for question in self._taken)

    def wake(self) -> None:
        """Let a waiting :meth:`take` return."""
        with self._asked:
            self._woken = True
            self._asked.notify_all()

    def listen(self, listener: Callable[[], None] | None) -> None:
        """Call ``listener`` (from the asking thread) for each question, and now for one that waits."""
        with self._asked:
            self._listener = listener
            waiting = bool(self._waiting)
        if waiting and listener is not None:
            listener()

    def abandon(self) -> None:
        """Whoever waits gets None: the screen is gone."""
        with self._asked:
            self._listener = None
            open_ones = [*self._waiting, *self._taken]
            self._waiting.clear()
            self._taken.clear()
        for question in open_ones:
            if not question.answered.is_set():
                question.answer(None)

    def close(self) -> None:
        """Nobody will answer any more."""
        with self._asked:
            self._closed = True
        self.abandon()
