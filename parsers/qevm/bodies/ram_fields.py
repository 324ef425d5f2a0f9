"""What a RAM section says, as Fields: the block list, counts, runs of pages and each record below them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qevm.bodies.page_runs import PageKind
from qevm.field import Field
from qevm.section import Section, SectionKind

if TYPE_CHECKING:
    from qevm.bodies.ram import RamBody


def section_summary(body: RamBody, section: Section) -> str:
    totals = body.runs.section_totals(section.index)
    pages = sum(totals)
    if not pages:
        return ""
    parts = [f"{pages:,} page" if pages == 1 else f"{pages:,} pages"]
    parts += [
        f"{totals[kind]:,} {kind.label}" for kind in PageKind if totals[kind] and kind is not PageKind.NORMAL
    ]
    return ", ".join(parts)


def section_fields(body: RamBody, section: Section) -> list[Field]:
    return []


def chain_fields(body: RamBody) -> list[Field]:
    return []
