"""CONFIGURATION, the section right behind the file header (stream-format §3)."""

from __future__ import annotations

from collections.abc import Callable

from qevm.bodies.protocol import BadBody
from qevm.bodies.records import FieldReader, read_fields
from qevm.constants import SectionType
from qevm.cursor import Cursor
from qevm.facts import StreamFacts
from qevm.field import Field, Role
from qevm.problems import Problem, Severity
from qevm.safetext import decode
from qevm.section import Section
from qevm.vmdesc import Vmsd

MAX_NAME = 255
MIN_PAGE_BITS, MAX_PAGE_BITS = 8, 16
_PRINTABLE = bytes(range(0x21, 0x7F))
_BEHIND_NAME = frozenset({SectionType.START, SectionType.FULL, SectionType.SUBSECTION, SectionType.COMMAND})
_OWNER = b"configuration/"
_PAGE_BITS = b"configuration/target-page-bits"
_CAPABILITIES = b"configuration/capabilities"
_UUID = b"configuration/uuid"

Describe = Callable[[], Vmsd | None]
"""Gives the description's ``configuration`` object, if there is one; asked only when it is needed."""


def scan_configuration(cursor: Cursor, facts: StreamFacts, describe: Describe | None = None) -> list[Problem]:
    """Move ``cursor`` from the byte behind ``07`` to the end of the section; note what it says in ``facts``.

    Sets machine, page_size, capabilities and uuid.  Returns what is wrong and did not stop
    the scan.  Raises BadBody where the end cannot be known, Truncated where the data ends.
    """
    problems: list[Problem] = []
    at = cursor.position
    length = cursor.be32()
    true_length = _name_length(cursor, length)
    if true_length is None:
        message = "the machine name in the configuration is too long to be one"
        raise BadBody(at, message, f"at most {MAX_NAME} bytes", f"{length:,}")
    name = cursor.take(true_length)
    if true_length != length:
        long = "is too long to be one" if length > MAX_NAME else "has another length"
        message = f"the machine name in the configuration {long}; read as '{decode(name)}'"
        problems.append(Problem(at, message, f"{true_length}", f"{length:,}"))
    elif not _is_name(name):
        problems.append(
            Problem(
                at + 4, "the machine name has bytes that no name has", "printable ASCII", decode(name[:40])
            )
        )
    facts.machine = decode(name)
    while cursor.peek(1) == bytes([SectionType.SUBSECTION]):
        _subsection(cursor, facts, describe, problems)
    return problems


def _name_length(cursor: Cursor, announced: int) -> int | None:
    """How long the machine name at ``cursor`` is, when its length field may lie.  None: no name at all.

    No name holds the byte that begins the next section or subsection: the printable run ends before it.
    """
    data = cursor.peek(MAX_NAME + 1)
    run = len(data) - len(data.lstrip(_PRINTABLE))
    fits = 0 < announced <= MAX_NAME and (announced >= len(data) or data[announced] in _BEHIND_NAME)
    if fits and _is_name(data[:announced]):
        return announced
    if 0 < run < len(data) and data[run] in _BEHIND_NAME:
        return run
    return announced if announced <= MAX_NAME else None


def _is_name(name: bytes) -> bool:
    return bool(name) and not name.strip(_PRINTABLE)


def _subsection(
    cursor: Cursor, facts: StreamFacts, describe: Describe | None, problems: list[Problem]
) -> None:
    at = cursor.position
    cursor.skip(1)
    name = cursor.cstr()
    version = cursor.be32()
    if not name.startswith(_OWNER):
        raise BadBody(
            at, "a subsection that is not one of the configuration", "configuration/…", decode(name[:60])
        )
    if version != 1 and name in (_PAGE_BITS, _CAPABILITIES, _UUID):
        problems.append(
            Problem(cursor.position - 4, f"{decode(name)} in an unknown version", "1", str(version))
        )
    body = cursor.position
    if name == _PAGE_BITS:
        bits = cursor.be32()
        if MIN_PAGE_BITS <= bits <= MAX_PAGE_BITS:
            facts.page_size, facts.page_size_from = 1 << bits, "configuration/target-page-bits"
        else:
            problems.append(
                Problem(
                    body,
                    "the configuration names a target page size that cannot be",
                    f"{MIN_PAGE_BITS}..{MAX_PAGE_BITS} bits",
                    f"{bits}",
                )
            )
    elif name == _CAPABILITIES:
        facts.capabilities = _capabilities(cursor)
    elif name == _UUID:
        facts.uuid = cursor.take(16)
    else:
        length = _described_length(name, describe)
        if length is None:
            raise BadBody(
                at, "an unknown subsection of the configuration, and no description of it", "", decode(name)
            )
        cursor.skip(length)
        problems.append(
            Problem(
                at,
                "an unknown subsection of the configuration, skipped by its description",
                "",
                decode(name),
                severity=Severity.NOTE,
            )
        )


