"""UnpackingSource: a stream without random access, unpacked once in the background into a Spool.

What is unpacked so far is readable meanwhile; damage ends the unpacking, never loses what came before.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from qevm.containers.decoders import DecodeError, Decoder
from qevm.containers.feed import Feed, FeedError
from qevm.containers.spool import Space, Spool
from qevm.problems import Problem, Severity

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of unpacking, against bombs and full disks; all can be overridden.

    ``max_size`` bounds the unpacked bytes.  ``max_ratio`` bounds bytes that take disk space per byte
    of input; holes are free, so it does not count them, and sparse mapped-ram files may shrink beyond
    it.  ``reserve`` bytes stay free on the disk unless ``confirm`` (called in the background thread,
    may block on a dialog) answers True to going on.  ``tmpdir`` None means :func:`spool.default_folder`.
    """

    max_size: int = 1 << 42
    max_ratio: int = 1000
    reserve: int = 1 << 30
    tmpdir: str | os.PathLike[str] | None = None
    confirm: Callable[[Space], bool] | None = None


RATIO_FLOOR = 256 * MIB
"""No ratio is too high before this many bytes: small files of one repeated byte are no bombs."""

SPACE_STEP = 16 * MIB
"""The free space is looked at after every so many bytes on the disk."""


CLOSE_PATIENCE = 10.0
"""Seconds that closing waits for the background thread."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an unpacking is.  Bytes; ``total_in`` is None for a pipe."""

    bytes_in: int
    total_in: int | None
    bytes_out: int
    seconds: float
    complete: bool

    @property
    def fraction(self) -> float | None:
        """0…1 of the input, None for a pipe."""
        if self.complete:
            return 1.0
        return self.bytes_in / self.total_in if self.total_in else None

    @property
    def rate(self) -> float:
        """Unpacked bytes a second, over the whole time."""
        return self.bytes_out / self.seconds if self.seconds > 0 else 0.0

    @property
    def remaining(self) -> float | None:
        """Seconds to go at the speed so far, None when one cannot tell."""
        if self.complete:
            return 0.0
        if not self.total_in or not self.bytes_in:
            return None
        return self.seconds * max(0, self.total_in - self.bytes_in) / self.bytes_in


