"""The loop of the walk: header, configuration, sections and commands, EOF, description, what is behind.

The walk never raises on what is in a file.  It appends rows to the index, adds Problems where bytes are not
what they should be, and goes on from the next place that it can find again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from qevm import safetext
from qevm.bodies import registry
from qevm.bodies.command import scan_command
from qevm.bodies.config import scan_configuration
from qevm.bodies.protocol import BadBody
from qevm.constants import MAGIC, SectionType
from qevm.cursor import Truncated
from qevm.facts import StreamFacts
from qevm.index import SectionIndex
from qevm.problems import Problem, Severity
from qevm.section import Confidence, SectionKind
from qevm.tail import FoundDescription, LocatedSection, read_at
from qevm.vmdesc import MAX_JSON, BadDescription, Description, Vmsd, parse
from qevm.walk.chunks import Chunks
from qevm.walk.full import FullSections
from qevm.walk.headers import MAX_HEADER, Head, parse_head
from qevm.walk.state import Scope, WalkState

MAX_PACKAGE_DEPTH = 4

# The last command of a package, which begins the postcopy phase: 08, be16 5, no payload (§9.3).
_RUN = b"\x08\0\5\0\0"

_TYPES = {int(kind): kind for kind in SectionType}


class Walker:
    """Walks one stream.  ``run()`` is a generator: it yields the offset reached, some ten times a
    second of work or oftener; leave it alone and go on later, or drop it to cancel.

    ``found`` and ``located`` come from the tail and may be missing.
    """

    def __init__(
        self,
        facts: StreamFacts,
        index: SectionIndex,
        problems: list[Problem],
        found: FoundDescription | None = None,
        located: Iterable[LocatedSection] = (),
    ) -> None:
        self.state = WalkState(facts, index, problems, found, located)
        for section in self.state.located.values():
            facts.footers = section.end > section.body_end
        self.end_of_stream: int | None = None
        self.saw_eof = False
        self._chunks = Chunks(self.state)
        self._full = FullSections(self.state, self._chunks)

    def run(self) -> Iterator[int]:
        """Walk to the end.  Yields offsets."""
        cursor = self.state.cursor
        start = cursor.position
        end = min(start + 8, cursor.limit)
        self.state.index.append(SectionKind.HEADER, start, start, end, end)
        cursor.position = end
        if cursor.peek(1) == bytes((SectionType.CONFIGURATION,)):
            self._configuration()
        yield cursor.position
        yield from self._items(Scope(cursor.limit))
        if self.end_of_stream is not None:
            self._full.check_all_seen(self.end_of_stream)

    def _items(self, scope: Scope) -> Iterator[int]:
        cursor = self.state.cursor
        while cursor.position < scope.limit:
            self._chunks.skip_empty(scope)
            if cursor.position >= scope.limit:
                break
            offset = cursor.position
            kind = cursor.peek(1)[0]
            if kind in (SectionType.START, SectionType.FULL):
                yield from self._device(offset, scope)
            elif kind in (SectionType.PART, SectionType.END):
                yield from self._chunks.read(offset, scope)
            elif kind == SectionType.COMMAND:
                yield from self._command(offset, scope)
            elif kind == SectionType.EOF and not scope.in_package:
                if self._eof(offset, scope):
                    return
            elif not (
                self._full.read_expected(offset, scope)
                or (yield from self._chunks.read_damaged(offset, scope))
            ):
                self._unexpected(offset, kind, scope)
            yield cursor.position
        if not scope.in_package:
            self._ends_without_eof(scope.limit)

    def _unexpected(self, offset: int, kind: int, scope: Scope) -> None:
        known = _TYPES.get(kind)
        if known is None:
            message, found = f"unknown section type 0x{kind:02x}", f"{kind:02x}"
        else:
            message, found = f"unexpected {known.name} between sections", f"{kind:02x} ({known.name})"
        self.state.lost(offset, offset, scope, message, "a section type", found)

    def _device(self, offset: int, scope: Scope) -> Iterator[int]:
        """START or FULL: read the header and hand on."""
        state = self.state
        data = state.cursor.peek(min(MAX_HEADER, scope.limit - offset))
        head = parse_head(data, 0, offset)
        good = head is not None and (self._full.knows(head) or head.plausible)
        if head is None or not good or self._is_surprising(head):
            if (not good or self._full.is_complete) and self._full.read_expected(offset, scope):
                return
            if (yield from self._chunks.read_damaged_start(offset, scope)):
                return
        if head is None:
            needed = 14 + (data[5] if len(data) > 5 else 0)
            if (
                len(data) > 5
                and state.recovery.next_anchor(offset + 1, scope.limit, scope.in_package) < scope.limit
            ):
                state.lost(
                    offset + 5,
                    offset,
                    scope,
                    "a section header that runs past the end of the data",
                    "an idstr",
                    f"{data[5]} bytes",
                )
            else:
                state.cut(offset, scope, "section header", needed)
        elif not good:
            at, expected, found = _why_implausible(head)
            state.lost(at, offset, scope, "no plausible section header", expected, found)
        elif head.type == SectionType.START:
            yield from self._chunks.start(head, scope)
        else:
            yield from self._full.read(head, scope)

    def _is_surprising(self, head: Head) -> bool:
        """A header that may be good, and yet is none that one would expect here."""
        if head.type == SectionType.FULL:
            return not self._full.knows(head)
        name = safetext.decode(head.idstr)
        return registry.body_for(name, SectionKind.START, self.state.facts) is None

    def _configuration(self) -> None:
        state = self.state
        cursor = state.cursor
        start = cursor.position
        row = state.index.append(SectionKind.CONFIGURATION, start, start + 1, start + 1, start + 1)
        cursor.position = start + 1
        try:
            problems = scan_configuration(cursor, state.facts, self._describe_configuration)
        except Truncated as cut:
            needed = f"{cut.needed} bytes"
            state.problem(
                cut.offset + cut.left, "truncated inside the configuration", needed, str(cut.left), row=row
            )
            cursor.position = cursor.limit
        except BadBody as bad:
            state.problem(bad.offset, bad.message, bad.expected, bad.found, row=row)
            cursor.position = state.recovery.next_anchor(bad.offset, cursor.limit, False)
        else:
            state.take(problems, row)
        state.index.finish(row, cursor.position, cursor.position)

    def _describe_configuration(self) -> Vmsd | None:
        return self.state.description.configuration if self.state.description else None

    def _command(self, offset: int, scope: Scope) -> Iterator[int]:
        state = self.state
        cursor = state.cursor
        cursor.position = offset + 1
        outer, cursor.limit = cursor.limit, scope.limit
        try:
            info = scan_command(cursor, state.facts)
        except Truncated as cut:
            body = min(offset + 5, scope.limit)
            row = state.index.append(
                SectionKind.COMMAND, offset, body, scope.limit, scope.limit, parent=scope.parent
            )
            needed = f"{cut.needed} bytes"
            state.problem(cut.offset + cut.left, "truncated inside a COMMAND", needed, str(cut.left), row=row)
            cursor.position = scope.limit
            return
        except BadBody as bad:
            state.lost(bad.offset, offset, scope, bad.message, bad.expected, bad.found)
            return
        finally:
            cursor.limit = outer
        end = cursor.position
        row = state.index.append(SectionKind.COMMAND, offset, offset + 5, end, end, parent=scope.parent)
        state.take(info.problems, row)
        if info.package_length is not None:
            yield from self._package(row, end, info.package_length, scope)

    def _package(self, row: int, start: int, length: int, scope: Scope) -> Iterator[int]:
        """The nested stream of a PACKAGED command, inside the command's own section (§9.3)."""
        state = self.state
        end = self._package_end(row, start, length, scope)
        state.index.finish(row, end, end)
        if scope.depth >= MAX_PACKAGE_DEPTH:
            state.problem(
                start,
                f"packages nested deeper than {MAX_PACKAGE_DEPTH} are not opened",
                f"at most {MAX_PACKAGE_DEPTH} levels",
                str(scope.depth + 1),
                row=row,
            )
        else:
            yield from self._items(Scope(end, row, scope.depth + 1))
        state.cursor.position = end

    def _package_end(self, row: int, start: int, length: int, scope: Scope) -> int:
        """Where a package ends: as announced, or behind its RUN command when the length is wrong."""
        state = self.state
        end, left = start + length, scope.limit - start
        if length <= left and state.source.read(end - len(_RUN), len(_RUN)) == _RUN:
            return end
        found = state.recovery.behind(_RUN, start, scope.limit, scope.in_package)
        if length > left:
            message = f"PACKAGED announces {length} bytes, {left} are left"
            if found is None:
                # As likely as a wrong length: the file was cut.
                state.problem(
                    scope.limit, f"truncated inside a package: {message}", str(length), str(left), row=row
                )
                return scope.limit
            message += f"; its RUN command ends it after {found - start}"
            state.problem(start - 4, message, str(found - start), str(length), row=row)
            return found
        if found is not None:
            message = f"PACKAGED announces {length} bytes, its RUN command ends it after {found - start}"
            state.problem(min(end, found), message, str(found - start), str(length), row=row)
            return found
        return end

    def _eof(self, offset: int, scope: Scope) -> bool:
        """The EOF byte and what is behind it (§10).  False when it cannot be the end."""
        state = self.state
        limit = scope.limit
        described = state.found is not None and state.found.offset == offset + 1
        data = state.source.read(offset, MAX_HEADER)
        if not described and not state.plausible.eof(data, offset, limit):
            if self._full.read_expected(offset, scope):
                return False
            if state.recovery.next_anchor(offset + 1, limit, False) < limit:
                message = "EOF in the middle: sections follow behind it"
                state.lost(offset, offset, scope, message, "a section", "00 (EOF)")
                return False
        row = state.index.append(SectionKind.EOF, offset, offset + 1, offset + 1, offset + 1)
        if not state.index.devices:
            state.problem(offset, "EOF before any section", "a START or FULL", "00 (EOF)", row=row)
        state.cursor.position = offset + 1
        if data[1:2] == bytes((SectionType.VMDESCRIPTION,)):
            self._vmdescription(offset + 1, limit)
        elif state.index.devices:
            message = (
                "no field description (machine type < 2.3, suppress-vmdesc, postcopy or Xen): "
                "devices are decoded by built-in layouts or shown as bytes"
            )
            state.problem(offset + 1, message, row=row, severity=Severity.NOTE)
        self.end_of_stream = state.cursor.position
        self.saw_eof = True
        self._trailing(state.cursor.position, limit)
        return True

    def _vmdescription(self, offset: int, limit: int) -> None:
        state = self.state
        length = int.from_bytes(state.source.read(offset + 1, 4), "big")
        left = limit - offset
        found = state.found if state.found is not None and state.found.offset == offset else None
        if found is None and left > 5:
            data = state.source.read(offset, min(left, 5 + MAX_JSON))
            found = state.found = read_at(data, offset, length)
        end = min(offset + 5 + length, limit) if found is None else found.end
        row = state.index.append(SectionKind.VMDESCRIPTION, offset, min(offset + 5, limit), end, end)
        state.cursor.position = end
        if found is None:
            if left < 5:
                message = "truncated inside the length of the description"
                state.problem(limit, message, "5 bytes", str(left), row=row)
                return
            at, why = _why_invalid(state.source.read(offset + 5, min(length, MAX_JSON + 1)), length, left - 5)
            message = f"the description is not valid: {why}; devices are shown as bytes"
            state.problem(min(offset + at, limit), message, "a JSON object", "", row=row)
        elif found.problem:
            state.problem(found.problem_at, found.problem, "the whole JSON", "", row=row)
        else:
            self._inconsistent(found.description, row)

    def _inconsistent(self, description: Description, row: int) -> None:
        wrong = [(device, why) for device in description.devices if (why := device.vmsd.inconsistent())]
        if not wrong:
            return
        from qevm.bodies import vmdescription

        places = vmdescription.offsets_of(self.state.source, description, (device for device, _ in wrong))
        for device, why in wrong:
            name = f"{device.name}@{device.instance_id}"
            at = places[device.name, device.instance_id]
            message = f"the description of {name} contradicts itself: {why}"
            self.state.problem(at, message, row=row, device=name, severity=Severity.WARNING)

    def _trailing(self, offset: int, limit: int) -> None:
        state = self.state
        left = limit - offset
        if left <= 0:
            return
        row = state.index.append(
            SectionKind.UNKNOWN, offset, offset, limit, limit, confidence=Confidence.UNKNOWN
        )
        state.cursor.position = limit
        head = state.source.read(offset, min(left, 1 << 16))
        if head[:4] == MAGIC:
            message, found, severity = "another stream follows", "QEVM", Severity.NOTE
        elif not head.strip(b"\0\r\n"):
            message, found, severity = f"{left} bytes of padding behind the stream", "padding", Severity.NOTE
        else:
            message = f"{left} bytes behind the end of the stream"
            found, severity = head[:8].hex(" "), Severity.WARNING
        state.problem(offset, message, "end of data", found, row=row, severity=severity)

    def _ends_without_eof(self, limit: int) -> None:
        state = self.state
        count = sum(1 for device in state.index.devices if not device.iterative)
        last = state.index[-1]
        name = f"{last.kind.name} {last.device_id}".strip()
        message = f"the stream ends without EOF marker after {name}; {count} devices present"
        for body in () if count else state.bodies.values():
            why = getattr(body, "why_incomplete", "")
            message += f"; {why}" if why else ""
        state.problem(
            limit,
            message,
            "EOF",
            "end of data",
            row=len(state.index) - 1,
        )
        self.end_of_stream = limit


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


def _why_invalid(data: bytes, length: int, left: int) -> tuple[int, str]:
    """(offset in the section, reason) of a description that cannot be used at all."""
    if length > max(left, 0):
        return 5 + left, f"it announces {length} bytes, {max(left, 0)} are present"
    try:
        parse(data)
    except BadDescription as error:
        return 5 + (error.at or 0), str(error)
    return 1, "unreadable"
