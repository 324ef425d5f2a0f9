"""Compressed streams, made by the programs that users have, unpacked in pieces of any size."""

from __future__ import annotations

import bz2
import gzip
import lzma
import random
import struct
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qevm.containers import open_streams
from qevm.containers.decoders import MAKERS, OUTPUT, DecodeError, Decoder
from qevm.problems import CannotOpen, Severity
from qevm.source import BytesSource

Tool = Callable[..., bytes]

PROGRAMS = {
    "gzip": ("gzip", "-c"),
    "bzip2": ("bzip2", "-c"),
    "xz": ("xz", "-c"),
    "lzop": ("lzop", "-c"),
    "zstd": ("zstd", "-q", "-c"),
    "lz4": ("lz4", "-q", "-c", "-B5"),
}

formats = pytest.mark.parametrize("name", PROGRAMS)


def unpack(decoder: Decoder, data: bytes, piece: int = 1 << 16) -> bytes:
    out = bytearray()
    for i in range(0, len(data), piece):
        for part in decoder.feed(data[i : i + piece]):
            assert 0 < len(part) <= max(OUTPUT, 16 << 20)
            out += part
    return bytes(out)


@formats
def test_the_programs_output_opens_by_content(name: str, stream: bytes, tool: Tool, tmp_path: Path) -> None:
    path = tmp_path / "capture.bin"
    path.write_bytes(tool(*PROGRAMS[name], data=stream))
    with_wait = open_streams(path, wait=True)
    assert with_wait.container.kind == name
    assert with_wait.stream.source.read(0, len(stream) + 1) == stream
    assert with_wait.stream.file_offset(0) is None
    assert with_wait.problems == []
    with_wait.close()


@formats
@pytest.mark.parametrize("piece", [1, 7, 4096])
def test_pieces_of_input_may_break_anywhere(name: str, piece: int, stream: bytes, tool: Tool) -> None:
    packed = tool(*PROGRAMS[name], data=stream)
    decoder = MAKERS[name]()
    assert unpack(decoder, packed, piece) == stream
    assert not decoder.in_the_middle


@formats
def test_members_one_after_the_other_and_zero_padding_are_one_stream(
    name: str, stream: bytes, tool: Tool
) -> None:
    packed = tool(*PROGRAMS[name], data=stream[:9000]) + tool(*PROGRAMS[name], data=stream[9000:])
    for padding in (0, 4, 5000):
        for piece in (3, 1 << 16):
            decoder = MAKERS[name]()
            assert unpack(decoder, packed + bytes(padding), piece) == stream
            assert (decoder.in_the_middle, decoder.trailing) == (False, b"")


@formats
def test_other_bytes_behind_the_end_are_ignored_with_a_warning(name: str, stream: bytes, tool: Tool) -> None:
    packed = tool(*PROGRAMS[name], data=stream)
    opened = open_streams(BytesSource(packed + b"trailing bytes"), wait=True)
    assert opened.stream.source.read(0, 1 << 20) == stream
    [problem] = opened.problems
    assert (problem.offset, problem.severity) == (len(stream), Severity.WARNING)
    assert problem.found == "74 72 61 69 6c 69 6e 67"
    opened.close()


@formats
def test_a_cut_file_keeps_what_came_before_the_cut(name: str, stream: bytes, tool: Tool) -> None:
    # Incompressible bytes spread the loss evenly; a stream goes first so that the file opens.
    data = stream + random.Random(4).randbytes(2 << 20)
    packed = tool(*PROGRAMS[name], data=data)
    cut = len(packed) * 9 // 10
    opened = open_streams(BytesSource(packed[:cut], "cut"), wait=True)
    source = opened.stream.source
    recovered = source.read(0, len(data))
    assert data.startswith(recovered)
    # At most the block in which the cut lies is lost: 900 KB with bzip2, less with the others.
    assert len(recovered) > 0.9 * len(data) - 900_000
    [problem] = opened.problems
    assert problem.offset == len(recovered) == source.size
    assert f"decompression stopped near 0x{cut:x} of cut: the {name} data ends too early" in problem.message
    assert f"{len(recovered)} bytes recovered" in problem.message
    opened.close()


@formats
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_damage_is_an_error_of_ours_and_never_anything_else(name: str, data: st.DataObject) -> None:
    packed = bytearray(_packed(name))
    for _ in range(data.draw(st.integers(1, 4))):
        packed[data.draw(st.integers(0, len(packed) - 1))] = data.draw(st.integers(0, 255))
    decoder = MAKERS[name]()
    try:
        out = unpack(decoder, bytes(packed), 1000)
    except DecodeError:
        return
    # Without checksums (lz4 -q has one, zstd's is optional) damage may stay unseen, but not grow.
    assert len(out) <= 16 << 20


_PLAIN = bytes(range(256)) * 20 + bytes(9000) + b"QEVM" * 700
_cache: dict[str, bytes] = {}


def _packed(name: str) -> bytes:
    import shutil
    import subprocess

    if name not in _cache:
        if shutil.which(PROGRAMS[name][0]) is None:
            pytest.skip(f"{PROGRAMS[name][0]} is not installed")
        _cache[name] = subprocess.run(PROGRAMS[name], input=_PLAIN, capture_output=True).stdout
    return _cache[name]


