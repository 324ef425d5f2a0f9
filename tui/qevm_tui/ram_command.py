"""``qevm ram``: guest memory into files."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from qevm.atomic import ExportError
from qevm.bodies.ram_blocks import RamBlock
from qevm.capture import Capture
from qevm.guest_memory import GuestMemory
from qevm.memory_writer import BlockReport, safe_block_names, write_block
from qevm.problems import NoSuchSection
from qevm.safetext import safe
from qevm.source import FileSource
from qevm_tui.commands import open_capture
from qevm_tui.words import human, plural

_RANGES_SHOWN = 16


def ram(options: argparse.Namespace) -> int:
    """``qevm ram``: rebuild RAM blocks; exit 1 when pages cannot be known."""
    capture = open_capture(options)
    capture.walk_all()
    memory = _memory(capture, options)
    blocks = _chosen(memory, options.block)
    targets = _targets(blocks, Path(options.output), one=options.block is not None)
    unknown = 0
    for block, target in zip(blocks, targets, strict=True):
        progress = _Progress(block.text) if sys.stderr.isatty() else None
        try:
            report = write_block(memory, block, target, force=options.force, progress=progress)
        finally:
            if progress is not None:
                progress.clear()
        _tell(report, target)
        unknown += report.unknown_pages
    for channel in memory.channels:
        for problem in channel.problems:
            print(f"qevm: {safe(channel.source.name)}: {safe(str(problem))}", file=sys.stderr)
            unknown += 1
    return 1 if unknown else 0


def _memory(capture: Capture, options: argparse.Namespace) -> GuestMemory:
    row = None
    if options.at is not None:
        row = capture.find(options.at)[-1].index
    page_size = capture.facts.page_size or 4096
    channels = []
    if options.channel:
        from qevm.bodies.multifd import Channel

        channels = [Channel(FileSource(path), page_size) for path in options.channel]
    return GuestMemory.of(capture, channels, row)


def _chosen(memory: GuestMemory, name: str | None) -> list[RamBlock]:
    if name is None:
        return memory.blocks
    block = memory.block(name)
    if block is None:
        there = ", ".join(safe(block.text) for block in memory.blocks)
        raise NoSuchSection(f"no RAM block {safe(name)} in this stream; there are: {there}")
    return [block]


def _targets(blocks: list[RamBlock], output: Path, *, one: bool) -> list[Path]:
    """A file for each block: ``output`` itself, or files in the folder ``output``."""
    if one and not output.is_dir():
        return [output]
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ExportError(f"{safe(str(output))}: cannot make a folder: {error.strerror or error}") from error
    return [output / name for name in safe_block_names(blocks)]


def _tell(report: BlockReport, target: Path) -> None:
    """The summary of one block: what is in the file, and what is not."""
    counts = ", ".join(f"{count:,} {state.value}" for state, count in report.pages.items() if count)
    name = safe(report.block.text)
    print(f"{name}: {human(report.length)} in {safe(str(target))}: {counts or 'no pages'}", file=sys.stderr)
    for start, length, state, reason in report.unknown[:_RANGES_SHOWN]:
        why = f"{state.value}: {reason}" if reason else state.value
        print(f"  {name}+0x{start:x}, {length:,} bytes: {safe(why)}", file=sys.stderr)
    more = len(report.unknown) - _RANGES_SHOWN
    if more > 0 or report.more_unknown:
        at_least = "at least " if report.more_unknown else ""
        print(f"  and {at_least}{plural(max(more, 1), 'range')} more", file=sys.stderr)


class _Progress:
    """One line on the terminal, at most four times a second."""

    def __init__(self, name: str) -> None:
        self._name = safe(name, 30)
        self._told = time.monotonic()
        self._shown = False

    def __call__(self, done: int, length: int) -> None:
        now = time.monotonic()
        if now - self._told < 0.25:
            return
        self._told = now
        self._shown = True
        line = f"{self._name}: {done / max(length, 1):.0%} of {human(length)}"
        print(f"\r{line:<60}", end="", file=sys.stderr, flush=True)

    def clear(self) -> None:
        """Take the line away."""
        if self._shown:
            print(f"\r{'':60}\r", end="", file=sys.stderr, flush=True)
