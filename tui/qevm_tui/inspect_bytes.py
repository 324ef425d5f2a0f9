"""The bytes at one place, read as every type that they might be: what the data inspector shows."""

from __future__ import annotations

import datetime
import math
import struct
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from qevm.safetext import safe

NEEDED = 16
"""Bytes that the longest reading takes: a UUID, or 64 bits as ULEB128."""

_NONE = ("–",)
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_LAST_DAY = 253_402_300_800
"""Seconds from 1970 to the year 10000."""

_YEARS_UP = 100 * 366 * 86_400
"""No guest runs for longer: such a number is no time since boot."""

Order = Literal["little", "big"]

Words = tuple[str, ...]
"""The same value in several words: the first that fits is shown."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One line: a type and its value in both byte orders, or ``whole``, which has none."""

    label: str
    little: Words = ()
    big: Words = ()
    whole: Words = ()


def readings(data: bytes) -> list[Reading]:
    """Every reading of ``data``, the most wanted first; ``–`` where too few bytes are left."""
    lines = [Reading("byte", whole=_byte(data))]
    for bits in (16, 32, 64):
        lines += [
            _both(f"u{bits}", data, bits // 8, lambda raw, order: _integer(raw, order, signed=False)),
            _both(f"i{bits}", data, bits // 8, lambda raw, order: _integer(raw, order, signed=True)),
        ]
    for code, bits in (("e", 16), ("f", 32), ("d", 64)):
        lines.append(_both(f"f{bits}", data, bits // 8, _float_reader(code)))
    lines += [
        _both("uptime", data, 8, _since_boot),
        _both("unix32", data, 4, lambda raw, order: _date(int.from_bytes(raw, order), 1)),
        _both("unix64", data, 8, lambda raw, order: _date(int.from_bytes(raw, order, signed=True), 1)),
        _both("unix ns", data, 8, lambda raw, order: _date(int.from_bytes(raw, order), 10**9)),
        Reading("uuid", whole=(str(uuid.UUID(bytes=data[:16])),) if len(data) >= 16 else _NONE),
        Reading("text", whole=_text(data)),
    ]
    return lines


def _both(label: str, data: bytes, size: int, read: Callable[[bytes, Order], Words]) -> Reading:
    raw = data[:size]
    if len(raw) < size:
        return Reading(label, _NONE, _NONE)
    return Reading(label, read(raw, "little"), read(raw, "big"))


def _byte(data: bytes) -> Words:
    if not data:
        return _NONE
    value = data[0]
    signed = value - 256 if value > 127 else value
    boolean = {0: "false", 1: "true"}.get(value, "no bool")
    character = f"'{chr(value)}'" if 0x20 <= value < 0x7F else "no ASCII"
    return (
        f"u8 {value}  i8 {signed}  {value:08b}  {boolean}  {character}",
        f"u8 {value} i8 {signed} {value:08b} {character}",
    )


def _integer(raw: bytes, order: Order, *, signed: bool) -> Words:
    value = int.from_bytes(raw, order, signed=signed)
    return (str(value), f"{'-' if value < 0 else ''}0x{abs(value):x}", f"{value:.6e}")


def _float_reader(code: str) -> Callable[[bytes, Order], Words]:
    def read(raw: bytes, order: Order) -> Words:
        value: float = struct.unpack(("<" if order == "little" else ">") + code, raw)[0]
        return (repr(value), f"{value:.9g}", f"{value:.4g}") if math.isfinite(value) else (str(value),)

    return read


def _since_boot(raw: bytes, order: Order) -> Words:
    value = int.from_bytes(raw, order, signed=True)
    seconds, rest = divmod(abs(value), 10**9)
    if seconds > _YEARS_UP:
        return _NONE
    sign = "-" if value < 0 else ""
    clock = f"{seconds // 3600 % 24:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    days = f"{seconds // 86_400} d " if seconds >= 86_400 else ""
    return (f"{sign}{days}{clock}.{rest // 1000:06}", f"{sign}{days}{clock}")


def _date(value: int, a_second: int) -> Words:
    seconds = value // a_second
    if not 0 <= seconds < _LAST_DAY:
        return _NONE
    moment = _EPOCH + datetime.timedelta(seconds=seconds)
    return (f"{moment:%Y-%m-%d %H:%M:%S}", f"{moment:%Y-%m-%d %H:%M}", f"{moment:%Y-%m-%d}")


def _text(data: bytes) -> Words:
    leb = _uleb128(data)
    utf8 = _character(data, "utf-8", 4)
    wide = [f"{order} {_character(data, f'utf-16-{order}', 4)}" for order in ("le", "be")]
    return (
        f"utf-8 {utf8}  utf-16 {wide[0]} {wide[1]}  uleb128 {leb}",
        f"{utf8} utf-16 {wide[0]} {wide[1]} uleb {leb}",
    )


def _character(data: bytes, encoding: str, longest: int) -> str:
    for size in range(1, min(longest, len(data)) + 1):
        try:
            character = data[:size].decode(encoding)
        except UnicodeDecodeError:
            continue
        if character:
            # Blanks of other widths could not be told from the one.
            return f"'{safe(character)}'" if character.isprintable() else f"U+{ord(character):04X}"
    return "–"


def _uleb128(data: bytes) -> str:
    value = 0
    for number, byte in enumerate(data[:10]):
        value |= (byte & 0x7F) << 7 * number
        if not byte & 0x80:
            return f"{value} ({number + 1} B)"
    return "–"


ROWS = len(readings(b""))
"""How many lines there always are."""
