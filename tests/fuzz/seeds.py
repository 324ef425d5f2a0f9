"""What the fuzzer begins with: small valid inputs, so that it spends its time on what they mean."""

from __future__ import annotations

import gzip
import json
import lzma
import shutil
import struct
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import targets
from stream_maker import Stream, streams

from qevm import layout

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "parsers"), str(TESTS / "containers")]

import test_hostile_input  # noqa: E402
import test_libvirt  # noqa: E402
import test_qcow2  # noqa: E402

CAPTURES = ("none-machine", "avr-mega-q72")

PAGE = 4096


def capture(name: str) -> bytes:
    """One of the captures that lie unpacked in the repository."""
    return (TESTS / "captures" / f"{name}.bin").read_bytes()


def generated(count: int) -> list[bytes]:
    """Streams of the property tests, always the same ones."""
    made: list[bytes] = []

    @hypothesis.settings(max_examples=count, deadline=None, derandomize=True, database=None)
    @hypothesis.given(streams())
    def keep(stream: Stream) -> None:
        made.append(bytes(stream.data))

    keep()
    return made


def walker() -> Iterator[bytes]:
    """Whole streams: real, made, hostile."""
    yield from map(capture, CAPTURES)
    yield from (one for one in generated(60) if len(one) < 16384)
    yield from map(bytes, test_hostile_input.ENDLESS.values())
    yield from map(test_hostile_input.described_by, test_hostile_input.LIES.values())


def description() -> Iterator[bytes]:
    """JSON of descriptions."""
    for name in (*CAPTURES, "arm-microbit"):
        data = capture(name)
        yield data[data.rindex(b"\x06\0\0") + 5 :]
    yield from (bomb[:2000] for bomb in test_hostile_input.BOMBS.values())
    yield from test_hostile_input.LIES.values()


def xbzrle() -> Iterator[bytes]:
    """Deltas: the one of the format reference, the empty one, the longest runs."""
    yield bytes.fromhex("1001dbef0f02dbc3")
    yield b""
    yield bytes.fromhex("0001aa")
    yield b"\xff\x1e\x01z"
    yield b"\0\x80\x20" + bytes(PAGE)


def mapped_ram() -> Iterator[bytes]:
    """Block lists as the target takes them: how much of it stands at the front, then the rest at 1 MiB."""
    for pages in (1, 2, 3):
        length = pages * PAGE
        front = layout.RamRecord.build({"address_and_flags": length | 4})
        front += layout.RamBlock.build({"name_length": 6, "name": b"pc.ram", "used_length": length})
        front += layout.MappedRamHeader.build(
            {
                "header_version": 1,
                "page_size": PAGE,
                "bitmap_offset": len(targets.MAPPED_HEAD) + len(front) + 28,
                "pages_offset": targets.BEHIND,
            }
        )
        units = (len(front) + 8) // 4 + 1
        front += b"\x05" + bytes(4 * units - len(front) - 1)
        end = layout.RamRecord.build({"address_and_flags": 16}) + b"\x7e\0\0\0\1"
        rest = b"\3\0\0\0\1" + end
        yield bytes((units,)) + front + b"\x11\x22" * (length // 2) + end + rest + b"\0"


def containers() -> Iterator[bytes]:
    """A stream in everything that can be wrapped round it."""
    stream = capture("none-machine")
    yield from (gzip.compress(stream, mtime=0), lzma.compress(stream), bytes(4096) + stream)
    yield bytes(test_qcow2.made(stream))
    yield bytes(test_qcow2.made(stream, moved=3, tag=b"another"))
    for form, data in enumerate((stream, gzip.compress(stream, mtime=0))):
        for order in "<>":
            yield test_libvirt.image(data, fmt=form, order=order, padding=64)
    for program in ("bzip2", "zstd", "lz4", "lzop"):
        if shutil.which(program):
            done = subprocess.run([program, "-c"], input=stream, capture_output=True, check=True)
            yield done.stdout


def lzop() -> Iterator[bytes]:
    """What stands behind an lzop header whose flags ask for no checksums, and bare LZO1X."""
    literals = b"\x15QEVM\x11\0\0"
    yield struct.pack(">II", 4, len(literals)) + literals + bytes(4)
    yield struct.pack(">II", 300, 300) + bytes(range(256)) + bytes(44) + bytes(4)
    if shutil.which("lzop"):
        data = capture("none-machine")
        done = subprocess.run(["lzop", "-9", "-c"], input=data, capture_output=True, check=True)
        yield done.stdout[done.stdout.index(struct.pack(">I", len(data))) :]


SEEDS = {
    "walker": walker,
    "description": description,
    "xbzrle": xbzrle,
    "mapped-ram": mapped_ram,
    "containers": containers,
    "lzop": lzop,
}

# Strings that the mutator may put anywhere.
WORDS = [
    b"QEVM\0\0\0\3", b"\1\0\0\0\1\3ram\0\0\0\0\0\0\0\4", b"\2\0\0\0\1", b"\3\0\0\0\1", b"\x7e\0\0\0\1",
    b"\0\0\0\0\0\0\0\x10", b"\0\0\0\0\0\0\x02\0", b"\0\0\0\0\0\0\0\x22", b"\0\0\0\0\0\0\0\x28",
    b"\0\0\0\0\0\0\1\0", b"\0\0\0\0\0\0\0\x40", b"\x08\0\7\0\4", b"\x08\0\5\0\0", b"\x08\0\4\0\0",
    b"\x06\0\0",
    b"\4\0\0\0\2\5timer\0\0\0\0\0\0\0\2", b"\4\0\0\0\3\5slirp\0\0\0\0\0\0\0\4",
    b"\1\0\0\0\2\x0cdirty-bitmap\0\0\0\0\0\0\0\1", b"\1\0\0\0\2\x0aspapr/htab\0\0\0\0\0\0\0\1",
    b"\1\0\0\0\2\5block\0\0\0\0\0\0\0\1", b"\1\0\0\0\2\x17s390-storage_attributes\0\0\0\0\0\0\0\0",
    b"\1\0\0\0\2\x110000:00:06.0/vfio\0\0\0\0\0\0\0\1", b"\4\0\0\0\2\x0as390-skeys\0\0\0\0\0\0\0\1",
    b"configuration/capabilities", b"x-ignore-shared", b"mapped-ram", b"configuration/target-page-bits",
    b'{"name": "', b'", "instance_id": 0, "vmsd_name": "', b'"version": 1, "fields": [', b'"array_len": ',
    b'"subsections": [', b'"type": "struct", "struct": {', b'"type": "qtailq"', b'"type": "virtio"',
    b'"type": "pci config"', b'"type": "gtree"', b'"type": "timer"', b'"size": ',
    b'"page_size": 4096, "devices": [',
]  # fmt: skip


def dictionary() -> str:
    """The words as libFuzzer reads them."""
    return "".join('"' + "".join(f"\\x{byte:02x}" for byte in word) + '"\n' for word in WORDS)


def write(target: str, folder: Path) -> None:
    """Put the seeds of ``target`` into ``folder``, named by their contents."""
    for data in SEEDS[target]():
        (folder / f"seed-{zlib.crc32(data):08x}").write_bytes(data)
    (folder.parent / "words.dict").write_text(dictionary())


if __name__ == "__main__":
    print(json.dumps({name: [len(data) for data in make()] for name, make in SEEDS.items()}))
