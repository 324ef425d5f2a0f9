"""The words in which explanations are written: small rules, combined into tables.

A rule is called with a decoded field and changes its ``meaning``, ``name``, ``role`` or
``children``.  The modules of this package are tables of such rules; only here and in
:mod:`qevm.explain.engine` is there anything that acts on them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from qevm.explain.context import ExplainContext
from qevm.explain.units import duration
from qevm.explain.units import hertz as hertz
from qevm.explain.units import listed as listed
from qevm.explain.units import plural as plural
from qevm.explain.units import size_text as size_text
from qevm.field import Field, LazyFields, Role

Rule = Callable[[Field, ExplainContext], None]


@dataclass(frozen=True, slots=True)
class Bit:
    """A range of bits of a register: ``low`` is its lowest bit (LSB = 0), ``width`` how many.

    ``values`` names the values of a range.  A single bit without ``values`` is shown in the
    register's summary when it is set, a range when it is not zero or when its value has a name.
    ``text`` is said beside the bit itself.  A ``quiet`` range stays out of the summary.
    """

    low: int
    name: str
    width: int = 1
    values: Mapping[int, str] | None = None
    text: str = ""
    quiet: bool = False


@dataclass(frozen=True, slots=True)
class Struct:
    """What one vmsd's fields mean.

    ``fields`` maps vmstate field names to rules.  ``requires`` lists field names that must be
    there: many targets call their CPU ``cpu``.  ``versions`` limits the version_id when the same
    name changed its meaning.  ``after`` runs when all fields are explained: it may write the
    summary of the struct into its ``meaning`` and add derived lines.
    """

    name: str
    fields: Mapping[str, Rule] = field(default_factory=dict)
    requires: tuple[str, ...] = ()
    versions: range | None = None
    after: Rule | None = None


def add_meaning(item: Field, text: str) -> None:
    """Put ``text`` behind what the field's meaning says already."""
    if text and text not in item.meaning:
        item.meaning = f"{item.meaning}; {text}" if item.meaning else text


def rename(item: Field, name: str) -> None:
    """Give the field a better name and keep vmstate's as its alias."""
    if name != item.name:
        item.alias = item.alias or item.name
        item.name = name


def number(item: Field | None) -> int | None:
    """The integer value of a field; None for everything else (also for a field that is not there)."""
    if item is None or isinstance(item.value, bool) or not isinstance(item.value, int):
        return int(item.value) if item is not None and isinstance(item.value, bool) else None
    return item.value


def value_of(item: Field, name: str) -> int | None:
    """The integer value of the direct child ``name``, or None."""
    return number(item.child(name))


def unsigned(item: Field) -> int | None:
    """The field's value as the bit pattern that its bytes hold, or None when it is no integer."""
    value = number(item)
    return None if value is None else value & ((1 << (8 * item.size)) - 1)


def derived(name: str, source: Field, meaning: str, *, children: Sequence[Field] = ()) -> Field:
    """A line that follows from other fields: it has no bytes of its own."""
    return Field(name, source.offset, 0, "derived", meaning=meaning, children=children)


def add_derived(item: Field, *more: Field) -> None:
    """Put derived lines before the fields that they follow from (behind the section's header)."""
    first = 1 if item.children and item.children[0].type == "header" else 0
    item.children = [*item.children[:first], *more, *item.children[first:]]


def append_derived(item: Field, *more: Field) -> None:
    """Put derived lines behind the fields, before the subsections and the section's footer."""
    fields = list(item.children)
    end = len(fields)
    while end and (fields[end - 1].role is Role.SUBSECTION or fields[end - 1].type == "footer"):
        end -= 1
    item.children = [*fields[:end], *more, *fields[end:]]


def update_each(item: Field, change: Callable[[int, Field], Field]) -> None:
    """Pass each child through ``change(number, child)``; a lazy run stays lazy."""
    if isinstance(item.children, LazyFields):
        item.children = item.children.mapped(change)
    else:
        item.children = [change(i, child) for i, child in enumerate(item.children)]


def elements(item: Field) -> Sequence[Field]:
    """The elements of an array, or the field itself when an array of one was written as a scalar."""
    return item.children if item.type.endswith("]") else [item]


# ---------------------------------------------------------------- rules


