"""Regular expressions over bytes, matched by another process that is killed when it takes too long.

Python's ``re`` backtracks: a few characters of an expression can keep it busy for longer than a life, and
nothing interrupts it.  So it runs in a child process over bounded windows; this side waits in short slices.

Windows lie at fixed places of a span, so that what is found does not depend on where a search began.  Matches
do not overlap, are at most :data:`LONGEST` bytes long and never empty; ``.`` is any byte.
"""

from __future__ import annotations

import contextlib
import select
import struct
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType

from qevm.problems import QevmError
from qevm.search.bytescan import Span
from qevm.search.pages import GuestPages
from qevm.search.result import Match, Step
from qevm.source import Source

WINDOW = 1 << 20
LONGEST = 64 << 10
_LEAD = 4096
"""Bytes before a window that are matched too, so that a match which crosses its begin is not cut in two."""

_SLICE = 0.05
_PATIENCE = 5.0
"""Seconds that one window may take."""

_SCRIPT = Path(__file__).with_name("regex_child.py")


class TooSlow(QevmError):
    """The expression takes too long.  ``str()`` says where."""


class RegexScan:
    """Looks for ``expression`` in ``spans``; with ``pages`` in the contents of each guest page by itself."""

    def __init__(
        self,
        source: Source,
        expression: bytes,
        spans: Sequence[Span],
        pages: GuestPages | None = None,
        *,
        window: int = WINDOW,
        patience: float = _PATIENCE,
    ) -> None:
        self._source = source
        self._expression = expression
        self._spans = spans
        self._pages = pages
        self._window = window
        self._patience = patience

    def forward(self, start: int, stop: int) -> Iterator[Step]:
        """See ``Scan.forward``.  Raises TooSlow."""
        with _Child(self._expression, self._patience) as child:
            for low, high in self._spans:
                first = max(start - low, 0) // self._window
                for begin in range(low + first * self._window, min(high, stop), self._window):
                    for step in self._matches(child, begin, (low, high), start, stop):
                        yield step if isinstance(step, Step) else Step(step.start, step)
                    yield Step(min(begin + self._window, high))

    def backward(self, start: int, stop: int) -> Iterator[Step]:
        """See ``Scan.backward``.  Raises TooSlow."""
        with _Child(self._expression, self._patience) as child:
            for low, high in reversed(self._spans):
                begins = range(low, min(high, stop), self._window)
                for begin in reversed(begins[max(start - low, 0) // self._window :]):
                    found: list[Match] = []
                    for step in self._matches(child, begin, (low, high), start, stop):
                        if isinstance(step, Step):
                            yield step
                        else:
                            found.append(step)
                    yield from (Step(match.start, match) for match in reversed(found))
                    yield Step(begin)

    def _matches(
        self, child: _Child, begin: int, span: Span, start: int, stop: int
    ) -> Iterator[Step | Match]:
        """Matches that begin in one window, and steps without one while the child works."""
        low, high = span
        read_from = max(begin - _LEAD, low)
        read_to = min(begin + self._window + LONGEST, high)
        below = min(begin + self._window, high)
        if self._pages is None:
            pieces = [(read_from, read_to)]
        else:
            pieces = list(self._pages.pieces(read_from, read_to))
        if not pieces:
            return
        data = self._source.read(read_from, read_to - read_from)
        numbers: list[int] = []
        for piece_from, piece_to in pieces:
            numbers += (
                piece_from - read_from,
                min(piece_to - read_from, len(data)),
                begin - read_from,
                below - read_from,
            )
        child.ask(numbers, data)
        while not child.answered(begin):
            yield Step(begin)
        for match_from, match_to in child.answer():
            if start <= read_from + match_from < stop:
                yield Match(read_from + match_from, read_from + match_to)


class _Child:
    """The process that matches."""

    def __init__(self, expression: bytes, patience: float) -> None:
        self._expression = expression
        self._patience = patience
        self._asked = 0.0

    def __enter__(self) -> _Child:
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(_SCRIPT)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        except OSError as error:
            raise QevmError(f"cannot start the process that matches: {error.strerror or error}") from error
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._given, self._answers = self._process.stdin, self._process.stdout
        self._send(struct.pack("<I", len(self._expression)) + self._expression)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        with contextlib.suppress(OSError):
            # What was not sent yet cannot be: the process is gone.
            self._given.close()
        self._answers.close()
        self._process.wait()

    def _send(self, data: bytes) -> None:
        try:
            self._given.write(data)
            self._given.flush()
        except OSError as error:
            raise QevmError(
                "the process that matches has ended: too much memory for this expression?"
            ) from error

    def ask(self, numbers: Sequence[int], data: bytes) -> None:
        """Send a request."""
        self._asked = time.monotonic()
        head = struct.pack(f"<II{len(numbers)}I", len(numbers) // 4, len(data), *numbers)
        self._send(head + data)

    def answered(self, place: int) -> bool:
        """Wait a moment; True when the answer has come.  Raises TooSlow when it takes too long."""
        ready, _, _ = select.select([self._answers], [], [], _SLICE)
        if ready:
            return True
        if time.monotonic() - self._asked > self._patience:
            raise TooSlow(
                f"the expression takes more than {self._patience:g} s for the bytes at 0x{place:x}: "
                "nested repeats like (a+)+ do that"
            )
        return False

    def answer(self) -> Iterator[tuple[int, int]]:
        """Start and end of each match."""
        (count,) = struct.unpack("<I", self._read(4))
        numbers = struct.unpack(f"<{2 * count}I", self._read(8 * count))
        return zip(numbers[::2], numbers[1::2], strict=True)

    def _read(self, size: int) -> bytes:
        data = self._answers.read(size)
        if len(data) < size:
            raise QevmError("the process that matches has ended: too much memory for this expression?")
        return data
