"""What each subcommand does.  Everything reads the same Capture."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from qevm.capture import Capture
from qevm.containers import ChoiceNeeded, Limits, Progress, Space
from qevm.index import SectionIndex
from qevm.problems import NoSuchSection, Problem, QevmError, Severity
from qevm.safetext import safe
from qevm.section import Confidence, Section, SectionKind


def open_capture(
    options: argparse.Namespace,
    *,
    wait: bool = True,
    choose: Callable[[ChoiceNeeded], str | None] | None = None,
    confirm: Callable[[Space], bool] | None = None,
) -> Capture:
    """The capture that the options name.  ``wait`` False: a compressed one is unpacked in the background.

    ``choose`` and ``confirm`` ask the user for a snapshot, and before a disk is filled.
    """
    if options.demo:
        from qevm.demo import demo_capture_path

        with demo_capture_path() as path:
            capture = Capture.open(path, offset=options.offset)
        capture.name = path.name
        return capture
    shown = _Unpacking() if wait and sys.stderr.isatty() else None
    try:
        return Capture.open(
            options.capture,
            stream=options.stream,
            wait=wait,
            cached=not options.no_cache,
            offset=options.offset,
            snapshot=options.snapshot,
            limits=replace(_limits(options), confirm=confirm),
            progress=shown,
            choose=choose,
        )
    finally:
        if shown is not None:
            shown.clear()


def _limits(options: argparse.Namespace) -> Limits:
    limits = Limits(tmpdir=options.tmpdir)
    if options.max_size is not None:
        limits = replace(limits, max_size=options.max_size)
    if options.max_ratio is not None:
        limits = replace(limits, max_ratio=options.max_ratio)
    if options.fill_disk:
        limits = replace(limits, reserve=0)
    return limits


class _Unpacking:
    """One line on the terminal while a compressed file is unpacked."""

    def __init__(self) -> None:
        self._shown = False

    def __call__(self, progress: Progress) -> None:
        if progress.seconds < 0.5:
            return
        part = "" if progress.fraction is None else f"{progress.fraction:.0%}, "
        left = "" if progress.remaining is None else f", {progress.remaining:.0f} s left"
        line = f"unpacking: {part}{progress.bytes_out >> 20:,} MiB{left}"
        print(f"\r{line:<60}", end="", file=sys.stderr, flush=True)
        self._shown = True

    def clear(self) -> None:
        """Take the line away."""
        if self._shown:
            print(f"\r{'':60}\r", end="", file=sys.stderr, flush=True)


def ls(options: argparse.Namespace) -> int:
    """``qevm ls``: one line a section."""
    capture = open_capture(options)
    capture.walk_all()
    write = sys.stdout.write
    lines = _json_rows(capture.index) if options.json else _text_rows(capture)
    batch: list[str] = []
    for line in lines:
        batch.append(line)
        if len(batch) >= 1000:
            write("".join(batch))
            batch.clear()
    write("".join(batch))
    return 0


_KIND_NAMES = [kind.name for kind in SectionKind]
_LABELS = [level.label for level in Confidence]


def _json_rows(index: SectionIndex) -> Iterable[str]:
    """JSON Lines straight from the columns: a stream can have 100,000 sections."""
    owners = [
        f'"idstr": {json.dumps(d.idstr)}, "instance_id": {d.instance_id}, "version_id": {d.version_id}'
        for d in index.devices
    ]
    none = '"idstr": null, "instance_id": null, "version_id": null'
    for row in range(len(index)):
        number = index.device_numbers[row]
        section_id = index.section_ids[row]
        offset = index.offsets[row]
        yield (
            f'{{"index": {row}, "kind": "{_KIND_NAMES[index.kinds[row]]}", "offset": {offset}, '
            f'"size": {index.ends[row] - offset}, "section_id": {section_id if section_id >= 0 else "null"}, '
            f"{owners[number] if number < len(owners) else none}, "
            f'"depth": {index.depth(row)}, "confidence": "{_LABELS[index.confidences[row]]}"}}\n'
        )


def _text_rows(capture: Capture) -> Iterable[str]:
    yield f"{'#':>6} {'type':<13} {'id':>5} {'offset':>12} {'size':>12}  device\n"
    for section in capture.index:
        yield section_line(capture, section) + "\n"


def section_line(capture: Capture, section: Section) -> str:
    """One section as ``qevm ls`` prints it."""
    section_id = "" if section.section_id is None else str(section.section_id)
    name = "  " * section.depth
    if section.idstr is not None:
        name += safe(section.device_id)
        if section.kind in (SectionKind.START, SectionKind.FULL):
            name += f" v{section.version_id}"
    text = safe(capture.summary(section), 80)
    if text:
        name += f"{'  ' if section.idstr else ''}{text}"
    if section.confidence is not Confidence.EXACT:
        name += f"  ~{section.confidence.label}"
    # A section that only the tail located has no place in the stream's order yet.
    number = str(section.index) if section.index >= 0 else "-"
    return (
        f"{number:>6} {section.kind.name:<13} {section_id:>5} {section.offset:>#12x} "
        f"{section.size:>12,}  {name}"
    ).rstrip()


def find_sections(capture: Capture, options: argparse.Namespace) -> list[Section]:
    """The sections that SECTION and --chunk name."""
    return capture.find(options.section, options.chunk)


def show(options: argparse.Namespace) -> int:
    """``qevm show``: the decoded fields of sections."""
    from qevm import fieldjson
    from qevm_tui.fieldtext import field_lines

    capture = open_capture(options)
    sections = find_sections(capture, options)
    if options.json:
        sys.stdout.writelines(fieldjson.sections_text([(s, capture.decode(s)) for s in sections]))
        return 0
    for section in sections:
        print(section_line(capture, section))
        for line in field_lines(capture.decode(section), everything=options.all):
            print(line)
    return 0


def export(options: argparse.Namespace) -> int:
    """``qevm export``: a section's bytes, hexdump text or decoded JSON into a file."""
    from qevm.export import ExportError, Format, blocks, write_file

    capture = open_capture(options)
    sections = find_sections(capture, options)
    if options.chain:
        # find() walks no further than it must: the chain may go on, and a located section has no device yet.
        capture.walk_all()
        walked = [s for item in sections if (s := capture.section_at(item.offset)) is not None]
        devices = {s.device for s in walked if s.device is not None}
        if not devices:
            raise NoSuchSection("this section belongs to no device: it has no chain")
        rows = sorted(row for number in devices for row in capture.index.devices[number].sections)
        sections = [capture.index[row] for row in rows]
    form = Format(options.format)
    pieces = blocks(capture, sections, form)
    if options.output == "-":
        if form is Format.RAW and sys.stdout.isatty():
            raise ExportError("raw bytes do not go to a terminal: use -o FILE or --format hex")
        for piece in pieces:
            sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
        return 0
    total = write_file(Path(options.output), pieces, force=options.force)
    print(f"{safe(options.output)}: {total:,} bytes", file=sys.stderr)
    return 0