class UnpackingSource:
    """The unpacked bytes of ``feed``, arriving in the background.

    A :class:`~qevm.source.Source` whose ``size`` grows; ``read`` gives what is there now.  What went
    wrong is in ``problems``, with the offset (in the unpacked bytes) at which the sound part ends.
    Closing cancels, and closes the feed.
    """

    def __init__(self, feed: Feed, decoder: Decoder, limits: Limits | None = None, name: str = "") -> None:
        self.name = name or feed.name
        self.kind = decoder.kind
        self.problems: list[Problem] = []
        self._feed = feed
        self._decoder = decoder
        self._limits = limits or Limits()
        self._spool = Spool(self._limits.tmpdir)
        self._condition = threading.Condition()
        self._size = 0
        self._complete = False
        self._starved = False
        self._cancelled = False
        self._closed = False
        self._seconds = 0.0
        self._started = 0.0
        self._space_checked = -SPACE_STEP
        self._asked_projected = False
        self._asked_reserve = False
        self._thread: threading.Thread | None = None
        self._start()

    # -- the Source side

    @property
    def size(self) -> int:
        """Bytes unpacked so far."""
        return self._size

    def read(self, offset: int, length: int) -> bytes:
        """Up to ``length`` of the bytes that are unpacked by now."""
        return self._spool.read(offset, min(length, self._size - offset))

    def fileno(self) -> int:
        """The temporary file, in which runs of zeros are holes; -1 when it is closed."""
        return self._spool.fileno()

    @property
    def complete(self) -> bool:
        """The background work is over: all is unpacked, or it stopped (see ``problems``)."""
        return self._complete

    @property
    def cancelled(self) -> bool:
        """Somebody cancelled."""
        return self._cancelled

    def wait_for(self, end: int, timeout: float | None = None) -> bool:
        """Wait until ``size >= end`` or no more will come; whether ``size >= end`` now."""
        with self._condition:
            self._condition.wait_for(lambda: self._size >= end or self._complete, timeout)
            return self._size >= end

    def finish(self, progress: Callable[[Progress], None] | None = None, interval: float = 0.1) -> None:
        """Wait for the end; calls ``progress`` every ``interval`` seconds and at the end.

        An exception in between (KeyboardInterrupt) cancels the unpacking and goes on to the caller.
        """
        try:
            done = False
            while not done:
                with self._condition:
                    done = self._condition.wait_for(lambda: self._complete, interval)
                if progress is not None:
                    progress(self.progress())
        except BaseException:
            self.cancel()
            raise

    def progress(self) -> Progress:
        """How far it is."""
        seconds = self._seconds
        if not self._complete:
            seconds += time.monotonic() - self._started
        return Progress(self._feed.position, self._feed.total, self._size, seconds, self._complete)

    def cancel(self) -> None:
        """Stop.  What is unpacked stays readable.  Does not wait."""
        with self._condition:
            self._cancelled = True
        self._feed.cancel()

    def refresh(self) -> int:
        """Go on where the input had ended too early and has grown since; the size now."""
        if self._complete and self._starved and not self._cancelled and self._feed.refresh():
            with self._condition:
                self.problems.pop()  # the starvation is the last thing that happened
                self._complete = self._starved = False
            self._start()
        return self._size

    def close(self) -> None:
        """Cancel, wait for the thread, give the disk space back, close the input."""
        if self._closed:
            return
        self._closed = True
        self.cancel()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(CLOSE_PATIENCE)
            if self._thread.is_alive():
                return  # a dialog still holds it: the descriptors go with the process
        self._feed.close()
        self._spool.close()

    # -- the background side

    def _start(self) -> None:
        self._started = time.monotonic()
        self._thread = threading.Thread(target=self._run, name=f"qevm-unpack-{self.kind}", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        problem: Problem | None = None
        try:
            problem = self._pump()
        except (_StopError, DecodeError, FeedError) as error:
            problem = self._stopped(str(error))
        except OSError as error:
            problem = self._stopped(f"the temporary file in {self._spool.folder}: {error.strerror or error}")
        except MemoryError:
            problem = self._stopped("it needs more memory than there is")
        except Exception as error:
            # A library that fails in its own way on hostile bytes must not look like the end of the data.
            problem = self._stopped(f"{type(error).__name__}: {error}")
        finally:
            with self._condition:
                self._seconds += time.monotonic() - self._started
                if problem is not None:
                    self.problems.append(problem)
                self._complete = True
                self._condition.notify_all()

    def _pump(self) -> Problem | None:
        self._check_space()
        while True:
            data = self._feed.read()
            if self._cancelled:
                raise _StopError("cancelled")
            if not data:
                break
            for piece in self._decoder.feed(data):
                self._append(piece)
                if self._cancelled:
                    raise _StopError("cancelled")
            if self._decoder.trailing:
                return self._trailing()
        if self._decoder.in_the_middle:
            self._starved = True
            return self._stopped(f"the {self.kind} data ends too early")
        return None

    def _append(self, piece: bytes) -> None:
        if self._size + len(piece) > self._limits.max_size:
            raise _StopError(
                f"the unpacked size passes the limit of {self._limits.max_size} bytes"
                " (raise it with --max-size)"
            )
        self._spool.append(piece)
        if self._spool.allocated - self._space_checked >= SPACE_STEP:
            self._check_ratio()
            self._check_space()
        with self._condition:
            self._size = self._spool.size
            self._condition.notify_all()

    def _check_ratio(self) -> None:
        out, read = self._spool.allocated, max(1, self._feed.position)
        if out > RATIO_FLOOR and out > read * self._limits.max_ratio:
            raise _StopError(
                f"{read} bytes of {self.kind} became {out}, more than {self._limits.max_ratio} times as many:"
                " a decompression bomb? (raise the limit with --max-ratio)"
            )

    def _check_space(self) -> None:
        limits, written = self._limits, self._spool.allocated
        self._space_checked = written
        progress = self.progress()
        free = self._spool.free()
        wanted = 0
        if progress.total_in and progress.bytes_in >= min(64 * MIB, progress.total_in // 20) > 0:
            wanted = written * progress.total_in // progress.bytes_in
        room = free + written - limits.reserve
        if free < limits.reserve and not self._asked_reserve:
            self._asked_reserve = self._asked_projected = True
        elif wanted > room and not self._asked_projected:
            self._asked_projected = True
        else:
            return
        space = Space(str(self._spool.folder), free, written, wanted, limits.reserve)
        if limits.confirm is None or not limits.confirm(space):
            raise _StopError(
                f"{space.folder} has {free} bytes free, {limits.reserve} of them are to stay free"
                + (f", and about {wanted} are needed in all" if wanted else "")
                + "; choose another folder with --tmpdir"
            )

    def _stopped(self, why: str) -> Problem:
        verb = "reading" if self.kind == "pipe" else "decompression"
        return Problem(
            self._size,
            f"{verb} stopped near 0x{self._feed.origin + self._feed.position:x} of {self._feed.name}: {why};"
            f" {self._size} bytes recovered",
            severity=Severity.WARNING if self._cancelled else Severity.ERROR,
        )

    def _trailing(self) -> Problem:
        return Problem(
            self._size,
            f"bytes behind the end of the {self.kind} data in {self._feed.name} are ignored",
            expected="the end of the file",
            found=f"{self._decoder.trailing[:8].hex(' ')}",
            severity=Severity.WARNING,
        )


class _StopError(Exception):
    """Unpacking ends here, for the reason given."""
