"""Decoding what is looked at, without keeping the keys waiting."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from qevm.field import Field, Role
from qevm.problems import QevmError
from qevm.section import Section
from qevm_tui.container_parts import decode_part
from qevm_tui.selection import FieldPath, field_at

if TYPE_CHECKING:
    from qevm.capture import Capture
    from qevm.containers import ContainerPart

KEPT = 16
"""Decoded sections that are kept for going back and forth."""

AT_ONCE = 16 * 1024
"""Bodies up to this size are decoded at once; larger ones in a thread."""


class Decoded:
    """The decoded trees of the sections last looked at.  Keyed by offset and extent: those grow in a walk."""

    def __init__(self, capture: Capture) -> None:
        self._capture = capture
        self._kept: OrderedDict[tuple[int, int], Field] = OrderedDict()
        self._part: tuple[ContainerPart, Field] | None = None

    def kept(self, section: Section) -> Field | None:
        """The tree if it is there already."""
        root = self._kept.get((section.offset, section.end))
        if root is not None:
            self._kept.move_to_end((section.offset, section.end))
        return root

    def decode(self, section: Section) -> Field:
        """Decode, in whatever thread this is called.  What cannot be read is a field that says so."""
        try:
            return self._capture.decode(section)
        except QevmError as error:
            problem = str(error)
        except Exception as error:  # a decoder's mistake over hostile bytes must not end the session
            problem = f"cannot be decoded: {type(error).__name__}: {error}"
        return Field(
            section.kind.name,
            section.offset,
            section.size,
            children=[
                Field("bytes", section.offset, section.size, "buffer", role=Role.PROBLEM, problem=problem)
            ],
        )

    def part(self, part: ContainerPart) -> Field:
        """The tree of a part of the container; the last one is kept."""
        if self._part is None or self._part[0] is not part:
            self._part = (part, decode_part(part))
        return self._part[1]

    def keep(self, section: Section, root: Field) -> None:
        """Remember a tree; the one that was not looked at for longest is dropped."""
        self._kept[(section.offset, section.end)] = root
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)

    def forget(self) -> None:
        """Drop everything: the file was read again."""
        self._kept.clear()
        self._part = None


def field_of(root: Field | None, path: FieldPath) -> Field | None:
    """The field at ``path``, None while nothing is decoded or for the root itself."""
    return None if root is None or not path else field_at(root, path)
