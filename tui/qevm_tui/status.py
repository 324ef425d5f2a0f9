"""The words of the header line and of the status line."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING

from qevm.field import Field
from qevm.safetext import safe
from qevm_tui.field_words import status_words
from qevm_tui.palette import Palette
from qevm_tui.panes.bars import Span
from qevm_tui.problem_rows import ProblemRows
from qevm_tui.selection import Selection, fields_along
from qevm_tui.words import chunk_name, duration, human, plural, section_name
from qevm_tui.worker import Progress

if TYPE_CHECKING:
    from qevm.capture import Capture


def header_spans(
    capture: Capture, problems: ProblemRows, progress: Progress | None, palette: Palette
) -> tuple[list[Span], list[Span]]:
    """File, machine, size, sections, sound or problems; at the right how far the walk is."""
    facts = [human(capture.source.size)]
    if capture.facts.machine:
        facts.insert(0, safe(capture.facts.machine, 40))
    count = len(capture.index)
    facts.append(plural(count, "section") + ("" if capture.complete else "…"))
    name = safe(PurePath(capture.name).name, 60)
    left: list[Span] = [
        (" qevm ", palette.dim),
        (f" {name} ", palette.strong),
        ("  " + " · ".join(facts), None),
    ]
    if problems.bad:
        left.append((f" · ! {plural(problems.bad, 'problem')}", palette.problem))
    elif capture.complete:
        left.append((" · sound", palette.meaning))
    return left, _progress_spans(progress, palette)


def _progress_spans(progress: Progress | None, palette: Palette) -> list[Span]:
    if progress is None or progress.complete:
        return []
    if progress.error:
        return [(f"! {safe(progress.error)} ", palette.problem)]
    if not progress.running:
        return [(f"indexing stopped at {progress.percent} %, r goes on ", palette.note)]
    words = f"indexing {progress.percent} %"
    if progress.rate:
        words += f"  {human(int(progress.rate))}/s  {duration(progress.remaining)} left"
    return [(words + " ", palette.note)]


def status_spans(
    selection: Selection,
    root: Field | None,
    palette: Palette,
    message: tuple[str, bool] | None,
    waiting: str,
    wide: bool,
) -> tuple[list[Span], list[Span]]:
    """Offset, device › field, size, type, value; at the right the selected bytes or what is waited for."""
    left: list[Span] = [(f" 0x{selection.cursor:x}", palette.accent), ("  ", None)]
    if message is not None:
        text, bad = message
        left.append((safe(text), palette.problem if bad else palette.note))
    else:
        left.extend(_place_spans(selection, root, palette))
    right: list[Span] = []
    if waiting:
        right.append((f" {waiting}, Esc cancels ", palette.note))
    elif selection.marked or (wide and selection.precise and selection.size):
        right.append((f" sel {selection.size:,} B @ 0x{selection.start:x} ", palette.dim))
    return left, right


def _place_spans(selection: Selection, root: Field | None, palette: Palette) -> list[Span]:
    section = selection.section
    if section is None:
        return [("no section here", palette.dim)]
    name = section_name(section)
    if section.chunk or section.kind.name == "START":
        name += f" {chunk_name(section)}"
    spans: list[Span] = [(name, palette.strong)]
    if root is None:
        return spans
    along = fields_along(root, selection.path)
    for field in along:
        spans.append((" › ", palette.dim))
        spans.append((safe(field.name, 60), None))
    if along:
        spans.append((f"  {status_words(along[-1])}", palette.number))
    else:
        spans.append((f"  {section.size:,} B", palette.dim))
    return spans
