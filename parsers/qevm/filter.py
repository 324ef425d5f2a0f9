"""The expressions that narrow the section tree: ``type:FULL name:virtio* size>1k problem``.

read_filter(text) makes a :class:`Filter`; it says for whole columns of sections at once which of them it
takes, so that a stream with a million of them is narrowed while one types.

    word            the device id holds it          "a b"      the same, with blanks
    type:FULL,END   kind of section                 name:*ide  device name, with * and ? (or its last part)
    id:3  instance:0  version:12  depth:1           also with <, <=, >, >=, =, !=
    size>1k  offset<=0x4000                         k, M, G, T are powers of 1024
    confidence:guessed  problem  problem:error
    not, - or !     and, or nothing      or         ( )
"""

from __future__ import annotations

import operator as op
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fnmatch import translate
from typing import TYPE_CHECKING, Any

from qevm.problems import QevmError, Severity
from qevm.section import Confidence, SectionKind
from qevm.section_columns import NO_PROBLEM, Columns

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_LONGEST = 1000
_DEEPEST = 50


class FilterError(QevmError):
    """The text is no expression.  ``str()`` says why and where; ``column`` counts from 1."""

    def __init__(self, message: str, column: int) -> None:
        super().__init__(f"column {column}: {message}")
        self.column = column


Test = Callable[[Columns], "NDArray[np.bool_]"]


@dataclass(frozen=True, slots=True)
class Filter:
    """An expression that was read.  ``asks_problems``: what it takes changes when problems are found."""

    text: str
    takes: Test = field(compare=False)
    asks_problems: bool = False


def read_filter(text: str) -> Filter:
    """The filter in ``text``.  Raises FilterError."""
    if len(text) > _LONGEST:
        raise FilterError(f"longer than {_LONGEST} characters", _LONGEST)
    reader = _Reader(text)
    return Filter(text.strip(), reader.read(), reader.asks_problems)


# -- reading --------------------------------------------------------------------------------------

_TOKEN = re.compile(
    r"\s*(?:(?P<bracket>[()])"
    r"|(?P<sign>[-!])(?=[^\s])"
    r'|(?P<quoted>"[^"]*"?)'
    r"|(?P<pair>(?P<key>[A-Za-z]+)(?P<operator>:|==|!=|<=|>=|=|<|>)(?P<value>\"[^\"]*\"?|[^\s()]*))"
    r"|(?P<word>[^\s()]+))"
)
_NUMBER = re.compile(r"(?P<number>0x[0-9a-f]+|[0-9]+(?:\.[0-9]+)?)(?P<unit>[kmgt]?)(?:i?b)?\Z", re.IGNORECASE)
_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "=": op.eq,
    "==": op.eq,
    ":": op.eq,
    "!=": op.ne,
    "<": op.lt,
    "<=": op.le,
    ">": op.gt,
    ">=": op.ge,
}
_NUMERIC = ("id", "instance", "version", "depth", "size", "offset")
_WORDY = ("type", "name", "confidence", "problem")
KEYS = (*_WORDY, *_NUMERIC)
"""What an expression can ask for."""


