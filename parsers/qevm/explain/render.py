"""The value of any field as text, for the detail pane and ``qevm show``.  No side effects."""

from __future__ import annotations

import re
import struct

from qevm import safetext
from qevm.explain.units import size_text
from qevm.field import Field, LazyFields, Role

PREVIEW = 16
"""Bytes of a long buffer that a preview shows."""

_SIGNED = frozenset({"int8", "int16", "int32", "int64", "int32 equal", "int32 le", "timer"})
_RUN = re.compile(rb"(.)\1{7,}", re.DOTALL)
_FILLERS = {0x00: "all zero", 0xFF: "all ff"}


def value_text(field: Field, preview: int = PREVIEW) -> str:
    """What a field's value is, in one line; "" for a field that is only its children.

    Integers: hex (padded to the field's bytes) and decimal, signed and unsigned both where they
    differ; an ADDRESS in hex only.  Bytes: text when it is text, runs of equal bytes folded, else
    the first ``preview`` bytes as hex and the length.  The text is safe for a terminal.
    """
    value = field.value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return _integer(field, value)
    if isinstance(value, float):
        raw = struct.pack(">d", value).hex()
        return f"{value!r} (0x{raw})"
    if isinstance(value, str):
        return f'"{safetext.safe(value)}"'
    if isinstance(value, bytes):
        return bytes_text(value, preview, of=field.size)
    return _container(field)


def _integer(field: Field, value: int) -> str:
    width = 8 * field.size
    pattern = value & ((1 << width) - 1) if width and field.bits is None else value
    if field.bits is not None:
        return str(value) if 0 <= value < 10 else f"{value:#x} ({value})"
    text = f"0x{pattern:0{2 * field.size}x}"
    if field.role is Role.ADDRESS:
        return text
    if 0 <= value < 10:
        return str(value)
    signed = pattern - (1 << width) if width and pattern >> (width - 1) else pattern
    if field.type in _SIGNED:
        return f"{text} ({value})" if signed == pattern else f"{text} ({signed}, unsigned {pattern})"
    # Small negative numbers hide in unsigned fields; a large pattern is hardly ever one.
    if signed != pattern and field.size >= 4 and not field.inferred and -signed <= 1 << 16:
        return f"{text} ({pattern}, signed {signed})"
    return f"{text} ({pattern})"


def details(field: Field, base: int | None = None) -> list[tuple[str, str]]:
    """All that can be said of one field as (label, text): for the lines below a selected field.

    ``base`` is the offset of its section's first byte.  Numbers appear in hex, unsigned, signed and
    binary (up to 16 bits); bytes as hex and, when they are text, as text.
    """
    lines = [("name", safetext.safe(field.name))]
    if field.alias:
        lines.append(("vmstate name", safetext.safe(field.alias)))
    kind = field.type + (f" {field.vmsd}" if field.vmsd and field.vmsd != field.name else "")
    if field.version is not None:
        kind += f" v{field.version}"
    lines.append(("type", safetext.safe(kind)))
    where = f"0x{field.offset:x}"
    if base is not None:
        where += f", 0x{field.offset - base:x} in the section"
    lines.append(("offset", where))
    if field.bits is not None:
        low, width = field.bits
        lines.append(("bits", f"{low}" if width == 1 else f"{low + width - 1}:{low}"))
    lines.append(("size", size_text(field.size)))
    lines += _value_details(field)
    if field.meaning:
        lines.append(("meaning", safetext.safe(field.meaning)))
    if field.problem:
        lines.append(("problem", safetext.safe(field.problem)))
    return lines


def _value_details(field: Field) -> list[tuple[str, str]]:
    value = field.value
    if isinstance(value, int) and not isinstance(value, bool):
        width = field.bits[1] if field.bits is not None else 8 * field.size
        pattern = value & ((1 << width) - 1) if width else value
        digits = -(-width // 4)
        lines = [("hex", f"0x{pattern:0{digits}x}"), ("unsigned", str(pattern))]
        if width and pattern >> (width - 1) and field.bits is None:
            lines.append(("signed", str(pattern - (1 << width))))
        if 0 < width <= 16:
            lines.append(("binary", f"0b{pattern:0{width}b}"))
        return lines
    text = value_text(field)
    if isinstance(value, bytes):
        text = value_text(field, 4 * PREVIEW)
    return [("value", text)] if text else []


def bytes_text(data: bytes, preview: int = PREVIEW, of: int | None = None) -> str:
    """Bytes in one line.  ``of`` is their true number when ``data`` holds only the first of them."""
    size = len(data) if of is None else max(of, len(data))
    if not size:
        return "empty"
    if data and len(data) == size and data.count(data[0]) == size and size > 1:
        filler = _FILLERS.get(data[0], f"all {data[0]:02x}")
        return f"{size} bytes, {filler}"
    text = ascii_text(data)
    if text is not None:
        cut = safetext.safe(text, 4 * preview)
        return f'"{cut}"' + (f" ({size_text(size)})" if len(text) + 1 < size else "")
    if size <= preview:
        return data.hex(" ")
    return f"{_folded(data, preview, len(data) == size)} ({size_text(size)})"


def _folded(data: bytes, preview: int, whole: bool) -> str:
    """Hex with runs of equal bytes folded, cut when ``preview`` bytes have been written out."""
    parts: list[str] = []
    at = written = 0
    for run in _RUN.finditer(data):
        literal = data[at : run.start()]
        if written + len(literal) >= preview:
            break
        if literal:
            parts.append(literal.hex(" "))
        parts.append(f"{run.end() - run.start()} × {data[run.start()]:02x}")
        written += len(literal) + 2
        at = run.end()
    literal = data[at : at + preview - written]
    if literal:
        parts.append(literal.hex(" "))
    cut = "" if whole and at + len(literal) == len(data) else " …"
    return ", ".join(parts) + cut


def ascii_text(data: bytes) -> str | None:
    """The text when the bytes are printable ASCII (with NULs behind it), at least four characters."""
    text = data.rstrip(b"\0")
    if len(text) < 4 or any(c < 0x20 or c > 0x7E for c in text):
        return None
    return text.decode("ascii")


def _container(field: Field) -> str:
    kind, bracket, _ = field.type.rpartition("[")
    if not bracket:
        return ""
    count = len(field.children)
    if isinstance(field.children, LazyFields) and count > 256:
        return f"{count} × {kind}"
    values = [child.value for child in field.children]
    if values and all(value == 0 and not isinstance(value, bytes) for value in values):
        return f"{count} × {kind}, all zero"
    return f"{count} × {kind}"
