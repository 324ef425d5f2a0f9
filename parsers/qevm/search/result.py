"""What a search yields: steps, some of them with a match, all in one order."""

from __future__ import annotations

from dataclasses import dataclass

from qevm.section import Section

_BEFORE_ALL = -1


@dataclass(frozen=True, slots=True)
class Match:
    """Bytes ``start`` … ``end`` (exclusive) of the capture's source.

    A field that was found carries its section and its ``path``, the child numbers from the section's root.
    """

    start: int
    end: int
    section: Section | None = None
    path: tuple[int, ...] = ()

    @property
    def order(self) -> tuple[int, int, tuple[int, ...]]:
        """Matches of one search are found in this order; fields section by section."""
        return (_BEFORE_ALL if self.section is None else self.section.offset, self.start, self.path)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a search begins: behind (backward: before) ``match``, else at byte ``offset``.

    With ``inclusive`` a match at ``offset`` itself counts: the first one while a user types.
    """

    offset: int = 0
    match: Match | None = None
    inclusive: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """The search has come to offset ``reached``, and perhaps to a match.

    ``wrapped``: it has gone on from the other end of its scope.
    """

    reached: int
    match: Match | None = None
    wrapped: bool = False
