"""The JSON of QEMU's own ``scripts/analyze-migration.py -d state``, so that existing scripts can switch.

That script's shape: one key ``IDSTR (SECTION_ID)`` for each device, integers as hex strings, all that it
has no reader for as hex bytes.  Where it fails (about a quarter of real captures), this still answers.
"""

from __future__ import annotations

from collections.abc import Callable

from qevm.safetext import decode
from qevm.vmdesc import VmField, Vmsd

Read = Callable[[int, int], bytes]

_SIGNED = frozenset(
    {
        "int8",
        "int16",
        "int32",
        "int32 equal",
        "int32 le",
        "int64",
        "int64 equal",
        "uint8 equal",
        "uint16 equal",
    }
)
_UNSIGNED = frozenset({"uint8", "uint16", "uint32", "uint32 equal", "uint64"})


# Values that take no bytes: more than any device has, while a hostile description can multiply to billions.
_EMPTY_VALUES = 1 << 16


def device_state(vmsd: Vmsd, read: Read, offset: int, end: int) -> dict[str, object]:
    """The state of one device as that script prints it.  Never reads past ``end``."""
    return _Decoder(read, end, [_EMPTY_VALUES + 4 * max(end - offset, 0)]).vmsd(vmsd, offset)[0]


class _Decoder:
    def __init__(self, read: Read, end: int, values_left: list[int]) -> None:
        self._read = read
        self._end = end
        self._values_left = values_left

    def _bytes(self, offset: int, size: int) -> bytes:
        return self._read(offset, max(0, min(size, self._end - offset)))

    def vmsd(self, vmsd: Vmsd, offset: int) -> tuple[dict[str, object], int]:
        state: dict[str, object] = {}
        extra = self._hidden_structs(vmsd, offset)
        for entry in vmsd.fields:
            if entry.hides_null_pointers and extra:
                offset = self._pointers(state, entry, offset, extra)
                continue
            for element in range(1 if entry.array_len is None else entry.array_len):
                if (offset >= self._end and entry.size) or self._values_left[0] <= 0:
                    break
                self._values_left[0] -= 1
                value = self._value(entry, offset)
                offset += entry.size
                index = element if entry.array_len is not None else entry.index
                _place(state, entry.name, value, index)
        for sub in vmsd.subsections:
            offset += 6 + len(sub.name.encode("utf-8", "replace"))
            if offset > self._end:
                break
            state[sub.name], offset = self.vmsd(sub, offset)
        return state, offset

    def _hidden_structs(self, vmsd: Vmsd, offset: int) -> int:
        """Bytes that an array of pointers has beyond its description (§4.8), 0 where there is none."""
        hidden = [entry for entry in vmsd.fields if entry.hides_null_pointers]
        return max(self._end - offset - vmsd.length, 0) if len(hidden) == 1 else 0

    def _pointers(self, state: dict[str, object], entry: VmField, offset: int, extra: int) -> int:
        count = entry.array_len or 1
        length = count + extra
        data = self._bytes(offset, length)
        values: list[object] = []
        at = 0
        for _ in range(min(count, len(data))):
            if data[at : at + 1] == b"0":
                values.append("nullptr")
                at += 1
            else:
                values.append(data[at : at + extra + 1].hex(" "))
                at += extra + 1
        state[entry.name] = values
        return offset + length

    def _value(self, entry: VmField, offset: int) -> object:
        if entry.type == "struct" and entry.struct is not None:
            inner = _Decoder(self._read, min(self._end, offset + entry.size), self._values_left)
            return inner.vmsd(entry.struct, offset)[0]
        data = self._bytes(offset, entry.size)
        if (entry.type in _SIGNED or entry.type in _UNSIGNED) and entry.size <= 8:
            value = int.from_bytes(data, "big", signed=entry.type in _SIGNED)
            text = f"0x{value & ((1 << 8 * entry.size) - 1):0{entry.size * 2}x}"
            return f"{text} ({value})" if value < 0 else text
        if entry.type == "bool":
            return data[:1] != b"\0"
        if entry.type == "nullptr":
            return "nullptr"
        if entry.type == "capability":
            return decode(data[1:])
        return data.hex(" ")


def _place(state: dict[str, object], name: str, value: object, index: int | None) -> None:
    there = state.get(name)
    if isinstance(there, list):
        there.append(value)
    elif index is not None:
        state[name] = [value]
    elif name in state:
        # QEMU leaves "index" out where it broke an array into pieces, 11.1 everywhere (§4.5).
        state[name] = [there, value]
    else:
        state[name] = value
