"""START, PART and END: the sections of iterative devices, whose bodies tell themselves where they end."""

from __future__ import annotations

from collections.abc import Generator, Iterator

from qevm import safetext
from qevm.bodies import registry
from qevm.bodies.protocol import BadBody, Body
from qevm.constants import FOOTER_MAGIC, SectionType
from qevm.cursor import Truncated
from qevm.problems import Severity
from qevm.section import Confidence, SectionKind
from qevm.walk.damaged import known_start, looks_like_ram
from qevm.walk.headers import Head, footer
from qevm.walk.state import Chain, Scope, WalkState

_BEHIND_START = [
    bytes((kind,))
    for kind in (SectionType.START, SectionType.PART, SectionType.END, SectionType.FULL, SectionType.COMMAND)
]


class Chunks:
    """Reads the sections of chains into the index."""

    def __init__(self, state: WalkState) -> None:
        self._state = state
        self._empty: dict[bytes, tuple[bytes, int, int, int]] = {}

    def start(self, head: Head, scope: Scope) -> Iterator[int]:
        """The START that begins with ``head``: open its chain and read its body."""
        state = self._state
        idstr = safetext.decode(head.idstr)
        chain = state.chains.get(head.section_id)
        if chain is not None and state.index.devices[chain.device].idstr == idstr:
            device = chain.device
            state.problem(head.offset, f"second START of {idstr}", "a PART or END", "START", device=idstr)
        else:
            if chain is not None:
                state.problem(
                    head.offset + 1,
                    f"START of {idstr} reuses section id {head.section_id}",
                    "an unused id",
                    str(head.section_id),
                    device=idstr,
                )
            device = state.index.add_device(
                head.section_id, idstr, head.instance_id, head.version_id, iterative=True
            )
        body = self._open(head.section_id, device, idstr)
        yield from self.scan(SectionKind.START, head.offset, head.body, head.section_id, device, body, scope)

    def _open(self, section_id: int, device: int, idstr: str) -> Body | None:
        state = self._state
        body = registry.body_for(idstr, SectionKind.START, state.facts)
        state.chains[section_id] = Chain(device, body)
        if body is not None:
            state.bodies[device] = body
        return body

    def read_damaged(self, offset: int, scope: Scope) -> Generator[int, None, bool]:
        """What begins at ``offset`` has no type: is it a START or PART whose header is damaged?

        True when it is, and its row is made.
        """
        if (yield from self.read_damaged_start(offset, scope)):
            return True
        state = self._state
        data = state.source.read(offset, min(5, scope.limit - offset))
        section_id = int.from_bytes(data[1:], "big")
        chain = state.chains.get(section_id) if len(data) == 5 else None
        if chain is None or chain.ended or chain.body is None:
            return False
        if not looks_like_ram(state.source, offset + 5, chain.body):
            return False
        name = state.device_id(chain.device)
        state.problem(
            offset,
            f"unknown section type 0x{data[0]:02x}: by its id and contents this is a PART of {name}",
            "02 (PART)",
            f"{data[0]:02x}",
            device=name,
        )
        yield from self.scan(
            SectionKind.PART, offset, offset + 5, section_id, chain.device, chain.body, scope
        )
        return True

    def read_damaged_start(self, offset: int, scope: Scope) -> Generator[int, None, bool]:
        """The header at ``offset`` does not read well: is it the START of a known iterative device?"""
        found = known_start(self._state.source, offset, scope.limit)
        if found is None:
            return False
        head, wrong = found
        name = f"{safetext.decode(head.idstr)}@{head.instance_id}"
        data = self._state.source.read(offset, head.body - offset)
        self._state.problem(
            offset + wrong,
            f"damaged header: by what is left of it and by its body this is the START of {name}",
            f"START of {name}",
            data[wrong : wrong + 8].hex(" "),
            device=name,
        )
        yield from self.start(head, scope)
        return True

    def read(self, offset: int, scope: Scope) -> Iterator[int]:
        """The PART or END at ``offset``."""
        state = self._state
        data = state.cursor.peek(5)
        kind = SectionKind.PART if data[0] == SectionType.PART else SectionKind.END
        if len(data) < 5:
            state.cut(offset, scope, f"{kind.name} header", 5)
            return
        section_id = int.from_bytes(data[1:5], "big")
        chain = state.chains.get(section_id) or self._adopt(offset, section_id, kind, scope)
        if chain is None:
            state.lost(
                offset + 1,
                offset,
                scope,
                f"{kind.name} for section {section_id} which was never started",
                "the id of a START",
                str(section_id),
            )
            return
        if chain.ended:
            name = state.device_id(chain.device)
            state.problem(
                offset, f"{kind.name} of {name} after its END", "nothing more of it", kind.name, device=name
            )
        chain.ended = chain.ended or kind is SectionKind.END
        owner = state.index.devices[chain.device].section_id
        yield from self.scan(kind, offset, offset + 5, owner, chain.device, chain.body, scope)

    def _adopt(self, offset: int, section_id: int, kind: SectionKind, scope: Scope) -> Chain | None:
        """A PART or END of an id that no START opened: find out whose it is by its footer or contents."""
        state = self._state
        wrong = f"{kind.name} for section {section_id} which was never started"
        if state.facts.footers:
            by = "footer"
            owner = state.recovery.first_footer(
                offset + 5, [*state.chains, section_id], scope.limit, scope.in_package
            )
        else:
            by = "contents"
            owner = self._owner_by_contents(offset + 5, section_id)
        if owner is None:
            return None
        if owner in state.chains:
            name = state.device_id(state.chains[owner].device)
            message = f"{wrong}; by its {by} it belongs to {name}"
            found, expected = section_id.to_bytes(4, "big"), owner.to_bytes(4, "big")
            at = next(i for i in range(4) if found[i] != expected[i])
            state.problem(offset + 1 + at, message, str(owner), str(section_id), device=name)
            return state.chains[owner]
        if any(state.index.devices[chain.device].idstr == "ram" for chain in state.chains.values()):
            return None
        # RAM is the first iterative device of every machine: its START is gone.
        device = state.index.add_device(section_id, "ram", 0, 4, iterative=True)
        self._open(section_id, device, "ram")
        state.problem(
            offset,
            f"{wrong}: read as ram, whose block list is lost",
            "START",
            kind.name,
            device="ram@0",
        )
        return state.chains[section_id]

    def _owner_by_contents(self, body_offset: int, section_id: int) -> int | None:
        """Without footers: RAM's records tell RAM, even where its START is lost; else the only chain."""
        state = self._state
        going = {number: chain for number, chain in state.chains.items() if not chain.ended}
        for number, chain in going.items():
            if looks_like_ram(state.source, body_offset, chain.body):
                return number
        if not state.chains and looks_like_ram(state.source, body_offset, None):
            return section_id
        return next(iter(going)) if len(going) == 1 else None

    def scan(
        self,
        kind: SectionKind,
        offset: int,
        body_offset: int,
        section_id: int,
        device: int,
        body: Body | None,
        scope: Scope,
    ) -> Iterator[int]:
        """Make the row of a section whose body ends by itself, and read that body."""
        state = self._state
        cursor = state.cursor
        cursor.position = body_offset
        row = state.index.append(
            kind,
            offset,
            body_offset,
            body_offset,
            body_offset,
            device=device,
            section_id=section_id,
            parent=scope.parent,
        )
        if body is None:
            name = state.device_id(device)
            state.problem(
                body_offset,
                f"{name} is an iterative device of unknown format: its bodies are shown as bytes",
                row=row,
                severity=Severity.WARNING,
            )
            self._opaque(row, section_id, scope, body_offset)
            return
        outer, cursor.limit = cursor.limit, scope.limit
        try:
            for _ in body.scan(cursor, kind, row):
                state.index.finish(row, cursor.position, cursor.position)
                yield cursor.position
        except Truncated as cut:
            self._take(body, row)
            state.index.finish(row, scope.limit, scope.limit)
            self._truncated(cut, row)
            cursor.position = scope.limit
            return
        except BadBody as bad:
            self._take(body, row)
            state.problem(bad.offset, bad.message, bad.expected, bad.found, row=row)
            self._opaque(row, section_id, scope, max(bad.offset, body_offset))
            return
        finally:
            cursor.limit = outer
        self._take(body, row)
        self._finish(row, section_id, scope)

    def _take(self, body: Body, row: int) -> None:
        self._state.take(body.problems, row)
        body.problems.clear()

    def _truncated(self, cut: Truncated, row: int) -> None:
        name = self._state.index[row].device_id
        self._state.problem(
            cut.offset + cut.left,
            cut.message
            or f"truncated inside {name}: {cut.needed} bytes needed at 0x{cut.offset:x}, {cut.left} left",
            f"{cut.needed} bytes",
            str(cut.left),
            row=row,
        )

    def _finish(self, row: int, section_id: int, scope: Scope) -> None:
        """Footer and end of a section whose body was read."""
        state = self._state
        end = state.cursor.position
        after = state.footer_fits(end, section_id, scope)
        if after is not None:
            state.index.finish(row, end, after)
            state.cursor.position = after
            self._remember_empty(section_id)
            return
        name = state.index[row].device_id
        data = state.source.read(end, 5)
        wanted = footer(section_id)
        texts = (wanted.hex(" "), data.hex(" "))
        if scope.limit - end < 5 and wanted.startswith(data):
            state.index.finish(row, end, scope.limit)
            state.cursor.position = scope.limit
            message = f"truncated before the footer of {name} was complete"
            state.problem(scope.limit, message, texts[0], "end of data", row=row)
        elif state.facts.footers is False or (
            state.facts.footers is None and data[:1] in _BEHIND_START and data[1:] != wanted[1:]
        ):
            # Nothing like a footer behind the first section: this stream has none (§2.3).
            state.facts.footers = False
            state.index.finish(row, end, end)
            state.cursor.position = end
        elif data[:1] == bytes((FOOTER_MAGIC,)) and state.follows(end + 5, scope):
            got = int.from_bytes(data[1:5], "big")
            state.index.finish(row, end, end + 5, Confidence.CONFLICTING)
            state.cursor.position = end + 5
            wrong = next(i for i in range(1, 5) if data[i] != wanted[i])
            message = f"footer at 0x{end:x} names section {got}, expected {section_id} ({name})"
            state.problem(end + wrong, message, *texts, row=row)
        elif data[1:] == wanted[1:] and state.follows(end + 5, scope):
            state.index.finish(row, end, end + 5, Confidence.CONFLICTING)
            state.cursor.position = end + 5
            state.problem(end, f"the first byte of the footer of {name} is damaged", *texts, row=row)
        else:
            state.index.finish(row, end, end)
            state.problem(end, f"missing section footer for {name}", *texts, row=row)
            if not state.follows(end, scope):
                self._opaque(row, section_id, scope, end)

    def _opaque(self, row: int, section_id: int, scope: Scope, start: int) -> None:
        """End a row whose body cannot be read from ``start`` on: at its footer, or at the next anchor."""
        state = self._state
        found = state.recovery.chunk_end(
            start, section_id, scope.limit, scope.in_package, state.facts.footers
        )
        if found is not None:
            state.index.finish(row, *found, Confidence.FOOTER_BOUNDED)
            state.cursor.position = found[1]
            return
        stop = state.recovery.next_anchor(start, scope.limit, scope.in_package)
        state.index.finish(row, stop, stop, Confidence.UNKNOWN)
        state.cursor.position = stop

    def _remember_empty(self, section_id: int) -> None:
        """Prepare the fast path for PARTs that hold nothing: most of 100,000 sections (§2.5)."""
        key = bytes((SectionType.PART,)) + section_id.to_bytes(4, "big")
        chain = self._state.chains.get(section_id)
        empty = getattr(chain.body, "empty_body", None) if chain is not None else None
        if chain is not None and empty and key not in self._empty:
            whole = key + empty + (footer(section_id) if self._state.facts.footers else b"")
            self._empty[key] = (whole, len(empty), chain.device, section_id)

    def skip_empty(self, scope: Scope) -> None:
        """Append rows for the empty PARTs that stand here, however many, without a generator each."""
        templates = self._empty
        if not templates:
            return
        cursor = self._state.cursor
        append = self._state.index.append
        while cursor.position < scope.limit:
            data, at, end = cursor.buffered()
            if end - at < 64 and cursor.left > end - at:
                data, at, end = cursor.refill()
            stop = min(end, at + scope.limit - cursor.position)
            offset = cursor.position
            begin = at
            while at + 5 <= stop:
                known = templates.get(data[at : at + 5])
                if known is None or at + len(known[0]) > stop or not data.startswith(known[0], at):
                    break
                whole, length, device, section_id = known
                append(
                    SectionKind.PART,
                    offset,
                    offset + 5,
                    offset + 5 + length,
                    offset + len(whole),
                    device=device,
                    section_id=section_id,
                    parent=scope.parent,
                )
                at += len(whole)
                offset += len(whole)
            cursor.position = offset
            if at == begin or stop - at >= 64:
                return