def _capabilities(cursor: Cursor) -> list[str]:
    at = cursor.position
    count = cursor.be32()
    # Each takes a length byte at least: a count beyond the data is refused before any loop.
    if count > cursor.left:
        raise BadBody(at, "the configuration counts more capabilities than there are bytes", "", f"{count:,}")
    names = []
    for _ in range(count):
        start = cursor.position
        name = cursor.cstr()
        if not name:
            raise BadBody(start, "a capability without a name", "a name", "length 0")
        names.append(decode(name))
    return names


def _described_length(name: bytes, describe: Describe | None) -> int | None:
    vmsd = describe() if describe is not None else None
    if vmsd is None:
        return None
    wanted = decode(name)
    for sub in vmsd.subsections:
        if sub.name == wanted and not sub.lies:
            return sub.length
    return None


def configuration_fields(
    section: Section, facts: StreamFacts, describe: Describe | None = None
) -> list[Field]:
    """The decoded body of the CONFIGURATION section: name, then each subsection."""

    def read(reader: FieldReader) -> None:
        at = reader.position
        announced = reader.number("name_length", 4, "bytes of machine name", Role.LENGTH)
        length = _name_length(reader.cursor, announced)
        if length is None:
            raise BadBody(at, f"{announced:,} bytes cannot be the length of a machine name")
        start = reader.position
        name = reader.cursor.take(length)
        reader.fields.append(
            Field("machine", start, length, "string", decode(name), "machine type", role=Role.NAME)
        )
        while reader.cursor.left:
            _read_subsection(reader, describe)

    return read_fields(facts.source, section.body, section.body_end, read)


def _read_subsection(reader: FieldReader, describe: Describe | None) -> None:
    at, outer = reader.position, reader.fields
    reader.fields = []
    name, meaning, version = b"", "", None
    try:
        marker = reader.number("subsection", 1, role=Role.SUBSECTION)
        if marker != SectionType.SUBSECTION:
            raise BadBody(at, f"expected a subsection, found {marker:02x}")
        name = reader.text("name")
        version = reader.number("version_id", 4)
        meaning = _read_body(reader, name, describe)
    finally:
        inner, reader.fields = reader.fields, outer
        if inner:
            title = decode(name) or "subsection"
            outer.append(
                Field(
                    title, at, inner[-1].end - at, "subsection", None, meaning, inner, Role.SUBSECTION,
                    vmsd=title, version=version,
                )
            )  # fmt: skip
            reader.cursor.position = inner[-1].end


def _read_body(reader: FieldReader, name: bytes, describe: Describe | None) -> str:
    if name == _PAGE_BITS:
        bits = reader.number("page_bits", 4, "log2 of the target page size")
        return f"target pages of {1 << bits:,} bytes" if MIN_PAGE_BITS <= bits <= MAX_PAGE_BITS else ""
    if name == _CAPABILITIES:
        count = reader.number("count", 4, role=Role.LENGTH)
        if count > reader.cursor.left:
            raise BadBody(
                reader.position, f"{count:,} capabilities cannot be in {reader.cursor.left:,} bytes"
            )
        return ", ".join(
            decode(reader.text("capability", "changes how RAM is written")) for _ in range(count)
        )
    if name == _UUID:
        start = reader.position
        import uuid as uuids

        text = str(uuids.UUID(bytes=reader.cursor.take(16)))
        reader.fields.append(Field("uuid", start, 16, "uuid", text, "of the virtual machine"))
        return text
    length = _described_length(name, describe)
    if length is None:
        raise BadBody(reader.position, "an unknown subsection without a description")
    reader.raw("data", length)
    return "not known to qevm"
