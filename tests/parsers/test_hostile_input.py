"""Files made to hurt: bombs, endless lengths, nests, names that attack a terminal."""

from __future__ import annotations

import json
import os
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import pytest
from counting_source import CountingSource
from stream_maker import Stream

from qevm import layout
from qevm.capture import Capture
from qevm.constants import Command
from qevm.problems import CannotOpen, Severity, SourceError
from qevm.section import SectionKind
from qevm.source import BytesSource
from qevm_tui.cli import main

MIB = 1 << 20
HUGE = 1 << 60


def be32(value: int) -> bytes:
    return value.to_bytes(4, "big")


def be64(value: int) -> bytes:
    return value.to_bytes(8, "big")


def begun(*, configuration: bytes = b"") -> Stream:
    made = Stream(footers=True, page_size=4096)
    made.add(b"QEVM\0\0\0\3" + configuration)
    return made


def ended(made: Stream, description: bytes | None = None) -> bytes:
    made.add(b"\0")
    if description is not None:
        made.add(layout.VmdescHeader.build({"length": len(description)}) + description)
    return bytes(made.data)


def described_by(description: bytes) -> bytes:
    """A stream with one device and any description."""
    made = begun()
    made.section(SectionKind.FULL, 3, "victim", 0, 1, bytes(range(64)))
    return ended(made, description)


def memory(body: bytes, *, configuration: bytes = b"") -> bytes:
    """A stream whose RAM consists of one block, and a PART with ``body``."""
    made = begun(configuration=configuration)
    blocks = be64(0x100000 | 4) + b"\6pc.ram" + be64(0x100000) + be64(0x10)
    made.section(SectionKind.START, 1, "ram", 0, 4, blocks)
    made.section(SectionKind.PART, 1, "ram", 0, 4, body)
    made.section(SectionKind.END, 1, "ram", 0, 4, be64(0x10))
    return ended(made)


