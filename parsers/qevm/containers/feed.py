"""Where an unpacking gets its input: a source read from front to back, or a pipe."""

from __future__ import annotations

import os
import select
from typing import Protocol

from qevm.containers import growing
from qevm.problems import SourceError
from qevm.source import Source

PIECE = 64 << 10


class FeedError(Exception):
    """The input cannot be read."""


class Feed(Protocol):
    """Bytes in order.  ``position`` counts what was read, ``origin`` is where in its file it began."""

    @property
    def name(self) -> str:
        """What a user calls the input."""
        ...

    @property
    def origin(self) -> int:
        """Offset of the first byte in its own file."""
        ...

    @property
    def position(self) -> int:
        """Bytes read so far."""
        ...

    @property
    def total(self) -> int | None:
        """Bytes there are, None when one cannot know."""
        ...

    def read(self) -> bytes:
        """The next bytes, waiting for them; empty at the end or when cancelled.  Raises FeedError."""
        ...

    def cancel(self) -> None:
        """Make a waiting ``read`` return empty.  Callable from any thread."""
        ...

    def refresh(self) -> bool:
        """Look again whether there is more now."""
        ...

    def close(self) -> None:
        """Release the input."""
        ...


class SourceFeed:
    """Reads ``source`` from byte ``origin`` on; waits where that one is itself still growing."""

    def __init__(self, source: Source, origin: int = 0) -> None:
        self.source = source
        self.origin = origin
        self.position = 0
        self._cancelled = False

    @property
    def name(self) -> str:
        """The source's name."""
        return self.source.name

    @property
    def total(self) -> int | None:
        """Bytes from the origin on, None while the source grows."""
        return self.source.size - self.origin if growing.is_complete(self.source) else None

    def read(self) -> bytes:
        """The next piece."""
        if self._cancelled:
            return b""
        here = self.origin + self.position
        growing.wait_for(self.source, here + 1)
        try:
            data = self.source.read(here, PIECE)
        except SourceError as error:
            raise FeedError(str(error)) from error
        self.position += len(data)
        return data

    def cancel(self) -> None:
        """Stop this layer and the ones under it."""
        self._cancelled = True
        growing.cancel(self.source)

    def refresh(self) -> bool:
        """Whether the source has grown past what was read."""
        return growing.refresh(self.source) > self.origin + self.position

    def close(self) -> None:
        """Close the source."""
        self.source.close()


class PipeFeed:
    """Reads a descriptor that cannot seek.  Owns it."""

    def __init__(self, descriptor: int, name: str) -> None:
        self.name = name
        self.origin = 0
        self.position = 0
        self.total: int | None = None
        self._fd = descriptor
        self._cancelled = False
        self._wake_read, self._wake_write = os.pipe()

    def read(self) -> bytes:
        """The next bytes; waits for the writer."""
        poll = select.poll()
        poll.register(self._fd, select.POLLIN)
        poll.register(self._wake_read, select.POLLIN)
        while not self._cancelled:
            ready = [fd for fd, _ in poll.poll()]
            if self._cancelled:
                break
            if self._fd in ready:
                try:
                    data = os.read(self._fd, PIECE)
                except BlockingIOError:
                    continue
                except OSError as error:
                    raise FeedError(f"{self.name}: {error.strerror or error}") from error
                self.position += len(data)
                return data
        return b""

    def cancel(self) -> None:
        """Wake a waiting read."""
        if not self._cancelled:
            self._cancelled = True
            os.write(self._wake_write, b"!")

    def refresh(self) -> bool:
        """A pipe that ended stays ended."""
        return False

    def close(self) -> None:
        """Close the pipe.  Only when nobody is in ``read`` any more."""
        self.cancel()
        for descriptor in (self._fd, self._wake_read, self._wake_write):
            os.close(descriptor)
