"""``qevm -``: a capture from standard input, spooled in the background; the keys come from the terminal."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from qevm.containers.decoders import Plain
from qevm.containers.feed import PipeFeed
from qevm.containers.unpack import Limits, UnpackingSource
from qevm.problems import CannotOpen
from qevm.source import FileSource, Source

NAME = "standard input"


class _OpenFile(FileSource):
    """A regular file that is already open: ``qevm - < capture``."""

    def __init__(self, descriptor: int, name: str) -> None:
        self.path = Path(name)
        self.name = name
        self._fd = descriptor
        self._size = self._stat_size()


def open_stdin(limits: Limits | None = None, descriptor: int = 0) -> Source:
    """What comes in on ``descriptor``: a redirected file as it is, a pipe or socket spooled as it arrives.

    Works on a duplicate, so that descriptor 0 can be given to the terminal (:func:`keys_from_terminal`).
    Raises CannotOpen when it is a terminal, closed, or cannot be a stream.
    """
    try:
        own = os.dup(descriptor)
    except OSError as error:
        raise CannotOpen(f"{NAME} is closed: pipe a capture into it") from error
    mode = os.fstat(own).st_mode
    try:
        if stat.S_ISREG(mode) or stat.S_ISBLK(mode):
            return _OpenFile(own, NAME)
        if os.isatty(own):
            raise CannotOpen(f"{NAME} is a terminal: pipe a capture into it, as in  cat capture | qevm -")
        if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or stat.S_ISCHR(mode)):
            raise CannotOpen(f"{NAME} is neither a file nor a pipe")
        return UnpackingSource(PipeFeed(own, NAME), Plain(), limits, NAME)
    except CannotOpen:
        os.close(own)
        raise


def keys_from_terminal(descriptor: int = 0) -> bool:
    """Put the controlling terminal where the pipe was, so that the app reads keys from it.

    Call after :func:`open_stdin` and before the app starts.  False when there is no terminal.
    """
    try:
        terminal = os.open("/dev/tty", os.O_RDWR | os.O_CLOEXEC | os.O_NOCTTY)
    except OSError:
        return False
    os.dup2(terminal, descriptor, inheritable=True)
    os.close(terminal)
    return True
