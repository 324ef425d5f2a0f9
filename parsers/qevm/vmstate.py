"""Device bodies decoded with their vmsd: fields in byte order, then subsections (stream-format §4).

The same code serves descriptions from the capture and built-in layouts (then ``inferred``).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from itertools import groupby

from qevm import safetext
from qevm.field import Field, LazyFields, Role, Value
from qevm.vmdesc import LIST_TYPES, MARKER_TYPES, VmField, Vmsd

NOT_ARMED = 0xFFFFFFFFFFFFFFFF

_INTEGERS: dict[str, tuple[int, bool]] = {
    "int8": (1, True),
    "int16": (2, True),
    "int32": (4, True),
    "int64": (8, True),
    "uint8": (1, False),
    "uint16": (2, False),
    "uint32": (4, False),
    "uint64": (8, False),
    "int32 equal": (4, True),
    "uint32 equal": (4, False),
    "uint8 equal": (1, False),
    "uint16 equal": (2, False),
    # QEMU's name lies: the helper reads and writes an unsigned 64-bit value (§4.9).
    "int64 equal": (8, False),
    # "le" means "must be <= the local value", not little-endian (§4.9).
    "int32 le": (4, True),
    "timer": (8, False),
    "int32_as_uint16": (2, False),
    "uint16_from_uint8": (1, False),
    "cpsr": (4, False),
    "fpscr": (4, False),
    "fpcr": (8, False),
    "fpsr": (8, False),
    "powered_off": (1, False),
    "fpr": (8, False),
    "cpu/altivec/vscr": (4, False),
}

_SMALL_ARRAY = 64
# No device has so many elements in a list or in an array that must be made at once.
_MANY = 1 << 17


def integer_type(name: str) -> tuple[int, bool] | None:
    """(bytes, signed) of a vmstate integer type, or None when the type is no integer (§4.9)."""
    return _INTEGERS.get(name)


class VmstateDecoder:
    """Decodes one device body.

    ``read(offset, length)`` gives bytes of the source; nothing is read past ``end``, the end of the body.
    Never raises on a description that does not fit: the field that runs over is cut, marked with a
    ``problem``, and what follows is left out.
    """

    def __init__(
        self,
        read: Callable[[int, int], bytes],
        end: int,
        *,
        inferred: bool = False,
        room: list[int] | None = None,
    ) -> None:
        """``room`` holds how many more Fields may be made at once; what is nested shares it."""
        self._read = read
        self._end = end
        self._inferred = inferred
        self._room = [_MANY] if room is None else room

    def _until(self, end: int) -> VmstateDecoder:
        """A decoder of something inside that ends at ``end``."""
        return VmstateDecoder(self._read, end, inferred=self._inferred, room=self._room)

    def body(self, vmsd: Vmsd, offset: int) -> list[Field]:
        """All fields and subsections of a device, from ``offset`` on, with the rest as ``rest``.

        Every byte between ``offset`` and the body's end belongs to some field.
        """
        fields, position = self._vmsd(vmsd, offset)
        if position < self._end:
            fields.append(
                self.raw(
                    "rest",
                    position,
                    self._end - position,
                    problem="not described: the description ends before the section does",
                )
            )
        return fields

    def _vmsd(self, vmsd: Vmsd, offset: int) -> tuple[list[Field], int]:
        behind = sum(6 + len(sub.name) + sub.length for sub in vmsd.subsections)
        fields, position = self._fields(vmsd.fields, offset, behind)
        for sub in vmsd.subsections:
            if position >= self._end:
                break
            item, after = self._subsection(sub, position)
            fields.append(item)
            position = after
        return fields, position

    def _subsection(self, vmsd: Vmsd, offset: int) -> tuple[Field, int]:
        name = vmsd.name.encode("utf-8", "replace")
        header = 6 + len(name)
        raw = self._read(offset, min(header, self._end - offset))
        problem = ""
        if raw[: 2 + len(name)] != bytes((5, len(name) & 0xFF)) + name or len(raw) < header:
            problem = f"no subsection {safetext.safe(vmsd.name)} here: found {raw[:8].hex(' ')}"
        version = int.from_bytes(raw[-4:], "big") if len(raw) == header else None
        children, position = self._vmsd(vmsd, min(offset + header, self._end))
        head = self.raw("header", offset, min(header, self._end - offset), role=Role.HEADER)
        return (
            Field(
                vmsd.name,
                offset,
                position - offset,
                "subsection",
                meaning=f"v{version}" if version is not None else "",
                children=[head, *children],
                role=Role.SUBSECTION,
                vmsd=vmsd.name,
                version=version,
                problem=problem,
                inferred=self._inferred,
            ),
            position,
        )

    def _fields(self, entries: Sequence[VmField], offset: int, behind: int) -> tuple[list[Field], int]:
        fields: list[Field] = []
        position = offset
        left = sum(entry.total for entry in entries)
        # Consecutive entries of one name are one array, whatever "index" says (§4.5).
        for name, group in groupby(entries, key=lambda entry: entry.name):
            run = list(group)
            if len(run) == 1 and run[0].array_len is None and run[0].index is None:
                left -= run[0].total
                item = self.element(run[0], name, position)
                fields.append(item)
                position = item.end
            else:
                left -= sum(entry.total for entry in run)
                item = self._array(run, name, position, left + behind)
                fields.append(item)
                position = item.end
            if position >= self._end and fields[-1].problem:
                break
        return fields, position

    def _array(self, run: Sequence[VmField], name: str, offset: int, behind: int) -> Field:
        count = sum(1 if entry.array_len is None else entry.array_len for entry in run)
        if len(run) == 1 and run[0].hides_null_pointers:
            return self._pointer_array(run[0], name, offset, behind)
        total = sum(entry.total for entry in run)
        children: Sequence[Field]
        problem = ""
        if offset + total > self._end:
            problem = f"needs {total} bytes, {max(self._end - offset, 0)} are left"
            total = max(self._end - offset, 0)
        if len(run) == 1 and (count > _SMALL_ARRAY or problem):
            children = self._lazy(run[0], offset, total)
        else:
            made: list[Field] = []
            position = offset
            for entry in run:
                for _ in range(1 if entry.array_len is None else entry.array_len):
                    if position > self._end or self._room[0] <= 0:
                        break
                    item = self.element(entry, f"[{len(made)}]", position)
                    made.append(item)
                    position = item.end
            children = made
            total = position - offset
        return Field(
            name,
            offset,
            total,
            f"{run[0].type}[{count}]",
            children=children,
            vmsd=_struct_name(run[0]),
            problem=problem,
            inferred=self._inferred,
        )

    def _lazy(self, entry: VmField, offset: int, total: int) -> LazyFields:
        size = entry.size
        count = min(entry.array_len or 1, -(-total // size) if size else 0)

        def locate(at: int) -> int | None:
            return (at - offset) // size if offset <= at < offset + total else None

        def make(i: int) -> Field:
            fresh = VmstateDecoder(self._read, self._end, inferred=self._inferred)
            return fresh.element(entry, f"[{i}]", offset + i * size)

        return LazyFields(count, make, locate)

    def _pointer_array(self, entry: VmField, name: str, offset: int, behind: int) -> Field:
        """An array of pointers whose first is NULL, by QEMU 2.9 … 9.2: the description lies (§4.8).

        NULL is one byte 0x30; the structs that are there have one size S, which only the section's
        length tells: with n bytes more than described and k structs, S = n / k + 1.  ``behind`` is the
        length of what is described after the array.
        """
        count = entry.array_len or 1
        end = self._end - behind
        extra = end - offset - count
        possible = extra >= 0 and count <= _MANY
        data = self._read(offset, end - offset) if possible else b""
        for structs in range(1, count + 1 if possible else 1):
            if not extra or extra % structs:
                continue
            ends = _place_structs(data, count, structs, extra // structs + 1)
            if ends is not None:
                return self._pointers(name, entry, offset, ends)
        if possible and not extra and data == b"0" * count:
            return self._pointers(name, entry, offset, list(range(1, count + 1)))
        item = self.raw(name, offset, max(self._end - offset, 0))
        item.problem = "array of pointers with NULLs: the description does not tell its layout"
        return item

    def _pointers(self, name: str, entry: VmField, offset: int, ends: list[int]) -> Field:
        children = []
        start = 0
        for number, end in enumerate(ends):
            if end - start == 1:
                item = Field(f"[{number}]", offset + start, 1, "nullptr", None, "NULL")
            else:
                item = self.raw(f"[{number}]", offset + start, end - start)
                item.meaning = "struct that the description does not describe"
            children.append(item)
            start = end
        return Field(
            name,
            offset,
            start,
            f"pointer[{len(ends)}]",
            children=children,
            vmsd=_struct_name(entry),
            inferred=self._inferred,
        )

    def element(self, entry: VmField, name: str, offset: int) -> Field:
        """One element of an entry, at ``offset``."""
        self._room[0] -= 1
        left = max(self._end - offset, 0)
        if entry.size > left:
            item = self.raw(name, offset, left, entry.type)
            item.problem = f"needs {entry.size} bytes, {left} are left"
            return item
        if entry.struct is not None:
            return self._struct(entry.struct, entry, name, offset)
        if entry.type in LIST_TYPES:
            return self._list(entry, name, offset)
        if entry.inline:
            return self._struct(entry.inline[0], entry, name, offset)
        return self._leaf(entry, name, offset)

    def _struct(self, vmsd: Vmsd, entry: VmField, name: str, offset: int) -> Field:
        children = self._until(offset + entry.size).body(vmsd, offset)
        return Field(
            name,
            offset,
            entry.size,
            entry.type,
            children=children,
            vmsd=vmsd.name,
            version=vmsd.version,
            inferred=self._inferred,
        )

    def _list(self, entry: VmField, name: str, offset: int) -> Field:
        """qtailq, qlist: (01 element)* 00.  gtree: be32 count, (01 key value)* 00 (§4.9)."""
        end = offset + entry.size
        inner = self._until(end)
        children: list[Field] = []
        position = offset
        per_node = 2 if entry.type == "gtree" and len(entry.inline) % 2 == 0 else 1
        if entry.type == "gtree" and entry.size >= 5:
            children.append(inner._leaf(VmField("nnodes", "uint32", 4), "nnodes", position))
            position += 4
        direct_key = entry.type == "gtree" and per_node == 1
        number = 0
        problem = ""
        while position < end:
            marker = self._read(position, 1)
            if marker == b"\0" and position == end - 1:
                children.append(Field("end", position, 1, "uint8", 0, "end of list", role=Role.PADDING))
                position += 1
                break
            if marker != b"\x01" or not entry.inline:
                problem = f"list: expected 01 or the last 00, found {marker.hex()}"
                break
            start = position
            self._room[0] -= 1
            parts: list[Field] = [Field("more", position, 1, "uint8", 1, role=Role.PADDING)]
            position += 1
            if direct_key:
                parts.append(inner._leaf(VmField("key", "uint64", 8), "key", position))
                position += 8
            for part in range(per_node):
                vmsd = entry.inline[min(number * per_node + part, len(entry.inline) - 1)]
                made, position = inner._vmsd(vmsd, position)
                parts.extend(made)
            children.append(
                Field(
                    f"[{number}]",
                    start,
                    position - start,
                    "struct",
                    children=parts,
                    vmsd=entry.inline[0].name,
                    version=entry.inline[0].version,
                    inferred=self._inferred,
                )
            )
            number += 1
            if self._room[0] <= 0:
                problem = "list: more elements than can be shown"
                break
        if position < end:
            children.append(inner.raw("rest", position, end - position))
        return Field(
            name,
            offset,
            entry.size,
            entry.type,
            meaning="empty" if not number else f"{number} elements",
            children=children if number or problem else (),
            problem=problem,
            vmsd=_struct_name(entry),
            inferred=self._inferred,
        )

    def _leaf(self, entry: VmField, name: str, offset: int) -> Field:
        size = entry.size
        value: Value
        meaning = ""
        problem = ""
        role = Role.NUMBER
        data = self._read(offset, size)
        integer = _INTEGERS.get(entry.type)
        if integer is not None and integer[0] == size:
            value = int.from_bytes(data, "big", signed=integer[1])
            if entry.type == "timer" and value == NOT_ARMED:
                meaning = "not armed"
        elif entry.type == "bool" and size == 1:
            value = data != b"\0"
            if data not in (b"\0", b"\1"):
                problem = f"bool is {data.hex()}"
        elif entry.type == "CPU_Double_U" and size == 8:
            value = struct.unpack(">d", data)[0]
        elif entry.type in MARKER_TYPES and size == 1:
            value = data
            meaning = {b"0": "NULL", b"1": "valid pointer"}.get(data, "")
            if not meaning:
                problem = f"marker is {data.hex()}, not 30 or 31"
        else:
            value = data
            role = Role.BUFFER
            if entry.type == "capability" and len(data) > 1:
                meaning = safetext.decode(data[1:])
                role = Role.TEXT
            if integer is not None or entry.type == "bool":
                problem = f"{entry.type} of {size} bytes"
        return Field(
            name,
            offset,
            size,
            entry.type,
            value,
            meaning,
            role=role,
            problem=problem,
            inferred=self._inferred,
        )

    def raw(
        self,
        name: str,
        offset: int,
        size: int,
        kind: str = "buffer",
        *,
        role: Role = Role.BUFFER,
        problem: str = "",
    ) -> Field:
        """``size`` bytes as they are."""
        return Field(
            name,
            offset,
            size,
            kind,
            self._read(offset, size),
            role=role,
            problem=problem,
            inferred=self._inferred,
        )


def _struct_name(entry: VmField) -> str:
    if entry.struct is not None:
        return entry.struct.name
    return entry.inline[0].name if entry.inline else ""


def _place_structs(data: bytes, count: int, structs: int, size: int) -> list[int] | None:
    """Ends of ``count`` elements, ``structs`` of them ``size`` bytes, the others one byte 0x30."""
    ends = []
    position = 0
    for _ in range(count):
        if data[position : position + 1] == b"0":
            position += 1
        else:
            position += size
            structs -= 1
        if structs < 0 or position > len(data):
            return None
        ends.append(position)
    return ends if structs == 0 and position == len(data) else None
