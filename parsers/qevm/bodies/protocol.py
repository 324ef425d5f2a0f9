"""The one protocol for bodies (design §2).

A body format answers two questions: *where does this body end* (``scan``, used by the walk, cheap)
and *what does it say* (``fields``, on demand).  One object serves one chain (or one FULL section), so that
state which carries over from section to section lives in it.  A new format is one module and one
line in ``registry``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from qevm.cursor import Cursor
from qevm.field import Field
from qevm.problems import Problem
from qevm.section import Section, SectionKind


class BadBody(Exception):
    """The body cannot be read further.  Caught by the walker, which turns it into a Problem.

    ``offset`` is where the wrong bytes begin; what stands before it was read and is kept.
    """

    def __init__(self, offset: int, message: str, expected: str = "", found: str = "") -> None:
        super().__init__(message)
        self.offset = offset
        self.message = message
        self.expected = expected
        self.found = found


class Body(Protocol):
    """How the sections of one chain are read.

    The walker calls ``scan`` once for each section, in stream order, with the cursor at the first
    byte behind the section's header.
    """

    def scan(self, cursor: Cursor, kind: SectionKind, row: int) -> Iterator[None]:
        """Move ``cursor`` to the end of the body; yield now and then in long bodies.

        ``row`` is the number of the section in the index.  Raises BadBody at bytes that cannot be, Truncated
        where the data ends.  May append to ``problems`` and go on.
        """
        ...

    @property
    def problems(self) -> list[Problem]:
        """Problems found so far that did not stop the scan.  The walker takes and clears them."""
        ...

    def fields(self, section: Section) -> list[Field]:
        """The decoded body of one scanned section (right also for a late PART, jumped to directly)."""
        ...

    def summary(self, section: Section) -> str:
        """One short phrase for the tree, e.g. ``2,081 pages, 412 zero``.  Empty when there is none."""
        ...

    def chain_fields(self) -> list[Field]:
        """Derived fields of the whole chain so far (totals, per block); may be empty."""
        ...
