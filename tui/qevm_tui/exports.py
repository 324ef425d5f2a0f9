"""What of the selection can be exported: section, chain, a part of the container, the selected bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from qevm import export
from qevm.export import Format
from qevm.safetext import safe
from qevm.section import Section
from qevm_tui.selection import Selection

if TYPE_CHECKING:
    from qevm.capture import Capture

_OF_SECTIONS = (Format.RAW, Format.HEX, Format.JSON)
_OF_BYTES = (Format.RAW, Format.HEX)


@dataclass(frozen=True, slots=True)
class Exportable:
    """One choice.

    ``word`` names it in the dialog, ``words`` say what it is, ``size`` is that of its bytes.  ``name``
    proposes a file name and ``blocks`` makes the contents, each for a format out of ``formats``.
    """

    word: str
    words: str
    size: int
    name: Callable[[Format], str]
    blocks: Callable[[Format], Iterator[bytes]]
    formats: tuple[Format, ...] = _OF_SECTIONS


def exportables(capture: Capture, selection: Selection) -> list[Exportable]:
    """The choices for a selection, what it is of first, the selected bytes last; empty for none."""
    found: list[Exportable] = []
    section, part = selection.section, selection.part
    if section is not None:
        found.append(
            Exportable(
                "section",
                f"{section.kind.name} {safe(section.device_id)}",
                section.size,
                lambda form: export.propose_name([section], form),
                lambda form: export.blocks(capture, [section], form),
            )
        )
        chain = _chain_of(capture, section)
        if len(chain) > 1:
            so_far = "" if capture.complete else " (so far: indexing goes on)"
            found.append(
                Exportable(
                    "chain",
                    f"{len(chain):,} sections of {safe(section.device_id)}{so_far}",
                    sum(one.size for one in chain),
                    lambda form: export.propose_name(chain, form, chain=True),
                    lambda form: export.blocks(capture, chain, form),
                )
            )
    elif part is not None:
        ranges = [(part.offset, part.offset + part.size)]
        found.append(
            Exportable(
                "part",
                f"{safe(part.name)}, part of the file",
                part.size,
                lambda form: export.propose_part_name(part.name, form),
                lambda form: export.byte_blocks(part.source, ranges, form),
                _OF_BYTES,
            )
        )
    if selection.size:
        found.append(_selected_bytes(capture, selection))
    return found


def _selected_bytes(capture: Capture, selection: Selection) -> Exportable:
    start, end = selection.start, selection.end
    words = f"bytes 0x{start:x} … 0x{end - 1:x}"
    blocks: Callable[[Format], Iterator[bytes]] = partial(export.blocks, capture, (start, end))
    formats: tuple[Format, ...] = _OF_SECTIONS
    source = selection.source
    if source is not None and source is not capture.source:
        words += " of the file"
        blocks, formats = partial(export.byte_blocks, source, [(start, end)]), _OF_BYTES
    name = partial(export.propose_range_name, start, end)
    return Exportable("bytes", words, end - start, name, blocks, formats)


def _chain_of(capture: Capture, section: Section) -> list[Section]:
    if section.device is None:
        return [section]
    device = capture.index.devices[section.device]
    return [capture.index[row] for row in device.sections] if device.iterative else [section]
