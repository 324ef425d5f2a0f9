"""Captures on another host: anything that fsspec opens, in ranges through an own bounded cache.

Optional (``pip install 'qevm[remote]'``).  Opening reads the head and the tail, a jump reads where it goes
to: a capture of 100 GB over sftp costs a few hundred KiB.
"""

from __future__ import annotations

import importlib
import re
import threading
from collections import OrderedDict
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from qevm.containers.decoders import Plain
from qevm.containers.feed import PIECE, FeedError
from qevm.containers.unpack import Limits, UnpackingSource
from qevm.problems import CannotOpen, SourceError
from qevm.source import Source

BLOCK = 256 << 10
"""Bytes of one cached block, and the least that is asked for at once."""

BLOCKS = 64
"""Blocks kept: 16 MiB."""

MAX_AHEAD = 16
"""Blocks fetched at once by a walk from front to back: the round trips get fewer, the memory stays."""


def open_remote(url: str, limits: Limits | None = None) -> Source:
    """The capture at ``url``, read in ranges; one whose server knows no ranges is spooled from front to back.

    Raises CannotOpen: library missing, no such file, refused, unknown host key.
    """
    name = _without_password(url)
    try:
        fsspec = importlib.import_module("fsspec")
    except ImportError:
        raise CannotOpen(f"{name}: to open it, pip install 'qevm[remote]'") from None
    try:
        filesystem, path = _filesystem(fsspec, url)
        info = filesystem.info(path)
        if info.get("type") == "directory":
            raise CannotOpen(f"{name}: is a directory")
        size = info.get("size")
        if size is not None and info.get("partial", True):
            source = RemoteSource(filesystem, path, int(size), name)
            if source.has_ranges():
                return source
            source.close()
        handle = filesystem.open(path, "rb", block_size=0, cache_type="none")
    except CannotOpen:
        raise
    except Exception as error:
        # What fsspec's file systems raise is not one family: OSError, aiohttp, paramiko, botocore …
        raise CannotOpen(f"{name}: {_reason(error)}") from error
    feed = _HandleFeed(handle, name, None if size is None else int(size))
    return UnpackingSource(feed, Plain("pipe"), limits, name)


def _filesystem(fsspec: Any, url: str) -> tuple[Any, str]:
    scheme = url.split("://", 1)[0].lower()
    if scheme in ("sftp", "ssh"):
        from qevm.containers.sftp import connect

        return connect(url)
    options: dict[str, Any] = {}
    if scheme in ("http", "https"):
        # A range of a body that is compressed on the way is no range of the file.
        options["headers"] = {"Accept-Encoding": "identity"}
    filesystem, path = fsspec.core.url_to_fs(url, **options)
    return filesystem, str(path)


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    if parts.password is None:
        return url
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{parts.username}@{host}"))


def _reason(error: BaseException) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    if isinstance(error, FileNotFoundError):
        text = "no such file"
    return re.sub(r"://([^:/@\s]*):[^@\s]*@", r"://\1@", text.splitlines()[0])


