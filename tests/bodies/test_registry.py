from __future__ import annotations

import pytest
from bodyhelp import facts

from qevm.bodies.block import BlockBody
from qevm.bodies.dirty_bitmap import DirtyBitmapBody
from qevm.bodies.htab import HtabBody
from qevm.bodies.registry import body_for
from qevm.bodies.skeys import SkeysBody
from qevm.bodies.vfio import VfioBody
from qevm.section import SectionKind

START, FULL = SectionKind.START, SectionKind.FULL


@pytest.mark.parametrize(
    ("idstr", "kind", "made"),
    [
        ("block", START, BlockBody),
        ("dirty-bitmap", START, DirtyBitmapBody),
        ("spapr/htab", START, HtabBody),
        ("0000:00:06.0/vfio", START, VfioBody),
        ("0000:00:06.0/vfio", FULL, VfioBody),
        ("s390-skeys", FULL, SkeysBody),
    ],
)
def test_the_idstr_decides(idstr: str, kind: SectionKind, made: type) -> None:
    assert type(body_for(idstr, kind, facts(b""))) is made


@pytest.mark.parametrize(("idstr", "kind"), [("timer", FULL), ("block", FULL), ("ram/", START), ("", FULL)])
def test_what_is_not_known_has_no_body(idstr: str, kind: SectionKind) -> None:
    assert body_for(idstr, kind, facts(b"")) is None
