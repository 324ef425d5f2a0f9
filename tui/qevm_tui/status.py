"""The words of the header line and of the status line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING

from qevm.containers import Progress as Unpacking
from qevm.field import Field
from qevm.problems import QevmError
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


@dataclass(slots=True)
class Doing:
    """What goes on in the background, and what came of it."""

    walk: Progress | None = None
    unpacking: Unpacking | None = None
    """None when nothing is being unpacked."""
    followed: bool = False
    """The stream of a followed file is complete, and that was said."""
    next_known: bool = False
    """A further stream in the file was looked for."""
    next_stream: int | None = None
    """Where it begins."""


def header_spans(
    capture: Capture, problems: ProblemRows, around: int, doing: Doing, palette: Palette
) -> tuple[list[Span], list[Span]]:
    """File, container, machine, size, sections, sound or problems; at the right what goes on.

    ``around`` is the number of problems of what is wrapped round the stream.
    """
    facts = [human(capture.source.size)]
    if capture.facts.machine:
        facts.insert(0, safe(capture.facts.machine, 40))
    if capture.container is not None and capture.container.kind:
        facts.insert(0, safe(capture.container.kind, 60))
    count = len(capture.index)
    facts.append(plural(count, "section") + ("" if capture.complete else "…"))
    name = "standard input" if capture.name == "-" else safe(PurePath(capture.name).name, 60)
    left: list[Span] = [
        (" qevm ", palette.dim),
        (f" {name} ", palette.strong),
        ("  " + " · ".join(facts), None),
    ]
    bad = problems.bad + around
    if bad:
        left.append((f" · ! {plural(bad, 'problem')}", palette.problem))
    elif capture.complete:
        left.append((" · sound", palette.meaning))
    if doing.next_stream is not None:
        left.append((" · another stream follows (S)", palette.note))
    return left, _doing_spans(capture, doing, palette)


def _doing_spans(capture: Capture, doing: Doing, palette: Palette) -> list[Span]:
    progress = doing.walk
    if doing.unpacking is not None:
        return [(f"{unpacking_words(doing.unpacking)}, Esc stops ", palette.note)]
    if progress is None or progress.complete:
        return []
    if progress.error:
        return [(f"! {safe(progress.error)} ", palette.problem)]
    if not progress.running:
        what = "following" if capture.follow else "indexing"
        return [(f"{what} stopped at {progress.percent} %, r goes on ", palette.note)]
    if capture.follow and not capture.finished:
        return [(f"following: {human(capture.walked)} so far, Esc stops ", palette.note)]
    words = f"indexing {progress.percent} %"
    if progress.rate:
        words += f"  {human(int(progress.rate))}/s  {duration(progress.remaining)} left"
    return [(words + " ", palette.note)]


_BAR = 10


def unpacking_words(progress: Unpacking) -> str:
    """A bar, percent, size, rate and remaining time; of a pipe only size and rate can be known."""
    size, rate = human(progress.bytes_out), f"{human(int(progress.rate))}/s"
    if progress.fraction is None:
        return f"reading {size}  {rate}"
    full = int(progress.fraction * _BAR)
    words = f"[{'#' * full}{'.' * (_BAR - full)}] unpacking {int(100 * progress.fraction)} %  {size}  {rate}"
    left = progress.remaining
    return words if left is None else f"{words}  {duration(left)} left"


def status_spans(
    capture: Capture,
    selection: Selection,
    root: Field | None,
    palette: Palette,
    message: tuple[str, bool] | None,
    waiting: str,
    wide: bool,
) -> tuple[list[Span], list[Span]]:
    """Offset in stream, file and section, device › field, size, type, value.

    At the right the selected bytes or what is waited for.
    """
    left: list[Span] = [(f" 0x{selection.cursor:x}", palette.accent)]
    place = file_offset(capture, selection)
    if place is not None:
        left.append((f" file 0x{place:x}", palette.dim))
    if selection.section is not None and selection.cursor > selection.section.offset:
        left.append((f" +0x{selection.cursor - selection.section.offset:x}", palette.dim))
    left.append(("  ", None))
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


def file_offset(capture: Capture, selection: Selection) -> int | None:
    """Where the byte under the cursor lies in the file; None when that is the same offset, or nowhere."""
    if selection.source is not None:
        return None
    try:
        place = capture.file_offset(selection.cursor)
    except QevmError:
        return None
    return None if place == selection.cursor else place


def _place_spans(selection: Selection, root: Field | None, palette: Palette) -> list[Span]:
    section, part = selection.section, selection.part
    if section is not None:
        name = section_name(section)
        if section.chunk or section.kind.name == "START":
            name += f" {chunk_name(section)}"
        size = section.size
    elif part is not None:
        name, size = safe(part.name, 60), part.size
    else:
        where = "no section here" if selection.source is None else "no part of the container here"
        return [(where, palette.dim)]
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
        spans.append((f"  {size:,} B", palette.dim))
    return spans
