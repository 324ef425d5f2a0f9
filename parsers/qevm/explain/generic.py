"""What holds for any device: field types and telling names (device-facts §1)."""

from __future__ import annotations

import re
from collections.abc import Mapping

from qevm.explain import pci, virtio
from qevm.explain import rules as r
from qevm.explain.context import ExplainContext
from qevm.explain.rules import Rule
from qevm.field import Field, Role

_TIMES = re.compile(r"(_ns|(^|[._])(expire|next|load|last)\w*_?time|expire_time|_timer_expiry|_expiry)$")
_LENGTHS = re.compile(r"(^|_)period_ns$|_duration_ns$")
_ADDRESSES = re.compile(r"(^|[._])(\w*_?addr|base|pa|paddr|desc|avail|used|\w+_pa)$")
_LEVELS = re.compile(r"(^|[._])(irq_levels?|\w+_level)$")


def _padding(item: Field, _: ExplainContext) -> None:
    """Filler: zeros from current QEMU; older senders may have put data there (stream-format §4.9)."""
    if isinstance(item.value, bytes):
        item.role = Role.PADDING
        empty = not item.value.strip(b"\0")
        r.add_meaning(item, "filler" if empty else "filler, not zero: an older sender put data here")


def _pci_irq_state(item: Field, context: ExplainContext) -> None:
    """Four big-endian words: the level that the device drives on INTA…INTD."""
    data = item.value
    if not isinstance(data, bytes) or len(data) != 16:
        return
    levels = [int.from_bytes(data[i : i + 4], "big") for i in range(0, 16, 4)]
    high = [f"INT{'ABCD'[i]}" for i, level in enumerate(levels) if level]
    r.add_meaning(item, f"{' '.join(high)} asserted" if high else "no line asserted")
    item.children = [
        Field(f"INT{'ABCD'[i]}", item.offset + 4 * i, 4, "uint32", level, inferred=True)
        for i, level in enumerate(levels)
    ]


TYPES: Mapping[str, Rule] = {
    "timer": r.deadline,
    "unused_buffer": _padding,
    "pci config": pci.config_space,
    "pci irq state": _pci_irq_state,
    "msix state": pci.msix_state,
    "virtio": virtio.blob,
}
"""Rules by the type that vmstate gives a field."""


def by_name(item: Field) -> Rule | None:
    """The rule that a field's name suggests when no table knows the field; None for most."""
    name = item.name
    if item.type in ("int64", "uint64"):
        if _LENGTHS.search(name):
            return r.nanoseconds
        if _TIMES.search(name):
            return r.moment
    if item.type in ("uint32", "uint64") and _ADDRESSES.search(name):
        return r.address
    if item.type in ("int32", "uint32", "uint8") and _LEVELS.search(name):
        return r.yes_no("line is high", "line is low")
    return None
