"""Which table explains which vmsd.  A new family is one new module plus one line here."""

from __future__ import annotations

from collections.abc import Sequence

from qevm.explain import (
    acpi,
    arm_devices,
    board_devices,
    chardev,
    cpu_arm,
    cpu_other,
    cpu_ppc,
    cpu_riscv,
    cpu_s390x,
    cpu_x86,
    display,
    net,
    pc_input,
    pc_interrupts,
    pc_timers,
    pci,
    storage,
    system,
    usb,
)
from qevm.explain.rules import Struct
from qevm.field import Field, LazyFields

_MODULES: tuple[tuple[Struct, ...], ...] = (
    pci.STRUCTS,
    cpu_x86.STRUCTS,
    cpu_arm.STRUCTS,
    cpu_ppc.STRUCTS,
    cpu_s390x.STRUCTS,
    cpu_riscv.STRUCTS,
    cpu_other.STRUCTS,
    board_devices.STRUCTS,
    arm_devices.STRUCTS,
    system.STRUCTS,
    pc_interrupts.STRUCTS,
    pc_timers.STRUCTS,
    pc_input.STRUCTS,
    chardev.STRUCTS,
    storage.STRUCTS,
    net.STRUCTS,
    usb.STRUCTS,
    acpi.STRUCTS,
    display.STRUCTS,
)


def _by_name() -> dict[str, tuple[Struct, ...]]:
    found: dict[str, tuple[Struct, ...]] = {}
    for tables in _MODULES:
        for table in tables:
            found[table.name] = (*found.get(table.name, ()), table)
    return found


_TABLES = _by_name()


def find(vmsd: str, version: int | None, fields: Sequence[Field]) -> Struct | None:
    """The table for a struct of this vmsd, version and fields; None when nothing explains it."""
    candidates = _TABLES.get(vmsd)
    if not candidates:
        return None
    names = frozenset() if isinstance(fields, LazyFields) else frozenset(item.name for item in fields)
    for table in candidates:
        if not names.issuperset(table.requires):
            continue
        if table.versions is None or version is None or version in table.versions:
            return table
    return None