@contextmanager
def no_more_than(size: int) -> Iterator[None]:
    """Memory: ``size`` bytes at the most, whatever the lengths in the file say."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < size
    finally:
        tracemalloc.stop()


def looked_through(data: bytes) -> Capture:
    """Walk, decode, analyze; the work is bounded and rows tile the stream."""
    source = CountingSource(data)
    capture = Capture(source)
    capture.walk_all()
    assert source.bytes_read <= 8 * len(data) + 1024 * len(capture.index) + MIB
    last = [row for row in range(len(capture.index)) if not capture.index.depth(row)][-1]
    assert capture.index.ends[last] == len(data)
    for section in islice(capture.index, 500):
        for _ in capture.decode(section).walk(2000):
            pass
    json.dumps(capture.analyze())
    return capture


def messages(capture: Capture) -> str:
    return "\n".join(p.message for p in capture.problems if p.severity > Severity.NOTE)


def field(**keys: object) -> dict[str, object]:
    return {"name": "f", "type": "uint8", "size": 64} | keys


def device(*fields: dict[str, object], **keys: object) -> bytes:
    one = {"name": "victim", "instance_id": 0, "vmsd_name": "victim", "version": 1, "fields": fields} | keys
    return json.dumps({"page_size": 4096, "devices": [one]}).encode()


BOMBS = {
    "arrays in arrays": b'{"devices": ' + b"[" * 200_000,
    "objects in objects": b'{"devices": [' + b'{"name": "a", "instance_id": ' * 40_000,
    "a long row of damaged devices": b'{"devices": [' + b'{"name":"a","instance_id":0,"x":[' * 20_000,
    "no end of a string": b'{"devices": ["' + b"\\u0041" * 100_000,
    "a number of 100,000 digits": b'{"page_size": ' + b"9" * 100_000 + b', "devices": []}',
    "not a number": b'{"page_size": NaN, "devices": []}',
    "infinity": b'{"page_size": 4096, "devices": [], "x": -Infinity}',
    "floats": device(field(size=64.0)),
    "a negative size": device(field(size=-64)),
    "a size of 2^63": device(field(size=1 << 63)),
    "a size as text": device(field(size="64")),
    "10^12 elements": device(field(size=1, array_len=10**12)),
    "devices are no list": b'{"devices": {"name": "victim"}}',
    "nothing but null": b"null",
    "a list": b"[1, 2, 3]",
    "structs in structs": device(
        json.loads('{"name":"s","type":"struct","size":64,"struct":{"fields":[' * 100 + "]}}" * 100)
    ),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_description_that_is_a_bomb_is_refused_and_the_devices_are_found_without_it(name: str) -> None:
    with no_more_than(40 * MIB):
        capture = looked_through(described_by(BOMBS[name]))
    assert "description" in messages(capture)
    assert [one.device_id for one in capture.index.devices] == ["victim@0"]


LIES = {
    "2^31 empty elements": device(field(size=64), field(name="e", size=0, array_len=(1 << 31) - 1)),
    "2^31 pointers": device(field(type="struct", struct={}, size=1, array_len=(1 << 31) - 1)),
    "2^40 bytes": device(field(size=(1 << 40) - 1)),
    "2^71 bytes": device(field(size=(1 << 40) - 1, array_len=(1 << 31) - 1)),
    "a wide integer": device(field(type="int8", size=64)),
    "a wide bool": device(field(type="bool", size=64)),
    "a marker of 64 bytes": device(field(type="nullptr", size=64)),
    "a tree of lies": device(field(type="gtree", size=64)),
    "a list of empty structs": device(field(type="qtailq", size=64, vmsd_name="x", version=1, fields=[])),
    "empty fields in empty fields": device(
        field(type="struct", size=1, array_len=64, struct={"fields": [field(size=0, array_len=999)] * 500})
    ),
}


@pytest.mark.parametrize("name", LIES)
def test_a_description_that_lies_costs_no_more_than_its_bytes(name: str) -> None:
    with no_more_than(80 * MIB):
        capture = looked_through(described_by(LIES[name]))
    assert [one.device_id for one in capture.index.devices] == ["victim@0"]


def test_every_key_of_a_device_may_come_twice() -> None:
    text = device(field()).decode()
    twice = text.replace('"version": 1,', '"version": 1, "version": 1, "fields": [], "name": "other",')
    capture = looked_through(described_by(twice.encode()))
    assert [one.device_id for one in capture.index.devices] == ["victim@0"]


def test_a_page_that_inflates_to_megabytes_is_refused_in_the_space_of_a_page() -> None:
    bomb = zlib.compress(bytes(2 * MIB), 9)
    assert len(bomb) < 4096
    record = be64(0x100) + b"\6pc.ram" + be32(len(bomb)) + bomb + be64(0x10)
    with no_more_than(8 * MIB):
        capture = looked_through(memory(record))
        said = [p.message for p in capture.packed_page_problems()]
    assert ["inflates to more than 4096" in text for text in said] == [True]


def test_packages_are_opened_four_deep_and_no_deeper() -> None:
    inside = b""
    for _ in range(50):
        inside = (
            layout.CommandHeader.build({"command": Command.PACKAGED, "length": 4})
            + layout.Packaged.build({"length": len(inside)})
            + inside
        )
    capture = looked_through(b"QEVM\0\0\0\3" + inside + b"\0")
    assert max(section.depth for section in capture.index) == 4
    assert "nested deeper than 4" in messages(capture)


MAPPED = (
    layout.Configuration.build({"name_length": 2, "name": b"pc"})
    + layout.SubsectionHeader.build(
        {"name_length": 26, "name": b"configuration/capabilities", "version_id": 1}
    )
    + be32(1)
    + layout.CountedString.build(b"mapped-ram")
)


def mapped(version: int, page_size: int, bitmap: int, pages: int, length: int = 0x100000) -> bytes:
    made = begun(configuration=MAPPED)
    header = layout.MappedRamHeader.build(
        {"header_version": version, "page_size": page_size, "bitmap_offset": bitmap, "pages_offset": pages}
    )
    body = be64(length | 4) + b"\6pc.ram" + be64(length) + header + bytes(64) + be64(0x10)
    made.section(SectionKind.START, 1, "ram", 0, 4, body)
    return ended(made)


def section(idstr: str, kind: SectionKind, body: bytes) -> bytes:
    made = begun()
    if kind is not SectionKind.FULL:
        made.section(SectionKind.START, 9, idstr, 0, 1, {"spapr/htab": be32(20)}.get(idstr, be64(1)))
    made.section(kind, 9, idstr, 0, 1, body)
    return ended(made)


ENDLESS = {
    "machine name": b"QEVM\0\0\0\3\7\xff\xff\xff\xff" + b"pc",
    "capabilities": b"QEVM\0\0\0\3" + MAPPED[: -15] + b"\xff\xff\xff\xff" + bytes(64),
    "description": ended(begun()) + b"\6\xff\xff\xff\xff{",
    "package": b"QEVM\0\0\0\3\x08\0\7\0\4\xff\xff\xff\xff",
    "discard": b"QEVM\0\0\0\3\x08\0\6\xff\xff",
    "block": memory(be64(HUGE | 8) + b"\6pc.ram" + bytes(4096) + be64(0x10)),
    "block length": begun().data + b"\1" + be32(1) + b"\3ram" + be32(0) + be32(4) + be64(HUGE | 4)
    + b"\6pc.ram" + be64(HUGE) + be64(0x10),
    "block lengths beyond 2^64": begun().data + b"\1" + be32(1) + b"\3ram" + be32(0) + be32(4)
    + be64(HUGE | 4) + (b"\1a" + b"\xff" * 8) * 9 + be64(0x10),
    "page": memory(be64(8) + b"\6pc.ram" + bytes(100)),
    "compressed page": memory(be64(0x100) + b"\6pc.ram" + be32(0xFFFFFFFF) + be64(0x10)),
    "xbzrle": memory(be64(0x40) + b"\6pc.ram\1\xff\xff" + be64(0x10)),
    "mapped page size": mapped(1, HUGE, 200, MIB),
    "mapped bitmap": mapped(1, 4096, HUGE, MIB),
    "mapped pages": mapped(1, 4096, 200, HUGE),
    "mapped block": mapped(1, 4096, 200, MIB, HUGE),
    "mapped page size of 0": mapped(1, 0, 200, MIB),
    "hash table": section("spapr/htab", SectionKind.PART, be64(0) + b"\xff" * 4 + bytes(12)),
    "hash table size": section("spapr/htab", SectionKind.END, be32(0x7FFFFFFF)),
    "storage attributes": section("s390-storage_attributes", SectionKind.PART, be64(2) + be64(HUGE)),
    "storage keys": section("s390-skeys", SectionKind.FULL, be64(2) + be64(HUGE)),
    "dirty bitmap": section(
        "dirty-bitmap", SectionKind.PART,
        b"\x1c\1d\1b" + be32(512) + b"\1" + b"\x40" + be64(0) + be32(0xFFFFFFFF) + be64(HUGE),
    ),
    "block migration": section("block", SectionKind.PART, be64(HUGE | 1) + b"\2dd"),
    "vfio": section("0000:00:06.0/vfio", SectionKind.PART, be64(0xFFFFFFFFEF100004) + be64(HUGE)),
    "slirp": section("slirp", SectionKind.FULL, b"\x2a" + b"\xff" * 200),
}  # fmt: skip


@pytest.mark.parametrize("name", ENDLESS)
def test_no_length_is_believed_before_the_bytes_are_there(name: str) -> None:
    with no_more_than(24 * MIB):
        capture = looked_through(bytes(ENDLESS[name]))
    assert messages(capture)


def test_200_000_tiny_sections_are_rows_not_objects() -> None:
    made = begun()
    made.section(SectionKind.START, 1, "ram", 0, 4, be64(0x1000 | 4) + b"\1r" + be64(0x1000) + be64(0x10))
    part = b"\2" + be32(1) + be64(0x10) + b"\x7e" + be32(1)
    made.add(part * 200_000)
    made.section(SectionKind.END, 1, "ram", 0, 4, be64(0x10))
    data = ended(made)
    with no_more_than(40 * MIB):
        capture = looked_through(data)
    assert len(capture.index) == 200_004


def test_thousands_of_devices_that_nobody_describes_are_found_in_bounded_work() -> None:
    made = begun()
    for number in range(3000):
        made.section(SectionKind.FULL, number, f"device{number}", 0, 1, b"\x80" * 9)
    capture = looked_through(ended(made))
    assert len(capture.index.devices) == 3000
    assert not messages(capture)


def test_thousands_of_footers_of_a_chain_that_never_started_are_searched_once() -> None:
    capture = looked_through(b"QEVM\0\0\0\3" + (b"\2" + be32(7) + be64(0x10) + b"\x7e" + be32(7)) * 5000)
    assert "never started" in messages(capture)


EVIL = "\x1b[2J\x9b31m\u202eevil\u2066\r\n[b]x[/b]"


@pytest.mark.parametrize("command", [["check"], ["ls"], ["show", "--all"], ["analyze"]])
def test_no_name_reaches_the_terminal_as_it_is(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "evil-" + EVIL
    raw = name.encode()
    made = begun(configuration=layout.Configuration.build({"name_length": len(raw), "name": raw}))
    blocks = be64(0x1000 | 4) + layout.CountedString.build(raw) + be64(0x1000) + be64(0x10)
    made.section(SectionKind.START, 1, "ram", 0, 4, blocks)
    made.section(SectionKind.END, 1, "ram", 0, 4, be64(8) + layout.CountedString.build(raw) + bytes(9))
    header = b"\4" + be32(5) + layout.CountedString.build(raw) + be32(0) + be32(1)
    made.add(header + bytes(8) + b"\x7e" + be32(5))
    described = {
        "name": name, "instance_id": 0, "vmsd_name": name, "version": 1,
        "fields": [{"name": name, "type": name, "size": 8}],
        "subsections": [{"vmsd_name": name, "version": 1, "fields": []}],
    }  # fmt: skip
    path = tmp_path / "evil.bin"
    path.write_bytes(ended(made, json.dumps({"page_size": 4096, "devices": [described]}).encode()))
    subcommand, *options = command
    sections = ["0", "1", "2", "3", "4", "5"] if subcommand == "show" else [None]
    for wanted in sections:
        main([subcommand, str(path), *([wanted] if wanted else []), *options])
    printed = capsys.readouterr()
    for mark in "\x1b\x9b\u202e\u2066\r":
        assert mark not in printed.out + printed.err


def test_a_terabyte_of_nothing_is_refused_or_walked_without_reading_it(tmp_path: Path) -> None:
    path = tmp_path / "hole.bin"
    path.touch()
    os.truncate(path, 1 << 40)
    with pytest.raises(CannotOpen, match="zero"):
        Capture.open(path)
    with path.open("r+b") as file:
        file.write(b"QEVM\0\0\0\3")
    capture = Capture.open(path)
    capture.walk_all()
    assert "EOF before any section" in messages(capture)
    assert capture.index[-1].end == 1 << 40


def test_a_terabyte_of_nothing_inside_ram_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "hole.bin"
    data = memory(be64(0x8 | 0x10000) + b"\6pc.ram")
    path.write_bytes(data)
    os.truncate(path, 1 << 40)
    with path.open("r+b") as file:
        file.seek(-len(data), os.SEEK_END)
        file.write(data[8:])
    capture = Capture.open(path)
    capture.walk_all()
    assert messages(capture)
    assert capture.index[-1].end == 1 << 40


def test_what_is_no_file_is_refused_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "locked").write_bytes(b"QEVM\0\0\0\3")
    (tmp_path / "locked").chmod(0)
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    wanted = {"fifo": "pipe", ".": "directory", "missing": "No such file", "loop": "symbolic links"}
    if os.geteuid():
        wanted["locked"] = "Permission denied"
    for name, why in wanted.items():
        assert main(["check", str(tmp_path / name)]) == 2
        said = capsys.readouterr().err
        assert why in said
        assert said.count("\n") == 1
    assert main(["check", "/dev/null"]) == 2
    assert "pipe or a device" in capsys.readouterr().err


def test_a_file_that_shrinks_under_the_walk_is_an_error_of_its_own(
    tmp_path: Path, capture_path: Callable[[str], Path]
) -> None:
    path = tmp_path / "shrinks.bin"
    path.write_bytes(capture_path("pc-no-vmdesc").read_bytes())
    capture = Capture.open(path)
    os.truncate(path, 100_000)
    with pytest.raises(SourceError, match="cut while open"):
        capture.walk_all()


def test_bytes_behind_a_closed_source_are_gone_quietly() -> None:
    source = BytesSource(b"QEVM\0\0\0\3")
    source.close()
    assert source.read(0, 8) == b""
