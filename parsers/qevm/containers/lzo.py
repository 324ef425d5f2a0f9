"""LZO1X decompression (the format of lzop), bounded and in plain Python.

python-lzo has no wheels and needs a C compiler and liblzo2's headers; it is used when it is there.
"""

from __future__ import annotations

import importlib
from typing import Any


class LzoError(Exception):
    """The block is damaged."""


def decompress(data: bytes, size: int) -> bytes:
    """The ``size`` bytes that ``data`` (one raw LZO1X block) unpacks to.  Raises LzoError.

    Never makes more than ``size`` bytes and reads nothing outside of ``data`` and its own output.
    """
    module = _python_lzo()
    if module is not None:
        try:
            return bytes(module.decompress(data, False, size, algorithm="LZO1X"))
        except module.error as error:
            raise LzoError(str(error)) from error
    try:
        out = _decompress(data, size)
    except IndexError:
        raise LzoError("the block ends inside an instruction") from None
    if len(out) != size:
        raise LzoError(f"the block gives {len(out)} bytes, its header says {size}")
    return bytes(out)


def _python_lzo() -> Any:
    try:
        return importlib.import_module("lzo")
    except ImportError:
        return None


def _decompress(data: bytes, limit: int) -> bytearray:
    """LZO1X: each instruction is a literal run or a match, whose low two bits count literals behind it.

    ``state`` is that count (0…3), 4 after a literal run: it says what a byte below 16 means.
    """
    out = bytearray()
    position = 0
    state = 0
    first = data[0]
    if first > 17:
        run = first - 17
        out += _literals(data, 1, run, limit)
        position = 1 + run
        state = min(run, 4)
    while True:
        byte = data[position]
        position += 1
        if byte >= 64:
            length = (byte >> 5) + 1
            distance = (data[position] << 3) + ((byte >> 2) & 7) + 1
            position += 1
            state = byte & 3
        elif byte >= 16:
            short = 31 if byte >= 32 else 7
            length = byte & short
            if not length:
                length, position = _long(data, position, short)
            length += 2
            low, high = data[position], data[position + 1]
            position += 2
            distance = (high << 6) + (low >> 2) + 1
            if byte < 32:
                distance += ((byte & 8) << 11) + 0x3FFF
                if distance == 0x4000:
                    if position != len(data):
                        raise LzoError(f"{len(data) - position} bytes behind the end of the block")
                    return out
            state = low & 3
        elif state == 0:
            length = byte
            if not length:
                length, position = _long(data, position, 15)
            length += 3
            out += _literals(data, position, length, limit - len(out))
            position += length
            state = 4
            continue
        else:
            length = 2 if state < 4 else 3
            distance = (data[position] << 2) + (byte >> 2) + (1 if state < 4 else 0x801)
            position += 1
            state = byte & 3
        start = len(out) - distance
        if start < 0:
            raise LzoError(f"a match reaches {-start} bytes before the block")
        if len(out) + length + state > limit:
            raise LzoError(f"the block gives more than the {limit} bytes that its header says")
        if distance >= length:
            out += out[start : start + length]
        else:
            pattern = bytes(out[start:])
            out += (pattern * (length // distance + 1))[:length]
        if state:
            out += _literals(data, position, state, state)
            position += state


def _long(data: bytes, position: int, base: int) -> tuple[int, int]:
    """A length in unary: ``base`` + 255 for every zero byte + the byte that is not zero."""
    zeros = 0
    while not data[position]:
        zeros += 1
        position += 1
    return base + 255 * zeros + data[position], position + 1


def _literals(data: bytes, position: int, length: int, room: int) -> bytes:
    if length > room:
        raise LzoError("the block gives more bytes than its header says")
    if position + length > len(data):
        raise LzoError("the block ends inside a literal run")
    return data[position : position + length]
