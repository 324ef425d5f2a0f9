"""The forms in which the selection can be copied: the field in words, or its bytes as source text.

Text of a capture is made harmless here too: what is pasted into a shell must not hold escape sequences or
line ends that nobody saw.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from qevm import export
from qevm.field import Field
from qevm.problems import QevmError
from qevm.safetext import safe
from qevm.source import Source
from qevm_tui.clipboard import BYTES_LIMIT, TEXT_LIMIT, TooMuchError
from qevm_tui.fieldtext import field_line
from qevm_tui.selection import Selection, fields_along
from qevm_tui.words import human, section_name

_C_COLUMNS = 12
_AROUND = 128
"""Characters that a form may put round the bytes."""

_IDENTIFIER = re.compile(r"\W+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Form:
    """One entry of the copy menu.  ``text`` makes what is copied; it raises QevmError where it cannot."""

    key: str
    name: str
    text: Callable[[], str]


def forms(source: Source, selection: Selection, root: Field | None) -> Sequence[Form]:
    """The entries for a selection, the most wanted first.  ``source`` is whose bytes are selected."""
    along = [] if root is None else fields_along(root, selection.path)
    entries: list[Form] = []
    if along:
        field = along[-1]
        where = f"{section_name(selection.section)} {'.'.join(_name(one) for one in along)}"
        if _value(field):
            entries.append(Form("v", "value", lambda: _value(field)))
            entries.append(Form("f", "field", lambda: f"{where} = {_value(field)}"))
        else:
            entries.append(Form("f", "field", lambda: where))
        entries.append(Form("r", "row", lambda: field_line(field)))

    def data(characters: int) -> bytes:
        """The selected bytes, of which each takes so many characters."""
        return _bytes(source, selection, (TEXT_LIMIT - _AROUND) // characters)

    name = _identifier(along[-1] if along else None, selection)
    return [
        *entries,
        Form("o", "offset", lambda: f"0x{selection.cursor:x}"),
        Form("h", "hex", lambda: data(3).hex(" ")),
        Form("d", "hexdump", lambda: hexdump_text(source, selection)),
        Form("c", "C array", lambda: c_array(name, data(7))),
        Form("p", "Python bytes", lambda: repr(data(4))),
        Form("b", "base64", lambda: base64.b64encode(data(2)).decode("ascii")),
    ]


def hexdump_text(source: Source, selection: Selection) -> str:
    """The selected bytes as hexdump text, which ``hexdump.restore`` turns into bytes again."""
    _bytes(source, selection, BYTES_LIMIT)
    return b"".join(export.hex_blocks(source, [(selection.start, selection.end)])).decode("ascii")


def c_array(name: str, data: bytes) -> str:
    """Bytes as the definition of an array in C."""
    lines = [
        "    " + ", ".join(f"0x{byte:02x}" for byte in data[at : at + _C_COLUMNS]) + ","
        for at in range(0, len(data), _C_COLUMNS)
    ]
    return "\n".join([f"static const unsigned char {name}[{len(data)}] = {{", *lines, "};", ""])


def _bytes(source: Source, selection: Selection, most: int) -> bytes:
    """The selected bytes; raises TooMuchError for none and for more than ``most``."""
    if not selection.size:
        raise TooMuchError("no bytes are selected")
    if selection.size > most:
        raise TooMuchError(
            f"{selection.size:,} bytes are too many for a terminal's clipboard "
            f"(limit {human(most)}); x exports them to a file"
        )
    data = source.read(selection.start, selection.size)
    if len(data) < selection.size:
        raise QevmError(f"only {len(data):,} of {selection.size:,} bytes can be read")
    return data


def _name(field: Field) -> str:
    return safe(field.alias or field.name, 80)


def _value(field: Field) -> str:
    value = field.value
    if value is None:
        return safe(field.meaning, 400)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value) if 0 <= value < 10 else f"{'-' if value < 0 else ''}0x{abs(value):x}"
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, str):
        return safe(value)
    text = value.rstrip(b"\0")
    if len(text) > 3 and all(0x20 <= byte < 0x7F for byte in text):
        return text.decode("ascii")
    return value.hex(" ") if len(value) <= 64 else ""


def _identifier(field: Field | None, selection: Selection) -> str:
    """A name that C takes, from the section and the field."""
    words = section_name(selection.section) if selection.section is not None else "bytes"
    if field is not None and not selection.marked:
        words += "_" + (field.alias or field.name)
    name = _IDENTIFIER.sub("_", words).strip("_")[-60:].strip("_")
    return name if name and not name[0].isdigit() else f"bytes_{name}".rstrip("_")
