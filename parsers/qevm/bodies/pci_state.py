"""The wire form of a PCI device's own state, where no description says how long it is.

A ``PCIDevice`` is int32 version 2, 256 or 4096 bytes of little-endian configuration space and 4 × be32 of
interrupt lines; with MSI-X the table and its pending bits follow (device-facts §2, §3).
"""

from __future__ import annotations

from collections.abc import Iterator

from qevm.bodies.records import FieldReader
from qevm.field import Role
from qevm.source import Source

CONFIG_SIZES = (256, 4096)
IRQ_STATE_SIZE = 16
_VERSION_SIZE = 4
_CAPABILITIES = 0x34
_CAP_PCIE, _CAP_MSIX = 0x10, 0x11
# More capabilities than this are a loop.
_MAX_HOPS = 48


def capabilities(config: bytes) -> dict[int, int]:
    """Capability id → offset in the configuration space ``config``; the first of each id."""
    found: dict[int, int] = {}
    if len(config) < 256 or not config[6] & 0x10:
        return found
    at = config[_CAPABILITIES] & 0xFC
    for _ in range(_MAX_HOPS):
        if not 0x40 <= at <= 0xFC:
            break
        found.setdefault(config[at], at)
        at = config[at + 1] & 0xFC
    return found


def is_express(config: bytes) -> bool:
    """True when the device has a PCI Express capability: its configuration space may be 4096 bytes."""
    return _CAP_PCIE in capabilities(config)


def msix_entries(config: bytes) -> int:
    """Entries in the MSI-X table, 0 without MSI-X."""
    at = capabilities(config).get(_CAP_MSIX)
    if at is None or at > 0xFC:
        return 0
    return (int.from_bytes(config[at + 2 : at + 4], "little") & 0x7FF) + 1


def msix_size(config: bytes) -> int:
    """Bytes of ``msix state``: 16 for each entry and the pending bits; 0 without MSI-X."""
    entries = msix_entries(config)
    return entries * 16 + (entries + 7) // 8


def pci_device_ends(source: Source, start: int, limit: int) -> Iterator[int]:
    """Where a ``PCIDevice`` at ``start`` with its MSI-X state may end, the likelier first."""
    config = source.read(start + _VERSION_SIZE, CONFIG_SIZES[0])
    sizes = reversed(CONFIG_SIZES) if is_express(config) else iter(CONFIG_SIZES)
    for size in sizes:
        end = start + _VERSION_SIZE + size + IRQ_STATE_SIZE + msix_size(config)
        if end <= limit:
            yield end


def read_pci_device(reader: FieldReader) -> None:
    """Read a ``PCIDevice`` and its MSI-X state that fill the reader's extent.

    What is left over (subsections of the owner) becomes one buffer.
    """
    start, limit = reader.position, reader.cursor.limit
    source = reader.cursor.source
    config = source.read(start + _VERSION_SIZE, CONFIG_SIZES[0])
    # The end that fills the extent exactly, or else the likelier one, tells the size.
    ends = list(pci_device_ends(source, start, limit))
    fixed = _VERSION_SIZE + IRQ_STATE_SIZE + msix_size(config)
    if limit in ends:
        config_size = limit - start - fixed
    else:
        config_size = ends[0] - start - fixed if ends else CONFIG_SIZES[0]
    reader.number("version_id", 4)
    vendor, device = config[0:2][::-1].hex(), config[2:4][::-1].hex()
    reader.raw("config", config_size, f"PCI configuration space of {vendor}:{device}")
    for line in "ABCD":
        reader.number(f"irq_state[INT{line}]", 4, "level")
    entries = msix_entries(config)
    if entries:
        reader.raw("msix_table", entries * 16, f"{entries} MSI-X entries")
        reader.raw("msix_pending", (entries + 7) // 8, "pending bits")
    if reader.cursor.left:
        reader.raw("rest", reader.cursor.left, "what else the device writes (subsections)", Role.SUBSECTION)
