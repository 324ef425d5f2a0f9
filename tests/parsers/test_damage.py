"""What is left of a capture that something damaged: nothing breaks, and all that is sound is found again."""

from __future__ import annotations

import re
import subprocess
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import examples
import pytest
from damage_variants import Anatomy, Variant, shared_variants, variants

from qevm.capture import Capture
from qevm.containers import open_streams
from qevm.problems import CannotOpen, Problem, Severity
from qevm.section import Section, SectionKind
from qevm.source import BytesSource, Source

# Small ones of every kind of framing: most of the time goes into walking them 150 times.
CAPTURES = (
    "alpha-clipper",
    "arm-microbit",
    "arm-mps2",
    "arm-virt-a15",
    "compress-q72",
    "ignore-shared",
    "microvm",
    "mips-malta",
    "multifd",
    "or1k-sim",
    "pc-no-config-q52",
    "rx-gdbsim",
    "s390x-ccw",
    "virtio-mem",
    "xbzrle",
)  # fmt: skip
# No footers, or no description, or a package: the shared generator does not take these.
ODD = ("pc-bare", "pc-no-footer", "pc-no-vmdesc", "postcopy", "none-machine")

FIELDS_LOOKED_AT = 2000


class CountingSource:
    """Bytes in memory that count what is read of them."""

    def __init__(self, data: bytes) -> None:
        self._inner = BytesSource(data)
        self.name = "damaged"
        self.bytes_read = 0
        self.reads = 0

    @property
    def size(self) -> int:
        return self._inner.size

    def read(self, offset: int, length: int) -> bytes:
        data = self._inner.read(offset, length)
        self.bytes_read += len(data)
        self.reads += 1
        return data

    def close(self) -> None:
        self._inner.close()


@dataclass
class Outcome:
    """What qevm made of one variant."""

    variant: Variant
    refusal: str = ""
    rows: list[Section] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    bytes_read: int = 0
    reads: int = 0
    decoding: str = ""

    @property
    def bad(self) -> list[Problem]:
        """What ``check`` exits 1 for, in its order."""
        return sorted((p for p in self.problems if p.severity > Severity.NOTE), key=lambda p: p.offset)


def _open(data: bytes) -> tuple[Capture, CountingSource]:
    source = CountingSource(data)
    opened = open_streams(source, wait=True)
    return Capture(opened.stream.source, opened.stream.base, opened=opened), source


def _examine(variant: Variant, sound: set[tuple[object, ...]]) -> Outcome:
    outcome = Outcome(variant)
    try:
        capture, source = _open(variant.data)
    except CannotOpen as error:
        outcome.refusal = str(error)
        return outcome
    capture.walk_all()
    outcome.bytes_read, outcome.reads = source.bytes_read, source.reads
    outcome.rows = list(capture.index)
    outcome.problems = list(capture.problems)
    assert capture.opened is not None
    outcome.problems += [*capture.opened.problems]
    for section in outcome.rows:
        if _key(section) in sound and not variant.kind.startswith("vmdesc"):
            continue  # the sound stream's test has decoded it
        for _ in capture.decode(section).walk(FIELDS_LOOKED_AT):
            pass
    capture.close()
    return outcome


def _key(section: Section, shift: int = 0) -> tuple[object, ...]:
    """What a section is, without how sure that is: a description tells more surely than a footer."""
    return (
        section.kind, section.offset + shift, section.body + shift, section.body_end + shift, section.end + shift,
        section.section_id, section.idstr, section.instance_id, section.version_id, section.depth,
    )  # fmt: skip
