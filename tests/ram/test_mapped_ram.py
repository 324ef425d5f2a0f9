"""mapped-ram: places, bitmaps of both byte orders, damaged headers, sparse giants."""

from __future__ import annotations

import hashlib
import struct
import time
from pathlib import Path

import examples
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qevm.bodies.mapped_ram import Bitmaps, MappedBlock
from qevm.bodies.ram import RamBody
from qevm.capture import Capture
from qevm.guest_memory import GuestMemory, PageState
from qevm.memory_writer import write_block
from qevm.source import BytesSource


def memory_of(data: bytes) -> GuestMemory:
    capture = Capture(BytesSource(data))
    capture.walk_all()
    return GuestMemory.of(capture)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return examples.example("mapped-ram").unpack(tmp_path_factory.mktemp("mapped")).read_bytes()


def digests(memory: GuestMemory, folder: Path) -> dict[str, str]:
    found = {}
    for block in memory.blocks:
        target = folder / "block"
        report = write_block(memory, block, target, force=True)
        if not report.unknown_pages:
            found[block.text] = hashlib.sha256(target.read_bytes()).hexdigest()
    return found


def expected_digests() -> dict[str, str]:
    ram = examples.example("mapped-ram").manifest["oracle"]["ram"]
    return {name: block["sha256"] for name, block in ram.items()}


def swapped(data: bytes) -> bytes:
    """The capture as a big-endian host writes it: the bytes of each bitmap word the other way round."""
    result = bytearray(data)
    for block in memory_of(data).blocks:
        mapped = block.mapped
        assert mapped is not None
        words = data[mapped.bitmap_at : mapped.bitmap_at + mapped.bitmap_size]
        result[mapped.bitmap_at : mapped.bitmap_at + mapped.bitmap_size] = (
            np.frombuffer(words, ">u8").astype("<u8").tobytes()
        )
    return bytes(result)


def test_bitmaps_of_big_endian_hosts_are_recognised(data: bytes, tmp_path: Path) -> None:
    memory = memory_of(swapped(data))
    assert memory.bitmaps is not None
    assert memory.bitmaps.big_endian
    assert digests(memory, tmp_path) == expected_digests()


def test_a_stream_cut_out_of_its_file_keeps_its_pages(data: bytes, tmp_path: Path) -> None:
    for shift in (4096, 12345):
        memory = memory_of_cut(data, shift)
        assert memory.blocks[0].mapped is not None
        assert memory.blocks[0].mapped.delta == -shift
        assert digests(memory, tmp_path) == expected_digests()


