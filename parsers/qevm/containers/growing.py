"""Sources that grow: a capture that is still being written, unpacked, piped in or looked at from afar.

Every function takes any Source and looks through the wrappers (``outer``) down to the one that knows.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from qevm.source import Source


@runtime_checkable
class Growing(Protocol):
    """A source whose bytes arrive in the background."""

    @property
    def complete(self) -> bool:
        """No more bytes will come by themselves."""
        ...

    def wait_for(self, end: int, timeout: float | None = None) -> bool:
        """Wait until ``size >= end`` or no more will come; whether ``size >= end`` now."""
        ...

    def cancel(self) -> None:
        """Stop; what has arrived stays readable."""
        ...


@runtime_checkable
class Refreshing(Protocol):
    """A source that can look at its file's size again."""

    def refresh(self) -> int:
        """Look again and return the size now."""
        ...


def _under(source: Source) -> tuple[Source, int]:
    """The innermost wrapped source, and what to add to an offset to count in it."""
    delta = 0
    while not isinstance(source, Growing):
        outer = getattr(source, "outer", None)
        if outer is None:
            break
        delta += int(getattr(source, "base", 0))
        source = outer
    return source, delta


def is_complete(source: Source) -> bool:
    """Whether all bytes are there that will come by themselves: False only while unpacking goes on."""
    inner, _ = _under(source)
    return inner.complete if isinstance(inner, Growing) else True


def wait_for(source: Source, end: int, timeout: float | None = None) -> bool:
    """Wait until ``source.size >= end`` or no more bytes come; whether ``size >= end`` now."""
    inner, delta = _under(source)
    if isinstance(inner, Growing):
        inner.wait_for(end + delta, timeout)
    return source.size >= end


def wait_complete(source: Source, timeout: float | None = None) -> bool:
    """Wait until no more bytes come by themselves; whether that is so now."""
    inner, _ = _under(source)
    if isinstance(inner, Growing):
        inner.wait_for(1 << 63, timeout)
        return inner.complete
    return True


def cancel(source: Source) -> None:
    """Stop the background work that fills ``source``; a plain file does not mind."""
    inner, _ = _under(source)
    if isinstance(inner, Growing):
        inner.cancel()


def refresh(source: Source) -> int:
    """Look at the file again (it may have grown: ``r`` and ``--follow``); the source's size now.

    An unpacking that had come to the end of a file still being written goes on in the background.
    """
    inner, _ = _under(source)
    if isinstance(inner, Refreshing):
        inner.refresh()
    return source.size
