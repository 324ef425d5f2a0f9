"""FULL sections: where a device's body ends, whose it is when the header is damaged (stream-format §12)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from qevm import safetext
from qevm.bodies import registry
from qevm.bodies.protocol import BadBody, Body
from qevm.constants import FOOTER_MAGIC, SectionType
from qevm.cursor import Cursor, Truncated
from qevm.problems import Severity
from qevm.section import Confidence, SectionKind
from qevm.vmdesc import DeviceDescription
from qevm.walk.chunks import Chunks
from qevm.walk.headers import Head, footer, parse_head
from qevm.walk.state import Scope, WalkState

_FOOTER = bytes((FOOTER_MAGIC,))


class FullSections:
    """Reads FULL sections into the index, matching them with the description."""

    def __init__(self, state: WalkState, chunks: Chunks) -> None:
        self._state = state
        self._chunks = chunks
        self._devices = state.description.devices if state.description else ()
        self._complete = state.description is not None and state.description.complete
        self._numbers: dict[tuple[bytes, int], int] = {}
        for number, device in enumerate(self._devices):
            self._numbers.setdefault(_key(device), number)
        self._next = 0
        self._seen: dict[tuple[bytes, int], int] = {}
        self._places: dict[tuple[str, int], int] | None = None
        self._passed: dict[int, int] = {}
        """Devices of the description that did not come when they should have: number, offset of what came."""

    def knows(self, head: Head) -> bool:
        """True when the description lists the device that ``head`` names."""
        return (head.idstr, head.instance_id) in self._numbers

    @property
    def is_complete(self) -> bool:
        """True when there is a description and nothing of it is damaged."""
        return self._complete

    def read(self, head: Head, scope: Scope) -> Iterator[int]:
        """Make the row of the section that begins with ``head`` and move behind it."""
        state = self._state
        idstr = safetext.decode(head.idstr)
        key = (head.idstr, head.instance_id)
        if key in self._seen:
            state.problem(
                head.offset,
                f"second FULL section of {idstr}, the first is at 0x{self._seen[key]:x}",
                "each device once",
                "twice",
                device=f"{idstr}@{head.instance_id}",
            )
        number = self._numbers.get(key)
        described = None
        if number is not None:
            described = self._devices[number]
            if key not in self._seen:
                self._arrive(number, head.offset)
        self._seen.setdefault(key, head.offset)
        device = state.index.add_device(
            head.section_id, idstr, head.instance_id, head.version_id, iterative=False
        )
        body = registry.body_for(idstr, SectionKind.FULL, state.facts)
        if body is not None:
            state.bodies[device] = body
        if described is not None:
            state.layouts[device] = described
            self._described(head, described, device, scope)
            if body is not None:
                yield from self._check_contents(body, len(state.index) - 1)
        elif body is not None:
            yield from self._chunks.scan(
                SectionKind.FULL, head.offset, head.body, head.section_id, device, body, scope
            )
        else:
            self._undescribed(head, device, scope)

    def _check_contents(self, body: Body, row: int) -> Iterator[int]:
        """The description tells how long the body in ``row`` is, its own format what must be in it."""
        state = self._state
        section = state.index[row]
        if section.kind is not SectionKind.FULL or section.confidence is not Confidence.EXACT:
            return
        cursor = Cursor(state.source, section.body, section.body_end, 1 << 12)
        name = section.device_id
        try:
            for _ in body.scan(cursor, SectionKind.FULL, row):
                yield cursor.position
        except BadBody as bad:
            state.problem(bad.offset, f"contents of {name}: {bad.message}", bad.expected, bad.found, row=row)
        except Truncated as cut:
            message = f"contents of {name} go on behind the end of its body"
            state.problem(cut.offset, message, f"{cut.needed} bytes", f"{cut.left} bytes", row=row)
        else:
            left = section.body_end - cursor.position
            if left:
                message = f"the contents of {name} end {left} bytes before its body"
                state.problem(cursor.position, message, "the end of the body", f"{left} bytes", row=row)
        state.take(body.problems, row)
        body.problems.clear()

    def _arrive(self, number: int, offset: int) -> None:
        """Device ``number`` of the description begins at ``offset``: is it its turn?"""
        if number in self._passed:
            name = _name(self._devices[number])
            first = self._passed.pop(number)
            self._state.problem(
                first,
                f"{name} stands at 0x{offset:x}, the description lists it before this place: "
                "the order of the devices differs",
                name,
                "another section",
                device=name,
                severity=Severity.WARNING,
            )
            return
        for missing in range(self._next, number):
            if _key(self._devices[missing]) not in self._seen:
                self._passed[missing] = offset
        self._next = max(self._next, number + 1)

    def _row(
        self, head: Head, device: int, body_end: int, end: int, scope: Scope, confidence: Confidence
    ) -> int:
        row = self._state.index.append(
            SectionKind.FULL,
            head.offset,
            head.body,
            body_end,
            end,
            device=device,
            section_id=head.section_id,
            parent=scope.parent,
            confidence=confidence,
        )
        self._state.cursor.position = end
        return row

    def _described(self, head: Head, described: DeviceDescription, device: int, scope: Scope) -> None:
        state = self._state
        name = state.device_id(device)
        version = described.vmsd.version
        if version is not None and not described.legacy and version != head.version_id:
            at = _first_difference(version.to_bytes(4, "big"), head.version_id.to_bytes(4, "big"))
            state.problem(
                head.body - 4 + (at or 0),
                f"version of {name} differs from the description",
                str(version),
                str(head.version_id),
                device=name,
            )
        end = head.body + described.length
        if end <= scope.limit and not self._cut_footer(head, device, end, scope):
            after = state.footer_fits(end, head.section_id, scope)
            if after is None and state.facts.footers is False and self._expected_at(end, scope):
                after = end
            if after is not None:
                self._row(head, device, end, after, scope, Confidence.EXACT)
                return
            if described.lies and self._recover(head, device, described, scope, quiet=True):
                return
            self._footer_wrong(head, described, device, end, scope)
            return
        if end <= scope.limit or self._recover(head, device, described, scope, quiet=described.lies):
            return
        left = scope.limit - head.body
        row = self._row(head, device, scope.limit, scope.limit, scope, Confidence.EXACT)
        state.problem(
            scope.limit,
            f"cut inside {name} (id {head.section_id}): needs {described.length} bytes, has {left}",
            f"{described.length} bytes",
            f"{left}",
            row=row,
        )

    def _cut_footer(self, head: Head, device: int, end: int, scope: Scope) -> bool:
        """The data end inside (or right before) the footer: make the row and say so."""
        if not self._state.facts.footers or scope.limit - end >= 5 or scope.in_package:
            return False
        wanted = footer(head.section_id)
        data = self._state.source.read(end, scope.limit - end)
        if not wanted.startswith(data):
            return False
        row = self._row(head, device, end, scope.limit, scope, Confidence.EXACT)
        message = f"truncated before the footer of {self._state.device_id(device)} was complete"
        self._state.problem(scope.limit, message, wanted.hex(" "), "end of data", row=row)
        return True

    def _footer_wrong(
        self, head: Head, described: DeviceDescription, device: int, end: int, scope: Scope
    ) -> None:
        """No footer where the description ends the body: which of the two is damaged?"""
        state = self._state
        name = state.device_id(device)
        wanted = footer(head.section_id)
        if state.facts.footers is not False:
            if end - 5 >= head.body and state.source.read(end - 5, 5) == wanted and state.follows(end, scope):
                # The description counts five bytes too many: the footer, and what follows it, say so.
                self._bounded(head, described, device, (end - 5, end, Confidence.FOOTER_BOUNDED), scope)
                return
            for after in (end + 5, end):
                behind = after == end or state.recovery.like_footer(end, head.section_id)
                if behind and state.follows(after, scope):
                    row = self._row(head, device, end, after, scope, Confidence.CONFLICTING)
                    self._report_footer(head, row, end, after)
                    return
        if self._recover(head, device, described, scope, quiet=False):
            return
        located = state.recovery.next_located(head.body)
        if located is not None:
            end = min(end, located)
        row = self._row(head, device, end, end, scope, Confidence.CONFLICTING)
        what = "section footer" if state.facts.footers is not False else "section"
        found = state.source.read(end, 5).hex(" ")
        state.problem(
            end,
            f"no {what} behind {name}, which ends here by its description",
            wanted.hex(" ") if state.facts.footers is not False else "a section type",
            found,
            row=row,
        )

    def _report_footer(self, head: Head, row: int, body_end: int, end: int) -> None:
        """Say what is wrong with the footer between ``body_end`` and ``end`` of section ``row``."""
        state = self._state
        name = state.index[row].device_id
        data, wanted = state.source.read(body_end, 5), footer(head.section_id)
        texts = (wanted.hex(" "), data.hex(" "))
        if end == body_end:
            state.problem(end, f"missing section footer for {name}", *texts, row=row)
            return
        wrong = _first_difference(wanted, data)
        if wrong == 0:
            message = f"the first byte of the footer of {name} is damaged"
        elif wrong is not None:
            got = int.from_bytes(data[1:5], "big")
            message = f"footer at 0x{body_end:x} names section {got}, expected {head.section_id} ({name})"
        else:
            return
        state.problem(body_end + (wrong or 0), message, *texts, row=row)

    def _recover(
        self,
        head: Head,
        device: int,
        described: DeviceDescription | None,
        scope: Scope,
        *,
        quiet: bool,
    ) -> bool:
        """Find the body's end by other means than its described length; False when there is none.

        ``quiet``: the description is known not to tell the length (§4.8), which is no problem.
        """
        state = self._state
        ends = self._ends(head, described, scope)
        if ends is None:
            return False
        body_end, after, confidence = ends
        if state.facts.footers is None:
            state.facts.footers = after > body_end
        if described is None or quiet or body_end - head.body == described.length:
            row = self._row(head, device, body_end, after, scope, confidence)
            if state.facts.footers:
                self._report_footer(head, row, body_end, after)
        else:
            self._bounded(head, described, device, ends, scope)
        return True

    def _bounded(
        self,
        head: Head,
        described: DeviceDescription,
        device: int,
        ends: tuple[int, int, Confidence],
        scope: Scope,
    ) -> None:
        """Make a row whose end is not the described one, and say so."""
        body_end, after, _ = ends
        length = body_end - head.body
        row = self._row(head, device, body_end, after, scope, Confidence.CONFLICTING)
        bound = "its footer is" if after > body_end else "the next section begins"
        self._state.problem(
            min(body_end, head.body + described.length),
            f"the description says {described.length} bytes for {self._state.device_id(device)}, "
            f"but {bound} after {length}",
            f"{described.length} bytes",
            f"{length} bytes",
            row=row,
        )

    def _ends(
        self, head: Head, described: DeviceDescription | None, scope: Scope
    ) -> tuple[int, int, Confidence] | None:
        located = self._state.located.get(head.offset)
        if located is not None and located.section_id == head.section_id:
            level = Confidence.FOOTER_BOUNDED if located.by_footer else Confidence.VERIFIED_TAIL
            return located.body_end, located.end, level
        footers = self._state.facts.footers
        return self._state.recovery.body_end(
            head, scope.limit, scope.in_package, footers, described is not None
        )

    def _undescribed(self, head: Head, device: int, scope: Scope) -> None:
        state = self._state
        name = state.device_id(device)
        if not self._recover(head, device, None, scope, quiet=True):
            row = self._row(head, device, scope.limit, scope.limit, scope, Confidence.UNKNOWN)
            left = scope.limit - head.body
            needed = state.recovery.needed(head, scope.limit)
            if needed is not None:
                message = f"cut inside {name} (id {head.section_id}): needs {needed} bytes, has {left}"
                expected = f"{needed} bytes"
            else:
                message = (
                    f"the data end inside {name}, or its footer is damaged: "
                    "its end cannot be found without a description"
                )
                expected = f"the footer {footer(head.section_id).hex(' ')}"
            state.problem(scope.limit, message, expected, f"{left} bytes", row=row)
        elif self._complete and not scope.in_package:
            state.problem(
                head.offset + 6, f"{name} is not in the description", "a device of the description", name
            )

    def _expected_at(self, offset: int, scope: Scope) -> _Expected | None:
        """The next device of the description when its header, somewhat damaged, stands at ``offset``.

        Its body, as described, must end at a footer of the header's id; without footers most of the header
        must be as it should, and an item of the stream follow.
        """
        state = self._state
        if self._next >= len(self._devices):
            return None
        described = self._devices[self._next]
        name, instance = _key(described)
        if len(name) > 255:
            return None
        end = offset + 14 + len(name) + described.length
        if end > scope.limit:
            return None
        data = state.source.read(offset, 14 + len(name))
        version = data[-4:] if described.vmsd.version is None else described.vmsd.version.to_bytes(4, "big")
        wanted = bytes((SectionType.FULL,)) + data[1:5] + bytes((len(name),)) + name
        wanted += instance.to_bytes(4, "big") + version
        if state.facts.footers is False:
            alike = sum(a == b for a, b in zip(data, wanted, strict=True)) - 4
            if alike < 0.6 * (len(wanted) - 4) or not state.follows(end, scope):
                return None
            return _Expected(described, data, wanted, end, end)
        # The name may be gone: the footer has to answer for the id.
        if state.source.read(end, 5) != _FOOTER + data[1:5] or not state.follows(end + 5, scope):
            return None
        return _Expected(described, data, wanted, end, end + 5)

    def read_expected(self, offset: int, scope: Scope) -> bool:
        """The header at ``offset`` does not read well: is this the next device of the description, damaged?

        True when it is, and its row is made.
        """
        expected = self._expected_at(offset, scope)
        if expected is None or expected.wrong is None:
            return False
        state = self._state
        described = expected.described
        read = parse_head(expected.data, 0, offset)
        # The description says a name twice. When the stream says it a third time, one of the two is wrong.
        misnamed = (
            read is not None
            and read.type == SectionType.FULL
            and read.plausible
            and read.instance_id == described.instance_id
            and _last_part(read.idstr) == _last_part(described.vmsd.name.encode("utf-8", "replace"))
        )
        head = read if misnamed else parse_head(expected.wanted, 0, offset)
        assert head is not None
        idstr = safetext.decode(head.idstr)
        device = state.index.add_device(
            head.section_id, idstr, head.instance_id, head.version_id, iterative=False
        )
        state.layouts[device] = described
        self._next += 1
        self._seen.setdefault(_key(described), offset)
        confidence = Confidence.EXACT if misnamed else Confidence.CONFLICTING
        row = self._row(head, device, expected.body_end, expected.end, scope, confidence)
        wrong = expected.wrong
        if misnamed:
            state.problem(
                self._place_in_description(described),
                f"the description has a wrong name for {idstr}, read by its place and its vmsd_name",
                idstr,
                described.name,
                row=row,
                severity=Severity.WARNING,
            )
        else:
            state.problem(
                offset + wrong,
                f"damaged header: by the description and the {'footer' if state.facts.footers else 'name'} "
                f"this is {state.device_id(device)}",
                expected.wanted[wrong : wrong + 8].hex(" "),
                expected.data[wrong : wrong + 8].hex(" "),
                row=row,
            )
        return True

    def _place_in_description(self, device: DeviceDescription) -> int:
        description = self._state.description
        if self._places is None and description is not None:
            from qevm.bodies import vmdescription

            self._places = vmdescription.offsets_of(self._state.source, description, self._devices)
        return (self._places or {}).get((device.name, device.instance_id), 0)

    def check_all_seen(self, offset: int) -> None:
        """At the end: every device of the description must have been seen (§12.1, step 7)."""
        missing = dict(self._passed)
        if not any(item.severity is Severity.ERROR for item in self._state.problems):
            missing |= dict.fromkeys(range(self._next, len(self._devices)), offset)
        for number, at in sorted(missing.items()):
            if _key(self._devices[number]) in self._seen:
                continue
            name = _name(self._devices[number])
            self._state.problem(
                at,
                f"the description lists {name} before this place, the stream does not hold it",
                name,
                "another section",
                device=name,
            )


@dataclass(frozen=True, slots=True)
class _Expected:
    """A device of the description at its place: the header that is there and the one that should be."""

    described: DeviceDescription
    data: bytes
    wanted: bytes
    body_end: int
    end: int

    @property
    def wrong(self) -> int | None:
        """The first byte of the header that is not what it should be."""
        return _first_difference(self.wanted, self.data)


def _last_part(name: bytes) -> bytes:
    return name.rpartition(b"/")[2]


def _first_difference(wanted: bytes, found: bytes) -> int | None:
    return next((i for i, (a, b) in enumerate(zip(wanted, found, strict=False)) if a != b), None)


def _key(device: DeviceDescription) -> tuple[bytes, int]:
    return device.name.encode("utf-8", "replace"), device.instance_id


def _name(device: DeviceDescription) -> str:
    return f"{device.name}@{device.instance_id}"
