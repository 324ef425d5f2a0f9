"""QEMU's monitor output, taken apart, without any code of qevm: what the explanations are compared with."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field


def cpus(text: str) -> list[str]:
    """The text of each CPU in ``info registers -a``."""
    return re.split(r"^\s*CPU#\d+\r?$", text, flags=re.MULTILINE)[1:]


def pairs(text: str, pattern: str) -> dict[str, int]:
    """Name → value for each match of a pattern with two groups, the second in hex."""
    return {name: int(value, 16) for name, value in re.findall(pattern, text)}


def rows(text: str, name: str) -> list[int]:
    """The values of lines ``GPR00 a b c d``, in order."""
    found = re.findall(rf"^\s*{name}\d\d((?:\s+[0-9a-f]+)+)\s*$", text, flags=re.MULTILINE)
    return [int(value, 16) for line in found for value in line.split()]


@dataclass
class PciFunction:
    """One function of ``info pci``.  ``bars``: number → (address, I/O or 32 bit or 64 bit, prefetchable)."""

    bus: int
    device: int
    function: int
    vendor: int = 0
    product: int = 0
    bars: dict[int, tuple[int, str, bool]] = field(default_factory=dict)
    irq: int | None = None
    pin: str = ""
    secondary: int | None = None
    subordinate: int | None = None
    windows: dict[str, tuple[int, int]] = field(default_factory=dict)


def pci(text: str) -> Iterator[PciFunction]:
    """The functions of ``info pci``."""
    for part in re.split(r"^\s*Bus +", text, flags=re.MULTILINE)[1:]:
        place = re.match(r"(\d+), device +(\d+), function (\d+)", part)
        assert place is not None
        found = PciFunction(*(int(number) for number in place.groups()))
        identity = re.search(r"PCI device ([0-9a-f]{4}):([0-9a-f]{4})", part)
        assert identity is not None
        found.vendor, found.product = (int(value, 16) for value in identity.groups())
        for number, kind, prefetch, start in re.findall(
            r"BAR(\d): (I/O|32 bit|64 bit)( prefetchable)?(?: memory)? at 0x([0-9a-f]+)", part
        ):
            found.bars[int(number)] = (int(start, 16), kind, bool(prefetch))
        irq = re.search(r"IRQ (\d+), pin ([A-D])", part)
        if irq is not None:
            found.irq, found.pin = int(irq[1]), irq[2]
        secondary = re.search(r"secondary bus (\d+)", part)
        if secondary is not None:
            found.secondary = int(secondary[1])
            subordinate = re.search(r"subordinate bus (\d+)", part)
            assert subordinate is not None
            found.subordinate = int(subordinate[1])
        for kind, first, last in re.findall(
            r"(IO|prefetchable memory|memory) range \[0x([0-9a-f]+), 0x([0-9a-f]+)\]", part
        ):
            found.windows[kind] = (int(first, 16), int(last, 16))
        yield found