def say(text: str) -> Rule:
    """Prose that holds for every value."""

    def rule(item: Field, _: ExplainContext) -> None:
        add_meaning(item, text)

    return rule


def label(name: str, *rules: Rule) -> Rule:
    """Rename the field, then apply ``rules``."""

    def rule(item: Field, context: ExplainContext) -> None:
        rename(item, name)
        for each_rule in rules:
            each_rule(item, context)

    return rule


def both(*rules: Rule) -> Rule:
    """All of the rules, in order."""

    def rule(item: Field, context: ExplainContext) -> None:
        for each_rule in rules:
            each_rule(item, context)

    return rule


def words(names: Mapping[int, str], otherwise: str = "") -> Rule:
    """A value that stands for a word."""

    def rule(item: Field, _: ExplainContext) -> None:
        value = number(item)
        if value is not None:
            add_meaning(item, names.get(value, otherwise))

    return rule


def say_if(value: int, text: str) -> Rule:
    """Prose for one value, nothing for the others."""
    return words({value: text})


def yes_no(yes: str, no: str = "") -> Rule:
    """Prose for nonzero and for zero."""

    def rule(item: Field, _: ExplainContext) -> None:
        value = number(item)
        if value is not None:
            add_meaning(item, yes if value else no)

    return rule


def shown(text: Callable[[int], str]) -> Rule:
    """Prose made from the (unsigned) value."""

    def rule(item: Field, _: ExplainContext) -> None:
        value = unsigned(item)
        if value is not None:
            add_meaning(item, text(value))

    return rule


def address(item: Field, _: ExplainContext) -> None:
    """An address: shown in hex only."""
    item.role = Role.ADDRESS


def nanoseconds(item: Field, _: ExplainContext) -> None:
    """A length of time in ns."""
    value = number(item)
    if value is not None:
        add_meaning(item, "none (-1)" if value == -1 else duration(value))


def moment(item: Field, context: ExplainContext) -> None:
    """A point in time in ns on QEMU's virtual clock; all ones = not armed (device-facts §1)."""
    value = unsigned(item)
    if value is None:
        return
    if value == (1 << 64) - 1:
        add_meaning(item, "not armed")
        return
    if value >> 63:
        value -= 1 << 64
    text = f"at {duration(value)}"
    if context.clock_ns is not None:
        left = value - context.clock_ns
        text += f", in {duration(left)}" if left >= 0 else f", {duration(-left)} ago"
    add_meaning(item, text)


def deadline(item: Field, context: ExplainContext) -> None:
    """A timer's expiry in ns on QEMU's virtual clock; all ones = not armed (device-facts §1)."""
    value = unsigned(item)
    if value is None:
        return
    if value == (1 << 64) - 1:
        add_meaning(item, "not armed")
        return
    if value >> 63:
        value -= 1 << 64
    text = f"expires at {duration(value)}"
    if context.clock_ns is not None:
        left = value - context.clock_ns
        text += f", in {duration(left)}" if left >= 0 else f", overdue {duration(-left)}"
    add_meaning(item, text)


def byte_count(item: Field, _: ExplainContext) -> None:
    """A size in bytes."""
    value = unsigned(item)
    if value is not None and value >= 1024:
        add_meaning(item, size_text(value))


def frequency(item: Field, _: ExplainContext) -> None:
    """A frequency in Hz."""
    value = unsigned(item)
    if value:
        add_meaning(item, hertz(value))


def mac_address(item: Field, _: ExplainContext) -> None:
    """Six bytes of Ethernet address, as a buffer or as an array."""
    data = raw_bytes(item)
    if len(data) >= 6:
        add_meaning(item, data[:6].hex(":"))


def raw_bytes(item: Field) -> bytes:
    """The bytes of a buffer or of an array of uint8."""
    if isinstance(item.value, bytes):
        return item.value
    if item.children and item.size == len(item.children) and item.size <= 1 << 16:
        return bytes((number(child) or 0) & 0xFF for child in item.children)
    return b""


def bits(*table: Bit, empty: str = "") -> Rule:
    """The bits of a register: a child for each, and the names of those set as the meaning.

    ``empty`` is said when nothing is set.  Set bits that the table does not know are named by a
    mask.
    """
    known = 0
    for bit in table:
        known |= ((1 << bit.width) - 1) << bit.low

    def rule(item: Field, _: ExplainContext) -> None:
        value = unsigned(item)
        if value is None:
            return
        add_meaning(item, bit_summary(value, table, known) or empty)
        item.children = [bit_field(item, value, bit) for bit in table if bit.low < item.size * 8]

    return rule


