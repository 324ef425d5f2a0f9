"""A private temporary file for what is unpacked: sparse, unlinked from the start, gone with the process."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from qevm.problems import CannotOpen, SourceError

BLOCK = 4096
"""Zero runs are left out in multiples of this, the block size of common file systems."""


@dataclass(frozen=True, slots=True)
class Space:
    """The room on a file system: what a user is asked about before it gets filled.

    All in bytes.  ``free`` is there now, ``written`` is what the spool has taken so far, ``wanted`` is
    what it will have taken at the end as far as one can tell (0 = unknown), ``reserve`` what qevm
    leaves free unless told otherwise.
    """

    folder: str
    free: int
    written: int
    wanted: int
    reserve: int


def default_folder() -> Path:
    """Where large temporary files belong: ``$TMPDIR``, else /var/tmp (not in memory), else /tmp."""
    given = os.environ.get("TMPDIR")
    if not given and os.access("/var/tmp", os.W_OK | os.X_OK):
        return Path("/var/tmp")
    import tempfile

    return Path(given or tempfile.gettempdir())


class Spool:
    """An append-only sparse file without a name.

    Created with ``O_TMPFILE`` (mode 0600), or where the file system lacks it with ``mkstemp`` and an
    unlink at once: no exit, crash or SIGKILL leaves it behind.
    """

    def __init__(self, folder: str | os.PathLike[str] | None = None) -> None:
        self.folder = Path(folder) if folder is not None else default_folder()
        self._fd = self._create()
        self.size = 0
        self.allocated = 0
        """Bytes written, without the zero runs that were left out."""

    def _create(self) -> int:
        flag = getattr(os, "O_TMPFILE", 0)
        try:
            if flag:
                try:
                    return os.open(self.folder, flag | os.O_RDWR | os.O_CLOEXEC, 0o600)
                except (IsADirectoryError, OSError) as error:
                    # Old kernels say EISDIR, file systems without it EOPNOTSUPP; the rest is real.
                    if isinstance(error, FileNotFoundError | PermissionError | NotADirectoryError):
                        raise
            import tempfile

            handle, name = tempfile.mkstemp(prefix="qevm-", dir=self.folder)
            Path(name).unlink()
            return handle
        except OSError as error:
            raise CannotOpen(
                f"no temporary file in {self.folder}: {error.strerror or error};"
                " choose a folder with --tmpdir"
            ) from error

    def free(self) -> int:
        """Bytes that an unprivileged process may still write on this file system."""
        status = os.fstatvfs(self._fd)
        return status.f_bavail * status.f_frsize

    def append(self, data: bytes) -> None:
        """Add ``data`` at the end.  Whole blocks of zeros become holes.  Raises OSError (ENOSPC)."""
        position, start = self.size, 0
        head = -position % BLOCK
        if head:
            self._put(position, data[:head])
            start = min(head, len(data))
        whole = (len(data) - start) // BLOCK * BLOCK
        if whole:
            self._put_blocks(position + start, data, start, whole)
        self._put(position + start + whole, data[start + whole :])
        self.size = position + len(data)

    def _put(self, position: int, piece: bytes) -> None:
        if piece.count(0) != len(piece):
            self._write(position, memoryview(piece))

    def _put_blocks(self, position: int, data: bytes, start: int, length: int) -> None:
        # numpy costs a quarter of the start of a short command: only who unpacks pays for it.
        import numpy as np

        blocks = np.frombuffer(data, dtype="u1", count=length, offset=start).reshape(-1, BLOCK)
        used = np.flatnonzero(np.diff(blocks.any(axis=1), prepend=False, append=False))
        view = memoryview(data)
        # Every pair of edges is one run of blocks that hold something.
        for first, last in used.reshape(-1, 2).tolist():
            self._write(position + first * BLOCK, view[start + first * BLOCK : start + last * BLOCK])

    def _write(self, position: int, piece: memoryview) -> None:
        while piece:
            done = os.pwrite(self._fd, piece, position)
            self.allocated += done
            position += done
            piece = piece[done:]

    def read(self, offset: int, length: int) -> bytes:
        """Up to ``length`` bytes at ``offset``; a hole at the end reads as zeros up to ``size``."""
        length = min(length, self.size - offset)
        if offset < 0 or length <= 0:
            return b""
        if self._fd < 0:
            raise SourceError("the temporary file is closed")
        try:
            data = os.pread(self._fd, length, offset)
            while 0 < len(data) < length:
                more = os.pread(self._fd, length - len(data), offset + len(data))
                if not more:
                    break
                data += more
        except OSError as error:
            raise SourceError(f"temporary file: {error.strerror or error}") from error
        return data if len(data) == length else data.ljust(length, b"\0")

    def fileno(self) -> int:
        """The descriptor of the temporary file; -1 when it is closed."""
        return self._fd

    def close(self) -> None:
        """Give the disk space back."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