def memory_of_cut(data: bytes, shift: int) -> GuestMemory:
    """A capture that was written at offset ``shift`` of a file, and then cut out of it."""
    blocks = memory_of(data).blocks
    first = blocks[0].mapped
    assert first is not None
    out = bytearray(data[: first.offset - 15])
    for block in blocks:
        mapped = block.mapped
        assert mapped is not None
        out += data[block.offset : mapped.offset]
        bitmap = len(out) + 28 + shift
        pages = -(-(bitmap + mapped.bitmap_size) // (1 << 20)) << 20
        out += struct.pack(">IQQQ", 1, mapped.page_size, bitmap, pages)
        out += data[mapped.bitmap_at : mapped.bitmap_at + mapped.bitmap_size]
        out += bytes(pages - shift - len(out))
        out += data[mapped.pages_at : mapped.end]
    last = blocks[-1].mapped
    assert last is not None
    return memory_of(bytes(out) + data[last.end :])


@pytest.mark.parametrize(
    ("field", "value", "where"),
    [
        (0, struct.pack(">I", 2), 0),
        (4, struct.pack(">Q", 5000), 4),
        (12, struct.pack(">Q", 1 << 60), 12),
        (12, struct.pack(">Q", 0), 12),
        (20, struct.pack(">Q", 1 << 60), 20),
        (20, struct.pack(">Q", 0x100001), 20),
    ],
)
def test_a_damaged_header_costs_one_block(
    data: bytes, tmp_path: Path, field: int, value: bytes, where: int
) -> None:
    for number in (0, 3):
        mapped = memory_of(data).blocks[number].mapped
        assert mapped is not None
        at = mapped.offset + field
        capture = Capture(BytesSource(data[:at] + value + data[at + len(value) :]))
        capture.walk_all()
        assert [p.offset for p in capture.problems] == [mapped.offset + where]
        memory = GuestMemory.of(capture)
        bad = memory.blocks[number]
        assert memory.page(bad, 0).state is PageState.LOST
        found = digests(memory, tmp_path)
        assert found == {k: v for k, v in expected_digests().items() if k != bad.text}


def test_an_aborted_save_is_called_one(data: bytes) -> None:
    blocks = [b.mapped for b in memory_of(data).blocks]
    empty = bytearray(data)
    for mapped in blocks:
        assert mapped is not None
        empty[mapped.bitmap_at : mapped.bitmap_at + mapped.bitmap_size] = bytes(mapped.bitmap_size)
    last = blocks[-1]
    assert last is not None
    capture = Capture(BytesSource(bytes(empty[: last.end])))
    capture.walk_all()
    assert any("aborted before completion" in p.message for p in capture.problems)


def test_a_cut_file_keeps_the_pages_before_the_cut(data: bytes, tmp_path: Path) -> None:
    mapped = memory_of(data).blocks[0].mapped
    assert mapped is not None
    memory = memory_of(data[: mapped.pages_at + (1 << 20)])
    report = write_block(memory, memory.blocks[0], tmp_path / "block")
    assert report.pages[PageState.DATA] > 0
    assert report.pages[PageState.LOST] == report.unknown_pages > 0
    assert all(start >= 1 << 20 for start, *_ in report.unknown)


def test_page_records_do_not_belong_into_a_mapped_stream(data: bytes) -> None:
    capture = Capture(BytesSource(data))
    capture.walk_all()
    part = next(s for s in capture.index if s.kind.name == "PART")
    record = struct.pack(">Q", 0x22 & ~0x20) + b"\6pc.ram\0"
    capture = Capture(BytesSource(data[: part.body] + record + data[part.body :]))
    capture.walk_all()
    assert [(p.offset, p.message[:32]) for p in capture.problems if p.severity > 1] == [
        (part.body, "page record in a mapped-ram stre")
    ]


def test_a_sparse_file_of_100_gigabytes_opens_at_once(data: bytes, tmp_path: Path) -> None:
    source = memory_of(data)
    first = source.blocks[0]
    mapped = first.mapped
    assert mapped is not None
    length = 100 << 30
    path = tmp_path / "big.bin"
    total = sum(b.length or 0 for b in source.blocks[1:]) + length
    head = bytearray(data[: first.offset])
    struct.pack_into(">Q", head, len(head) - 8, total | 4)
    bitmap_at = first.offset + 7 + 8 + 28
    bitmap_size = length // 4096 // 8
    pages_at = -(-(bitmap_at + bitmap_size) // (1 << 20)) << 20
    with path.open("wb") as file:
        file.write(head + b"\6pc.ram" + struct.pack(">QIQQQ", length, 1, 4096, bitmap_at, pages_at))
        file.write(b"\1")
        file.seek(pages_at)
        file.write(b"A" * 4096)
        end = pages_at + length
        for block in source.blocks[1:]:
            own = block.mapped
            assert own is not None
            bitmap = end + len(block.name) + 9 + 28
            pages = -(-(bitmap + own.bitmap_size) // (1 << 20)) << 20
            file.seek(end)
            file.write(data[block.offset : own.offset])
            file.write(struct.pack(">IQQQ", 1, 4096, bitmap, pages))
            file.write(data[own.bitmap_at : own.bitmap_at + own.bitmap_size])
            file.seek(pages)
            file.write(data[own.pages_at : own.end])
            end = file.tell()
        last = source.blocks[-1].mapped
        assert last is not None
        file.write(data[last.end :])
    begun = time.process_time()
    capture = Capture.open(path)
    capture.walk_all()
    memory = GuestMemory.of(capture)
    assert memory.page(memory.blocks[0], 0).data == b"A" * 4096
    assert memory.page(memory.blocks[0], length - 4096).state is PageState.ZERO
    assert not capture.problems
    # Not a measurement: reading the holes page by page would take minutes.
    assert time.process_time() - begun < 20
    assert isinstance(memory.body, RamBody)


@given(st.lists(st.booleans(), min_size=1, max_size=400), st.booleans())
def test_runs_are_the_set_bits(bits: list[bool], big_endian: bool) -> None:
    size = -(-len(bits) // 64) * 8
    words = np.packbits(np.array(bits + [False] * (size * 8 - len(bits))), bitorder="little").tobytes()
    if big_endian:
        words = np.frombuffer(words, ">u8").astype("<u8").tobytes()
    block = MappedBlock(0, len(bits) * 4096, 1, 4096, 0, 1 << 20)
    bitmaps = Bitmaps(BytesSource(words), [block])
    bitmaps._big_endian = big_endian
    expanded = [False] * len(bits)
    for first, count in bitmaps.runs(block):
        expanded[first : first + count] = [True] * count
    assert expanded == bits
    assert bitmaps.count(block) == sum(bits)
    assert [bitmaps.is_present(block, i) for i in range(len(bits))] == bits
    assert bitmaps.empty == (not any(bits))
