"""Whether the file on the disk is still what was opened: it can be cut, deleted or replaced meanwhile."""

from __future__ import annotations

import os

from qevm.source import FileSource, Source


class FileWatch:
    """Looks at a local file from time to time.  Two system calls a look; nothing for other sources."""

    def __init__(self, source: Source | None) -> None:
        self._file = source if isinstance(source, FileSource) else None
        self._size = 0 if self._file is None else self._file.size
        self._gone = ""
        # A file that came in by a descriptor (qevm - < capture) has no path to look at.
        self._named = self._file is not None and self._gone_words(self._file) == ""

    @property
    def watches(self) -> bool:
        """False where there is nothing to look at: a pipe, a remote file."""
        return self._file is not None

    def look(self) -> str:
        """What happened to the file since the last look, in words; empty when nothing did."""
        file = self._file
        if file is None or file.fileno() < 0:
            return ""
        try:
            size = os.fstat(file.fileno()).st_size
        except OSError as error:
            return f"the file cannot be looked at: {error.strerror or error}"
        before, self._size = self._size, size
        gone_before, self._gone = self._gone, self._gone_words(file) if self._named else ""
        if self._gone != gone_before:
            return self._gone or "the file is at its place again"
        if size == before:
            return ""
        what = "was cut" if size < before else "has grown"
        return f"the file {what} to {size:,} bytes: r reads it again"

    @staticmethod
    def _gone_words(file: FileSource) -> str:
        try:
            there = file.path.stat()
            ours = os.fstat(file.fileno())
        except OSError:
            return "the file was deleted: what was opened stays readable until qevm ends"
        if os.path.samestat(there, ours):
            return ""
        return "the file was replaced by another one: this is still the old one"
