"""open_streams: from a path to the stream in it, through whatever is wrapped round it.

What reads a container is imported when one is met: a bare stream opens without it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from qevm.containers import detect, growing
from qevm.containers.detect import Kind
from qevm.containers.model import (
    ChoiceNeeded,
    Container,
    Opened,
    Options,
    Snapshot,
    Stream,
    no_offset,
    same_offset,
)
from qevm.containers.unpack import Limits, Progress, UnpackingSource
from qevm.problems import CannotOpen, NeedsChoice, Problem, QevmError, Severity
from qevm.safetext import safe
from qevm.source import FileSource, Source, SubSource

if TYPE_CHECKING:
    from qevm.containers.qcow2 import Qcow2Image

MAX_DEPTH = 4
"""Layers of compression and frames that are opened."""


def open_streams(
    path: str | os.PathLike[str] | Source,
    *,
    offset: int | None = None,
    snapshot: str | None = None,
    tmpdir: str | os.PathLike[str] | None = None,
    limits: Limits | None = None,
    wait: bool = False,
    progress: Callable[[Progress], None] | None = None,
    choose: Callable[[ChoiceNeeded], str | None] | None = None,
) -> Opened:
    """Open what a user has: a file, ``-`` for standard input, a URL, or a Source (which is then owned).

    ``offset`` says where in the file it begins (``file:…,offset=N``); otherwise the content decides.
    ``snapshot`` is the id or tag of a qcow2 snapshot.  Compressed files are unpacked in the background
    into ``tmpdir`` within ``limits``; with ``wait`` this returns when all is unpacked and calls
    ``progress`` meanwhile.

    Where a qcow2 image holds several snapshots and none was chosen, ``choose`` is asked for an id or tag
    (a pipe cannot be opened twice); without it, or when it answers None, ChoiceNeeded (a NeedsChoice) is
    raised.  Raises CannotOpen with one line for what is not a stream.  Nothing stays open then.
    """
    limits = limits or Limits()
    if tmpdir is not None:
        limits = replace(limits, tmpdir=tmpdir)
    options = Options(offset, snapshot, limits, progress, choose)
    container: Container | None = None
    source = path if isinstance(path, Source) else _source(os.fspath(path), options)
    try:
        container = Container(source)
        if isinstance(source, UnpackingSource):
            container.unpacking.append(source)
        stream = _resolve(container, source, offset or 0, 0, options)
        if wait and container.unpacking:
            container.unpacking[-1].finish(progress)
    except BaseException as error:
        if container is not None:
            for unpacking in reversed(container.unpacking):
                unpacking.close()
        source.close()
        if isinstance(error, QevmError) and not isinstance(error, NeedsChoice):
            text = str(error)
            if not text.startswith(source.name):
                raise type(error)(f"{source.name}: {text}") from error
        raise
    return Opened(container, stream)


def _source(path: str, options: Options) -> Source:
    if "\0" in path:
        raise CannotOpen("a file name cannot hold a NUL")
    if path == "-":
        from qevm.containers.stdin import open_stdin

        return open_stdin(options.limits)
    if "://" in path and not Path(path).exists():
        if path.startswith("file://"):
            return FileSource(path[len("file://") :])
        from qevm.containers.remote import open_remote

        return open_remote(path, options.limits)
    try:
        mode = Path(path).stat().st_mode
    except (OSError, ValueError):
        mode = 0
    if stat.S_ISFIFO(mode):
        raise CannotOpen(f"{path}: is a pipe, need a seekable file; to read it whole: cat {path} | qevm -")
    return FileSource(path)


def _resolve(container: Container, source: Source, at: int, depth: int, options: Options) -> Stream:
    """The stream that begins at ``at`` of ``source``; adds what is round it to the container."""
    if depth > MAX_DEPTH:
        raise CannotOpen(f"more than {MAX_DEPTH} layers ({container.kind}): not opened")
    found = detect.look(source, at)
    if found.kind is Kind.STREAM:
        return _raw(source, at)
    if found.kind is Kind.LIBVIRT:
        return _libvirt(container, source, at, depth, options)
    if found.kind is Kind.QCOW2:
        return _qcow2(container, source, at, options)
    if found.kind is Kind.COMPRESSED:
        return _compressed(container, source, at, found.format, depth, options)
    if options.offset is not None and not depth:
        # An explicit offset is taken at its word: no search.
        detect.check_header(source, at)
    return _search(source, at)


def _raw(source: Source, at: int, note: str = "") -> Stream:
    detect.check_header(source, at)
    return Stream(source, at, note=note, to_file=same_offset)


def _search(source: Source, at: int) -> Stream:
    refusal = detect.refuse(source, at)
    if not detect.may_hold_stream(source, at):
        raise refusal
    found = detect.find_stream(source, at)
    if found is None:
        raise refusal
    note = f"the stream begins at 0x{found:x} of the file; the {found} bytes before it are not part of it"
    stream = _raw(source, found, note)
    stream.problems.append(Problem(at, note, severity=Severity.NOTE))
    return stream


def _libvirt(container: Container, source: Source, at: int, depth: int, options: Options) -> Stream:
    from qevm.containers.libvirt import SPARSE, SaveImage

    image = SaveImage(source, at)
    name = image.believed_format()
    container.layers.append("libvirt save image" + (" (sparse)" if image.format == SPARSE else ""))
    container.parts += image.parts()
    container.problems += image.problems
    if name != "raw":
        return _compressed(container, source, image.payload, name, depth, options)
    detect.check_header(source, image.payload)
    if image.format == SPARSE:
        # mapped-ram's offsets are absolute in the file: the stream keeps the file's offsets too.
        return Stream(source, image.payload, note="offsets are those of the save image")
    payload = image.payload
    return Stream(SubSource(source, payload), to_file=lambda offset: payload + offset)


def _qcow2(container: Container, source: Source, at: int, options: Options) -> Stream:
    if at:
        source = SubSource(source, at)
    if container.unpacking:
        # Its tables are at its end.
        container.unpacking[-1].finish(options.progress)
    from qevm.containers.qcow2 import Qcow2Image
    from qevm.containers.vmstate import VmState

    image = Qcow2Image(source)
    container.layers.append("qcow2")
    container.parts += image.parts()
    container.problems += image.problems
    container.snapshots = image.snapshots
    chosen = _choose(image, options)
    state = VmState(image, chosen)
    container.layers[-1] = f"qcow2 snapshot {chosen.tag or chosen.id}"
    try:
        detect.check_header(state, 0)
    except CannotOpen as error:
        broken = f" ({state.problems[0]})" if state.problems else ""
        raise CannotOpen(f"snapshot {safe(chosen.tag or chosen.id)}: {error}{broken}") from error

    def to_file(offset: int) -> int | None:
        place = state.file_offset(offset)
        return None if place is None else place + at

    return Stream(state, 0, f"snapshot {chosen.tag or chosen.id}", "", state.problems, to_file)


def _choose(image: Qcow2Image, options: Options) -> Snapshot:
    try:
        return image.choose(options.snapshot)
    except ChoiceNeeded as needed:
        answer = options.choose(needed) if options.choose is not None else None
        if answer is None:
            raise
        return image.choose(answer)


def _compressed(
    container: Container, source: Source, at: int, name: str, depth: int, options: Options
) -> Stream:
    from qevm.containers import decoders
    from qevm.containers.feed import SourceFeed

    unpacked = UnpackingSource(SourceFeed(source, at), decoders.MAKERS[name](), options.limits)
    container.layers.append(name)
    container.unpacking.append(unpacked)
    growing.wait_for(unpacked, detect.SNIFF)
    if not unpacked.size:
        why = str(unpacked.problems[0].message) if unpacked.problems else "it is empty"
        raise CannotOpen(f"nothing could be unpacked: {why}")
    try:
        stream = _resolve(container, unpacked, 0, depth + 1, options)
    except CannotOpen as error:
        hint = f" ({unpacked.problems[0].message})" if unpacked.problems else ""
        raise CannotOpen(f"in the {name} data: {error}{hint}") from error
    stream.to_file = no_offset
    return stream
