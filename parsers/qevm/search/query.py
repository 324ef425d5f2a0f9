"""What a user types to search, read as one of six kinds of query."""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass

from qevm.problems import QevmError
from qevm.search.fieldtest import OPERATORS, FieldTest, field_test
from qevm.search.patterns import Literal, Masked, Pattern

_LONGEST = 4096
_LONGEST_EXPRESSION = 1000


class QueryError(QevmError):
    """The text is no query.  ``str()`` says why; ``column`` counts from 1."""

    def __init__(self, message: str, column: int = 1) -> None:
        super().__init__(f"column {column}: {message}" if column > 1 else message)
        self.column = column


class Kind(enum.Enum):
    """What is looked for.  The values are the prefixes that say so explicitly."""

    TEXT = "text"
    HEX = "hex"
    REGEX = "re"
    FIELD = "field"
    VALUE = "value"
    DEVICE = "device"

    @property
    def of_bytes(self) -> bool:
        """True when bytes are searched, so that nothing needs to be indexed or decoded."""
        return self in (Kind.TEXT, Kind.HEX, Kind.REGEX)


@dataclass(frozen=True, slots=True)
class Query:
    """What to look for.

    ``how`` tells a user how the text was read.  ``patterns`` are the byte patterns of TEXT and HEX, any of
    which may match; ``expression`` is that of REGEX; ``test`` decides for FIELD and VALUE; ``device`` is a
    part of a device id or a glob.
    """

    kind: Kind
    text: str
    how: str
    patterns: tuple[Pattern, ...] = ()
    expression: bytes = b""
    test: FieldTest | None = None
    device: str = ""


_PREFIX = re.compile(r"(text|hex|re|field|device):", re.IGNORECASE)
_COMPARISON = re.compile(
    r"\s*(?P<name>[A-Za-z_*?][\w.\[\]*?/-]*)\s*(?P<operator>==|!=|<=|>=|=|<|>)(?P<value>.*)", re.DOTALL
)
_HEX_BYTES = re.compile(r"\s*[0-9a-fA-F?]{2}(\s+[0-9a-fA-F?]{2})+\s*\Z")
_HEX_NUMBER = re.compile(r"\s*0x([0-9a-fA-F?]{2})+\s*\Z", re.IGNORECASE)
_HEX_RUN = re.compile(r"\s*([0-9a-fA-F?]{2}){2,}\s*\Z")
_DEVICE = re.compile(r"\s*[\w:./-]+@[0-9]+\s*\Z")


def read_query(text: str) -> Query:
    """The query in ``text``: explicit by ``text:``, ``hex:``, ``re:``, ``field:``, ``device:`` or ``value=``.

    Without a prefix: pairs of hex digits are bytes, ``name=value`` (``<``, ``>=``, ``!=`` …) compares fields,
    ``cpu@0`` is a device, all else is text.  Raises QueryError.
    """
    if not text.strip():
        raise QueryError("type what to find")
    if len(text) > _LONGEST:
        raise QueryError(f"longer than {_LONGEST:,} characters")
    prefix = _PREFIX.match(text)
    if prefix is not None:
        kind, start = Kind(prefix[1].lower()), prefix.end()
        if not text[start:].strip():
            raise QueryError(f"type what to find behind {prefix[0]}", start + 1)
        return _READERS[kind](text, start)
    if _HEX_BYTES.match(text) or _HEX_NUMBER.match(text) or _looks_hex(text):
        return _read_hex(text, 0)
    comparison = _COMPARISON.match(text)
    if comparison is not None:
        return _read_comparison(text, comparison)
    if _DEVICE.match(text):
        return _read_device(text, 0)
    return _read_text(text, 0)


def _looks_hex(text: str) -> bool:
    """Hex digits without blanks, in a form that words and numbers hardly have: 7e0000002a, deadbeef."""
    if not _HEX_RUN.match(text) or not text.strip("? \t"):
        return False
    plain = text.strip()
    if "?" in plain:
        return True
    letters = any(c.isalpha() for c in plain)
    return letters and (any(c.isdigit() for c in plain) or len(plain) >= 8)


