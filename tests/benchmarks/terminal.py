"""A program in a real pseudo-terminal, with its bytes counted and its keys timed."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import termios
import time
from pathlib import Path

QUIET = 0.25
"""Seconds without a byte after which a screen counts as painted."""


class Terminal:
    """``command`` under a pty of ``columns`` × ``rows``; bytes are read and thrown away, and counted."""

    def __init__(self, command: list[str], columns: int = 140, rows: int = 40) -> None:
        self.started = time.perf_counter()
        self.bytes = 0
        self.pid, self.descriptor = pty.fork()
        if self.pid == 0:
            os.environ.update(TERM="xterm-256color", COLORTERM="", COLUMNS=str(columns), LINES=str(rows))
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
            os.execvp(command[0], command)
        fcntl.ioctl(self.descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read_until(self, text: bytes, timeout: float = 60.0) -> float:
        """Seconds from the start until ``text`` was written."""
        seen = b""
        end = time.perf_counter() + timeout
        while text not in seen:
            if time.perf_counter() > end:
                raise TimeoutError(f"{text!r} was not written within {timeout} s")
            seen = seen[-4096:] + self._some(0.05)
        return time.perf_counter() - self.started

    def settle(self, quiet: float = QUIET, timeout: float = 60.0) -> int:
        """Read until nothing comes for ``quiet`` seconds; the number of bytes."""
        before, end = self.bytes, time.perf_counter() + timeout
        while self._some(quiet) and time.perf_counter() < end:
            pass
        return self.bytes - before

    def listen(self, seconds: float) -> int:
        """Bytes that come within ``seconds``."""
        before, end = self.bytes, time.perf_counter() + seconds
        while (left := end - time.perf_counter()) > 0:
            self._some(left)
        return self.bytes - before

    def key(self, keys: bytes, timeout: float = 5.0) -> float:
        """Send a key; seconds until the first byte of its answer."""
        while self._some(0):
            pass
        sent = time.perf_counter()
        os.write(self.descriptor, keys)
        if not self._some(timeout):
            raise TimeoutError(f"no answer to {keys!r} within {timeout} s")
        return time.perf_counter() - sent

    def _some(self, timeout: float) -> bytes:
        if not select.select([self.descriptor], [], [], timeout)[0]:
            return b""
        try:
            data = os.read(self.descriptor, 1 << 16)
        except OSError:
            return b""
        self.bytes += len(data)
        return data

    def memory(self) -> int:
        """Resident bytes of the program, at its highest."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) << 10
        return 0

    def close(self) -> None:
        """End the program."""
        os.kill(self.pid, 9)
        os.waitpid(self.pid, 0)
        os.close(self.descriptor)
