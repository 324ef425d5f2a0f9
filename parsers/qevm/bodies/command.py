"""COMMAND sections (stream-format §9)."""

from __future__ import annotations

from dataclasses import dataclass

from qevm.bodies.protocol import BadBody
from qevm.bodies.records import FieldReader, read_fields
from qevm.constants import Command
from qevm.cursor import Cursor
from qevm.facts import StreamFacts
from qevm.field import Field, Role
from qevm.problems import Problem, Severity
from qevm.source import Source

HEADER_SIZE = 5
"""``08``, be16 command, be16 length."""

_LENGTHS = {
    Command.OPEN_RETURN_PATH: (0,),
    Command.PING: (4,),
    Command.POSTCOPY_ADVISE: (0, 16),
    Command.POSTCOPY_LISTEN: (0,),
    Command.POSTCOPY_RUN: (0,),
    Command.PACKAGED: (4,),
    Command.ENABLE_COLO: (0,),
    Command.POSTCOPY_RESUME: (0,),
    Command.SWITCHOVER_START: (0,),
}
_MEANINGS = {
    Command.INVALID: "never written",
    Command.OPEN_RETURN_PATH: "the destination is to open the channel back to the source",
    Command.PING: "the destination is to answer with this number",
    Command.POSTCOPY_ADVISE: "postcopy phase 1, advise: postcopy may follow, both sides compare page sizes",
    Command.POSTCOPY_LISTEN: "postcopy phase 3, listen: the destination is to catch its page faults",
    Command.POSTCOPY_RUN: "postcopy phase 4, run: the guest starts on the destination",
    Command.POSTCOPY_RAM_DISCARD: "postcopy phase 2, discard: pages that are stale until they are sent again",
    Command.PACKAGED: "a nested stream with the devices follows",
    Command.ENABLE_COLO: "checkpoints (COLO) follow",
    Command.POSTCOPY_RESUME: "postcopy goes on after a broken connection",
    Command.RECV_BITMAP: "the destination is to send back which pages of a block it has",
    Command.SWITCHOVER_START: "the guest was stopped: what is left follows (QEMU 10.0 and later)",
}
_COMMANDS = {int(command): command for command in Command}
_RANGE = 16


@dataclass(frozen=True, slots=True)
class CommandInfo:
    """One command as the walk needs it.

    ``command`` is the number, which may be unknown to :class:`Command`.  ``length`` is that of the payload in
    bytes.  ``package_length`` is None but for PACKAGED: that many bytes of a nested stream
    follow the payload.
    """

    command: int
    length: int
    package_length: int | None
    problems: tuple[Problem, ...]

    @property
    def name(self) -> str:
        """QEMU's name of the command, or its number."""
        return command_name(self.command)


def command_name(command: int) -> str:
    """QEMU's name of a command, ``command N`` for one that is not known."""
    known = _COMMANDS.get(command)
    return f"command {command}" if known is None else known.name


def command_meaning(command: int) -> str:
    """What a command is for, in words; empty for one that is not known."""
    known = _COMMANDS.get(command)
    return "" if known is None else _MEANINGS[known]


def scan_command(cursor: Cursor, facts: StreamFacts) -> CommandInfo:
    """Move ``cursor`` from the byte behind ``08`` to the end of the payload.

    For PACKAGED that is the first byte of the package.  Notes in ``facts`` what later bytes depend on: page
    sizes of ADVISE, the begin of the postcopy phase.  Raises BadBody for command 0 and where
    a payload's length makes what follows unknowable, Truncated where the data ends.
    """
    at = cursor.position - 1
    number = cursor.be16()
    length = cursor.be16()
    if number == Command.INVALID:
        raise BadBody(at + 1, "a command that is never written", "command 1..11", "0 INVALID")
    body = cursor.position
    command = _COMMANDS.get(number)
    if command is None:
        cursor.skip(length)
        unknown = Problem(
            at,
            f"an unknown command, skipped by its length of {length:,} bytes",
            "command 1..11",
            f"{number}",
            severity=Severity.WARNING,
        )
        return CommandInfo(number, length, None, (unknown,))
    allowed = _LENGTHS.get(command)
    if allowed is not None and length not in allowed:
        expected = " or ".join(map(str, allowed))
        message = f"command {command.name} with a payload of the wrong length"
        if command is Command.PACKAGED:
            raise BadBody(at + 3, message, expected, str(length))
        cursor.skip(length)
        return CommandInfo(number, length, None, (Problem(at + 3, message, expected, str(length)),))
    payload = cursor.take(length)
    if command is Command.PACKAGED:
        return CommandInfo(number, length, int.from_bytes(payload, "big"), ())
    return CommandInfo(number, length, None, tuple(_note(command, payload, body, facts)))


def _note(command: Command, payload: bytes, body: int, facts: StreamFacts) -> list[Problem]:
    """Take over into ``facts`` what a payload says; what is wrong with it."""
    if command is Command.POSTCOPY_ADVISE and payload:
        facts.page_size_summary = int.from_bytes(payload[:8], "big")
        page_size = int.from_bytes(payload[8:], "big")
        if page_size & (page_size - 1) or not 256 <= page_size <= 65536:
            return [
                Problem(
                    body + 8,
                    "POSTCOPY_ADVISE names a page size that cannot be",
                    "a power of two",
                    f"{page_size:,}",
                )
            ]
        if facts.page_size is None:
            facts.page_size, facts.page_size_from = page_size, "POSTCOPY_ADVISE"
        elif facts.page_size != page_size:
            return [
                Problem(
                    body + 8,
                    f"POSTCOPY_ADVISE names another page size than {facts.page_size_from or 'before'}",
                    f"{facts.page_size:,}",
                    f"{page_size:,}",
                )
            ]
    elif command in (Command.POSTCOPY_LISTEN, Command.POSTCOPY_RUN):
        facts.postcopy_running = True
    elif command is Command.RECV_BITMAP and (not payload or payload[0] != len(payload) - 1):
        return [
            Problem(
                body, "RECV_BITMAP whose name does not fill its payload", "1 + n bytes", f"{len(payload)}"
            )
        ]
    elif command is Command.POSTCOPY_RAM_DISCARD:
        return _check_discard(payload, body)
    return []


