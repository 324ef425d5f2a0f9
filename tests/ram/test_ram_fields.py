"""Fields of RAM sections: they tile the bytes, and the cursor finds the record under it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from qevm.capture import Capture
from qevm.field import Field
from qevm.section import Section

Walked = Callable[[str], Capture]


def ram_sections(capture: Capture) -> Iterator[Section]:
    for section in capture.index:
        if section.idstr == "ram":
            yield section


def tiles(field: Field, start: int, end: int) -> None:
    """Children with bytes of their own follow each other from ``start`` to ``end``."""
    at = start
    for child in field.children:
        if child.size and child.type not in ("bits",):
            assert child.offset == at, (field.name, child.name)
            at = child.end
    assert at == end, field.name


@pytest.mark.parametrize(
    "name", ["pc-live", "xbzrle", "compress-q72", "multifd", "avr-mega-q72", "ppc64-pseries"]
)
def test_fields_tile_every_section(walked: Walked, name: str) -> None:
    capture = walked(name)
    for section in list(ram_sections(capture))[:40]:
        root = capture.decode(section)
        tiles(root, section.offset, section.end)
        for child in root.children:
            if child.name == "page records":
                tiles(child, child.offset, child.end)
                for run in list(child.children)[:6]:
                    if run.type.endswith("pages"):
                        tiles(run, run.offset, run.end)
                        tiles(run.children[0], run.offset, run.children[0].end)
                        assert len(run.children) * run.children[0].size == run.size


def test_the_cursor_finds_the_record_under_it(walked: Walked) -> None:
    capture = walked("pc-live")
    section = next(s for s in ram_sections(capture) if "pages" in capture.summary(s))
    root = capture.decode(section)
    for offset in range(section.body, section.body_end, 40961):
        path = root.at(offset)
        record = next(f for f in path if f.type.endswith(" page"))
        data = capture.source.read(record.offset, 8)
        address = int.from_bytes(data, "big") & ~0xFFF
        assert record.name.endswith(f"+0x{address:x}")


def test_a_record_shows_flags_block_and_data(walked: Walked) -> None:
    capture = walked("xbzrle")
    kinds = {}
    for section in ram_sections(capture):
        for child in capture.decode(section).children:
            if child.name == "page records":
                for run in child.children:
                    record = run.children[0] if run.type.endswith("pages") else run
                    kinds.setdefault(record.type, record)
    assert set(kinds) == {"normal page", "zero page", "xbzrle page"}
    delta = kinds["xbzrle page"].child("delta")
    assert delta is not None
    assert delta.children
    head = kinds["normal page"].child("address_and_flags")
    assert head is not None
    assert "PAGE" in head.meaning


def test_summaries(walked: Walked) -> None:
    capture = walked("pc-live")
    texts = [capture.summary(section) for section in ram_sections(capture)]
    assert texts[0] == "8 blocks, 48.6 MiB"
    assert texts[-1] == "" or "page" in texts[-1]
    capture = walked("mapped-ram")
    assert next(capture.summary(s) for s in ram_sections(capture)) == "8 blocks, 32.6 MiB, mapped-ram"


def test_mapped_pages_are_fields(walked: Walked) -> None:
    capture = walked("mapped-ram")
    section = next(ram_sections(capture))
    path = capture.decode(section).at(0x106000)
    assert path[-1].name == "pc.ram+0x6000"
    assert path[-1].type == "normal page"


def test_totals_of_the_chain(walked: Walked) -> None:
    capture = walked("pc-live")
    body = capture.body_of(next(ram_sections(capture)))
    assert body is not None
    totals = {field.name: field.value for field in body.chain_fields()}
    assert totals["zero pages"] == 11359
    assert totals["normal pages"] == 3575
    assert totals["RAM"] == 0x3092000
