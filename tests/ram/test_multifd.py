"""Multifd page channels: plain, zlib and zstd, whole and damaged (stream-format §6)."""

from __future__ import annotations

import hashlib
import struct
import sys
import zlib
from pathlib import Path

import examples
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_ram_of_captures import opened

from qevm import layout
from qevm.bodies.multifd import Channel, NeedsZstandard
from qevm.guest_memory import GuestMemory, PageState
from qevm.memory_writer import write_block
from qevm.problems import CannotOpen
from qevm.source import BytesSource

PAGE = 4096
HEAD = 64
PACKET = layout.MultifdPacket.sizeof() + 8 * 128


def channel_bytes(name: str) -> bytes:
    return examples.zstd.decompress((examples.COMMITTED / f"{name}.bin.zst").read_bytes())


def payload_ranges(data: bytes) -> list[tuple[int, int, int]]:
    """(start, size, normal pages) of every payload, read by the declaration of a packet."""
    found = []
    at = HEAD
    while at < len(data):
        head = layout.MultifdPacket.parse(data[at:])
        start = at + PACKET
        size = head.next_packet_size if head.normal_pages else 0
        if size:
            found.append((start, size, head.normal_pages))
        at = start + size
    return found


def repacked(data: bytes, code: int, pack: object) -> bytes:
    """A zlib channel with its pages packed by ``pack(page data) -> bytes`` instead, one stream."""
    inflate = zlib.decompressobj()
    out = bytearray(data[:HEAD])
    at = HEAD
    for start, size, _ in payload_ranges(data):
        head = start - PACKET
        out += data[at:head]
        packed = pack(inflate.decompress(data[start : start + size]))  # type: ignore[operator]
        packet = bytearray(data[head:start])
        flags = struct.unpack_from(">I", packet, 8)[0] & ~0x3E | code << 1
        struct.pack_into(">I", packet, 8, flags)
        struct.pack_into(">I", packet, 20, len(packed))
        out += packet + packed
        at = start + size
    return bytes(out + data[at:])


@pytest.fixture(scope="module")
def zlib_channels() -> list[bytes]:
    return [channel_bytes(f"multifd-zlib.ch{n}") for n in (1, 2)]


def rebuilt(channels: list[bytes], folder: Path, name: str = "multifd-zlib") -> tuple[dict[str, bool], int]:
    """Which blocks are those of the running QEMU, and how many pages are unknown."""
    example = examples.example(name)
    capture = opened(example, folder)
    memory = GuestMemory.of(capture, [Channel(BytesSource(data), PAGE) for data in channels])
    same, unknown = {}, 0
    for block in memory.blocks:
        target = folder / "block"
        unknown += write_block(memory, block, target, force=True).unknown_pages
        digest = hashlib.sha256(target.read_bytes()).hexdigest()
        same[block.text] = digest == example.manifest["oracle"]["ram"][block.text]["sha256"]
    return same, unknown


def zstd_packer() -> object:
    packer = examples.zstd.ZstdCompressor()
    return lambda data: packer.compress(data, mode=examples.zstd.ZstdCompressor.FLUSH_BLOCK)


def test_zstd_and_plain_channels_give_the_same_memory(zlib_channels: list[bytes], tmp_path: Path) -> None:
    packed = [repacked(data, 2, zstd_packer()) for data in zlib_channels]
    assert Channel(BytesSource(packed[0]), PAGE).method == "zstd"
    plain = [repacked(data, 0, bytes) for data in zlib_channels]
    assert Channel(BytesSource(plain[0]), PAGE).method == "nocomp"
    for channels in (packed, plain):
        same, unknown = rebuilt(channels, tmp_path)
        assert all(same.values())
        assert not unknown


def test_without_zstandard_the_message_says_what_to_install(
    zlib_channels: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    channel = Channel(BytesSource(repacked(zlib_channels[0], 2, zstd_packer()), "ch1"), PAGE)
    for module in ("zstandard", "backports.zstd", "compression.zstd"):
        monkeypatch.setitem(sys.modules, module, None)
    packet = next(p for p in channel.packets if p.normal)
    with pytest.raises(NeedsZstandard, match=r"ch1: .*pip install 'qevm\[zstd\]'"):
        channel.place(packet, 0)


def test_one_missing_channel_leaves_pages_unknown(zlib_channels: list[bytes], tmp_path: Path) -> None:
    same, _ = rebuilt(zlib_channels[:1], tmp_path)
    assert not same["pc.ram"]


def test_a_damaged_packed_channel_loses_what_is_behind(zlib_channels: list[bytes], tmp_path: Path) -> None:
    data = bytearray(zlib_channels[0])
    start, size, _ = payload_ranges(zlib_channels[0])[5]
    data[start : start + size] = bytes(size)
    channel = Channel(BytesSource(bytes(data)), PAGE)
    example = examples.example("multifd-zlib")
    memory = GuestMemory.of(
        opened(example, tmp_path), [channel, Channel(BytesSource(zlib_channels[1]), PAGE)]
    )
    report = write_block(memory, memory.blocks[0], tmp_path / "block")
    assert report.pages[PageState.UNDECODABLE] > 0
    (problem,) = channel.problems
    assert problem.offset == start


def test_a_file_that_is_no_channel_is_refused() -> None:
    with pytest.raises(CannotOpen, match="not a multifd page channel"):
        Channel(BytesSource(b"QEVM" + bytes(100)), PAGE)
    with pytest.raises(CannotOpen, match="version 9 unknown"):
        Channel(BytesSource(struct.pack(">II", 0x11223344, 9) + bytes(100)), PAGE)


def test_packet_columns_are_those_of_the_declaration(zlib_channels: list[bytes]) -> None:
    data = zlib_channels[0]
    channel = Channel(BytesSource(data), PAGE)
    for packet in channel.packets:
        head = layout.MultifdPacket.parse(data[packet.offset :])
        assert (packet.normal, packet.zero, packet.number) == (
            head.normal_pages, head.zero_pages, head.packet_num,
        )  # fmt: skip
        assert packet.block == head.block.split(b"\0")[0]
    assert [(p.data, p.size, p.normal) for p in channel.packets if p.normal] == payload_ranges(data)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_damaged_channels_never_crash(zlib_channels: list[bytes], data: st.DataObject) -> None:
    changed = bytearray(zlib_channels[0])
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(HEAD, len(changed) - 1))
        changed[at] ^= data.draw(st.integers(1, 255))
    changed = changed[: data.draw(st.integers(HEAD, len(changed)))]
    channel = Channel(BytesSource(bytes(changed)), PAGE)
    for packet in channel.packets[:50:7]:
        if packet.normal:
            place = channel.place(packet, 0)
            assert place is None or len(channel.read(place, PAGE)) == PAGE