def check(options: argparse.Namespace) -> int:
    """``qevm check``: walk everything and print each problem."""
    capture = open_capture(options)
    capture.walk_all()
    problems = sorted([*capture.problems, *capture.packed_page_problems()], key=lambda p: p.offset)
    around = [] if capture.opened is None else capture.opened.problems
    # A container may be odd and its stream whole: only what costs bytes of the stream makes it unsound.
    bad = [p for p in problems if p.severity is not Severity.NOTE]
    bad += [p for p in around if p.severity is Severity.ERROR]
    if options.json:
        for where, p in [("container", p) for p in around] + [("stream", p) for p in problems]:
            print(json.dumps(_problem_row(where, p)))
        return 1 if bad else 0
    for p in around:
        print(f"{p.severity.name.lower()}: container: {safe(str(p))}")
    for p in problems:
        print(f"{p.severity.name.lower()}: {safe(str(p))}")
    name = safe(capture.name)
    if bad:
        print(f"{name}: {len(bad)} problem{'s' if len(bad) > 1 else ''} in {len(capture.index)} sections")
        return 1
    print(f"{name}: sound, {len(capture.index)} sections")
    return 0


def _problem_row(where: str, problem: Problem) -> dict[str, object]:
    return {
        "in": where,
        "offset": problem.offset,
        "severity": problem.severity.name.lower(),
        "section": problem.section,
        "device": problem.device,
        "message": problem.message,
        "expected": problem.expected,
        "found": problem.found,
    }


def analyze(options: argparse.Namespace) -> int:
    """``qevm analyze``: what QEMU's own script prints with -d state."""
    capture = open_capture(options)
    json.dump(capture.analyze(), sys.stdout, indent=4)
    sys.stdout.write("\n")
    return 0


def open_app(options: argparse.Namespace) -> int:
    """``qevm CAPTURE``: the app."""
    if not sys.stdout.isatty():
        raise QevmError("the app needs a terminal; for scripts there are ls, show, export, check, analyze")
    from qevm_tui import config, state
    from qevm_tui.opening import choose_with, confirm_with
    from qevm_tui.questions import Questions
    from qevm_tui.session import explore
    from qevm_tui.settings import Settings

    questions = Questions()

    def opening(snapshot: str | None) -> Capture:
        if snapshot is not None:
            options.snapshot = snapshot
        capture = open_capture(
            options, wait=False, choose=choose_with(questions), confirm=confirm_with(questions)
        )
        capture.follow = options.follow
        return capture

    def prepare() -> None:
        if not options.demo and options.capture == "-":
            from qevm.containers.stdin import keys_from_terminal

            if not keys_from_terminal():
                raise QevmError("no terminal to read keys from")

    settings = Settings()
    state.load(settings)
    wrong = config.load(settings)
    more = f" ({len(wrong) - 1} more: qevm --print-config)" if len(wrong) > 1 else ""
    try:
        return explore(opening, questions, settings, wrong[0] + more if wrong else "", prepare)
    finally:
        state.save(settings)


def print_config() -> int:
    """``qevm --print-config``: the configuration in effect, as TOML; what is wrong in it goes to stderr."""
    from qevm_tui import config, state
    from qevm_tui.settings import Settings

    settings = Settings()
    state.load(settings)
    wrong = config.load(settings)
    sys.stdout.write(config.printed(settings))
    for line in wrong:
        print(f"qevm: {line}", file=sys.stderr)
    return 1 if wrong else 0
