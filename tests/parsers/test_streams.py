"""Every real stream there is, held against what QEMU and an independent walker said about it."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from pathlib import Path

import examples
import pytest
from examples import Example
from field_tiles import behind_tiles

from qevm.bodies.page_runs import PageKind
from qevm.bodies.ram import RamBody
from qevm.capture import Capture
from qevm.constants import Command
from qevm.section import Confidence, Section, SectionKind
from qevm_tui.cli import main

Streamed = tuple[Example, Capture]

# The walker was misled by the chunks of "block"; QEMU wrote footers (7e and the id behind each body).
MISSED_FOOTERS = {"block-q72"}

WALKED_AS_FILES = {"file-offset", "mapped-ram-libvirt"}


def test_section_counts_equal_the_walkers(streamed: Streamed) -> None:
    example, capture = streamed
    wanted = dict(example.manifest["walker"]["sections"])
    footers = wanted.pop("FOOTER", 0)
    if "VMDESC" in wanted:
        wanted["VMDESCRIPTION"] = wanted.pop("VMDESC")
    found = Counter(section.kind.name for section in capture.index)
    assert found.pop("HEADER") == 1
    # libvirt's own images were counted without their descriptions.
    if not _walked_in_full(example):
        del found["VMDESCRIPTION"]
    elif example.name not in MISSED_FOOTERS:
        assert sum(section.has_footer for section in capture.index) == footers
    assert found == wanted


def test_commands_equal_the_walkers(streamed: Streamed) -> None:
    example, capture = _full_only(streamed)
    found = Counter(
        Command(int.from_bytes(capture.source.read(section.offset + 1, 2), "big")).name
        for section in capture.index
        if section.kind is SectionKind.COMMAND
    )
    assert found == example.manifest["walker"]["commands"]


def test_device_names_equal_the_walkers(streamed: Streamed) -> None:
    example, capture = _full_only(streamed)
    assert (
        Counter(device.idstr for device in capture.index.devices)
        == example.manifest["walker"]["section_names"]
    )


def test_ram_blocks_equal_the_walkers(streamed: Streamed) -> None:
    example, capture = _full_only(streamed)
    body = _ram(capture)
    found = [{"name": block.text, "used": block.length} for block in body.blocks]
    assert found == [
        {"name": block["name"], "used": block["used"]} for block in example.manifest["walker"]["ram_blocks"]
    ]
    assert capture.facts.page_size == example.manifest["walker"]["page_size"]


def test_page_records_equal_the_walkers(streamed: Streamed) -> None:
    example, capture = _full_only(streamed)
    records = example.manifest["walker"]["ram_records"]
    found = dict(zip(PageKind, _ram(capture).runs.totals, strict=True))
    assert found == {
        PageKind.ZERO: records.get("zero", 0),
        PageKind.FILL: 0,
        PageKind.NORMAL: records.get("normal", 0),
        PageKind.XBZRLE: records.get("xbzrle", 0),
        PageKind.COMPRESSED: records.get("compressed", 0),
    }


def test_offsets_of_eof_and_description_equal_the_walkers(streamed: Streamed) -> None:
    example, capture = _full_only(streamed)
    walker = example.manifest["walker"]
    # The walker saw a stream alone, but these two with what is before it in the file.
    before = example.manifest["stream_offset"] if example.name in WALKED_AS_FILES else 0
    at = {section.kind: section.offset - capture.base + before for section in capture.index}
    assert at.get(SectionKind.EOF) == walker["eof_offset"]
    assert at.get(SectionKind.VMDESCRIPTION) == walker["vmdesc_offset"]


def test_rows_of_depth_0_tile_the_stream(streamed: Streamed) -> None:
    example, capture = streamed
    rows = [section for section in capture.index if section.depth == 0]
    assert rows[0].offset == capture.base
    assert all(before.end == after.offset for before, after in pairwise(rows))
    assert rows[-1].end == capture.source.size
    if example.stream_size is not None:
        assert rows[-1].end - rows[0].offset == example.stream_size


def test_rows_of_a_package_tile_the_package(streamed: Streamed) -> None:
    _, capture = streamed
    inside: dict[int, list[Section]] = {}
    for section in capture.index:
        if section.parent is not None:
            inside.setdefault(section.parent, []).append(section)
    for parent, rows in inside.items():
        command = capture.index[parent]
        assert rows[0].offset == command.end - _package_length(capture, command)
        assert all(before.end == after.offset for before, after in pairwise(rows))
        assert rows[-1].end == command.end


def test_analyze_equals_the_output_of_qemus_script(streamed: Streamed) -> None:
    example, capture = streamed
    wanted = example.analyzed
    answer = capture.analyze()
    if wanted is None:
        # The script failed here; ours answers, with every device of the stream.
        assert len(answer) == len(capture.index.devices)
    else:
        assert answer == wanted


def test_check_calls_the_stream_sound(streamed: Streamed, capsys) -> None:
    example, capture = streamed
    options = [text for name, value in example.options.items() for text in (f"--{name}", str(value))]
    status = main(["check", capture.name, *options])
    assert (status, capsys.readouterr().err) == (0, "")


def test_sections_located_from_the_tail_are_those_of_the_walk(streamed: Streamed) -> None:
    _, capture = streamed
    located = capture.located
    if capture.description is None:
        assert not located
        return
    assert located
    for section in located:
        row = capture.index.at(section.offset)
        assert row is not None
        walked = capture.index[row]
        assert walked.confidence is Confidence.EXACT
        assert _place(section) == _place(walked)
    # Only sections ahead of RAM (early ones) and those of a package cannot be located.
    first = located[0].offset
    full = [s for s in capture.index if s.kind is SectionKind.FULL and s.offset >= first and s.depth == 0]
    assert len(full) == len(located)


def test_fields_tile_their_section(streamed: Streamed) -> None:
    _, capture = streamed
    for section in _some(capture):
        root = capture.decode(section)
        assert root.end == section.end
        end = behind_tiles(root, section.offset, section)
        # The package of a PACKAGED command is rows of its own.
        assert end == section.end - (
            _package_length(capture, section) if _is_packaged(capture, section) else 0
        )


def test_an_offset_finds_its_section_and_a_field_that_covers_it(streamed: Streamed) -> None:
    _, capture = streamed
    for section in _some(capture, 60):
        root = capture.decode(section)
        for offset in {section.offset, section.body, section.body_end - 1, section.end - 1}:
            if not section.offset <= offset < section.end:
                continue
            found = capture.section_at(offset)
            assert found is not None
            assert found.offset <= offset < found.end
            path = root.at(offset)
            assert path[0] is root
            assert all(field.offset <= offset < field.end for field in path)


def test_the_shared_captures_are_all_swept(shared: Path) -> None:
    swept = {example.name for example in examples.committed() + examples.only_shared()}
    assert swept == {
        path.name.removesuffix(".bin.zst") for path in shared.glob("*.bin.zst") if ".ch" not in path.name
    }


def _ram(capture: Capture) -> RamBody:
    device = capture.index.device("ram", 0)
    assert device is not None
    body = capture.body_of(capture.index[device.sections[0]])
    assert isinstance(body, RamBody)
    return body


def _place(section: Section) -> tuple[object, ...]:
    return (
        section.kind, section.offset, section.body, section.body_end, section.end,
        section.section_id, section.idstr, section.instance_id, section.version_id,
    )  # fmt: skip


def _is_packaged(capture: Capture, section: Section) -> bool:
    return capture.source.read(section.offset, 3) == b"\x08\x00\x07"


def _package_length(capture: Capture, command: Section) -> int:
    return int.from_bytes(capture.source.read(command.offset + 5, 4), "big")


def _some(capture: Capture, many: int = 300) -> list[Section]:
    """All sections, or of a great many the first, the last and some between them."""
    count = len(capture.index)
    step = max(1, count // many)
    rows = sorted({*range(0, count, step), *range(min(many // 3, count)), *range(max(0, count - 40), count)})
    return [capture.index[row] for row in rows]


def _walked_in_full(example: Example) -> bool:
    return "section_names" in example.manifest["walker"]


def _full_only(streamed: Streamed) -> Streamed:
    if not _walked_in_full(streamed[0]):
        pytest.skip("the walker kept only section counts of libvirt's own images")
    return streamed
