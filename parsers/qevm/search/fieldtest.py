"""Whether a field is the one that is looked for: by its name, and by its value."""

from __future__ import annotations

import operator as op
import re
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import translate
from functools import lru_cache

from qevm.field import Field

OPERATORS = {
    "=": "equal to",
    "==": "equal to",
    "!=": "other than",
    "<": "below",
    "<=": "up to",
    ">": "above",
    ">=": "from",
}
"""The comparisons and how they are called."""

_ORDERS: dict[str, Callable[[float, float], bool]] = {"<": op.lt, "<=": op.le, ">": op.gt, ">=": op.ge}
_TRUTH = {"true": True, "false": False}
_HEX_PAIRS = re.compile(r"[0-9a-f]{2}([ :-][0-9a-f]{2})+\Z")


@dataclass(frozen=True, slots=True)
class FieldTest:
    """Decides by name alone (``operator`` empty) or by name and value.

    A name alone is found inside other names; with a comparison it must be the whole name, its vmstate name or
    the end of its dotted path.  ``*`` and ``?`` make it a glob.  An empty name is every field's.
    """

    name: str
    operator: str = ""
    text: str = ""
    number: float | int | None = None
    raw: bytes | None = None

    @property
    def wanted_words(self) -> str:
        """The value that is looked for, as it was read."""
        if isinstance(self.number, bool) or self.number is None:
            return f"the bytes {self.raw.hex(' ')}" if self.raw is not None else f'"{self.text}"'
        if isinstance(self.number, int) and 0 <= self.number < 10:
            return str(self.number)
        if isinstance(self.number, int):
            return f"{self.number} (0x{self.number & 0xFFFFFFFFFFFFFFFF:x})"
        return f"{self.number:g}"

    def names(self, field: Field, dotted: str) -> bool:
        """True when the name fits ``field``, whose path from its section is ``dotted``."""
        wanted = self.name.casefold()
        if not wanted:
            return True
        names = [name.casefold() for name in (field.name, field.alias, dotted) if name]
        if "*" in wanted or "?" in wanted:
            return any(_glob(wanted).match(name) for name in names)
        if not self.operator:
            return any(wanted in name for name in names)
        return any(name == wanted or name.endswith("." + wanted) for name in names)

    def __call__(self, field: Field, dotted: str) -> bool:
        """True when ``field`` is one of those that are looked for."""
        if not self.names(field, dotted):
            return False
        if not self.operator:
            return True
        if self.operator in ("=", "=="):
            return self._equal(field)
        if self.operator == "!=":
            return field.value is not None and not self._equal(field)
        value = field.value
        if isinstance(value, bool) or not isinstance(value, int | float) or self.number is None:
            return False
        return _ORDERS[self.operator](value, self.number)

    def _equal(self, field: Field) -> bool:
        value = field.value
        if isinstance(value, bool):
            return self.number is not None and value == self.number
        if isinstance(value, int):
            return self._equals_number(value, field) or self._means(field)
        if isinstance(value, float):
            return self.number is not None and value == self.number
        if isinstance(value, bytes):
            if self.raw is not None and value == self.raw:
                return True
            return _plain(value) == self.text.casefold() if value else False
        if isinstance(value, str):
            return value.casefold() == self.text.casefold()
        return self._means(field)

    def _equals_number(self, value: int, field: Field) -> bool:
        number = self.number
        if number is None or isinstance(number, bool):
            return False
        if value == number:
            return True
        bits = 8 * field.size if field.bits is None else field.bits[1]
        if not isinstance(number, int) or not bits or not -(1 << (bits - 1)) <= number < 1 << bits:
            return False
        # One pattern of bits, whether it is shown signed or unsigned.
        mask = (1 << bits) - 1
        return value & mask == number & mask

    def _means(self, field: Field) -> bool:
        """A word for a value: ``globalstate=running``."""
        return self.number is None and field.meaning.casefold() == self.text.casefold() != ""


def field_test(name: str, operator: str, text: str) -> FieldTest:
    """The test for ``name operator text``.  Raises ValueError where the value cannot be compared so."""
    quoted = len(text) >= 2 and text[0] == text[-1] and text[0] in "\"'"
    plain = text[1:-1] if quoted else text
    number: float | int | None = None
    raw: bytes | None = None
    if not quoted:
        low = plain.lower()
        if low in _TRUTH:
            number = _TRUTH[low]
        elif _HEX_PAIRS.match(low):
            raw = bytes.fromhex(re.sub("[ :-]", "", low))
        else:
            number = _number(low)
    if operator in _ORDERS and (number is None or isinstance(number, bool)):
        raise ValueError(f"{operator} needs a number, e.g. 4096, 0x1000 or -1")
    return FieldTest(name, operator, plain, number, raw)


def _number(text: str) -> int | float | None:
    plain = text.replace("_", "").replace(",", "")
    try:
        return int(plain, 0)
    except ValueError:
        pass
    try:
        return int(plain, 10)
    except ValueError:
        pass
    try:
        return float(plain)
    except ValueError:
        return None


def _plain(value: bytes) -> str:
    return value.rstrip(b"\0").decode("utf-8", "backslashreplace").casefold()


@lru_cache(maxsize=16)
def _glob(pattern: str) -> re.Pattern[str]:
    return re.compile(translate(pattern))
