"""What all parts of the walk share: the index they fill, the problems they find, where they are."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from qevm.bodies.protocol import Body
from qevm.cursor import Cursor
from qevm.facts import StreamFacts
from qevm.index import SectionIndex
from qevm.problems import Problem, Severity
from qevm.section import Confidence, SectionKind
from qevm.tail import FoundDescription, LocatedSection
from qevm.vmdesc import Description, DeviceDescription
from qevm.walk.headers import Plausibility, footer
from qevm.walk.recovery import Recovery

MAX_PROBLEMS = 10_000


@dataclass(frozen=True, slots=True)
class Scope:
    """Where the walk reads: the stream itself, or a package inside it.

    ``limit`` is the offset behind its last byte, ``parent`` the row of the PACKAGED command.
    """

    limit: int
    parent: int | None = None
    depth: int = 0

    @property
    def in_package(self) -> bool:
        """True inside a PACKAGED command: no EOF there, and the end is a good place to end."""
        return self.parent is not None


@dataclass(slots=True)
class Chain:
    """An iterative device that a START opened: who it is and how its bodies are read."""

    device: int
    body: Body | None
    ended: bool = False


class WalkState:
    """Rows, problems and position of one walk.  ``layouts`` holds the description of each device number."""

    def __init__(
        self,
        facts: StreamFacts,
        index: SectionIndex,
        problems: list[Problem],
        found: FoundDescription | None,
        located: Iterable[LocatedSection],
    ) -> None:
        self.facts = facts
        self.source = facts.source
        self.index = index
        self.problems = problems
        self.found = found
        self.description: Description | None = found.description if found else None
        self.located = {section.offset: section for section in located}
        self.cursor = Cursor(self.source, facts.base)
        self.chains: dict[int, Chain] = {}
        self.bodies: dict[int, Body] = {}
        self.layouts: dict[int, DeviceDescription] = {}
        known = {
            (device.name.encode("utf-8", "replace"), device.instance_id)
            for device in (self.description.devices if self.description else ())
        }
        self.plausible = Plausibility(self.source, self.chains, known)
        self.recovery = Recovery(self.source, self.plausible, sorted(self.located))

    def device_id(self, device: int) -> str:
        """What a user calls a device."""
        return self.index.devices[device].device_id

    def problem(
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
        """Add a problem; ``row`` (or the row at ``offset``) says whose it is."""
        if len(self.problems) >= MAX_PROBLEMS:
            return
        if row is None:
            row = self.index.at(offset)
        if row is not None and not device:
            device = self.index[row].device_id
        self.problems.append(Problem(offset, message, expected, found, row, device, severity))

    def take(self, problems: Iterable[Problem], row: int) -> None:
        """Take over what a body found wrong in section ``row``."""
        for item in problems:
            self.problem(
                item.offset, item.message, item.expected, item.found, row=row, severity=item.severity
            )

    def footer_fits(self, end: int, section_id: int, scope: Scope) -> int | None:
        """The offset behind a section when its body may end at ``end``, else None; learns the mode (§2.3)."""
        footers = self.facts.footers
        has_room = end + 5 <= scope.limit
        if footers is not False and has_room and self.source.read(end, 5) == footer(section_id):
            self.facts.footers = True
            return end + 5
        if footers:
            return None
        if self.plausible.item(end, scope.limit, scope.in_package):
            self.facts.footers = False
            return end
        return None

    def follows(self, offset: int, scope: Scope) -> bool:
        """True when an item of the stream can begin at ``offset``."""
        return self.plausible.item(offset, scope.limit, scope.in_package)

    def lost(
        self, at: int, offset: int, scope: Scope, message: str, expected: str = "", found: str = ""
    ) -> None:
        """Bytes that nothing explains, from ``offset`` to the next anchor: an UNKNOWN row, and a problem
        whose wrong bytes begin at ``at``."""
        stop = self.recovery.next_anchor(offset + 1, scope.limit, scope.in_package)
        self._unknown(offset, stop, scope)
        self.problem(at, message, expected, found, row=len(self.index) - 1)

    def cut(self, offset: int, scope: Scope, what: str, needed: int) -> None:
        """The data end inside a header that begins at ``offset``."""
        left = scope.limit - offset
        self._unknown(offset, scope.limit, scope)
        self.problem(
            scope.limit,
            f"truncated inside a {what}: needs {needed} bytes, has {left}",
            f"{needed} bytes",
            str(left),
            row=len(self.index) - 1,
        )

    def _unknown(self, offset: int, end: int, scope: Scope) -> None:
        self.index.append(
            SectionKind.UNKNOWN,
            offset,
            offset,
            end,
            end,
            parent=scope.parent,
            confidence=Confidence.UNKNOWN,
        )
        self.cursor.position = end
