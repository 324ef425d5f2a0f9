"""``…/vfio``: the state of a passed-through device (stream-format §8.6)."""

from __future__ import annotations

from typing import ClassVar

from qevm.bodies.pci_state import pci_device_ends, read_pci_device
from qevm.bodies.protocol import BadBody
from qevm.bodies.records import FieldReader, Reading, RecordBody
from qevm.cursor import Cursor
from qevm.field import Role
from qevm.section import SectionKind

END_OF_STATE = 0xFFFFFFFFEF100001
DEV_CONFIG_STATE = 0xFFFFFFFFEF100002
DEV_SETUP_STATE = 0xFFFFFFFFEF100003
DEV_DATA_STATE = 0xFFFFFFFFEF100004
DEV_INIT_DATA_SENT = 0xFFFFFFFFEF100005
DEV_CONFIG_LOAD_READY = 0xFFFFFFFFEF100006

_TAGS = {
    END_OF_STATE: ("END_OF_STATE", "end of the body"),
    DEV_CONFIG_STATE: ("DEV_CONFIG_STATE", "PCI configuration of the device"),
    DEV_SETUP_STATE: ("DEV_SETUP_STATE", "the chain begins"),
    DEV_DATA_STATE: ("DEV_DATA_STATE", "the vendor driver's own data"),
    DEV_INIT_DATA_SENT: ("DEV_INIT_DATA_SENT", "all initial data is sent"),
    DEV_CONFIG_LOAD_READY: ("DEV_CONFIG_LOAD_READY", "the configuration went over multifd"),
}
_END_BYTES = END_OF_STATE.to_bytes(8, "big")
# How far the configuration's end is searched for when its layout is not the known one.
_SEARCHED = 1 << 20


class VfioBody(RecordBody):
    """be64 tags; DEV_DATA_STATE has be64 size and that much of vendor data.

    START is SETUP and END_OF_STATE, PART and END bring data, the FULL section of the same id has the PCI
    device (or a lone END_OF_STATE when that went over multifd).
    """

    columns = ("data records", "bytes of data")
    empty_body: ClassVar[bytes] = _END_BYTES
    window: ClassVar[int] = 8192

    def step(self, cursor: Cursor, reading: Reading) -> bool:
        """One tag with what follows it."""
        at = cursor.position
        tag = cursor.be64()
        if tag in (END_OF_STATE, DEV_CONFIG_LOAD_READY):
            return False
        if tag == DEV_DATA_STATE:
            size = cursor.be64()
            cursor.skip(size)
            reading.tally[0] += 1
            reading.tally[1] += size
        elif tag == DEV_CONFIG_STATE:
            if reading.kind is not SectionKind.FULL:
                raise BadBody(
                    at, "PCI configuration in an iterative section of vfio", "data", "DEV_CONFIG_STATE"
                )
            cursor.position = _config_end(cursor)
        elif tag not in _TAGS:
            raise BadBody(at, "vfio state with an unknown tag", "ffffffffef10000N", f"{tag:016x}")
        return True

    def record(self, reader: FieldReader, context: int) -> tuple[str, str]:
        """One tag with what follows it."""
        tag = reader.number("tag", 8, lambda value: _TAGS.get(value, ("unknown", ""))[0], Role.HEADER)
        name, meaning = _TAGS.get(tag, ("unknown", ""))
        if tag == DEV_DATA_STATE:
            size = reader.number("data_size", 8, role=Role.LENGTH)
            reader.raw("data", size, "opaque, of the vendor's driver")
            return name, f"{size:,} bytes of vendor data"
        if tag == DEV_CONFIG_STATE:
            read_pci_device(reader)
        return name, meaning


def _config_end(cursor: Cursor) -> int:
    """Where the ``VFIOPCIDevice`` fields end: in front of the END_OF_STATE tag."""
    start = cursor.position
    for end in pci_device_ends(cursor.source, start, cursor.limit):
        if cursor.source.read(end, 8) == _END_BYTES:
            return end
    there = cursor.source.read(start, min(_SEARCHED, cursor.left))
    found = there.find(_END_BYTES)
    if found < 0:
        raise BadBody(start, "the PCI configuration of a vfio device has no end", "END_OF_STATE", "none")
    return start + found
