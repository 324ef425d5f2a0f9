"""RAM of real captures against the independent walker's counts and QEMU's own memory."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import examples
import pytest
from examples import Example

from qevm.bodies.multifd import Channel
from qevm.bodies.page_runs import PageKind
from qevm.bodies.ram import RamBody
from qevm.capture import Capture
from qevm.guest_memory import GuestMemory, PageState
from qevm.memory_writer import write_block
from qevm.source import FileSource

ALL = examples.streams(examples.committed() + examples.only_shared())


def ram_of(capture: Capture) -> RamBody:
    for device in capture.index.devices:
        body = capture.body_of(capture.index[device.sections[0]])
        if isinstance(body, RamBody):
            return body
    raise AssertionError("no ram")


def opened(example: Example, folder: Path) -> Capture:
    capture = Capture.open(example.unpack(folder), **example.options)
    capture.walk_all()
    return capture


@pytest.mark.parametrize("example", ALL, ids=lambda e: e.id)
def test_counts_are_those_of_the_independent_walker(example: Example, tmp_path: Path) -> None:
    walker = example.manifest.get("walker") or {}
    if "ram_records" not in walker:
        pytest.skip("the manifest has no counts")
    capture = opened(example, tmp_path)
    body = ram_of(capture)
    counted = walker["ram_records"]
    runs = body.runs
    header = {PageKind.XBZRLE: 11, PageKind.COMPRESSED: 12}
    named = sum(runs.payloads[run] > header.get(PageKind(runs.kinds[run]), 8) for run in range(len(runs)))
    found = {
        "zero": runs.totals[PageKind.ZERO] + runs.totals[PageKind.FILL],
        "normal": runs.totals[PageKind.NORMAL],
        "xbzrle": runs.totals[PageKind.XBZRLE],
        "compressed": runs.totals[PageKind.COMPRESSED],
        "multifd_flush": len(body.flushes),
        "named": named,
    }
    assert found == {key: counted.get(key, 0) for key in found}
    assert body.block_list() == [(b["name"], b["used"]) for b in walker["ram_blocks"]]
    for block, known in zip(body.blocks, walker["ram_blocks"], strict=True):
        if "bitmap_offset" in known:
            mapped = block.mapped
            assert mapped is not None
            assert (mapped.bitmap_offset, mapped.pages_offset) == (
                known["bitmap_offset"],
                known["pages_offset"],
            )
    assert not [p for p in capture.problems if p.severity > 0]
    capture.close()


@pytest.mark.parametrize("example", ALL, ids=lambda e: e.id)
def test_rebuilt_memory_is_that_of_the_running_qemu(example: Example, tmp_path: Path) -> None:
    expected = (example.manifest.get("oracle") or {}).get("ram")
    if not expected:
        pytest.skip("the manifest has no memory")
    loaded = example.manifest.get("loaded_ram") or {}
    capture = opened(example, tmp_path)
    memory = GuestMemory.of(capture, channels_of(example, tmp_path))
    compared = 0
    for block in memory.blocks:
        if block.text not in expected:
            continue
        target = tmp_path / "block"
        report = write_block(memory, block, target, force=True)
        if report.pages[PageState.SHARED]:
            assert block.text == "pc.ram"
            assert not report.pages[PageState.DATA]
            continue
        assert not report.unknown_pages
        # A guest that ran on (a background snapshot, a loaded guest) has two memories.
        sources = [source[block.text]["sha256"] for source in (expected, loaded) if block.text in source]
        assert hashlib.sha256(target.read_bytes()).hexdigest() in sources, block.text
        compared += 1
    assert compared
    capture.close()


def channels_of(example: Example, folder: Path) -> list[Channel]:
    found = []
    for name, about in (example.manifest.get("channels") or {}).items():
        if about.get("first_bytes", "").startswith("11223344"):
            target = folder / name
            with examples.zstd.open(example.folder / f"{name}.zst", "rb") as packed:
                target.write_bytes(packed.read())
            found.append(Channel(FileSource(target), 4096))
    return found


def test_single_pages_are_those_of_the_written_block(
    walked: Callable[[str], Capture], tmp_path: Path
) -> None:
    for name in ("xbzrle", "compress-q72", "postcopy", "mapped-ram"):
        memory = GuestMemory.of(walked(name))
        block = memory.blocks[0]
        target = tmp_path / name
        write_block(memory, block, target)
        data = target.read_bytes()
        size = memory.page_size
        for page in range(0, len(data) // size, 97):
            found = memory.page(block, page * size)
            assert found.state.known
            assert (found.data or bytes(size)) == data[page * size : (page + 1) * size]


def test_memory_as_of_an_early_section_leaves_later_pages_unknown(
    walked: Callable[[str], Capture], tmp_path: Path
) -> None:
    capture = walked("pc-live")
    body = ram_of(capture)
    rows = [row for row in range(len(capture.index)) if body.runs.section_range(row)]
    memory = GuestMemory.of(capture, at_row=rows[0])
    report = write_block(memory, memory.blocks[0], tmp_path / "early")
    sent = {r.address for run in body.runs.section_range(rows[0]) for r in [body.runs.record(run, 0)]}
    assert sent
    assert report.pages[PageState.LATER] > 0
    assert report.pages[PageState.DATA] + report.pages[PageState.ZERO] == sum(
        body.runs.section_totals(rows[0])
    )


def test_a_multifd_main_channel_says_that_its_pages_are_elsewhere(
    walked: Callable[[str], Capture], tmp_path: Path
) -> None:
    capture = walked("multifd")
    assert any("multifd channels" in p.message for p in capture.problems)
    memory = GuestMemory.of(capture)
    report = write_block(memory, memory.blocks[0], tmp_path / "block")
    assert report.pages[PageState.ELSEWHERE] == report.unknown_pages == 8192


def test_files_are_sparse_where_pages_are_zero(walked: Callable[[str], Capture], tmp_path: Path) -> None:
    memory = GuestMemory.of(walked("pc-live"))
    target = tmp_path / "block"
    report = write_block(memory, memory.blocks[0], target)
    status = target.stat()
    assert status.st_size == 32 << 20
    assert status.st_blocks * 512 < report.pages[PageState.DATA] * 4096 + (1 << 20)
