"""What a file is gets told by its content, and what is no stream gets one clear line."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest

from qevm.containers import find_stream, open_streams
from qevm.problems import CannotOpen, Severity
from qevm.source import BytesSource


def refusal(data: bytes) -> str:
    with pytest.raises(CannotOpen) as caught:
        open_streams(BytesSource(data, "guest"))
    text = str(caught.value)
    assert "\n" not in text
    assert text.startswith("guest: ")
    return text


def test_a_bare_stream_is_found_at_its_first_byte(stream: bytes, tmp_path: Path) -> None:
    path = tmp_path / "misleading.gz"
    path.write_bytes(stream)
    opened = open_streams(path)
    assert (opened.stream.base, opened.container.kind) == (0, "")
    assert opened.stream.source.read(0, len(stream) + 1) == stream
    assert opened.stream.file_offset(17) == 17
    assert opened.problems == []
    opened.close()


def test_a_stream_behind_something_unknown_keeps_the_offsets_of_the_file(stream: bytes) -> None:
    opened = open_streams(BytesSource(b"\x5a" * 12345 + stream))
    assert opened.stream.base == 12345
    assert opened.stream.source.read(12345, len(stream)) == stream
    note = opened.stream.problems[0]
    assert note.severity is Severity.NOTE
    assert "0x3039" in note.message


def test_a_stream_exactly_1_mib_behind_is_found_and_one_byte_later_is_not(stream: bytes) -> None:
    assert open_streams(BytesSource(bytes(1 << 20) + stream)).stream.base == 1 << 20
    assert "--offset" in refusal(bytes((1 << 20) + 1) + stream)


def test_an_explicit_offset_reaches_any_place_and_is_not_searched_around(stream: bytes) -> None:
    far = BytesSource(bytes((3 << 20) + 7) + stream)
    assert open_streams(far, offset=(3 << 20) + 7).stream.base == (3 << 20) + 7
    with pytest.raises(CannotOpen, match=r"0x300006: expected 51 45 56 4d \(QEVM\), found 00 51 45 56"):
        open_streams(far, offset=(3 << 20) + 6)


def test_a_magic_that_no_section_follows_is_passed_over(stream: bytes) -> None:
    decoy = b"....QEVM\0\0\0\3\x41\x41\x41\x41" + b"QEVM\0\0\0\2\7" + bytes(100)
    assert open_streams(BytesSource(decoy + stream)).stream.base == len(decoy)


def test_the_stream_behind_another_is_found_from_where_the_first_ended(stream: bytes, small) -> None:  # type: ignore[no-untyped-def]
    second = small("none-machine")
    both = BytesSource(stream + bytes(512) + second)
    assert find_stream(both, len(stream)) == len(stream) + 512
    assert find_stream(both, len(stream), limit=511) is None
    assert find_stream(both, len(stream) + 513) is None


@pytest.mark.parametrize("distance", [(1 << 18) - 7, (1 << 18) - 1, 1 << 18, (1 << 18) + 1])
def test_a_header_across_a_window_of_the_search_is_found(stream: bytes, distance: int) -> None:
    assert find_stream(BytesSource(bytes(distance) + stream), 0, limit=None) == distance


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "the file is empty, the header needs 8"),
        (b"QEVM\0\0\0", "the file has 7 bytes, the header needs 8"),
        (b"Q", "the file has 1 byte, the header needs 8"),
        (b"QEVM\0\0\0\2" + bytes(50), "stream version 2 at 0x4 is obsolete"),
        (b"QEVM\0\0\0\x63" + bytes(50), "stream version 99 at 0x4 is unknown, expected 3"),
        (b"MVEQ\3\0\0\0" + bytes(50), "bytes were swapped (MVEQ for QEVM)"),
        (b"\x7fELF\2\1\1" + bytes(50), "an ELF core dump (dump-guest-memory"),
        (b"KDUMP   " + bytes(50), "kdump-compressed memory dump"),
        (b"QCPR\0\0\0\1" + bytes(50), "CPR state side channel"),
        (b"\x11\x22\x33\x44\0\0\0\1" + bytes(50), "a multifd channel"),
        (bytes(5000), "zeros only, no QEVM in the first 5000 bytes"),
        (b"#!/bin/sh\necho hello\n", "this is text ('#!/bin/sh')"),
        ("größe: 10 µs\n".encode() * 400, "this is text"),
        (b"PK\x03\x04" + bytes(50), "a zip archive"),
        (bytes(510) + b"\x55\xaa" + b"\1" * 600, "looks like a raw disk image"),
        (b"\xde\xad\xbe\xef\xff" + bytes(50), "expected 51 45 56 4d (QEVM) at 0x0, found de ad be ef"),
    ],
)
def test_what_is_no_stream_is_named(data: bytes, words: str) -> None:
    assert words in refusal(data)


def test_a_file_with_a_stream_inside_an_elf_core_is_not_mistaken_for_a_stream(stream: bytes) -> None:
    assert "ELF" in refusal(b"\x7fELF" + bytes(60) + stream)


def test_a_sparse_file_of_a_tebibyte_is_refused_without_reading_its_holes(tmp_path: Path) -> None:
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    before = os.times().elapsed
    with pytest.raises(CannotOpen, match="zeros only, no QEVM in the first 1048576 bytes"):
        open_streams(path)
    assert os.times().elapsed - before < 2


def test_directories_pipes_devices_and_missing_files_are_told_apart(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path, words in (
        (tmp_path, "is a directory"),
        (tmp_path / "fifo", "is a pipe, need a seekable file; to read it whole: cat"),
        (Path("/dev/null"), "need a seekable file"),
        (tmp_path / "absent", "No such file"),
    ):
        with pytest.raises(CannotOpen) as caught:
            open_streams(path)
        assert words in str(caught.value)
        assert str(caught.value).count(str(path)) <= 2


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
def test_a_file_that_may_not_be_read_says_so(stream: bytes, tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_bytes(stream)
    path.chmod(0)
    with pytest.raises(CannotOpen, match="Permission denied"):
        open_streams(path)


def test_skippable_frames_in_front_do_not_hide_the_format() -> None:
    from qevm.containers.detect import compression

    skip = b"\x50\x2a\x4d\x18" + struct.pack("<I", 5) + b"abcde"
    assert compression(BytesSource(skip * 2 + b"\x28\xb5\x2f\xfd" + bytes(20)), 0) == "zstd"
    assert compression(BytesSource(skip + b"\x04\x22\x4d\x18" + bytes(20)), 0) == "lz4"
    assert compression(BytesSource(skip * 2), 0) == ""