class _Reader:
    """Recursive descent: or, and, not, what is in brackets."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = [match for match in _TOKEN.finditer(text) if match.group().strip()]
        self._next = 0
        self.asks_problems = False

    def read(self) -> Test:
        if not self._tokens:
            raise FilterError("type an expression, e.g. type:FULL size>1k", 1)
        test = self._either(0)
        token = self._peek()
        if token is not None:
            raise FilterError("there is no ( to this )", self._column(token))
        return test

    def _peek(self) -> re.Match[str] | None:
        return self._tokens[self._next] if self._next < len(self._tokens) else None

    def _word(self) -> str:
        """The next token where it is a bare word, in lower case."""
        token = self._peek()
        return (token["word"] or "").lower() if token is not None else ""

    @staticmethod
    def _column(token: re.Match[str]) -> int:
        return token.end() - len(token.group().lstrip()) + 1

    def _either(self, depth: int) -> Test:
        tests = [self._all(depth)]
        while self._word() in ("or", "|", "||"):
            self._next += 1
            tests.append(self._all(depth))
        return tests[0] if len(tests) == 1 else _any(tests)

    def _all(self, depth: int) -> Test:
        tests = [self._not(depth)]
        while (token := self._peek()) is not None and token["bracket"] != ")":
            if self._word() in ("or", "|", "||"):
                break
            if self._word() in ("and", "&", "&&"):
                self._next += 1
            tests.append(self._not(depth))
        return tests[0] if len(tests) == 1 else _every(tests)

    def _not(self, depth: int) -> Test:
        token = self._peek()
        if token is None:
            raise FilterError("something is missing here", len(self._text.rstrip()) + 1)
        if depth > _DEEPEST:
            raise FilterError("nested too deep", self._column(token))
        if token["sign"] or self._word() == "not":
            self._next += 1
            return _none(self._not(depth + 1))
        if token["bracket"] == "(":
            self._next += 1
            inner = self._either(depth + 1)
            closing = self._peek()
            if closing is None:
                raise FilterError("this ( is not closed", self._column(token))
            self._next += 1
            return inner
        if token["bracket"] or self._word() in ("or", "and", "|", "||", "&", "&&"):
            raise FilterError("something is missing here", self._column(token))
        self._next += 1
        return self._term(token)

    def _term(self, token: re.Match[str]) -> Test:
        if token["quoted"]:
            return _holds(self._unquoted(token["quoted"], self._column(token)))
        if token["word"]:
            if token["word"].lower() == "problem":
                self.asks_problems = True
                return _problem(None)
            return _holds(token["word"])
        key, operator = token["key"].lower(), token["operator"]
        column = token.start("key") + 1
        value_at = token.start("value") + 1
        value = self._unquoted(token["value"], value_at)
        if key not in KEYS:
            raise FilterError(f"{key} is not one of {', '.join(KEYS)}; quote it to look for it", column)
        if not value:
            raise FilterError(f"{key} needs a value", value_at)
        if key in _NUMERIC:
            return _number(key, operator, _read_number(value, value_at))
        if operator not in (":", "=", "==", "!="):
            raise FilterError(f"{key} is no number: write {key}:{value}", token.start("operator") + 1)
        test = self._wordy(key, value, value_at)
        return _none(test) if operator == "!=" else test

    def _wordy(self, key: str, value: str, column: int) -> Test:
        if key == "name":
            return _named(value)
        if key == "problem":
            self.asks_problems = True
            return _problem(Severity(_one_of(value, column, [one.name for one in Severity])))
        values = value.split(",")
        if key == "type":
            kinds = [_one_of(one, column, [kind.name for kind in SectionKind]) for one in values]
            return lambda columns: _is_in(columns.kinds, kinds)
        labels = [confidence.label for confidence in Confidence]
        numbers = [_one_of(one, column, labels) for one in values]
        return lambda columns: _is_in(columns.confidences, numbers)

    @staticmethod
    def _unquoted(value: str, column: int) -> str:
        if not value.startswith('"'):
            return value
        if len(value) < 2 or not value.endswith('"'):
            raise FilterError('this " is not closed', column)
        return value[1:-1]


def _one_of(value: str, column: int, names: list[str]) -> int:
    """The number of the one name that is, or that alone begins with, ``value``."""
    wanted = value.casefold()
    known = [name.casefold() for name in names]
    if wanted in known:
        return known.index(wanted)
    begins = [number for number, name in enumerate(known) if wanted and name.startswith(wanted)]
    if len(begins) != 1:
        raise FilterError(f"{value or 'nothing'} is not one of {', '.join(names)}", column)
    return begins[0]


def _read_number(value: str, column: int) -> int | float:
    match = _NUMBER.match(value)
    if match is None:
        raise FilterError(f"{value} is no number: 12, 0x1f, 4k, 1.5M", column)
    unit = _UNITS[match["unit"].lower()]
    digits = match["number"].lower()
    if digits.startswith("0x"):
        return int(digits, 16) * unit
    return float(digits) * unit if "." in digits else int(digits) * unit


# -- tests over columns ---------------------------------------------------------------------------


def _any(tests: list[Test]) -> Test:
    def test(columns: Columns) -> NDArray[np.bool_]:
        taken = tests[0](columns)
        for one in tests[1:]:
            taken = taken | one(columns)
        return taken

    return test


def _every(tests: list[Test]) -> Test:
    def test(columns: Columns) -> NDArray[np.bool_]:
        taken = tests[0](columns)
        for one in tests[1:]:
            taken = taken & one(columns)
        return taken

    return test


def _none(inner: Test) -> Test:
    return lambda columns: ~inner(columns)


def _is_in(column: NDArray[np.uint8] | NDArray[np.int8], numbers: Sequence[int]) -> NDArray[np.bool_]:
    import numpy as np

    taken: NDArray[np.bool_] = np.isin(column, numbers)
    return taken


def _of_devices(columns: Columns, flags: Sequence[bool]) -> NDArray[np.bool_]:
    """Spread what is known of each device over its sections; sections without a device are not taken."""
    import numpy as np

    table = np.array([*flags, False])
    taken: NDArray[np.bool_] = table[np.minimum(columns.devices, len(flags)).astype("i8")]
    return taken


def _holds(word: str) -> Test:
    wanted = word.casefold()
    return lambda columns: _of_devices(
        columns, [wanted in device_id.casefold() for _, device_id in columns.names]
    )


def _named(pattern: str) -> Test:
    fits = re.compile(translate(pattern.casefold())).match

    def named(names: tuple[str, str]) -> bool:
        idstr, device_id = (name.casefold() for name in names)
        return any(fits(name) for name in (idstr, device_id, idstr.rpartition("/")[2]))

    return lambda columns: _of_devices(columns, [named(names) for names in columns.names])


def _problem(severity: Severity | None) -> Test:
    if severity is None:
        return lambda columns: ~_is_in(columns.problems, [NO_PROBLEM])
    return lambda columns: _is_in(columns.problems, [severity])


def _number(key: str, operator: str, number: int | float) -> Test:
    compare = _COMPARISONS[operator]
    if key in ("instance", "version"):
        which = 0 if key == "instance" else 1
        return lambda columns: _of_devices(
            columns, [bool(compare(numbers[which], number)) for numbers in columns.numbers]
        )

    def test(columns: Columns) -> NDArray[np.bool_]:
        import numpy as np

        column = {
            "id": columns.section_ids,
            "depth": columns.depths,
            "size": columns.sizes,
            "offset": columns.offsets,
        }[key]
        # Numbers beyond any file would not fit the column's type.
        taken = np.asarray(compare(column, min(number, 1 << 62)), dtype=bool)
        return taken & (column >= 0)

    return test
