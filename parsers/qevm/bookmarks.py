"""Bookmarks with notes, kept for each capture in the user's data directory.

A capture is known by its size and samples of its content, not by its name: a copied or renamed file keeps its
bookmarks.  Each capture has one JSON file.  Files there may be damaged, hostile or of another version: their
content is not used, and a message says so.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qevm.atomic import keep_file
from qevm.problems import QevmError
from qevm.userfolders import user_folder

if TYPE_CHECKING:
    from qevm.capture import Capture
    from qevm.source import Source

VERSION = 1
LONGEST_NOTE = 1000
MOST = 10_000

_LONGEST_DEVICE = 2000
_LARGEST_FILE = 32 << 20
_GREATEST_OFFSET = 1 << 62
_WHOLE = 1 << 20
"""Captures up to this size are read as a whole to know them again."""
_EDGE = 64 << 10
_SAMPLES = 32
_SAMPLE = 4096


class BookmarksError(QevmError):
    """Bookmarks could not be read or written.  ``str()`` says why in one line."""


class DamagedError(BookmarksError):
    """The file makes no sense.  It is set aside when the next bookmark is made."""


@dataclass(frozen=True, slots=True, order=True)
class Bookmark:
    """A place with a note.

    ``offset`` counts bytes of the capture's source.  ``device`` is the device id of the section there (empty
    where there is none), ``section`` its id in the stream, ``chunk`` its number in the chain, and ``inside``
    the distance from the section's first byte.
    """

    offset: int
    note: str = ""
    device: str = ""
    section: int = -1
    chunk: int = 0
    inside: int = 0


def bookmark_at(capture: Capture, offset: int, note: str = "") -> Bookmark:
    """A bookmark at ``offset``, with what is there."""
    section = capture.section_at(offset)
    note = note[:LONGEST_NOTE]
    if section is None:
        return Bookmark(offset, note)
    number = -1 if section.section_id is None else section.section_id
    return Bookmark(offset, note, section.device_id, number, section.chunk, offset - section.offset)


def place_of(capture: Capture, bookmark: Bookmark) -> int:
    """Where a bookmark points to now.

    Its offset; where another device stands there now, the same place of the section that it was made in.
    """
    here = capture.section_at(bookmark.offset)
    if not bookmark.device or here is None or here.device_id == bookmark.device:
        return bookmark.offset
    for device in capture.index.devices:
        if device.device_id == bookmark.device and bookmark.chunk < len(device.sections):
            section = capture.index[device.sections[bookmark.chunk]]
            return section.offset + min(bookmark.inside, section.size - 1)
    return bookmark.offset


def folder() -> Path:
    """Where bookmarks lie; ``$QEVM_DATA_DIR`` wins over the platform's place."""
    return user_folder("data") / "bookmarks"


def identity(source: Source, base: int) -> str:
    """What a capture is known by: its size, where its stream begins, and its content or samples of it."""
    size = source.size
    digest = hashlib.blake2b(f"{size} {base}".encode(), digest_size=20)
    if size <= _WHOLE:
        digest.update(source.read(0, size))
    else:
        digest.update(source.read(base, _EDGE))
        digest.update(source.read(size - _EDGE, _EDGE))
        for number in range(_SAMPLES):
            digest.update(source.read(size * number // _SAMPLES, _SAMPLE))
    return digest.hexdigest()


class Bookmarks:
    """The bookmarks of one capture.  Every change is written at once, on top of what others have written."""

    def __init__(self, key: str, name: str = "", place: Path | None = None) -> None:
        self._key = key
        self._name = name
        self._path = (place or folder()) / f"{key}.json"

    @classmethod
    def of(cls, capture: Capture) -> Bookmarks:
        """Those of ``capture``.  Raises BookmarksError while bytes still arrive, SourceError."""
        if capture.growing:
            raise BookmarksError("bookmarks can be kept when the whole capture has arrived")
        return cls(identity(capture.source, capture.base), Path(capture.name).name)

    def load(self) -> list[Bookmark]:
        """All bookmarks in the order of their offsets.  Raises BookmarksError, or DamagedError."""
        try:
            with self._path.open("rb") as file:
                data = file.read(_LARGEST_FILE + 1)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise BookmarksError(f"bookmarks cannot be read: {error.strerror or error}") from error
        try:
            return _unpack(data, self._key)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise DamagedError(f"bookmarks are ignored, the file is damaged: {self._path}") from error

    def put(self, bookmark: Bookmark) -> list[Bookmark]:
        """Add a bookmark, or change the note of the one at its offset.  Raises BookmarksError."""

        def change(kept: dict[int, Bookmark]) -> None:
            if bookmark.offset not in kept and len(kept) >= MOST:
                raise BookmarksError(f"{MOST:,} bookmarks are enough for one capture")
            kept[bookmark.offset] = replace(bookmark, note=bookmark.note[:LONGEST_NOTE])

        return self._change(change)

    def remove(self, offset: int) -> list[Bookmark]:
        """Drop the bookmark at ``offset``; none there is no mistake.  Raises BookmarksError."""

        def change(kept: dict[int, Bookmark]) -> None:
            kept.pop(offset, None)

        return self._change(change)

    def _change(self, change: Callable[[dict[int, Bookmark]], None]) -> list[Bookmark]:
        try:
            kept = {bookmark.offset: bookmark for bookmark in self.load()}
        except DamagedError:
            kept = {}
            with contextlib.suppress(OSError):
                self._path.replace(self._path.with_suffix(".damaged"))
        change(kept)
        bookmarks = sorted(kept.values())
        self._write(bookmarks)
        return bookmarks

    def _write(self, bookmarks: list[Bookmark]) -> None:
        content = {
            "version": VERSION,
            "key": self._key,
            "name": self._name,
            "bookmarks": [asdict(bookmark) for bookmark in bookmarks],
        }
        data = json.dumps(content, indent=1).encode()
        try:
            keep_file(self._path, data, sync=True)
        except OSError as error:
            raise BookmarksError(
                f"the bookmark is not kept: {self._path.parent}: {error.strerror or error}"
            ) from error


def _unpack(data: bytes, key: str) -> list[Bookmark]:
    """The bookmarks of a file.  Raises BookmarksError, for nonsense ValueError and others."""
    if len(data) > _LARGEST_FILE:
        raise ValueError("too large")
    content = json.loads(data)
    if not isinstance(content["version"], int):
        raise ValueError("no version")
    if content["version"] != VERSION:
        raise BookmarksError("the bookmarks of this capture were written by another version of qevm")
    items = content["bookmarks"]
    if content["key"] != key or not isinstance(items, list) or len(items) > MOST:
        raise ValueError("not the bookmarks of this capture")
    return sorted({mark.offset: mark for mark in map(_bookmark, items)}.values())


def _bookmark(item: Any) -> Bookmark:
    return Bookmark(
        _number(item["offset"]),
        _text(item["note"], LONGEST_NOTE),
        _text(item["device"], _LONGEST_DEVICE),
        _number(item["section"], -1),
        _number(item["chunk"]),
        _number(item["inside"]),
    )


def _number(value: object, least: int = 0) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value < _GREATEST_OFFSET:
        raise ValueError("no number")
    return value


def _text(value: object, longest: int) -> str:
    if not isinstance(value, str) or len(value) > longest:
        raise ValueError("no text")
    return value
