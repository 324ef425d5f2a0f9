"""Random access to bytes (size, read), and nothing else.

All offsets are those of the source itself.  A :class:`Source` is safe to read from several threads.
Files are read with ``pread``, never mapped: a mapped file that shrinks kills the process with SIGBUS.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from qevm.problems import CannotOpen, SourceError


@runtime_checkable
class Source(Protocol):
    """Bytes with a size.  ``read`` may be called from several threads at once."""

    @property
    def name(self) -> str:
        """What a user calls it: a path or a description."""
        ...

    @property
    def size(self) -> int:
        """Number of bytes there are now.  May grow for a file that is still being written."""
        ...

    def read(self, offset: int, length: int) -> bytes:
        """Up to ``length`` bytes at ``offset``; fewer (or none) at the end, never an error for that.

        Raises SourceError when bytes below ``size`` cannot be read.
        """
        ...

    def close(self) -> None:
        """Release what it holds.  Reading afterwards raises SourceError."""
        ...


@runtime_checkable
class Sparse(Protocol):
    """A source whose bytes lie in a file at the same offsets, which may have holes."""

    @property
    def size(self) -> int:
        """Number of bytes there are now."""
        ...

    def fileno(self) -> int:
        """The file's descriptor; -1 when it is closed."""
        ...


class BytesSource:
    """A source over bytes in memory."""

    def __init__(self, data: bytes, name: str = "bytes") -> None:
        self._data = data
        self.name = name

    @property
    def size(self) -> int:
        """Bytes there are now."""
        return len(self._data)

    def read(self, offset: int, length: int) -> bytes:
        """See :meth:`Source.read`."""
        if offset < 0 or length <= 0:
            return b""
        return self._data[offset : offset + length]

    def close(self) -> None:
        """See :meth:`Source.close`."""
        self._data = b""


class FileSource:
    """A regular file (or block device), read with ``pread``."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.name = str(path)
        try:
            self._fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as error:
            raise CannotOpen(f"{self.name}: {error.strerror or error}") from error
        try:
            self._size = self._stat_size()
        except CannotOpen:
            os.close(self._fd)
            self._fd = -1
            raise

    def _stat_size(self) -> int:
        status = os.fstat(self._fd)
        if stat.S_ISREG(status.st_mode):
            return status.st_size
        if stat.S_ISBLK(status.st_mode):
            return os.lseek(self._fd, 0, os.SEEK_END)
        if stat.S_ISDIR(status.st_mode):
            raise CannotOpen(f"{self.name}: is a directory")
        raise CannotOpen(f"{self.name}: need a seekable file, this is a pipe or a device")

    @property
    def size(self) -> int:
        """Bytes there are now."""
        return self._size

    def refresh(self) -> int:
        """Look at the file's size again and return it (it may have grown or shrunk)."""
        if self._fd >= 0:
            self._size = self._stat_size()
        return self._size

    def fileno(self) -> int:
        """The descriptor, for readers that need ``SEEK_DATA`` or scatter reads.  -1 when closed."""
        return self._fd

    def read(self, offset: int, length: int) -> bytes:
        """See :meth:`Source.read`."""
        if offset < 0 or length <= 0 or offset >= self._size:
            return b""
        length = min(length, self._size - offset)
        try:
            data = os.pread(self._fd, length, offset)
            # A short read is legal (signals, some network file systems); only zero bytes is the end.
            while len(data) < length:
                more = os.pread(self._fd, length - len(data), offset + len(data))
                if not more:
                    raise SourceError(
                        f"{self.name}: the file was cut while open: "
                        f"no bytes at 0x{offset + len(data):x}, it had {self._size} bytes when opened"
                    )
                data += more
        except OSError as error:
            raise SourceError(
                f"{self.name}: cannot read at 0x{offset:x}: {error.strerror or error}"
            ) from error
        return data

    def readv(self, offset: int, buffers: Sequence[memoryview]) -> int:
        """Fill ``buffers`` one behind the other with the bytes from ``offset`` on; how many bytes that were.

        Fewer at the end of the file.  Raises SourceError.  Not every source can do this.
        """
        try:
            return os.preadv(self._fd, buffers, offset)
        except OSError as error:
            raise SourceError(
                f"{self.name}: cannot read at 0x{offset:x}: {error.strerror or error}"
            ) from error

    def close(self) -> None:
        """See :meth:`Source.close`."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class SubSource:
    """A window of another source: its byte 0 is byte ``base`` of the outer one."""

    def __init__(self, outer: Source, base: int, size: int | None = None, name: str = "") -> None:
        self.outer = outer
        self.base = base
        self._length = size
        self.name = name or outer.name

    @property
    def size(self) -> int:
        """Bytes of the window that are there."""
        there = max(0, self.outer.size - self.base)
        return there if self._length is None else min(self._length, there)

    def read(self, offset: int, length: int) -> bytes:
        """See :meth:`Source.read`."""
        if offset < 0:
            return b""
        return self.outer.read(self.base + offset, min(length, self.size - offset))

    def close(self) -> None:
        """See :meth:`Source.close`."""
        self.outer.close()


def behind_hole(source: Source, offset: int) -> int:
    """``offset``, or where the hole of a sparse file that it lies in ends; the size when nothing follows.

    A hole of a terabyte costs nothing to write: it must cost nothing to search.
    """
    if isinstance(source, SubSource):
        end = behind_hole(source.outer, source.base + offset) - source.base
    elif isinstance(source, Sparse) and offset < source.size:
        end = next_data(source.fileno(), offset, source.size)
    else:
        return offset
    return min(max(offset, end), source.size)


def next_data(descriptor: int, offset: int, size: int) -> int:
    """Where data begin in an open file from ``offset`` on; ``size`` when only a hole follows."""
    try:
        return os.lseek(descriptor, offset, os.SEEK_DATA)
    except OSError as error:
        return size if error.errno == errno.ENXIO else offset
