"""From a Source to Sections, in stream order, one at a time (stream-format §12.1).

The walk never raises on what is in a file.  It appends rows to the index, adds Problems where bytes are not
what they should be, and goes on from the next place that it can find again (``recovery``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from qevm import safetext
from qevm.bodies import registry
from qevm.bodies.command import scan_command
from qevm.bodies.config import scan_configuration
from qevm.bodies.protocol import BadBody, Body
from qevm.cursor import Cursor, Truncated
from qevm.facts import StreamFacts
from qevm.headers import MAX_HEADER, Head, Plausibility, footer, parse_head
from qevm.index import SectionIndex
from qevm.layout import FOOTER_MAGIC, MAGIC, SectionType
from qevm.problems import Problem, Severity
from qevm.recovery import Recovery
from qevm.section import Confidence, SectionKind
from qevm.source import Source
from qevm.tail import FoundDescription, LocatedSection, read_at
from qevm.vmdesc import Description, DeviceDescription, Vmsd

MAX_PACKAGE_DEPTH = 4
MAX_PROBLEMS = 10_000

_KINDS = {
    SectionType.START: SectionKind.START,
    SectionType.PART: SectionKind.PART,
    SectionType.END: SectionKind.END,
    SectionType.FULL: SectionKind.FULL,
}


@dataclass(slots=True)
class Chain:
    """An iterative device that a START opened: who it is and how its bodies are read."""

    device: int
    body: Body | None
    ended: bool = False


class Walker:
    """Walks one stream.  ``run()`` is a generator: it yields the offset reached, some ten times a
    second of work or oftener; leave it alone and go on later, or drop it to cancel.

    ``description`` and ``located`` come from the tail and may be missing.  ``bodies`` maps row numbers'
    devices to their Body for decoding later.
    """

    def __init__(
        self,
        facts: StreamFacts,
        index: SectionIndex,
        problems: list[Problem],
        found: FoundDescription | None = None,
        located: list[LocatedSection] | None = None,
    ) -> None:
        self.facts = facts
        self.source: Source = facts.source
        self.index = index
        self.problems = problems
        self.found = found
        self.description: Description | None = found.description if found else None
        self.located = {section.offset: section for section in located or ()}
        self.cursor = Cursor(self.source, facts.base)
        self.chains: dict[int, Chain] = {}
        self.bodies: dict[int, Body] = {}
        self.layouts: dict[int, DeviceDescription] = {}
        self.end_of_stream: int | None = None
        self._described: dict[tuple[bytes, int], int] = {}
        for number, device in enumerate(self.description.devices if self.description else ()):
            key = (device.name.encode("utf-8", "replace"), device.instance_id)
            self._described.setdefault(key, number)
        self._next_device = 0
        self._seen: dict[tuple[bytes, int], int] = {}
        self._empty: dict[bytes, tuple[bytes, int, int, SectionKind]] = {}
        self._plausible = Plausibility(self.source, self.chains)
        self._recovery = Recovery(self.source, self._plausible, sorted(self.located))

    @property
    def limit(self) -> int:
        """Where the data of this stream end."""
        return self.cursor.limit

    def run(self) -> Iterator[int]:
        """Walk to the end.  Yields offsets."""
        cursor = self.cursor
        start = cursor.position
        self.index.append(
            SectionKind.HEADER, start, start, min(start + 8, self.limit), min(start + 8, self.limit)
        )
        cursor.position = min(start + 8, self.limit)
        if cursor.peek(1) == bytes((SectionType.CONFIGURATION,)):
            self._configuration()
        yield cursor.position
        yield from self._items(self.limit, None, 0)
        self._check_described()

    def _items(self, limit: int, parent: int | None, depth: int) -> Iterator[int]:
        cursor = self.cursor
        while cursor.position < limit:
            if self._empty:
                self._empty_chunks(limit, parent)
                if cursor.position >= limit:
                    break
            offset = cursor.position
            kind = cursor.peek(1)[0]
            if kind in (SectionType.START, SectionType.FULL):
                yield from self._device(offset, limit, parent)
            elif kind in (SectionType.PART, SectionType.END):
                yield from self._chunk(offset, limit, parent)
            elif kind == SectionType.COMMAND:
                yield from self._command(offset, limit, parent, depth)
            elif kind == SectionType.EOF and parent is None:
                if self._eof(offset):
                    return
            else:
                found = f"{kind:02x}"
                if kind in iter(SectionType):
                    found += f" ({SectionType(kind).name})"
                self._lost(
                    offset, offset, limit, parent,
                    f"unexpected {SectionType(kind).name} here" if kind in iter(SectionType)
                    else f"unknown section type 0x{kind:02x}",
                    "a section type", found,
                )
            yield cursor.position
        if parent is None:
            self._ends_without_eof(limit)

    # ------------------------------------------------------------------ START and FULL

    def _device(self, offset: int, limit: int, parent: int | None) -> Iterator[int]:
        cursor = self.cursor
        data = cursor.peek(MAX_HEADER)
        head = parse_head(data, 0, offset)
        if head is None:
            if self._try_expected(offset, limit, parent):
                return
            if limit - offset < MAX_HEADER:
                needed = 14 + (data[5] if len(data) > 5 else 0)
                self._cut(offset, parent, "section header", needed, limit - offset)
            else:
                self._lost(offset, offset, limit, parent, "no section header", "a header", "")
            return
        known = (head.idstr, head.instance_id) in self._described
        if not known and (head.type == SectionType.FULL or not head.plausible):
            if self._try_expected(offset, limit, parent):
                return
            if not head.plausible:
                at, expected, found = _why_implausible(head)
                self._lost(
                    at, offset, limit, parent, "no plausible section header", expected, found
                )
                return
        if head.type == SectionType.START:
            yield from self._start(head, limit, parent)
        else:
            yield from self._full(head, limit, parent)

    def _start(self, head: Head, limit: int, parent: int | None) -> Iterator[int]:
        idstr = safetext.decode(head.idstr)
        chain = self.chains.get(head.section_id)
        if chain is not None and self.index.devices[chain.device].idstr == idstr:
            device = chain.device
            self._problem(
                head.offset, f"second START of {idstr}", "a PART or END", "START", device=idstr
            )
        else:
            if chain is not None:
                self._problem(
                    head.offset + 1,
                    f"START of {idstr} reuses section id {head.section_id}",
                    "an unused id", str(head.section_id), device=idstr,
                )
            device = self.index.add_device(
                head.section_id, idstr, head.instance_id, head.version_id, True
            )
        body = registry.body_for(idstr, SectionKind.START, self.facts)
        self.chains[head.section_id] = Chain(device, body)
        if body is not None:
            self.bodies[device] = body
        yield from self._scan(
            SectionKind.START, head.offset, head.body, head.section_id, device, body, limit, parent
        )

    def _full(self, head: Head, limit: int, parent: int | None) -> Iterator[int]:
        idstr = safetext.decode(head.idstr)
        key = (head.idstr, head.instance_id)
        if key in self._seen:
            self._problem(
                head.offset,
                f"second FULL section of {idstr}, the first is at 0x{self._seen[key]:x}",
                "each device once", "twice", device=f"{idstr}@{head.instance_id}",
            )
        self._seen.setdefault(key, head.offset)
        number = self._described.get(key)
        described = None
        if number is not None and self.description is not None:
            described = self.description.devices[number]
            self._skipped(number, head.offset)
            self._next_device = number + 1
        device = self.index.add_device(
            head.section_id, idstr, head.instance_id, head.version_id, False
        )
        body = registry.body_for(idstr, SectionKind.FULL, self.facts)
        if body is not None:
            self.bodies[device] = body
        if described is not None:
            self.layouts[device] = described
            self._described_full(head, described, device, limit, parent)
        elif body is not None:
            yield from self._scan(
                SectionKind.FULL, head.offset, head.body, head.section_id, device, body, limit, parent
            )
        else:
            self._undescribed_full(head, device, limit, parent)

    def _described_full(
        self, head: Head, described: DeviceDescription, device: int, limit: int, parent: int | None
    ) -> None:
        name = self.index.devices[device].device_id
        version = described.vmsd.version
        if version is not None and not described.legacy and version != head.version_id:
            self._problem(
                head.body - 4, f"version of {name} differs from the description",
                str(version), str(head.version_id), device=name,
            )
        end = head.body + described.length
        if end > limit:
            located = self.located.get(head.offset)
            if located is None and not self._recoverable(head, device, limit, parent, described):
                row = self._row(
                    SectionKind.FULL, head.offset, head.body, limit, limit, head.section_id, device,
                    parent, Confidence.EXACT,
                )
                self._problem(
                    limit,
                    f"cut inside {name} (id {head.section_id}): needs {described.length} bytes, "
                    f"has {limit - head.body}",
                    f"{described.length} bytes", f"{limit - head.body}", row=row,
                )
                self.cursor.position = limit
            return
        fits, after = self._footer_fits(end, head.section_id, limit, parent)
        if fits:
            self._row(
                SectionKind.FULL, head.offset, head.body, end, after, head.section_id, device, parent,
                Confidence.EXACT,
            )
            self.cursor.position = after
            return
        if described.vmsd.lies and self._recoverable(head, device, limit, parent, described):
            return
        self._footer_wrong(head, described, device, end, limit, parent)

    def _footer_wrong(
        self,
        head: Head,
        described: DeviceDescription,
        device: int,
        end: int,
        limit: int,
        parent: int | None,
    ) -> None:
        """No footer where the description ends the body: which of the two is damaged?"""
        name = self.index.devices[device].device_id
        data = self.source.read(end, 5)
        found = data.hex(" ")
        wanted = footer(head.section_id).hex(" ")
        in_package = parent is not None
        if self.facts.footers is not False:
            if data[:1] == bytes((FOOTER_MAGIC,)) and self._plausible.item(end + 5, limit, in_package):
                row = self._row(
                    SectionKind.FULL, head.offset, head.body, end, end + 5, head.section_id, device,
                    parent, Confidence.CONFLICTING,
                )
                got = int.from_bytes(data[1:5], "big")
                self._problem(
                    end + 1, f"footer at 0x{end:x} names section {got}, expected {head.section_id} ({name})",
                    wanted, found, row=row,
                )
                self.cursor.position = end + 5
                return
            if data[1:] == wanted_id(head) and self._plausible.item(end + 5, limit, in_package):
                row = self._row(
                    SectionKind.FULL, head.offset, head.body, end, end + 5, head.section_id, device,
                    parent, Confidence.CONFLICTING,
                )
                self._problem(
                    end, f"footer of {name} has a damaged first byte", wanted, found, row=row
                )
                self.cursor.position = end + 5
                return
            if self._plausible.item(end, limit, in_package):
                row = self._row(
                    SectionKind.FULL, head.offset, head.body, end, end, head.section_id, device,
                    parent, Confidence.CONFLICTING,
                )
                self._problem(
                    end, f"missing section footer for {name}", wanted, found, row=row
                )
                self.cursor.position = end
                return
        recovered = self._recover_end(head, limit, parent, described)
        if recovered is not None:
            body_end, after, _confidence = recovered
            row = self._row(
                SectionKind.FULL, head.offset, head.body, body_end, after, head.section_id, device,
                parent, Confidence.CONFLICTING,
            )
            self._problem(
                min(end, body_end),
                f"the description says {described.length} bytes for {name}, "
                f"but its footer is after {body_end - head.body}",
                f"{described.length} bytes", f"{body_end - head.body} bytes", row=row,
            )
            self.cursor.position = after
            return
        self._lost(
            end, head.offset, limit, parent,
            f"no section footer behind {name}", wanted, found,
        )

    def _recoverable(
        self,
        head: Head,
        device: int,
        limit: int,
        parent: int | None,
        described: DeviceDescription | None,
    ) -> bool:
        """Find the body's end by its footer and make the row; False when there is none."""
        recovered = self._recover_end(head, limit, parent, described)
        if recovered is None:
            return False
        body_end, after, confidence = recovered
        row = self._row(
            SectionKind.FULL, head.offset, head.body, body_end, after, head.section_id, device, parent,
            confidence,
        )
        self.cursor.position = after
        if described is not None and not described.vmsd.lies:
            name = self.index.devices[device].device_id
            self._problem(
                body_end,
                f"the description says {described.length} bytes for {name}, "
                f"but its footer is after {body_end - head.body}",
                f"{described.length} bytes", f"{body_end - head.body} bytes", row=row,
            )
        return True

    def _recover_end(
        self, head: Head, limit: int, parent: int | None, described: DeviceDescription | None
    ) -> tuple[int, int, Confidence] | None:
        located = self.located.get(head.offset)
        if located is not None and located.section_id == head.section_id:
            exact = Confidence.FOOTER_BOUNDED if located.by_footer else Confidence.VERIFIED_TAIL
            return located.body_end, located.end, exact
        return self._recovery.body_end(
            head, limit, parent is not None, self.facts.footers, described is not None
        )

    def _undescribed_full(
        self, head: Head, device: int, limit: int, parent: int | None
    ) -> None:
        name = self.index.devices[device].device_id
        recovered = self._recover_end(head, limit, parent, None)
        if recovered is None:
            row = self._row(
                SectionKind.FULL, head.offset, head.body, limit, limit, head.section_id, device, parent,
                Confidence.UNKNOWN,
            )
            self._problem(
                head.body, f"the end of {name} cannot be found: no description, no footer behind it",
                "a footer and a next section", "none", row=row,
            )
            self.cursor.position = limit
            return
        body_end, after, confidence = recovered
        if self.facts.footers is None:
            self.facts.footers = after > body_end
        row = self._row(
            SectionKind.FULL, head.offset, head.body, body_end, after, head.section_id, device, parent,
            confidence,
        )
        if self.description is not None and self.description.complete and parent is None:
            self._problem(
                head.offset + 6, f"{name} is not in the description",
                "a device of the description", name, row=row,
            )
        self.cursor.position = after

    def _try_expected(self, offset: int, limit: int, parent: int | None) -> bool:
        """The header does not read well: is this the next device of the description, damaged?

        True (and a row made) when its body, as described, ends at a footer or a plausible item.
        """
        if self.description is None or self._next_device >= len(self.description.devices):
            return False
        described = self.description.devices[self._next_device]
        name = described.name.encode("utf-8", "replace")
        body = offset + 14 + len(name)
        end = body + described.length
        if end > limit:
            return False
        head = self.source.read(offset, 14 + len(name))
        tail = self.source.read(end, 5)
        ours = bytes((SectionType.FULL,)) + head[1:5] + bytes((len(name) & 0xFF,)) + name
        ours += described.instance_id.to_bytes(4, "big")
        ours += head[-4:] if described.vmsd.version is None else described.vmsd.version.to_bytes(4, "big")
        if self.facts.footers is not False:
            # The name may be gone, but then the footer has to answer for the id.
            if tail != b"\x7e" + head[1:5] or not self._plausible.item(end + 5, limit, parent is not None):
                return False
            after = end + 5
        else:
            if head[6:-8] != name or not self._plausible.item(end, limit, parent is not None):
                return False
            after = end
        wrong = next((i for i, (a, b) in enumerate(zip(head, ours, strict=True)) if a != b), None)
        if wrong is None:
            return False
        device = self.index.add_device(
            int.from_bytes(head[1:5], "big"), described.name, described.instance_id,
            int.from_bytes(head[-4:], "big"), False,
        )
        self.layouts[device] = described
        self._next_device += 1
        key = (name, described.instance_id)
        self._seen.setdefault(key, offset)
        row = self._row(
            SectionKind.FULL, offset, body, end, after, int.from_bytes(head[1:5], "big"), device,
            parent, Confidence.CONFLICTING,
        )
        device_id = self.index.devices[device].device_id
        self._problem(
            offset + wrong,
            f"damaged header: {device_id} follows here by the description and its footer",
            ours[wrong : wrong + 8].hex(" "), head[wrong : wrong + 8].hex(" "), row=row,
        )
        self.cursor.position = after
        return True

    # ------------------------------------------------------------------ PART and END

    def _chunk(self, offset: int, limit: int, parent: int | None) -> Iterator[int]:
        cursor = self.cursor
        data = cursor.peek(5)
        kind = _KINDS[SectionType(data[0])]
        if len(data) < 5:
            self._cut(offset, parent, f"{kind.name} header", 5, len(data))
            return
        section_id = int.from_bytes(data[1:5], "big")
        chain = self.chains.get(section_id)
        if chain is None:
            chain = self._adopt(offset, section_id, kind, limit, parent)
            if chain is None:
                self._lost(
                    offset + 1, offset, limit, parent,
                    f"{kind.name} for section {section_id} which was never started",
                    "the id of a START", str(section_id),
                )
                return
        elif chain.ended:
            name = self.index.devices[chain.device].device_id
            self._problem(
                offset, f"{kind.name} of {name} after its END", "nothing more of it", kind.name, device=name
            )
        if kind is SectionKind.END:
            chain.ended = True
        yield from self._scan(
            kind, offset, offset + 5, self.index.devices[chain.device].section_id, chain.device,
            chain.body, limit, parent,
        )

    def _adopt(
        self, offset: int, section_id: int, kind: SectionKind, limit: int, parent: int | None
    ) -> Chain | None:
        """A PART or END of an id that no START opened: find out whose it is by reading it."""
        for known_id, chain in self.chains.items():
            if chain.body is not None and self._recovery.chunk_ends_with(
                offset + 5, known_id, limit, parent is not None
            ):
                name = self.index.devices[chain.device].device_id
                self._problem(
                    offset + 1,
                    f"{kind.name} for section {section_id} which was never started; "
                    f"its footer says it belongs to {name}",
                    str(known_id), str(section_id), device=name,
                )
                return chain
        if not self.chains and self._recovery.chunk_ends_with(
            offset + 5, section_id, limit, parent is not None
        ):
            # RAM is the first iterative device of every machine: its START is gone.
            device = self.index.add_device(section_id, "ram", 0, 4, True)
            body = registry.body_for("ram", SectionKind.START, self.facts)
            chain = self.chains[section_id] = Chain(device, body)
            if body is not None:
                self.bodies[device] = body
            self._problem(
                offset,
                f"{kind.name} for section {section_id} which was never started: read as ram, "
                "whose block list is lost",
                "START", kind.name, device="ram@0",
            )
            return chain
        return None

    def _scan(
        self,
        kind: SectionKind,
        offset: int,
        body_offset: int,
        section_id: int,
        device: int,
        body: Body | None,
        limit: int,
        parent: int | None,
    ) -> Iterator[int]:
        cursor = self.cursor
        cursor.position = body_offset
        name = self.index.devices[device].device_id
        row = self._row(
            kind, offset, body_offset, body_offset, body_offset, section_id, device, parent,
            Confidence.EXACT,
        )
        if body is None:
            self._opaque(row, section_id, limit, parent, f"{name} is an iterative device of unknown format")
            return
        old_limit, cursor.limit = cursor.limit, limit
        try:
            for _ in body.scan(cursor, kind, row):
                self.index.finish(row, cursor.position, cursor.position)
                yield cursor.position
        except Truncated as cut:
            self._take(body, row)
            self.index.finish(row, limit, limit)
            self._problem(
                cut.offset, f"truncated inside {name}: {cut.needed} bytes needed, {cut.left} left",
                f"{cut.needed} bytes", str(cut.left), row=row,
            )
            cursor.position = limit
            return
        except BadBody as bad:
            self._take(body, row)
            self._problem(bad.offset, bad.message, bad.expected, bad.found, row=row)
            self._opaque(row, section_id, limit, parent, "", start=max(bad.offset, body_offset))
            return
        finally:
            cursor.limit = old_limit
        self._take(body, row)
        self._finish_chunk(kind, row, section_id, limit, parent, name)

    def _finish_chunk(
        self, kind: SectionKind, row: int, section_id: int, limit: int, parent: int | None, name: str
    ) -> None:
        cursor = self.cursor
        end = cursor.position
        fits, after = self._footer_fits(end, section_id, limit, parent)
        self.index.finish(row, end, after)
        cursor.position = after
        if fits:
            self._remember_empty(section_id)
            return
        data = self.source.read(end, 5)
        wanted = footer(section_id).hex(" ")
        in_package = parent is not None
        if end >= limit:
            self._problem(
                end, f"truncated before the footer of {name}", wanted, "end of data", row=row
            )
        elif data[:1] == bytes((FOOTER_MAGIC,)) and self._plausible.item(end + 5, limit, in_package):
            self._problem(
                end + 1,
                f"footer at 0x{end:x} names section {int.from_bytes(data[1:5], 'big')}, "
                f"expected {section_id} ({name})",
                wanted, data.hex(" "), row=row,
            )
            self.index.finish(row, end, end + 5, Confidence.CONFLICTING)
            cursor.position = end + 5
        else:
            self._problem(end, f"missing section footer for {name}", wanted, data.hex(" "), row=row)
            if not self._plausible.item(end, limit, in_package):
                self._opaque(row, section_id, limit, parent, "", start=end)

    def _opaque(
        self, row: int, section_id: int, limit: int, parent: int | None, message: str, start: int = 0
    ) -> None:
        """End a row whose body cannot be read by the next footer of its id, or lose it."""
        body = self.index.bodies[row]
        if message:
            self._problem(body, message, "a known format", "", row=row, severity=Severity.WARNING)
        found = self._recovery.chunk_end(
            max(start, body), section_id, limit, parent is not None, self.facts.footers
        )
        if found is None:
            stop = self._recovery.next_anchor(max(start, body), limit, parent is not None)
            self.index.finish(row, stop, stop, Confidence.UNKNOWN)
            self.cursor.position = stop
            return
        body_end, after = found
        self.index.finish(row, body_end, after, Confidence.FOOTER_BOUNDED)
        self.cursor.position = after

    def _remember_empty(self, section_id: int) -> None:
        """Prepare the fast path for PARTs that hold nothing: most of 100,000 sections (§2.5)."""
        key = bytes((SectionType.PART,)) + section_id.to_bytes(4, "big")
        if key in self._empty:
            return
        chain = self.chains.get(section_id)
        empty = getattr(chain.body, "empty_body", None) if chain is not None else None
        if chain is None or not empty:
            return
        whole = key + empty + (footer(section_id) if self.facts.footers else b"")
        self._empty[key] = (whole, len(empty), chain.device, SectionKind.PART)

    def _empty_chunks(self, limit: int, parent: int | None) -> None:
        """Append rows for the empty PARTs that stand here, however many, without a generator each."""
        cursor = self.cursor
        index = self.index
        templates = self._empty
        while True:
            data, at, end = cursor.buffered()
            if end - at < 64 and cursor.left > end - at:
                data, at, end = cursor.refill()
            stop = min(end, at + limit - cursor.position)
            begin = at
            offset = cursor.position
            while at + 5 <= stop:
                known = templates.get(data[at : at + 5])
                if known is None or at + len(known[0]) > stop or not data.startswith(known[0], at):
                    break
                whole, length, device, kind = known
                body = offset + 5
                index.append(
                    kind, offset, body, body + length, offset + len(whole),
                    device=device, section_id=index.devices[device].section_id, parent=parent,
                )
                at += len(whole)
                offset += len(whole)
            cursor.position = offset
            if at == begin or end - at >= 64 or offset >= limit:
                return

    # ------------------------------------------------------------------ the other kinds

    def _configuration(self) -> None:
        cursor = self.cursor
        start = cursor.position
        row = self.index.append(SectionKind.CONFIGURATION, start, start + 1, start + 1, start + 1)
        cursor.position = start + 1
        try:
            problems = scan_configuration(cursor, self.facts, self._describe_configuration)
        except Truncated as cut:
            self._problem(
                cut.offset, "truncated inside the configuration", f"{cut.needed} bytes", str(cut.left),
                row=row,
            )
            cursor.position = self.limit
        except BadBody as bad:
            self._problem(bad.offset, bad.message, bad.expected, bad.found, row=row)
            cursor.position = self._recovery.next_anchor(bad.offset, self.limit, False)
        else:
            self._take_problems(problems, row)
        self.index.finish(row, cursor.position, cursor.position)

    def _describe_configuration(self) -> Vmsd | None:
        return self.description.configuration if self.description else None

    def _command(
        self, offset: int, limit: int, parent: int | None, depth: int
    ) -> Iterator[int]:
        cursor = self.cursor
        old_limit, cursor.limit = cursor.limit, limit
        cursor.position = offset + 1
        try:
            info = scan_command(cursor, self.facts)
        except Truncated as cut:
            row = self._row(
                SectionKind.COMMAND, offset, min(offset + 5, limit), limit, limit, None, None, parent,
                Confidence.EXACT,
            )
            self._problem(
                cut.offset, "truncated inside a COMMAND", f"{cut.needed} bytes", str(cut.left), row=row
            )
            cursor.position = limit
            return
        except BadBody as bad:
            self._lost(bad.offset, offset, limit, parent, bad.message, bad.expected, bad.found)
            return
        finally:
            cursor.limit = old_limit
        end = cursor.position
        row = self._row(
            SectionKind.COMMAND, offset, offset + 5, end, end, None, None, parent, Confidence.EXACT
        )
        self._take_problems(info.problems, row)
        if info.package_length is None:
            return
        package_end = end + info.package_length
        if package_end > limit:
            self._problem(
                end - 4, f"PACKAGED announces {info.package_length} bytes, {limit - end} are left",
                str(info.package_length), str(limit - end), row=row,
            )
            package_end = limit
        self.index.finish(row, package_end, package_end)
        if depth >= MAX_PACKAGE_DEPTH:
            self._problem(
                end, f"packages nested deeper than {MAX_PACKAGE_DEPTH} are not opened",
                f"at most {MAX_PACKAGE_DEPTH} levels", str(depth + 1), row=row,
            )
            cursor.position = package_end
            return
        yield from self._items(package_end, row, depth + 1)
        cursor.position = package_end

    def _eof(self, offset: int) -> bool:
        """The EOF byte and what is behind it (§10).  False when it cannot be the end."""
        data = self.source.read(offset, MAX_HEADER)
        described = self.found is not None and self.found.offset == offset + 1
        if not described and not self._plausible.eof(data, offset, self.limit):
            if self._try_expected(offset, self.limit, None):
                return False
            anchor = self._recovery.next_anchor(offset + 1, self.limit, False)
            if anchor < self.limit:
                self._lost(
                    offset, offset, self.limit, None,
                    "EOF in the middle: sections follow behind it", "a section", "00 (EOF)",
                )
                return False
        self.index.append(SectionKind.EOF, offset, offset + 1, offset + 1, offset + 1)
        self.cursor.position = offset + 1
        if data[1:2] == bytes((SectionType.VMDESCRIPTION,)):
            self._vmdescription(offset + 1)
        self.end_of_stream = self.cursor.position
        self._trailing(self.cursor.position)
        return True

    def _vmdescription(self, offset: int) -> None:
        length = int.from_bytes(self.source.read(offset + 1, 4), "big")
        left = self.limit - offset
        found = self.found if self.found is not None and self.found.offset == offset else None
        if found is None and left > 5:
            found = read_at(self.source.read(offset, min(left, 5 + (64 << 20))), offset, length)
            self.found = found
        end = min(offset + 5 + length, self.limit) if found is None else found.end
        row = self.index.append(
            SectionKind.VMDESCRIPTION, offset, min(offset + 5, self.limit), end, end
        )
        self.cursor.position = end
        if found is None:
            self._problem(
                offset + 5 if left > 5 and offset + 5 + length <= self.limit else offset + 1,
                f"the description is not valid: {self._why_invalid(offset, length)}; devices are shown as bytes",
                "a JSON object", "", row=row,
            )
        elif found.problem:
            where = offset + 1 if offset + 5 + length != found.end or end == self.limit else offset + 5
            self._problem(where, found.problem, "the whole JSON", "", row=row)

    def _why_invalid(self, offset: int, length: int) -> str:
        from qevm.vmdesc import MAX_JSON, BadDescription, parse

        left = self.limit - offset - 5
        if length > max(left, 0):
            return f"it announces {length} bytes, {max(left, 0)} are present"
        try:
            parse(self.source.read(offset + 5, min(length, MAX_JSON + 1)), offset)
        except BadDescription as error:
            return str(error)
        return "unreadable"

    def _trailing(self, offset: int) -> None:
        left = self.limit - offset
        if left <= 0:
            return
        row = self.index.append(
            SectionKind.UNKNOWN, offset, offset, self.limit, self.limit, confidence=Confidence.UNKNOWN
        )
        head = self.source.read(offset, min(left, 1 << 16))
        self.cursor.position = self.limit
        if head[:4] == MAGIC:
            self._problem(
                offset, "another stream follows: open it with --stream", "end of data", "QEVM", row=row,
                severity=Severity.NOTE,
            )
        elif not head.strip(b"\0\r\n"):
            self._problem(
                offset, f"{left} bytes of padding behind the stream", "end of data", "padding", row=row,
                severity=Severity.NOTE,
            )
        else:
            self._problem(
                offset, f"{left} bytes behind the end of the stream", "end of data", head[:8].hex(" "),
                row=row, severity=Severity.WARNING,
            )

    # ------------------------------------------------------------------ helpers

    def _footer_fits(
        self, end: int, section_id: int, limit: int, parent: int | None
    ) -> tuple[bool, int]:
        """(True, offset behind the footer) when the section may end at ``end``; learns the mode (§2.3)."""
        if self.facts.footers is not False and end + 5 <= limit:
            data = self.source.read(end, 5)
            if data == footer(section_id):
                self.facts.footers = True
                return True, end + 5
        if self.facts.footers:
            return False, end
        if self._plausible.item(end, limit, parent is not None):
            if self.facts.footers is None:
                self.facts.footers = False
            return True, end
        return False, end

    def _row(
        self,
        kind: SectionKind,
        offset: int,
        body: int,
        body_end: int,
        end: int,
        section_id: int | None,
        device: int | None,
        parent: int | None,
        confidence: Confidence,
    ) -> int:
        return self.index.append(
            kind, offset, body, body_end, end,
            device=device, section_id=section_id, parent=parent, confidence=confidence,
        )

    def _problem(
        self,
        offset: int,
        message: str,
        expected: str = "",
        found: str = "",
        *,
        row: int | None = None,
        device: str = "",
        severity: Severity = Severity.ERROR,
    ) -> None:
        if len(self.problems) >= MAX_PROBLEMS:
            return
        if row is None and len(self.index):
            row = self.index.at(offset)
        if row is not None and not device:
            device = self.index[row].device_id
        self.problems.append(
            Problem(offset, message, expected, found, row, device, severity)
        )

    def _take(self, body: Body, row: int) -> None:
        self._take_problems(body.problems, row)
        body.problems.clear()

    def _take_problems(self, problems: Iterable[Problem], row: int) -> None:
        for item in problems:
            self._problem(
                item.offset, item.message, item.expected, item.found, row=row, severity=item.severity
            )

    def _lost(
        self,
        at: int,
        offset: int,
        limit: int,
        parent: int | None,
        message: str,
        expected: str,
        found: str,
    ) -> None:
        """Bytes that nothing explains, from ``offset`` to the next anchor: an UNKNOWN row and a Problem."""
        stop = self._recovery.next_anchor(offset + 1, limit, parent is not None)
        row = self.index.append(
            SectionKind.UNKNOWN, offset, offset, stop, stop, parent=parent, confidence=Confidence.UNKNOWN
        )
        self._problem(at, message, expected, found, row=row)
        self.cursor.position = stop

    def _cut(self, offset: int, parent: int | None, what: str, needed: int, left: int) -> None:
        limit = offset + left
        row = self.index.append(
            SectionKind.UNKNOWN, offset, offset, limit, limit, parent=parent, confidence=Confidence.UNKNOWN
        )
        self._problem(
            limit, f"truncated inside a {what}: needs {needed} bytes, has {left}", f"{needed} bytes",
            str(left), row=row,
        )
        self.cursor.position = limit

    def _ends_without_eof(self, limit: int) -> None:
        count = sum(1 for device in self.index.devices if not device.iterative)
        last = self.index[-1]
        name = last.device_id or last.kind.name
        self._problem(
            limit,
            f"the stream ends without EOF marker after {last.kind.name} {name}; {count} devices present",
            "EOF", "end of data", row=len(self.index) - 1,
        )
        self.end_of_stream = limit

    def _skipped(self, number: int, offset: int) -> None:
        if self.description is None:
            return
        for missing in self.description.devices[self._next_device : number]:
            key = (missing.name.encode("utf-8", "replace"), missing.instance_id)
            if key not in self._seen:
                self._seen[key] = offset
                name = f"{missing.name}@{missing.instance_id}"
                self._problem(
                    offset, f"the description lists {name} before this section, the stream does not hold it",
                    name, "another device", device=name,
                )

    def _check_described(self) -> None:
        """Every device of the description must have been seen (§12.1, step 7)."""
        if self.description is None or self.end_of_stream is None:
            return
        if any(p.severity is Severity.ERROR for p in self.problems):
            return
        self._skipped(len(self.description.devices), self.end_of_stream)


def wanted_id(head: Head) -> bytes:
    """The four id bytes that a footer of ``head`` must carry."""
    return head.section_id.to_bytes(4, "big")


def _why_implausible(head: Head) -> tuple[int, str, str]:
    """(offset, expected, found) of the first part of a header that cannot be."""
    if head.section_id >= 1 << 16:
        return head.offset + 1, "a section id below 65536", str(head.section_id)
    if not head.idstr:
        return head.offset + 5, "an idstr of 1 to 255 bytes", "length 0"
    bad = next((i for i, b in enumerate(head.idstr) if not 0x21 <= b <= 0x7E), None)
    if bad is not None:
        return head.offset + 6 + bad, "a printable idstr", head.idstr[bad : bad + 4].hex(" ")
    return head.offset + 6, "an idstr", safetext.decode(head.idstr[:20])
