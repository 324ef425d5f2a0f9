"""Capture: what a caller opens; the one façade that the UI and the command line use.

capture = Capture.open("guest.bin")
for _ in capture.walk():          # resumable: stop iterating, call walk() again to go on
    ...
section = capture.find("cpu@0")[0]
root = capture.decode(section)    # a Field tree
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TypedDict, Unpack

from qevm import safetext
from qevm.bodies.protocol import Body
from qevm.bodies.ram import RamBody
from qevm.containers import ChoiceNeeded, Container, Limits, Opened, Progress, detect, growing, open_streams
from qevm.decode import SectionDecoder
from qevm.facts import StreamFacts
from qevm.field import Field
from qevm.index import SectionIndex
from qevm.located import Located
from qevm.problems import NoSuchSection, Problem, Severity, SourceError
from qevm.section import Section, SectionKind
from qevm.source import FileSource, Source, SubSource
from qevm.tail import FoundDescription, LocatedSection, find_description, locate_devices
from qevm.vmdesc import Description
from qevm.walk.walker import Walker

_POLL = 0.25
# Two damaged descriptions could send the walk from one to the other for ever.
_WALKS_ANEW = 2
# A walk of so many bytes costs nothing; beyond, the tail answers for devices.
_WALKED_FIRST = 16 << 20

CACHED_FROM = 128 << 20
"""Captures below this many bytes are walked faster than a cache is looked up."""


class OpenOptions(TypedDict, total=False):
    """What :func:`qevm.containers.open_streams` takes beside the path."""

    offset: int | None
    snapshot: str | None
    tmpdir: str | os.PathLike[str] | None
    limits: Limits | None
    progress: Callable[[Progress], None] | None
    choose: Callable[[ChoiceNeeded], str | None] | None


class Capture:
    """One stream of a file, opened: head and tail are read, the rest when it is asked for.

    All offsets are those of ``source``.  Reading is safe from several threads; the walk belongs to
    one thread at a time.
    """

    def __init__(
        self, source: Source, base: int = 0, name: str = "", *, opened: Opened | None = None
    ) -> None:
        """The stream whose "QEVM" is at ``base`` of ``source``.  Raises CannotOpen when there is none."""
        self.source = source
        self.base = base
        self.name = name or source.name
        self.opened = opened
        self.follow = False
        """Go on when the walk has reached the end of a file that is still being written."""
        self.cached = False
        """Keep and use the index of large captures in the user's cache directory."""
        self._walked_anew = 0
        self.generation = 0
        """Raised when the walk began anew: rows that were read before are void."""
        detect.check_header(source, base)
        self._begin(None if self.growing else find_description(source, base))

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        *,
        stream: int = 1,
        wait: bool = True,
        cached: bool = False,
        **options: Unpack[OpenOptions],
    ) -> Capture:
        """Open a file, ``-`` for standard input, or a URL, through whatever is wrapped round the stream.

        ``stream`` chooses among several streams one after the other in a file, from 1; the others of
        ``options`` are those of :func:`qevm.containers.open_streams`.  With ``wait`` False a compressed file
        is unpacked in the background while the capture can be used.  Raises CannotOpen with one line for a
        user, NeedsChoice where a file holds several snapshots.
        """
        opened = open_streams(path, wait=wait, **options)
        found = opened.stream
        name = os.fspath(path)
        try:
            capture = cls(found.source, found.base, name, opened=opened)
            for number in range(2, stream + 1):
                capture = capture._next_stream(number)
            capture.cached = cached
        except BaseException:
            opened.close()
            raise
        return capture

    def _next_stream(self, number: int) -> Capture:
        base = self.next_stream
        if base is None:
            raise NoSuchSection(f"{self.name}: there is no stream {number} in this file")
        return Capture(self.source, base, self.name, opened=self.opened)

    @property
    def next_stream(self) -> int | None:
        """Offset of a further stream behind this one, None where there is none.  Walks to the end."""
        self.walk_all()
        end = self.end_of_stream
        return None if end is None else detect.find_stream(self.source, end)

    def _begin(self, found: FoundDescription | None) -> None:
        bytes_now: Source = SubSource(self.source, 0, self.source.size) if self.growing else self.source
        self.facts = StreamFacts(bytes_now, self.base)
        self.index = SectionIndex()
        self.problems: list[Problem] = []
        self.complete = False
        self._failed: SourceError | None = None
        self._found = found
        items: list[LocatedSection] = []
        if found is not None:
            if found.description.page_size is not None:
                self.facts.page_size = found.description.page_size
                self.facts.page_size_from = "description"
            items = locate_devices(self.source, found.description, found.offset - 1, self.base)
        self._located = Located(items)
        self._walker = Walker(self.facts, self.index, self.problems, found, items)
        self._decoder = SectionDecoder(self._walker.state, self.source, self._located)
        self._walk = self._walker.run()

    # ------------------------------------------------------------------ the file around the stream

    @property
    def container(self) -> Container | None:
        """What is wrapped round the stream, with its parts and snapshots; None for a bare Source."""
        return None if self.opened is None else self.opened.container

    @property
    def growing(self) -> bool:
        """True while bytes still arrive by themselves: a compressed file is unpacked, a pipe is read."""
        return not growing.is_complete(self.source)

    def file_offset(self, offset: int) -> int | None:
        """Where byte ``offset`` of the stream lies in the file; None for bytes that are not in it as such."""
        return offset if self.opened is None else self.opened.stream.file_offset(offset)

    def reread(self) -> bool:
        """Look at the file again; True when it changed in size, and the walk begins anew."""
        before = self.facts.source.size
        growing.refresh(self.source)
        if self.source.size == before and not self.growing:
            return False
        self._restart(None if self.growing else find_description(self.source, self.base))
        return True

    def _restart(self, found: FoundDescription | None) -> None:
        self._begin(found)
        self.generation += 1

    # ------------------------------------------------------------------ the walk

    @property
    def walked(self) -> int:
        """Offset that the walk has reached."""
        return self._walker.state.cursor.position

    @property
    def description(self) -> Description | None:
        """The vmdesc, from the tail or from the walk; None when the stream has none."""
        return self._walker.state.description

    @property
    def end_of_stream(self) -> int | None:
        """Offset behind the stream's last byte; None until the walk has reached it."""
        return self._walker.end_of_stream

    @property
    def finished(self) -> bool:
        """True when the walk has seen the stream's EOF: a file that is being written is complete."""
        return self._walker.saw_eof

    def walk(self) -> Iterator[int]:
        """Walk on from where the walk stands; yields the offset reached, in short steps.

        Drop the iterator to pause; call again to go on.  Ends when the stream is walked.  While the source
        grows, what is there is walked, and walked anew when there is much more (``generation`` tells).
        Raises SourceError when the file changed under it.
        """
        self._recall()
        while not self.complete:
            if self._failed is not None:
                raise self._failed
            try:
                offset = next(self._walk)
            except SourceError as error:
                self._failed = error
                raise
            except StopIteration:
                if self._partial():
                    yield from self._await_more()
                elif not self._described_wrongly():
                    self.complete = True
                    self._remember()
                continue
            yield offset

    def _cache_key(self) -> str | None:
        if not self.cached or self.source.size < CACHED_FROM or not isinstance(self.source, FileSource):
            return None
        from qevm import cache

        return cache.key_of(self.source, self.base)

    def _recall(self) -> None:
        """Before the first step of a walk: is the page index of this capture kept?"""
        if self.walked > self.base or self.facts.remembered_ram is not None:
            return
        key = self._cache_key()
        if key is not None:
            from qevm import cache

            self.facts.remembered_ram = cache.load(key)

    def _remember(self) -> None:
        """After the last step: keep the page index of a large capture that is sound."""
        if self.facts.remembered_ram is not None:
            return
        rams = [body for body in self._walker.state.bodies.values() if isinstance(body, RamBody)]
        key = self._cache_key() if len(rams) == 1 and rams[0].rememberable else None
        if key is not None:
            from qevm import cache

            cache.store(key, rams[0], rams[0].ends)

    def _partial(self) -> bool:
        return self.facts.source is not self.source or (self.follow and not self.finished)

    def _await_more(self) -> Iterator[int]:
        """Wait until the source has grown enough to walk it anew: each walk costs what it has to show."""
        walked = self.facts.source.size
        wanted = walked + max(walked // 2, 1 << 16)
        while self.growing and not growing.wait_for(self.source, wanted, _POLL):
            yield self.walked
        while self.follow and self.source.size <= walked:
            time.sleep(_POLL)
            growing.refresh(self.source)
            yield self.walked
        self._restart(None if self.growing else find_description(self.source, self.base))

    def walk_all(self) -> None:
        """Walk to the end of the stream."""
        for _ in self.walk():
            pass

    def _described_wrongly(self) -> bool:
        """The tail's description was not this stream's: walk again with the right one, or without.

        It is that of another stream behind this one, or lies in guest memory (§4.2).  True when the walk was
        begun anew.
        """
        right = self._walker.state.found
        used = self._found
        if right is None or used is None or self._walked_anew >= _WALKS_ANEW:
            return False
        if right.offset == used.offset:
            row = self.index.at(used.offset)
            if row is None or not self.index[row].kind.of_device:
                return False
            right = None
        elif right.description.devices == used.description.devices:
            return False
        self._walked_anew += 1
        self._restart(right)
        return True

    # ------------------------------------------------------------------ finding sections

    @property
    def located(self) -> list[Section]:
        """Device sections known from the tail, in file order.  Their ``index`` is negative."""
        return list(self._located)

    def section_at(self, offset: int) -> Section | None:
        """The innermost section that covers ``offset``, walked or located; None where nothing is known."""
        row = self.index.at(offset)
        return self._located.at(offset) if row is None else self.index[row]

    def find(self, spec: str, chunk: str | None = None) -> list[Section]:
        """The sections that SECTION names: an index, ``IDSTR`` or ``IDSTR@INSTANCE``.

        A device with a chain: all of its sections, or with ``chunk`` (``start``, ``end`` or a number,
        0 being the START) one of them.  A device of a large capture that the tail locates is answered without
        a walk.  Raises NoSuchSection.
        """
        if spec.isdecimal():
            number = int(spec)
            for _ in self.walk():
                if len(self.index) > number + 1:
                    break
            if number < len(self.index):
                return [self.index[number]]
        if chunk is None and not self.complete and self.source.size > _WALKED_FIRST and self._all_located():
            found = [s for s in self._located if _names(s.idstr or "", s.instance_id or 0, spec)]
            if found:
                return found
        self.walk_all()
        devices = [d for d in self.index.devices if _names(d.idstr, d.instance_id, spec)]
        if not devices:
            devices = [
                d
                for d in self.index.devices
                if "/" in d.idstr and _names(d.idstr.rpartition("/")[2], d.instance_id, spec)
            ]
        sections = [self.index[row] for device in devices for row in device.sections]
        if not sections:
            raise NoSuchSection(f"no section or device {safetext.safe(spec)} in this stream")
        return sections if chunk is None else [_pick(sections, chunk, spec)]

    def _all_located(self) -> bool:
        description = self.description
        return description is not None and len(self._located) == len(description.devices)

    # ------------------------------------------------------------------ decoding

    def body_of(self, section: Section) -> Body | None:
        """The format that reads a section's chain; None for vmstate devices and those not walked yet."""
        return self._decoder.body_of(section)

    def decode(self, section: Section) -> Field:
        """The Field tree of one section: header, body, footer.  Long runs are made when looked at."""
        return self._decoder.decode(section)

    def summary(self, section: Section) -> str:
        """One short phrase for the tree: what a section carries.  Empty when there is nothing to say."""
        return self._decoder.summary(section)

    # ------------------------------------------------------------------ the whole stream

    @property
    def sound(self) -> bool:
        """True when the walk is complete and found nothing worse than a note."""
        return self.complete and all(p.severity is Severity.NOTE for p in self.problems)

    def packed_page_problems(self) -> list[Problem]:
        """What is wrong with compressed pages, which the walk does not unpack.  Slow where there are many."""
        from qevm.memory_check import packed_page_problems

        return [
            replace(item, device=device.device_id)
            for device in self.index.devices
            if device.sections and isinstance(body := self.body_of(self.index[device.sections[0]]), RamBody)
            for item in packed_page_problems(body)
        ]

    def analyze(self) -> dict[str, object]:
        """What ``scripts/analyze-migration.py -d state`` prints for this stream, as JSON values.

        Walks to the end.  Devices without a description are decoded by built-in layouts, else given as hex.
        """
        self.walk_all()
        return self._decoder.analyze()

    def close(self) -> None:
        """Release the file and what was unpacked from it."""
        if self.opened is not None:
            self.opened.close()
        else:
            self.source.close()


def _names(idstr: str, instance_id: int, spec: str) -> bool:
    """True when ``spec`` names this device: its idstr (which may hold an ``@``), or idstr@instance."""
    if spec == idstr:
        return True
    name, at, instance = spec.rpartition("@")
    if not at or name != idstr:
        return False
    try:
        return int(instance, 0) == instance_id
    except ValueError:
        return False


def _pick(sections: Sequence[Section], chunk: str, spec: str) -> Section:
    wanted = chunk.lower()
    for section in sections:
        if wanted == "start" and section.kind in (SectionKind.START, SectionKind.FULL):
            return section
        if wanted == "end" and section.kind is SectionKind.END:
            return section
        if wanted.isdecimal() and section.chunk == int(wanted):
            return section
    last = len(sections) - 1
    raise NoSuchSection(
        f"{safetext.safe(spec)} has no chunk {safetext.safe(chunk)}: start, end or 0 to {last}"
    )
