"""A source that counts what is read of it: bounded work is bounded reading, not time on a busy machine."""

from __future__ import annotations

from qevm.source import BytesSource


class CountingSource:
    """Bytes in memory.  ``bytes_read`` and ``reads`` grow with each read."""

    def __init__(self, data: bytes) -> None:
        self._inner = BytesSource(data)
        self.name = "damaged"
        self.bytes_read = 0
        self.reads = 0

    @property
    def size(self) -> int:
        return self._inner.size

    def read(self, offset: int, length: int) -> bytes:
        data = self._inner.read(offset, length)
        self.bytes_read += len(data)
        self.reads += 1
        return data

    def close(self) -> None:
        self._inner.close()
