"""The page index of large captures, kept in the user's cache directory so that reopening is instant.

Only what is slow to find is kept: where each RAM section's body ends, and the runs of page records in it.
All else is walked anew, which costs nothing, and confirms at every section that the file is still the one
that was indexed.  A file of the cache that is damaged, of another version or of another capture is ignored.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import struct
import sys
from array import array
from pathlib import Path

from qevm.atomic import keep_file
from qevm.bodies.ram import RamBody
from qevm.bodies.remembered import RememberedRam
from qevm.source import FileSource
from qevm.userfolders import user_folder

LARGEST_TOTAL = 512 << 20
"""Bytes that all files of the cache take together at the most; the oldest go first."""

_MAGIC = b"qevm index 1\n"
_DIGEST = 32
_LENGTH = struct.Struct(">I")
_SAMPLES = 32
_SAMPLE = 4096
_EDGE = 64 << 10


def folder() -> Path:
    """Where the cache lies; ``$QEVM_CACHE_DIR`` wins over the platform's place."""
    return user_folder("cache")


def key_of(source: FileSource, base: int) -> str:
    """What identifies a capture: the file, its size and time, and samples of its content."""
    status = os.fstat(source.fileno())
    digest = hashlib.blake2b(digest_size=20)
    digest.update(
        json.dumps(
            [status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, base, sys.byteorder]
        ).encode()
    )
    digest.update(source.read(base, _EDGE))
    digest.update(source.read(source.size - _EDGE, _EDGE))
    for number in range(_SAMPLES):
        digest.update(source.read(source.size * number // _SAMPLES, _SAMPLE))
    return digest.hexdigest()


def load(key: str) -> RememberedRam | None:
    """What is kept under ``key``, or None when there is nothing that can be trusted."""
    path = folder() / f"{key}.idx"
    try:
        data = path.read_bytes()
        remembered = _unpack(data, key)
        os.utime(path)
    except (OSError, ValueError, KeyError, TypeError, struct.error):
        return None
    return remembered


def store(key: str, body: RamBody, ends: array[int]) -> None:
    """Keep the page index of ``body`` under ``key``; whoever cannot write goes without.

    ``ends`` alternates the source offset of each scanned body and that of its end.
    """
    data = _pack(key, RememberedRam.of(body, ends))
    if len(data) > LARGEST_TOTAL // 4:
        return
    place = folder()
    with contextlib.suppress(OSError):
        keep_file(place / f"{key}.idx", data)
        _trim(place)


def _pack(key: str, remembered: RememberedRam) -> bytes:
    columns = remembered.columns()
    head = json.dumps(
        {
            "key": key,
            "page_size": remembered.page_size,
            "totals": remembered.totals,
            "columns": [[name, column.typecode, len(column)] for name, column in columns.items()],
        }
    ).encode()
    parts = [_MAGIC, _LENGTH.pack(len(head)), head, *(column.tobytes() for column in columns.values())]
    data = b"".join(parts)
    return data + hashlib.blake2b(data, digest_size=_DIGEST).digest()


def _unpack(data: bytes, key: str) -> RememberedRam:
    body, digest = data[:-_DIGEST], data[-_DIGEST:]
    if not body.startswith(_MAGIC) or hashlib.blake2b(body, digest_size=_DIGEST).digest() != digest:
        raise ValueError("not an index, or damaged")
    at = len(_MAGIC) + _LENGTH.size
    (length,) = _LENGTH.unpack_from(body, len(_MAGIC))
    head = json.loads(body[at : at + length])
    if head["key"] != key:
        raise ValueError("the index of another capture")
    at += length
    columns: dict[str, array[int]] = {}
    for name, typecode, count in head["columns"]:
        column = array(typecode)
        end = at + count * column.itemsize
        column.frombytes(body[at:end])
        columns[name] = column
        at = end
    return RememberedRam.from_columns(head["page_size"], head["totals"], columns)


def _trim(place: Path) -> None:
    files = sorted(place.glob("*.idx"), key=lambda path: path.stat().st_mtime, reverse=True)
    total = 0
    for path in files:
        total += path.stat().st_size
        if total > LARGEST_TOTAL:
            path.unlink()
