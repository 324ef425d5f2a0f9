"""What an explanation may know about the device around a field."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from qevm.field import Field


@dataclass(frozen=True, slots=True)
class ExplainContext:
    """One device of a capture, as its explanations see it.

    ``idstr``, ``instance_id`` and ``version`` are those of the section header, ``vmsd`` is the
    ``vmsd_name`` of its description (the idstr's last component when there is none).
    ``read(offset, length)`` gives bytes of the capture's source.  ``clock_ns`` is QEMU's virtual
    clock when the stream was saved (:func:`virtual_clock`), None when unknown.  ``target`` is the
    guess of :func:`target_of`; "" when there is none.
    """

    idstr: str
    read: Callable[[int, int], bytes]
    instance_id: int = 0
    vmsd: str = ""
    version: int | None = None
    clock_ns: int | None = None
    target: str = ""

    @property
    def device(self) -> str:
        """The name that explanations are looked up by."""
        return self.vmsd or self.idstr.rpartition("/")[2]


def virtual_clock(fields: Iterable[Field]) -> int | None:
    """QEMU's virtual clock in ns from the decoded body of section ``timer``, or None.

    ``cpu_clock_offset`` is the clock itself because the clocks stand still while a VM is saved
    (device-facts §1).
    """
    for item in fields:
        if "cpu_clock_offset" in (item.name, item.alias) and isinstance(item.value, int):
            return item.value
    return None


# A field that only this target's ``cpu`` has.
_MARKS = {
    "env.eip": "x86",
    "cpreg_vmstate_array_len": "arm",
    "env.nip": "ppc",
    "env.psw.mask": "s390x",
    "env.misa_ext": "riscv",
    "env.active_tc": "mips",
    "env.npc": "sparc",
    "env.pc_w": "avr",
}


def target_of(cpu_fields: Iterable[str]) -> str:
    """The target family ("x86", "arm", …) whose ``cpu`` has these vmstate fields; "" when none fits."""
    for name in cpu_fields:
        if name in _MARKS:
            return _MARKS[name]
    return ""