def _check_discard(payload: bytes, body: int) -> list[Problem]:
    if len(payload) < 3 or len(payload) < 3 + payload[1] or not payload[1]:
        return [Problem(body, "POSTCOPY_RAM_DISCARD is too short for its name", "", f"{len(payload)} bytes")]
    if payload[0]:
        return [Problem(body, "POSTCOPY_RAM_DISCARD of an unknown version", "0", str(payload[0]))]
    end = 3 + payload[1]
    if payload[end - 1]:
        return [
            Problem(
                body + end - 1,
                "the block name in POSTCOPY_RAM_DISCARD has no end",
                "00",
                f"{payload[end - 1]:02x}",
            )
        ]
    if (len(payload) - end) % _RANGE:
        return [
            Problem(
                body + end,
                "the ranges of POSTCOPY_RAM_DISCARD are cut",
                f"a multiple of {_RANGE} bytes",
                f"{len(payload) - end}",
            )
        ]
    return []


def command_fields(source: Source, offset: int, limit: int) -> list[Field]:
    """The Fields of one command: header and payload.

    ``offset`` is that of the ``08`` byte, ``limit`` the end of the payload (of the package for PACKAGED; the
    package itself belongs to the sections inside it and has no Field here).
    """
    header = source.read(offset, HEADER_SIZE)
    end = min(limit, offset + HEADER_SIZE + int.from_bytes(header[3:5], "big"))
    return read_fields(source, offset, end, _read_command)


def _read_command(reader: FieldReader) -> None:
    reader.number("type", 1, "COMMAND", Role.HEADER)
    number = reader.number("command", 2, command_name)
    length = reader.number("length", 2, "bytes of payload", Role.LENGTH)
    command = _COMMANDS.get(number)
    if command is None:
        reader.raw("payload", length, "of an unknown command")
        return
    allowed = _LENGTHS.get(command)
    if allowed is not None and length not in allowed:
        raise BadBody(reader.position, f"{command.name} has no payload of {length:,} bytes")
    if command is Command.PING:
        reader.number("sequence", 4, "answered by PONG on the return path")
    elif command is Command.POSTCOPY_ADVISE and length:
        reader.number("page_size_summary", 8, _page_sizes)
        reader.number("target_page_size", 8, lambda value: f"{value:,} bytes")
    elif command is Command.PACKAGED:
        reader.number("package_length", 4, "bytes of nested stream that follow", Role.LENGTH)
    elif command is Command.RECV_BITMAP:
        reader.text("block", "RAM block")
    elif command is Command.POSTCOPY_RAM_DISCARD:
        _read_discard(reader)


def _read_discard(reader: FieldReader) -> None:
    reader.number("version", 1)
    reader.text("block", "RAM block")
    reader.number("terminator", 1, "end of the name")
    while reader.cursor.left:
        at = reader.position
        start = int.from_bytes(reader.cursor.take(8), "big")
        try:
            length = int.from_bytes(reader.cursor.take(8), "big")
        finally:
            reader.cursor.position = at
        inner = FieldReader(reader.cursor.source, at, reader.cursor.limit)
        inner.number("start", 8, "byte offset in the block", Role.ADDRESS)
        inner.number("length", 8, "bytes", Role.LENGTH)
        reader.cursor.skip(_RANGE)
        meaning = f"0x{start:x}..0x{start + length:x}, {length:,} bytes, stale until sent again"
        reader.fields.append(Field("range", at, _RANGE, "struct", None, meaning, inner.fields))


def _page_sizes(summary: int) -> str:
    sizes = [1 << bit for bit in range(summary.bit_length()) if summary >> bit & 1]
    return "RAM pages of " + ", ".join(f"{size:,}" for size in sizes) + " bytes" if sizes else "none"


def command_summary(source: Source, offset: int, limit: int) -> str:
    """One short phrase for the tree.  Arguments as for :func:`command_fields`."""
    fields = command_fields(source, offset, limit)
    found = {item.name: item for item in fields}
    if "command" not in found:
        return ""
    number = _number(found["command"])
    command, name = _COMMANDS.get(number), command_name(number)
    if command is Command.PING and "sequence" in found:
        return f"{name} {_number(found['sequence'])}"
    if command is Command.POSTCOPY_ADVISE:
        if "page_size_summary" not in found:
            return f"{name}: only dirty bitmaps may follow in postcopy"
        return f"{name}: {found['page_size_summary'].meaning}"
    if command is Command.PACKAGED and "package_length" in found:
        return f"{name}: {_number(found['package_length']):,} bytes of nested stream"
    if command is Command.POSTCOPY_RAM_DISCARD and "block" in found:
        ranges = [item for item in fields if item.name == "range"]
        total = sum(_number(item.children[1]) for item in ranges)
        return f"{name}: {found['block'].value!s} {len(ranges):,} ranges, {total:,} bytes"
    if command is Command.RECV_BITMAP and "block" in found:
        return f"{name}: {found['block'].value!s}"
    return name


def _number(item: Field) -> int:
    return item.value if isinstance(item.value, int) else 0
