"""What a field's value says, in the few cells that a row has."""

from __future__ import annotations

from qevm.field import Field
from qevm.safetext import safe

_PREVIEW = 24


def value_words(field: Field) -> str:
    """A value for a row: hex and decimal, text in quotes, bytes folded; empty for a container."""
    value = field.value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return number_words(value, field.size)
    if isinstance(value, bytes):
        return bytes_words(value, field.size)
    if isinstance(value, float):
        return f"{value:g}"
    return f'"{safe(value, 200)}"'


def number_words(value: int, size: int) -> str:
    """``5``, ``0x1f 31``, ``0xffffffff -1``: small numbers need no hex."""
    if 0 <= value < 10:
        return str(value)
    bits = 8 * (size or 8)
    return f"0x{value & ((1 << bits) - 1):x} {value}"


def bytes_words(value: bytes, size: int) -> str:
    """Equal bytes as ``4096 bytes, all zero``, text as text, others as the first bytes in hex."""
    size = max(size, len(value))
    if not value:
        return "empty"
    if len(value) > 4 and value.count(value[0]) == len(value) and size == len(value):
        return f"{size:,} bytes, all " + ("zero" if value[0] == 0 else f"0x{value[0]:02x}")
    text = value.rstrip(b"\0")
    if text and (len(text) > 3 or len(value) == len(text)) and all(0x20 <= b < 0x7F for b in text):
        return f'"{safe(text.decode("ascii"), 60)}"'
    shown = value[:_PREVIEW].hex(" ")
    return shown + (" …" if size > _PREVIEW else "")


def status_words(field: Field) -> str:
    """Size, type and value, for the status line."""
    text = f"{field.size:,} B"
    if field.bits is not None:
        text += f" bits {field.bits[0] + field.bits[1] - 1}:{field.bits[0]}"
    if field.type:
        text += f"  {safe(field.type)}"
    value = value_words(field)
    if value:
        text += f" = {value}"
    if field.meaning:
        text += f"  {safe(field.meaning, 200)}"
    return text
