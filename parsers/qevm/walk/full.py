"""FULL sections: where a device's body ends, whose it is when the header is damaged (stream-format §12)."""

from __future__ import annotations

from collections.abc import Iterator

from qevm import safetext
from qevm.bodies import registry
from qevm.constants import FOOTER_MAGIC, SectionType
from qevm.problems import Severity
from qevm.section import Confidence, SectionKind
from qevm.vmdesc import DeviceDescription
from qevm.walk.chunks import Chunks
from qevm.walk.headers import Head, footer
from qevm.walk.state import Scope, WalkState

_FOOTER = bytes((FOOTER_MAGIC,))


class FullSections:
    """Reads FULL sections into the index, matching them with the description in order."""

    def __init__(self, state: WalkState, chunks: Chunks) -> None:
        self._state = state
        self._chunks = chunks
        self._devices = state.description.devices if state.description else ()
        self._numbers: dict[tuple[bytes, int], int] = {}
        for number, device in enumerate(self._devices):
            self._numbers.setdefault(_key(device), number)
        self._next = 0
        self._seen: dict[tuple[bytes, int], int] = {}

    def knows(self, head: Head) -> bool:
        """True when the description lists the device that ``head`` names."""
        return (head.idstr, head.instance_id) in self._numbers

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
        self._seen.setdefault(key, head.offset)
        number = self._numbers.get(key)
        described = None
        if number is not None:
            described = self._devices[number]
            self.missing_before(number, head.offset)
            self._next = number + 1
        device = state.index.add_device(
            head.section_id, idstr, head.instance_id, head.version_id, iterative=False
        )
        body = registry.body_for(idstr, SectionKind.FULL, state.facts)
        if body is not None:
            state.bodies[device] = body
        if described is not None:
            state.layouts[device] = described
            self._described(head, described, device, scope)
        elif body is not None:
            yield from self._chunks.scan(
                SectionKind.FULL, head.offset, head.body, head.section_id, device, body, scope
            )
        else:
            self._undescribed(head, device, scope)

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
            state.problem(
                head.body - 4,
                f"version of {name} differs from the description",
                str(version),
                str(head.version_id),
                device=name,
            )
        end = head.body + described.length
        if end <= scope.limit and not self._cut_footer(head, device, end, scope):
            after = state.footer_fits(end, head.section_id, scope)
            if after is not None:
                self._row(head, device, end, after, scope, Confidence.EXACT)
                return
            if described.vmsd.lies and self._recover(head, device, described, scope, quiet=True):
                return
            self._footer_wrong(head, described, device, end, scope)
            return
        if end <= scope.limit or self._recover(head, device, described, scope, quiet=described.vmsd.lies):
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
        wanted = footer(head.section_id)
        data = self._state.source.read(end, scope.limit - end)
        if not self._state.facts.footers or len(data) >= 5 or not wanted.startswith(data) or scope.in_package:
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
        data = state.source.read(end, 5)
        wanted = footer(head.section_id)
        texts = (wanted.hex(" "), data.hex(" "))
        if state.facts.footers is not False:
            if data[:1] == _FOOTER and state.follows(end + 5, scope):
                row = self._row(head, device, end, end + 5, scope, Confidence.CONFLICTING)
                got = int.from_bytes(data[1:5], "big")
                message = f"footer at 0x{end:x} names section {got}, expected {head.section_id} ({name})"
                wrong = next(i for i in range(1, 5) if data[i] != wanted[i])
                state.problem(end + wrong, message, *texts, row=row)
                return
            if data[1:] == wanted[1:] and state.follows(end + 5, scope):
                row = self._row(head, device, end, end + 5, scope, Confidence.CONFLICTING)
                state.problem(end, f"the first byte of the footer of {name} is damaged", *texts, row=row)
                return
            if state.follows(end, scope):
                row = self._row(head, device, end, end, scope, Confidence.CONFLICTING)
                state.problem(end, f"missing section footer for {name}", *texts, row=row)
                return
        if not self._recover(head, device, described, scope, quiet=False):
            state.lost(end, head.offset, scope, f"no section footer behind {name}", *texts)

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
        length = body_end - head.body
        if described is None or quiet or length == described.length:
            self._row(head, device, body_end, after, scope, confidence)
            return True
        row = self._row(head, device, body_end, after, scope, Confidence.CONFLICTING)
        name = state.device_id(device)
        state.problem(
            min(body_end, head.body + described.length),
            f"the description says {described.length} bytes for {name}, but its footer is after {length}",
            f"{described.length} bytes",
            f"{length} bytes",
            row=row,
        )
        return True

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
            state.problem(
                scope.limit,
                f"the data end inside {name}, or its footer is damaged: "
                "its end cannot be found without a description",
                f"the footer {footer(head.section_id).hex(' ')}",
                "end of data",
                row=row,
            )
        elif state.description is not None and state.description.complete and not scope.in_package:
            state.problem(
                head.offset + 6, f"{name} is not in the description", "a device of the description", name
            )

    def read_expected(self, offset: int, scope: Scope) -> bool:
        """The header at ``offset`` does not read well: is this the next device of the description, damaged?

        True (and a row made) when its body, as described, ends at a footer of the header's id.
        """
        state = self._state
        if self._next >= len(self._devices):
            return False
        described = self._devices[self._next]
        name, instance = _key(described)
        size = 14 + len(name)
        end = offset + size + described.length
        if end > scope.limit:
            return False
        head = state.source.read(offset, size)
        if state.facts.footers is False:
            # Nothing but the name answers for it then.
            if head[6:-8] != name or not state.follows(end, scope):
                return False
            after = end
        else:
            # The name may be gone: the footer has to answer for the id.
            if state.source.read(end, 5) != _FOOTER + head[1:5] or not state.follows(end + 5, scope):
                return False
            after = end + 5
        version = head[-4:] if described.vmsd.version is None else described.vmsd.version.to_bytes(4, "big")
        ours = bytes((SectionType.FULL,)) + head[1:5] + bytes((len(name) & 0xFF,)) + name
        ours += instance.to_bytes(4, "big") + version
        wrong = next((i for i, (a, b) in enumerate(zip(head, ours, strict=True)) if a != b), None)
        if wrong is None:
            return False
        damaged = Head(
            SectionType.FULL,
            int.from_bytes(head[1:5], "big"),
            name,
            instance,
            int.from_bytes(version, "big"),
            offset,
        )
        device = state.index.add_device(
            damaged.section_id, described.name, instance, damaged.version_id, iterative=False
        )
        state.layouts[device] = described
        self._next += 1
        self._seen.setdefault((name, instance), offset)
        row = self._row(damaged, device, end, after, scope, Confidence.CONFLICTING)
        state.problem(
            offset + wrong,
            f"damaged header: by the description and the footer this is {state.device_id(device)}",
            ours[wrong : wrong + 8].hex(" "),
            head[wrong : wrong + 8].hex(" "),
            row=row,
        )
        return True

    def missing_before(self, number: int, offset: int) -> None:
        """Report the devices that the description lists before device ``number`` and that did not come."""
        for device in self._devices[self._next : number]:
            key = _key(device)
            if key in self._seen:
                continue
            self._seen[key] = offset
            name = f"{device.name}@{device.instance_id}"
            self._state.problem(
                offset,
                f"the description lists {name} before this place, the stream does not hold it",
                name,
                "another section",
                device=name,
            )

    def check_all_seen(self, offset: int) -> None:
        """At the end: every device of the description must have been seen (§12.1, step 7)."""
        if not any(item.severity is Severity.ERROR for item in self._state.problems):
            self.missing_before(len(self._devices), offset)


def _key(device: DeviceDescription) -> tuple[bytes, int]:
    return device.name.encode("utf-8", "replace"), device.instance_id
