"""Which body format a section has, by its idstr.  A new format is one line here (design §2)."""

from __future__ import annotations

from collections.abc import Callable

from qevm.bodies.block import BlockBody
from qevm.bodies.dirty_bitmap import DirtyBitmapBody
from qevm.bodies.htab import HtabBody
from qevm.bodies.protocol import Body
from qevm.bodies.ram import RamBody
from qevm.bodies.skeys import SkeysBody
from qevm.bodies.slirp import SlirpBody
from qevm.bodies.storage_attributes import StorageAttributesBody
from qevm.bodies.todclock import TodclockBody
from qevm.bodies.vfio import VfioBody
from qevm.facts import StreamFacts
from qevm.section import SectionKind

_Maker = Callable[[StreamFacts], Body]

_ITERATIVE: dict[str, _Maker] = {
    "ram": RamBody,
    "block": BlockBody,
    "dirty-bitmap": DirtyBitmapBody,
    "spapr/htab": HtabBody,
    "s390-storage_attributes": StorageAttributesBody,
    "vfio": VfioBody,
}
_FULL: dict[str, _Maker] = {
    "s390-skeys": SkeysBody,
    "todclock": TodclockBody,
    "slirp": SlirpBody,
    "vfio": VfioBody,
}


def body_for(idstr: str, kind: SectionKind, facts: StreamFacts) -> Body | None:
    """The format of a device whose START or FULL header was read; None for vmstate and the unknown.

    The whole idstr decides, or else its last component: ``0000:00:06.0/vfio`` is ``vfio``.
    """
    known = _ITERATIVE if kind is SectionKind.START else _FULL
    maker = known.get(idstr) or known.get(idstr.rpartition("/")[2])
    return None if maker is None else maker(facts)