def _read_text(text: str, start: int) -> Query:
    wanted = text[start:]
    plain = wanted.encode("utf-8", "surrogateescape")
    wide = [wanted.encode(encoding, "surrogatepass") for encoding in ("utf-16-le", "utf-16-be")]
    ascii_only = "ASCII" if wanted.isascii() else "UTF-8"
    return Query(
        Kind.TEXT,
        text,
        f"text, {ascii_only} and UTF-16, {len(wanted)} characters",
        patterns=tuple(Literal(encoded) for encoded in (plain, *wide)),
    )


def _read_hex(text: str, start: int) -> Query:
    values = bytearray()
    masks = bytearray()
    digits: list[tuple[str, int]] = []
    at = start
    while at < len(text):
        character = text[at]
        if text[at : at + 2].lower() in ("0x", "\\x") and not digits:
            at += 2
            continue
        if character.isspace() or character in ",:_-":
            if digits:
                raise QueryError("a byte has two hex digits, ? stands for any", digits[0][1] + 1)
        elif character in "0123456789abcdefABCDEF?":
            digits.append((character, at))
        else:
            raise QueryError(f"{character!r} is no hex digit", at + 1)
        if len(digits) == 2:
            value = mask = 0
            for digit, _ in digits:
                known = digit != "?"
                value = value << 4 | (int(digit, 16) if known else 0)
                mask = mask << 4 | (0xF if known else 0)
            values.append(value)
            masks.append(mask)
            digits.clear()
        at += 1
    if digits:
        raise QueryError("a byte has two hex digits, ? stands for any", digits[0][1] + 1)
    if not any(masks):
        raise QueryError("at least one digit must be known", start + 1)
    count = "1 byte" if len(values) == 1 else f"{len(values)} bytes"
    if all(mask == 0xFF for mask in masks):
        return Query(Kind.HEX, text, f"hex, {count}", patterns=(Literal(bytes(values)),))
    return Query(
        Kind.HEX, text, f"hex with wildcards, {count}", patterns=(Masked(bytes(values), bytes(masks)),)
    )


def _read_regex(text: str, start: int) -> Query:
    expression = text[start:]
    if len(expression) > _LONGEST_EXPRESSION:
        raise QueryError(f"an expression of more than {_LONGEST_EXPRESSION:,} characters", start + 1)
    encoded = expression.encode("utf-8", "surrogateescape")
    try:
        re.compile(encoded, re.DOTALL)
    except re.error as error:
        place = len(encoded[: error.pos or 0].decode("utf-8", "replace"))
        raise QueryError(error.msg, start + place + 1) from None
    except (RecursionError, OverflowError, MemoryError):
        raise QueryError("an expression that is nested too deep", start + 1) from None
    return Query(Kind.REGEX, text, "regular expression over bytes", expression=encoded)


def _read_field(text: str, start: int) -> Query:
    name = text[start:].strip()
    return Query(Kind.FIELD, text, f"fields whose name holds {name}", test=FieldTest(name))


def _read_comparison(text: str, match: re.Match[str]) -> Query:
    name, operator, value = match["name"], match["operator"], match["value"].strip()
    if not value:
        raise QueryError(f"type a value behind {operator}", match.start("value") + 1)
    every = name.lower() == "value"
    try:
        test = field_test("" if every else name, operator, value)
    except ValueError as error:
        raise QueryError(str(error), match.start("value") + 1) from None
    whose = "any field" if every else f"fields named {name}"
    return Query(Kind.VALUE, text, f"{whose} {OPERATORS[operator]} {test.wanted_words}", test=test)


def _read_device(text: str, start: int) -> Query:
    name = text[start:].strip()
    return Query(Kind.DEVICE, text, f"devices whose id holds {name}", device=name)


_READERS = {
    Kind.TEXT: _read_text,
    Kind.HEX: _read_hex,
    Kind.REGEX: _read_regex,
    Kind.FIELD: _read_field,
    Kind.DEVICE: _read_device,
}
