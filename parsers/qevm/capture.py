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
from dataclasses import dataclass
from typing import TypedDict, Unpack

from qevm import safetext
from qevm.analyze import device_state
from qevm.bodies import vmdescription
from qevm.bodies.command import command_fields, command_summary
from qevm.bodies.config import configuration_fields
from qevm.bodies.known_layouts import match_body
from qevm.bodies.protocol import Body
from qevm.bodies.ram import RamBody
from qevm.containers import ChoiceNeeded, Container, Limits, Opened, Progress, detect, growing, open_streams
from qevm.facts import StreamFacts
from qevm.field import Field, Role
from qevm.index import SectionIndex
from qevm.layout import FileHeader, Footer, PartHeader, StartHeader, fields_of
from qevm.problems import NoSuchSection, Problem, Severity, SourceError
from qevm.section import Confidence, Section, SectionKind
from qevm.source import FileSource, Source, SubSource
from qevm.tail import FoundDescription, LocatedSection, find_description, locate_devices
from qevm.vmdesc import Description, DeviceDescription, Vmsd
from qevm.vmstate import VmstateDecoder
from qevm.walk.walker import Walker

_ABSENT = -1
_POLL = 0.25
# A walk of so many bytes costs nothing; beyond, the tail answers for devices.
_WALKED_FIRST = 16 << 20


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
        self._located: list[LocatedSection] = []
        if found is not None:
            if found.description.page_size is not None:
                self.facts.page_size = found.description.page_size
                self.facts.page_size_from = "description"
            self._located = locate_devices(self.source, found.description, found.offset - 1, self.base)
        self._walker = Walker(self.facts, self.index, self.problems, found, self._located)
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
        if not self.cached or not isinstance(self.source, FileSource):
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
        if right is None or used is None:
            return False
        if right.offset == used.offset:
            row = self.index.at(used.offset)
            if row is None or not self.index[row].kind.of_device:
                return False
            right = None
        elif right.description.devices == used.description.devices:
            return False
        self._restart(right)
        return True

    # ------------------------------------------------------------------ finding sections

    @property
    def located(self) -> list[Section]:
        """Device sections known from the tail, in file order.  Their ``index`` is negative."""
        return [self._located_section(i) for i in range(len(self._located))]

    def _located_section(self, number: int) -> Section:
        item = self._located[number]
        return Section(
            index=_ABSENT - number,
            kind=SectionKind.FULL,
            offset=item.offset,
            body=item.body,
            body_end=item.body_end,
            end=item.end,
            confidence=Confidence.FOOTER_BOUNDED if item.by_footer else Confidence.VERIFIED_TAIL,
            section_id=item.section_id,
            idstr=item.device.name,
            instance_id=item.device.instance_id,
            version_id=item.version_id,
        )

    def section_at(self, offset: int) -> Section | None:
        """The innermost section that covers ``offset``, walked or located; None where nothing is known."""
        row = self.index.at(offset)
        if row is not None:
            return self.index[row]
        for number, item in enumerate(self._located):
            if item.offset <= offset < item.end:
                return self._located_section(number)
        return None

    def find(self, spec: str, chunk: str | None = None) -> list[Section]:
        """The sections that SECTION names: an index, ``IDSTR`` or ``IDSTR@INSTANCE``.

        A device with a chain: all of its sections, or with ``chunk`` (``start``, ``end`` or a number,
        0 being the START) one of them.  A device that the tail locates is answered without a walk.
        Raises NoSuchSection.
        """
        if spec.isdigit():
            number = int(spec)
            for _ in self.walk():
                if len(self.index) > number + 1:
                    break
            if number < len(self.index):
                return [self.index[number]]
        if chunk is None and not self.complete and self.source.size > _WALKED_FIRST and self._all_located():
            found = [s for s in self.located if _names(s.idstr or "", s.instance_id or 0, spec)]
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
        rows = [row for device in devices for row in device.sections]
        if not rows:
            raise NoSuchSection(f"no section or device {safetext.safe(spec)} in this stream")
        sections = [self.index[row] for row in rows]
        return sections if chunk is None else [self._pick(sections, chunk, spec)]

    def _all_located(self) -> bool:
        description = self.description
        return description is not None and len(self._located) == len(description.devices)

    def _pick(self, sections: Sequence[Section], chunk: str, spec: str) -> Section:
        wanted = chunk.lower()
        for section in sections:
            if wanted == "start" and section.kind in (SectionKind.START, SectionKind.FULL):
                return section
            if wanted == "end" and section.kind is SectionKind.END:
                return section
            if wanted.isdigit() and section.chunk == int(wanted):
                return section
        raise NoSuchSection(
            f"{safetext.safe(spec)} has no chunk {safetext.safe(chunk)}: "
            f"start, end or 0 to {len(sections) - 1}"
        )

    # ------------------------------------------------------------------ decoding

    def body_of(self, section: Section) -> Body | None:
        """The format that reads a section's chain; None for vmstate devices and those not walked yet."""
        return None if section.device is None else self._walker.state.bodies.get(section.device)

    def describe(self, section: Section) -> DeviceDescription | None:
        """The description of a FULL section's device; None when there is none."""
        if section.index <= _ABSENT:
            return self._located[_ABSENT - section.index].device
        return None if section.device is None else self._walker.state.layouts.get(section.device)

    def decode(self, section: Section) -> Field:
        """The Field tree of one section: header, body, footer.  Long runs are made when looked at."""
        kind = section.kind
        root = Field(
            section.device_id or kind.name,
            section.offset,
            section.size,
            kind.name,
            children=(),
            meaning=self.summary(section),
            version=section.version_id,
        )
        if kind is SectionKind.HEADER:
            data = self.source.read(section.offset, section.size)
            root.children = fields_of(FileHeader, data, section.offset, Role.HEADER)
        elif kind is SectionKind.CONFIGURATION:
            root.children = [
                Field("type", section.offset, 1, "uint8", 7, "CONFIGURATION", role=Role.HEADER),
                *configuration_fields(section, self.facts, self._describe_configuration),
            ]
        elif kind is SectionKind.COMMAND:
            root.children = command_fields(self.source, section.offset, section.end)
        elif kind is SectionKind.VMDESCRIPTION:
            root.children = vmdescription.fields(self.source, section, self.description)
        elif kind is SectionKind.EOF:
            root.children = [Field("type", section.offset, 1, "uint8", 0, "EOF", role=Role.HEADER)]
        elif kind is SectionKind.UNKNOWN:
            root.children = [
                Field(
                    "bytes", section.offset, section.size, "buffer", self._bytes(section), role=Role.PROBLEM
                )
            ]
        else:
            layout = self._layout(section)
            root.children = self._device_fields(section, layout)
            self._explain(root, section, layout)
        return root

    def _describe_configuration(self) -> Vmsd | None:
        return self.description.configuration if self.description else None

    def _device_fields(self, section: Section, layout: _Layout | None) -> list[Field]:
        data = self.source.read(section.offset, section.body - section.offset)
        started = section.kind in (SectionKind.START, SectionKind.FULL)
        header = Field(
            "header",
            section.offset,
            len(data),
            "header",
            children=fields_of(StartHeader if started else PartHeader, data, section.offset, Role.HEADER),
            role=Role.HEADER,
        )
        fields = [header, *self._body_fields(section, layout)]
        if section.has_footer:
            tail = self.source.read(section.body_end, section.end - section.body_end)
            fields.append(
                Field(
                    "footer",
                    section.body_end,
                    len(tail),
                    "footer",
                    children=fields_of(Footer, tail, section.body_end, Role.FOOTER),
                    role=Role.FOOTER,
                )
            )
        return fields

    def _body_fields(self, section: Section, layout: _Layout | None) -> list[Field]:
        body = self.body_of(section)
        if body is not None:
            return body.fields(section)
        if layout is not None:
            read = self._reader(section)
            decoder = VmstateDecoder(read, section.body_end, inferred=layout.inferred)
            return decoder.body(layout.vmsd, section.body)
        if section.body_end <= section.body:
            return []
        return [
            Field(
                "data",
                section.body,
                section.body_end - section.body,
                "buffer",
                self.source.read(section.body, min(section.body_end - section.body, 1 << 20)),
                "not described",
                role=Role.BUFFER,
            )
        ]

    def inferred_layout(self, section: Section) -> Vmsd | None:
        """A built-in layout whose length fits a section that the stream does not describe, or None."""
        if section.kind is not SectionKind.FULL or section.idstr is None:
            return None
        for end, layout in match_body(
            self.source, section.body, section.body_end, section.idstr, section.version_id or 0
        ):
            if end == section.body_end:
                return layout
        return None

    def _layout(self, section: Section) -> _Layout | None:
        """How the body of a FULL section is laid out: as described, or as a built-in layout has it."""
        described = self.describe(section)
        if described is not None:
            return _Layout(described.vmsd, "" if described.legacy else described.vmsd.name, False)
        inferred = None if self.body_of(section) is not None else self.inferred_layout(section)
        return None if inferred is None else _Layout(inferred, inferred.name, True)

    def _explain(self, root: Field, section: Section, layout: _Layout | None) -> None:
        # The tables of explanations are for those who look into a device, not for a listing.
        from qevm.explain import ExplainContext, explain, target_of, virtual_clock

        clock = target = None
        timer = self._device_section("timer")
        if timer is not None:
            clock = virtual_clock(self._body_fields(timer, self._layout(timer)))
        cpu = self._device_section("cpu")
        cpu_layout = None if cpu is None else self._layout(cpu)
        if cpu_layout is not None:
            target = target_of(item.name for item in cpu_layout.vmsd.fields)
        context = ExplainContext(
            section.idstr or "",
            self.source.read,
            section.instance_id or 0,
            "" if layout is None else layout.name,
            section.version_id,
            clock,
            target or "",
        )
        explain(root, context)

    def _device_section(self, idstr: str) -> Section | None:
        device = self.index.device(idstr, 0)
        if device is not None and len(device.sections):
            return self.index[device.sections[0]]
        for number, item in enumerate(self._located):
            if item.device.name == idstr:
                return self._located_section(number)
        return None

    def _reader(self, section: Section) -> _BodyReader:
        return _BodyReader(self.source, section.body, section.body_end)

    def _bytes(self, section: Section) -> bytes:
        return self.source.read(section.offset, min(section.size, 1 << 20))

    def summary(self, section: Section) -> str:
        """One short phrase for the tree: what a section carries.  Empty when there is nothing to say."""
        kind = section.kind
        if kind is SectionKind.HEADER:
            return "QEVM version 3"
        if kind is SectionKind.CONFIGURATION:
            return self.facts.machine
        if kind is SectionKind.COMMAND:
            return command_summary(self.source, section.offset, section.end)
        if kind is SectionKind.VMDESCRIPTION:
            description = self.description
            return "" if description is None else f"{len(description.devices)} devices"
        if kind is SectionKind.UNKNOWN:
            return "nothing explains these bytes"
        body = self.body_of(section)
        return "" if body is None else body.summary(section)

    # ------------------------------------------------------------------ the whole stream

    @property
    def sound(self) -> bool:
        """True when the walk is complete and found nothing worse than a note."""
        return self.complete and all(p.severity is Severity.NOTE for p in self.problems)

    def analyze(self) -> dict[str, object]:
        """What ``scripts/analyze-migration.py -d state`` prints for this stream, as JSON values.

        Walks to the end.  Devices without a description are decoded by built-in layouts, else given as hex.
        """
        self.walk_all()
        result: dict[str, object] = {}
        for device in self.index.devices:
            section = self.index[device.sections[0]]
            key = f"{device.idstr} ({section.section_id})"
            if device.iterative:
                body = self.body_of(section)
                if isinstance(body, RamBody):
                    sizes = {block.text: f"0x{block.length or 0:016x}" for block in body.blocks}
                    result[key] = {"section sizes": sizes}
                else:
                    result[key] = ""
                continue
            layout = self._layout(section)
            if layout is None:
                data = self.source.read(section.body, section.body_end - section.body)
                result[key] = {"data": data.hex(" ")}
            else:
                read = self._reader(section)
                result[key] = device_state(layout.vmsd, read, section.body, section.body_end)
        return result

    def close(self) -> None:
        """Release the file and what was unpacked from it."""
        if self.opened is not None:
            self.opened.close()
        else:
            self.source.close()


@dataclass(frozen=True, slots=True)
class _Layout:
    """A body's layout, the vmsd name that explanations go by, and whether it was inferred."""

    vmsd: Vmsd
    name: str
    inferred: bool


class _BodyReader:
    """Reads of one body: the first 4 MiB are fetched once, what lies behind when it is asked for."""

    def __init__(self, source: Source, start: int, end: int) -> None:
        self._source = source
        self._start = start
        self._end = end
        self._data: bytes | None = None

    def __call__(self, offset: int, length: int) -> bytes:
        length = min(length, self._end - offset)
        if length <= 0:
            return b""
        if self._data is None:
            self._data = self._source.read(self._start, min(self._end - self._start, 4 << 20))
        index = offset - self._start
        if index >= 0 and index + length <= len(self._data):
            return self._data[index : index + length]
        return self._source.read(offset, length)


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