class RemoteSource:
    """A remote file of known size, read in ranges.  Safe for several threads; one transfer at a time."""

    def __init__(self, filesystem: Any, path: str, size: int, name: str) -> None:
        self.name = name
        self.size = size
        self.fetched = 0
        """Bytes that came over the network."""
        self._filesystem = filesystem
        self._path = path
        self._handle: Any = None
        self._lock = threading.RLock()
        self._cache: OrderedDict[int, bytes] = OrderedDict()
        self._expected = -1
        self._ahead = 1
        self._closed = False

    def has_ranges(self) -> bool:
        """Whether the server gives the last block without the ones before it."""
        if self.size <= BLOCK:
            return True
        try:
            return len(self._fetch(self.size - 1, 1)) == 1
        except ValueError:
            return False

    def read(self, offset: int, length: int) -> bytes:
        """Up to ``length`` bytes at ``offset``.  Raises SourceError when the network fails twice."""
        length = min(length, self.size - offset)
        if offset < 0 or length <= 0:
            return b""
        first, last = offset // BLOCK, (offset + length - 1) // BLOCK
        with self._lock:
            data = b"".join(self._block(number, last) for number in range(first, last + 1))
        start = offset - first * BLOCK
        return data[start : start + length]

    def _block(self, number: int, last: int) -> bytes:
        kept = self._cache.get(number)
        if kept is not None:
            self._cache.move_to_end(number)
            return kept
        self._ahead = min(self._ahead * 2, MAX_AHEAD) if number == self._expected else 1
        count = min(max(self._ahead, last - number + 1), MAX_AHEAD)
        start = number * BLOCK
        data = self._range(start, min(count * BLOCK, self.size - start))
        for i in range(0, len(data), BLOCK):
            self._cache[number + i // BLOCK] = data[i : i + BLOCK]
        self._expected = number + count
        while len(self._cache) > BLOCKS:
            self._cache.popitem(last=False)
        return data[:BLOCK]

    def _range(self, start: int, length: int) -> bytes:
        if self._closed:
            raise SourceError(f"{self.name}: is closed")
        for attempt in (1, 2):
            try:
                data = self._fetch(start, length)
            except Exception as error:
                self._drop_handle()
                if attempt == 2:
                    raise SourceError(f"{self.name}: cannot read at 0x{start:x}: {_reason(error)}") from error
                continue
            if len(data) < length:
                raise SourceError(
                    f"{self.name}: the file was cut while open:"
                    f" {len(data)} bytes at 0x{start:x}, expected {length}"
                )
            return data[:length]
        raise AssertionError

    def _fetch(self, start: int, length: int) -> bytes:
        if self._handle is None:
            self._handle = self._filesystem.open(self._path, "rb", cache_type="none")
        handle = self._handle
        if hasattr(handle, "readv"):
            # paramiko: pipelined requests instead of one round trip for every 32 KiB.
            data = b"".join(bytes(piece) for piece in handle.readv([(start, length)]))
        else:
            handle.seek(start)
            data = bytes(handle.read(length))
        self.fetched += len(data)
        return data

    def _drop_handle(self) -> None:
        handle, self._handle = self._handle, None
        if handle is not None:
            try:
                handle.close()
            except Exception:
                # The connection is gone already; what counts is that the next read opens anew.
                return

    def refresh(self) -> int:
        """Ask for the size again (the file may have grown) and return it."""
        with self._lock:
            try:
                self._filesystem.invalidate_cache()
                size = int(self._filesystem.info(self._path)["size"])
            except Exception as error:
                raise SourceError(f"{self.name}: {_reason(error)}") from error
            if size != self.size:
                self._drop_handle()
                self._cache.pop(self.size // BLOCK, None)
                self.size = size
            return self.size

    def close(self) -> None:
        """Close the file, and the connection where it was made for it alone."""
        with self._lock:
            self._closed = True
            self._cache.clear()
            self._drop_handle()
            disconnect = getattr(self._filesystem, "disconnect", None)
            if disconnect is not None:
                disconnect()


class _HandleFeed:
    """Reads a file object of fsspec from front to back, for servers without ranges."""

    def __init__(self, handle: Any, name: str, total: int | None) -> None:
        self.name = name
        self.origin = 0
        self.position = 0
        self.total = total
        self._handle = handle
        self._cancelled = False

    def read(self) -> bytes:
        """The next bytes."""
        if self._cancelled:
            return b""
        try:
            data = bytes(self._handle.read(PIECE))
        except Exception as error:
            raise FeedError(_reason(error)) from error
        self.position += len(data)
        return data

    def cancel(self) -> None:
        """End with the piece that is on its way."""
        self._cancelled = True

    def refresh(self) -> bool:
        """What has ended stays ended."""
        return False

    def close(self) -> None:
        """Close the transfer."""
        self._handle.close()