def bit_summary(value: int, table: Sequence[Bit], known: int) -> str:
    """The names of the bits that are set in ``value``, unknown ones as a mask."""
    parts = []
    for bit in table:
        if bit.quiet:
            continue
        part = value >> bit.low & ((1 << bit.width) - 1)
        word = (bit.values or {}).get(part)
        if bit.width == 1 and word is None:
            if part and bit.values is None:
                parts.append(bit.name)
        elif word is not None:
            if word:
                parts.append(f"{bit.name}={word}" if bit.name else word)
        elif part:
            parts.append(f"{bit.name}={part}")
    rest = value & ~known
    if rest:
        parts.append(f"+{rest:#x}")
    return " ".join(parts)


def bit_field(item: Field, value: int, bit: Bit) -> Field:
    """The child that stands for ``bit`` of the register ``item``, whose bit pattern is ``value``."""
    part = value >> bit.low & ((1 << bit.width) - 1)
    word = (bit.values or {}).get(part, "")
    return Field(
        bit.name or f"bits {bit.low}",
        item.offset,
        item.size,
        "bit" if bit.width == 1 else f"bits[{bit.width}]",
        part,
        "; ".join(text for text in (word, bit.text) if text),
        bits=(bit.low, bit.width),
    )


def one_bits(names: str, start: int = 0) -> tuple[Bit, ...]:
    """Single bits from ``start`` up, by names separated by blanks; ``-`` leaves a bit out."""
    return tuple(Bit(start + i, name) for i, name in enumerate(names.split()) if name != "-")


def each(*rules: Rule) -> Rule:
    """Apply rules to every element of an array (to the field itself when it is no array)."""

    def change(context: ExplainContext) -> Callable[[int, Field], Field]:
        def one(_: int, child: Field) -> Field:
            for each_rule in rules:
                each_rule(child, context)
            return child

        return one

    def rule(item: Field, context: ExplainContext) -> None:
        if item.type.endswith("]"):
            update_each(item, change(context))
        else:
            for each_rule in rules:
                each_rule(item, context)

    return rule


def names(*labels: str, rule: Rule | None = None, rules: Mapping[str, Rule] | None = None) -> Rule:
    """Name the elements of an array in order; then ``rule`` on all, ``rules`` on those with that name."""

    def apply(item: Field, context: ExplainContext) -> None:
        def one(index: int, child: Field) -> Field:
            if index < len(labels) and labels[index]:
                rename(child, labels[index])
            if rule is not None:
                rule(child, context)
            special = (rules or {}).get(child.name)
            if special is not None:
                special(child, context)
            return child

        if item.type.endswith("]"):
            update_each(item, one)
        else:
            one(0, item)

    return apply


def numbered(pattern: str, *, rule: Rule | None = None, first: int = 0) -> Rule:
    """Name the elements of an array by number: ``numbered("R{}")`` gives R0, R1, …"""

    def apply(item: Field, context: ExplainContext) -> None:
        def one(index: int, child: Field) -> Field:
            rename(child, pattern.format(index + first))
            if rule is not None:
                rule(child, context)
            return child

        if item.type.endswith("]"):
            update_each(item, one)

    return apply


def set_bits(text: str, none: str, start: int = 0, word_bits: int = 32) -> Rule:
    """An array of words that is one long bit vector: lists the numbers of the bits set."""

    def rule(item: Field, _: ExplainContext) -> None:
        numbers = bit_numbers([unsigned(child) or 0 for child in elements(item)], word_bits, start)
        add_meaning(item, f"{text} {listed(numbers)}" if numbers else none)

    return rule


def bit_numbers(vector: Sequence[int], word_bits: int = 32, start: int = 0) -> list[int]:
    """The numbers of the bits set in a vector of words, lowest word first."""
    return [
        start + word * word_bits + bit
        for word, value in enumerate(vector)
        if value
        for bit in range(word_bits)
        if value >> bit & 1
    ]


def reads(data: bytes, offset: int, size: int) -> int:
    """A little-endian integer of ``data``; bytes that are not there count as zero."""
    return int.from_bytes(data[offset : offset + size], "little")
