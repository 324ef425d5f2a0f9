"""``s390-skeys``: the storage key of each guest page, a FULL section (stream-format §8.7)."""

from __future__ import annotations

from qevm.bodies.protocol import BadBody
from qevm.bodies.records import FieldReader, Reading, RecordBody
from qevm.bodies.storage_attributes import page_bytes
from qevm.cursor import Cursor
from qevm.field import Role
from qevm.problems import Problem

EOS, SKEYS, ERROR = 0x01, 0x02, 0x04
_FLAGS = 0xFFF
_FLAG_NAMES = {EOS: "EOS", SKEYS: "SKEYS", ERROR: "ERROR"}


def key_meaning(value: int) -> str:
    """One storage key in words: access control, fetch protection, referenced, changed."""
    text = f"access key {value >> 4}"
    for bit, name in ((8, "fetch-protected"), (4, "referenced"), (2, "changed"), (1, "reserved bit set")):
        if value & bit:
            text += f", {name}"
    return text


class SkeysBody(RecordBody):
    """be64 ``address | flag`` records; SKEYS is followed by be64 count and one key for each page.

    Without keys in use (TCG) the body is a lone EOS.  ERROR stands in the place of EOS when
    the source could not read the keys; those that stand before it are padding then.
    """

    columns = ("records", "keys")

    def step(self, cursor: Cursor, reading: Reading) -> bool:
        """One record."""
        at = cursor.position
        flag = cursor.be64() & _FLAGS
        if flag == EOS:
            return False
        if flag == SKEYS:
            cursor.skip(cursor.be64())
            reading.tally[0] += 1
            reading.tally[1] += cursor.position - at - 16
            return True
        if flag == ERROR:
            reading.problems.append(
                Problem(at, "the source could not read the storage keys: QEMU refuses them", "EOS", "ERROR")
            )
            return False
        raise BadBody(
            at, "storage keys with a flag that cannot be", "01 EOS, 02 SKEYS or 04 ERROR", f"{flag:03x}"
        )

    def record(self, reader: FieldReader, context: int) -> tuple[str, str]:
        """One record with its keys."""
        word = reader.number("address_and_flag", 8, role=Role.ADDRESS)
        flag = word & _FLAGS
        name = _FLAG_NAMES.get(flag, f"{flag:03x}")
        reader.fields[-1].meaning = f"{name} at page 0x{word >> 12:x}" if flag == SKEYS else name
        if flag != SKEYS:
            return name, "end of the body" if flag == EOS else "the keys could not be read"
        count = reader.number("count", 8, "pages, one key each", Role.LENGTH)
        head = page_bytes(reader, "keys", count, word >> 12, key_meaning)
        empty = not head.strip(b"\0") and count <= len(head)
        return name, f"{count:,} keys from 0x{word & ~_FLAGS:x}" + (", all 0" if empty else "")

    def phrase(self, tally: list[int]) -> str:
        """See RecordBody."""
        return f"{tally[1]:,} keys" if tally[1] else "no storage keys in use"
