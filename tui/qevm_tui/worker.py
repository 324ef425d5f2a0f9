"""The walk in the background: progress, rate, remaining time, cancel and resume.

It never holds the keys up: it makes a pause when a key was pressed, and says how far it is at most four
times a second.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qevm.problems import QevmError

if TYPE_CHECKING:
    from qevm.capture import Capture

REPORT_EVERY = 0.25
CATCH_UP = 2.0
"""Seconds that a walk which has begun anew may take to come back to where it was before that shows."""

COURTESY = 0.02
"""Seconds that the walk stands still after a key, for the paint to come first."""

_SWITCH_INTERVAL = 0.001
"""How long the walk may keep the interpreter when the screen wants it (Python's default is 5 ms)."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the walk is.  ``rate`` is in bytes a second, ``remaining`` in seconds (0: not known yet)."""

    offset: int
    size: int
    rate: float = 0.0
    remaining: float = 0.0
    running: bool = True
    complete: bool = False
    error: str = ""
    elapsed: float = 0.0
    reread: bool | None = None
    """Once after the file was looked at again: whether it had changed."""

    @property
    def percent(self) -> int:
        """Rounded down, so that 100 means done."""
        return 100 * self.offset // max(1, self.size)


class Walk:
    """Runs ``capture.walk()`` in whatever thread :meth:`run` is called from; may be run again to resume."""

    def __init__(self, capture: Capture, report: Callable[[Progress], None]) -> None:
        self._capture = capture
        self._report = report
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._courtesy_until = 0.0
        self._elapsed = 0.0

    def stop(self) -> None:
        """Ask a running walk to pause."""
        self._stop.set()

    def make_way(self) -> None:
        """The user has just pressed a key: stand still for a moment."""
        self._courtesy_until = time.monotonic() + COURTESY

    def run(self, *, reread: bool = False) -> None:
        """Walk until the end or :meth:`stop`; returns at once when it runs elsewhere already.

        With ``reread`` the file is looked at again first, which waits for a walk elsewhere to stop.
        """
        if not self._lock.acquire(blocking=reread):
            return
        before = sys.getswitchinterval()
        sys.setswitchinterval(min(before, _SWITCH_INTERVAL))
        try:
            self._run(reread)
        finally:
            sys.setswitchinterval(before)
            self._lock.release()

    def _run(self, reread: bool) -> None:
        capture = self._capture
        self._stop.clear()
        begun = reported = time.monotonic()
        start = reached = capture.walked
        error = ""
        changed: bool | None = None
        quiet_until = 0.0
        try:
            if reread:
                changed = capture.reread()
            generation = capture.generation
            for offset in capture.walk():
                now = time.monotonic()
                if generation != capture.generation:
                    # More bytes have arrived: the walk has begun anew.  What is shown stays until it is
                    # again where it was, which is soon; a screen that empties each time could not be read.
                    generation, begun, start = capture.generation, now, capture.base
                    quiet_until = now + CATCH_UP
                while now < self._courtesy_until and not self._stop.is_set():
                    time.sleep(0.005)
                    now = time.monotonic()
                if now >= quiet_until or offset >= reached:
                    reached = max(reached, offset)
                    quiet_until = 0.0
                if now - reported >= REPORT_EVERY and not quiet_until:
                    reported = now
                    rate = max(offset - start, 0) / max(now - begun, 1e-6)
                    left = (capture.source.size - offset) / rate if rate else 0.0
                    self._report(Progress(offset, capture.source.size, rate, left, reread=changed))
                    changed = None
                if self._stop.is_set():
                    break
                # Gives the interpreter away between steps, else the screen waits a switch interval.
                time.sleep(0)
        except QevmError as failure:
            error = str(failure)
        self._elapsed += time.monotonic() - begun
        self._report(
            Progress(
                capture.walked,
                capture.source.size,
                running=False,
                complete=capture.complete,
                error=error,
                elapsed=self._elapsed,
                reread=changed,
            )
        )
