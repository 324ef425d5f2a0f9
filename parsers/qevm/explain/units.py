"""Sizes, times, frequencies and lists as people read them."""

from __future__ import annotations

from collections.abc import Sequence

_SIZES = ("KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


def size_text(size: int) -> str:
    """A number of bytes with a binary unit: ``640 KiB``, ``1.5 GiB``, ``17 bytes``."""
    if size < 1024:
        return f"{size} byte{'' if size == 1 else 's'}"
    value = float(size)
    for unit in _SIZES:
        value /= 1024
        if value < 1024 or unit == _SIZES[-1]:
            break
    return f"{value:.4g} {unit}"


def duration(ns: int) -> str:
    """A time in ns as people say it: ``12.3 ms``, ``4.56 s``, ``3 h 12 min``, ``5 d 7 h``."""
    sign = "-" if ns < 0 else ""
    ns = abs(ns)
    if ns < 1000:
        return f"{sign}{ns} ns"
    for unit, scale in (("µs", 10**3), ("ms", 10**6)):
        if ns < scale * 1000:
            return f"{sign}{_short(ns / scale)} {unit}"
    seconds = ns / 1e9
    if seconds < 120:
        return f"{sign}{_short(seconds)} s"
    minutes, hours, days = int(seconds // 60), int(seconds // 3600), int(seconds // 86400)
    if hours < 2:
        return f"{sign}{minutes} min {int(seconds) % 60} s"
    if days < 2:
        return f"{sign}{hours} h {minutes % 60} min"
    if days < 36525:
        return f"{sign}{days} d {hours % 24} h"
    return f"{sign}{days / 365.2425:.4g} years"


def _short(value: float) -> str:
    return f"{value:.3f}".rstrip("0").rstrip(".")


def hertz(value: float) -> str:
    """A frequency with a fitting unit."""
    for unit, scale in (("GHz", 1e9), ("MHz", 1e6), ("kHz", 1e3)):
        if value >= scale:
            return f"{value / scale:.6g} {unit}"
    return f"{value:.6g} Hz"


def plural(count: int, noun: str) -> str:
    """``1 vector``, ``2 vectors``, ``no vectors``."""
    return f"{count or 'no'} {noun}{'' if count == 1 else 's'}"


def listed(numbers: Sequence[int], limit: int = 16) -> str:
    """Numbers as text with runs folded: ``1, 4–7, 9``."""
    runs: list[list[int]] = []
    for value in numbers:
        if runs and value == runs[-1][1] + 1:
            runs[-1][1] = value
        else:
            runs.append([value, value])
    parts = [str(a) if a == b else f"{a}–{b}" if b > a + 1 else f"{a}, {b}" for a, b in runs[:limit]]
    if len(runs) > limit:
        parts.append("…")
    return ", ".join(parts)