def test_a_wrong_checksum_loses_not_one_byte_before_it() -> None:
    data = bytes(range(256)) * 1000
    packed = bytearray(gzip.compress(data))
    packed[-6] ^= 1
    decoder = MAKERS["gzip"]()
    parts = decoder.feed(bytes(packed))
    assert next(parts) == data
    with pytest.raises(DecodeError, match=r"damaged gzip data"):
        next(parts)


def test_a_second_layer_is_unpacked_too_and_a_sixth_is_not(stream: bytes) -> None:
    twice = bz2.compress(gzip.compress(stream))
    opened = open_streams(BytesSource(twice), wait=True)
    assert opened.container.layers == ["bzip2", "gzip"]
    assert opened.stream.source.read(0, 1 << 20) == stream
    opened.close()
    deep = stream
    for _ in range(6):
        deep = lzma.compress(deep)
    with pytest.raises(CannotOpen, match=r"more than 4 layers"):
        open_streams(BytesSource(deep))


def test_what_is_inside_is_named_when_it_is_no_stream() -> None:
    with pytest.raises(CannotOpen, match=r"in the gzip data: this is an ELF core dump"):
        open_streams(BytesSource(gzip.compress(b"\x7fELF" + bytes(500))))
    with pytest.raises(CannotOpen, match=r"in the xz data: not a migration stream: the file has 3 bytes"):
        open_streams(BytesSource(lzma.compress(b"abc")))


def test_a_gzip_cut_in_its_first_block_says_so(stream: bytes) -> None:
    with pytest.raises(CannotOpen, match=r"nothing could be unpacked: .* the gzip data ends too early"):
        open_streams(BytesSource(gzip.compress(stream)[:12]))


def test_zstd_with_a_window_of_2_gib_is_accepted(tool: Tool, stream: bytes) -> None:
    packed = tool("zstd", "-q", "-c", "--long=31", "--ultra", "-1", data=stream)
    # The frame header's window descriptor, RFC 8878 §3.1.1.1.2: exponent in the upper five bits.
    assert packed[4] & 0x20 or (packed[5] >> 3) + 10 == 31
    assert unpack(MAKERS["zstd"](), packed) == stream


def test_an_xz_dictionary_of_a_gigabyte_is_not_allocated(stream: bytes) -> None:
    packed = bytearray(lzma.compress(stream))
    # Block header (xz-file-format §3.1): size, flags, filter 0x21 with 1 byte of properties, CRC-32.
    assert packed[12:16] == b"\x02\x00\x21\x01"
    packed[16] = 36  # 1 GiB (§5.3.1)
    packed[20:24] = struct.pack("<I", zlib.crc32(packed[12:20]))
    with pytest.raises(DecodeError, match=r"its dictionary needs more memory .* xz -d"):
        unpack(MAKERS["xz"](), bytes(packed))


@pytest.mark.parametrize("name", ["zstd", "lz4"])
def test_a_missing_library_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("compression.zstd", "backports.zstd", "zstandard", "lz4.frame"):
        monkeypatch.setitem(sys.modules, module, None)
    magic = {"zstd": b"\x28\xb5\x2f\xfd", "lz4": b"\x04\x22\x4d\x18"}[name]
    with pytest.raises(CannotOpen) as caught:
        open_streams(BytesSource(magic + bytes(50)))
    assert f"pip install 'qevm[{name}]'" in str(caught.value)


def test_zstd_works_with_python_zstandard_alone(monkeypatch: pytest.MonkeyPatch, stream: bytes) -> None:
    zstandard = pytest.importorskip("zstandard")
    for module in ("compression.zstd", "backports.zstd"):
        monkeypatch.setitem(sys.modules, module, None)
    packed = zstandard.compress(stream[:9000]) + zstandard.compress(stream[9000:])
    for piece in (1, 5000):
        decoder = MAKERS["zstd"]()
        assert unpack(decoder, packed + bytes(100), piece) == stream
        assert not decoder.in_the_middle
    decoder = MAKERS["zstd"]()
    bomb = unpack(decoder, zstandard.compress(bytes(30 << 20)))
    assert len(bomb) == 30 << 20


def test_lzop_header_variants_follow_the_format(stream: bytes, tool: Tool) -> None:
    """Flags of lzop's header: an extra field, CRC-32 instead of Adler-32, no name, several levels."""
    for options in (("--crc32",), ("--no-checksum",), ("-1",), ("-9",), ("--no-name",)):
        packed = tool("lzop", "-c", *options, data=stream)
        assert unpack(MAKERS["lzop"](), packed, 100) == stream, options


def test_an_lzop_block_that_lies_about_its_size_allocates_nothing(tool: Tool) -> None:
    packed = bytearray(tool("lzop", "-c", "--no-checksum", data=b"a" * 5000))
    at = packed.index(struct.pack(">I", 5000))
    packed[at : at + 4] = struct.pack(">I", 0xFFFFFFF0)
    with pytest.raises(DecodeError, match=r"damaged lzop block"):
        unpack(MAKERS["lzop"](), bytes(packed))
