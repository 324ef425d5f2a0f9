"""What is left of a capture that something damaged: nothing breaks, and all that is sound is found again."""

from __future__ import annotations

import re
import subprocess
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import pytest
from counting_source import CountingSource
from damage_variants import Anatomy, Variant, shared_variants, variants

from qevm.capture import Capture
from qevm.containers import open_streams
from qevm.problems import CannotOpen, Problem, Severity
from qevm.section import Section
from qevm_tui.cli import main

# Small ones of every kind of framing: all the time goes into walking each 150 times.
CAPTURES = (
    "alpha-clipper",
    "arm-microbit",
    "arm-mps2",
    "arm-virt-a15",
    "microvm",
    "mips-malta",
    "multifd",
    "or1k-sim",
    "rx-gdbsim",
    "s390x-ccw",
    "virtio-mem",
)
# No footers, no description, one of another style, a package: the shared generator does not take these.
ODD = ("none-machine", "pc-bare", "pc-no-config-q52", "pc-no-footer", "pc-no-vmdesc", "postcopy")

# What is left of these is another source, or zeros that are alike by chance: offsets cannot be compared.
INCOMPARABLE = {"offset-prefix", "gzip-cut", "gzip-bomb-like", "libvirt-bad-format", "header-zeros"}
# These hit guest data as likely as not.
BLIND = {"flip", "hole", "noise"}

FIELDS_LOOKED_AT = 1000


@dataclass
class Outcome:
    """What qevm made of one variant."""

    variant: Variant
    refusal: str = ""
    size: int = 0
    rows: list[Section] = field(default_factory=list)
    bad: list[Problem] = field(default_factory=list)
    """What ``check`` exits 1 for, by offset."""
    bytes_read: int = 0
    reads: int = 0
    undecoded: str = ""


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
    outcome.size = capture.source.size
    outcome.rows = list(capture.index)
    bad = [p for p in capture.problems if p.severity > Severity.NOTE]
    bad += [p for p in capture.packed_page_problems() if p.severity > Severity.NOTE]
    assert capture.opened is not None
    bad += [p for p in capture.opened.problems if p.severity is Severity.ERROR]
    outcome.bad = sorted(bad, key=lambda p: p.offset)
    for section in outcome.rows:
        if _key(section) in sound and not variant.kind.startswith("vmdesc"):
            continue  # decoded as in the sound stream, which other tests look at
        root = capture.decode(section)
        if (root.offset, root.end) != (section.offset, section.end):
            outcome.undecoded = f"{section} is decoded from 0x{root.offset:x} to 0x{root.end:x}"
        for _ in root.walk(FIELDS_LOOKED_AT):
            pass
    capture.close()
    return outcome


def _key(section: Section, shift: int = 0) -> tuple[object, ...]:
    """What a section is, but not how sure that is: a description tells more surely than a footer."""
    places = (section.offset, section.body, section.body_end, section.end)
    return (
        section.kind, *(place + shift for place in places), section.depth,
        section.section_id, section.idstr, section.instance_id, section.version_id,
    )  # fmt: skip


def _key_for(variant: Variant) -> Callable[..., tuple[object, ...]]:
    """A name that was damaged in the description may have won over the same name in the stream."""
    if variant.kind in BLIND:
        return lambda section, shift=0: _key(section, shift)[:6]
    return _key


@dataclass(frozen=True)
class Damaged:
    """A sound capture and what was made of its damaged variants."""

    name: str
    sound: list[Section] = field(repr=False)
    outcomes: list[Outcome] = field(repr=False)

    def failures(self, check: Callable[[Outcome], str]) -> list[str]:
        """What ``check`` says of each variant that was opened, where it says anything."""
        found = []
        for outcome in self.outcomes:
            text = "" if outcome.refusal else check(outcome)
            if text:
                problems = "; ".join(map(str, outcome.bad[:2]))
                found.append(f"{outcome.variant.name}: {text} [{problems}]")
        return found


@pytest.fixture(scope="module", params=CAPTURES + ODD)
def damaged(request: pytest.FixtureRequest, capture_path: Callable[[str], Path]) -> Damaged:
    data = capture_path(request.param).read_bytes()
    capture, _ = _open(data)
    capture.walk_all()
    assert capture.sound
    anatomy = Anatomy(data, capture)
    made = [] if request.param in ODD else list(shared_variants(anatomy))
    kinds = {one.kind for one in made}
    made += [one for one in variants(anatomy) if one.kind not in kinds]
    sound = list(capture.index)
    keys = {_key(section) for section in sound}
    return Damaged(request.param, sound, [_examine(one, keys) for one in made])


# All that follows stands on this: no variant raised, in the walk or in the decoding, for the fixture.


def test_a_file_that_holds_no_stream_is_refused_with_its_reason(damaged: Damaged) -> None:
    for outcome in damaged.outcomes:
        expected = outcome.variant.expected
        assert bool(outcome.refusal) is not expected.opens, (outcome.variant.name, outcome.refusal)
        if outcome.refusal:
            assert expected.says is not None
            assert re.search(expected.says, outcome.refusal, re.IGNORECASE), outcome.variant.name
            assert "\n" not in outcome.refusal


def test_the_work_is_bounded_by_the_size_of_the_file(damaged: Damaged) -> None:
    def check(outcome: Outcome) -> str:
        size = len(outcome.variant.data)
        if outcome.bytes_read > 8 * size + (1 << 20):
            return f"{outcome.bytes_read} bytes read of {size}"
        if outcome.reads > 300 + 20 * len(outcome.rows) + size // 1024:
            return f"{outcome.reads} reads for {len(outcome.rows)} rows in {size} bytes"
        return ""

    assert not damaged.failures(check)


def test_rows_of_depth_0_tile_the_stream(damaged: Damaged) -> None:
    def check(outcome: Outcome) -> str:
        rows = [row for row in outcome.rows if row.depth == 0]
        for before, after in pairwise(rows):
            if before.end != after.offset:
                return f"a hole or overlap at 0x{before.end:x}..0x{after.offset:x}"
        return "" if rows[-1].end == outcome.size else f"the rows end at 0x{rows[-1].end:x}"

    assert not damaged.failures(check)


def test_what_stands_before_the_damage_is_as_in_the_sound_stream(damaged: Damaged) -> None:
    def check(outcome: Outcome) -> str:
        key = _key_for(outcome.variant)
        found = {key(row) for row in outcome.rows}
        wrong = [row for row in damaged.sound if row.end <= outcome.variant.low and key(row) not in found]
        return f"{len(wrong)} rows differ, the first is {wrong[0]}" if wrong else ""

    # Bytes that were moved as a whole are not where they were.
    moved = [one for one in damaged.outcomes if one.variant.kind in INCOMPARABLE]
    assert not replace(damaged, outcomes=[o for o in damaged.outcomes if o not in moved]).failures(check)


def test_what_stands_behind_the_damage_is_found_again(damaged: Damaged) -> None:
    def check(outcome: Outcome) -> str:
        variant = outcome.variant
        if variant.kind in INCOMPARABLE:
            return ""
        key = _key_for(variant)
        found = {key(row) for row in outcome.rows}
        behind = [row for row in damaged.sound if row.offset >= variant.high]
        lost = [row for row in behind if key(row, variant.shift) not in found]
        return f"{len(lost)} of {len(behind)} rows are lost, the first is {lost[0]}" if lost else ""

    assert not damaged.failures(check)


def test_the_message_says_what_happened(damaged: Damaged) -> None:
    def check(outcome: Outcome) -> str:
        expected = outcome.variant.expected
        if expected.says is None:
            return "is not sound" if outcome.bad else ""
        if outcome.bad and not any(re.search(expected.says, problem.message) for problem in outcome.bad):
            return f"nothing says {expected.says!r}"
        return ""

    assert not damaged.failures(check)


def test_the_first_problem_is_where_the_damage_was_made(damaged: Damaged) -> None:
    def check(outcome: Outcome) -> str:
        variant = outcome.variant
        if not outcome.bad or not variant.expected.exact:
            assert variant.expected.exact or variant.expected.why
            return ""
        at = outcome.bad[0].offset
        places = [f"0x{place:x}" for place in variant.places]
        return "" if at in variant.places else f"reported at 0x{at:x}, made at {places}"

    assert not damaged.failures(check)


def test_no_variant_that_qemu_refuses_passes_the_check(damaged: Damaged) -> None:
    def check(outcome: Outcome) -> str:
        kind = outcome.variant.kind
        passes = not outcome.bad and outcome.variant.expected.refused and kind not in BLIND
        return "passes" if passes else ""

    assert not damaged.failures(check)


def test_each_device_is_decoded_from_where_it_was_found(damaged: Damaged) -> None:
    def check(outcome: Outcome) -> str:
        return outcome.undecoded

    assert not damaged.failures(check)


MEMORY = ("machine-name-length", "vmdesc-length-huge", "vmdesc-deep", "ram-total", "block-length-overflow",
          "string-length", "random-with-magic", "gzip-bomb-like", "twice")  # fmt: skip


def test_no_length_field_allocates_what_it_says(capture_path: Callable[[str], Path]) -> None:
    data = capture_path("arm-microbit").read_bytes()
    capture, _ = _open(data)
    capture.walk_all()
    looked_at = [one for one in variants(Anatomy(data, capture)) if one.name in MEMORY]
    assert len(looked_at) == len(MEMORY)
    for variant in looked_at:
        tracemalloc.start()
        _examine(variant, set())
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 24 << 20, variant.name


def test_check_exits_0_1_or_2_as_the_problems_say(
    capture_path: Callable[[str], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = capture_path("arm-microbit").read_bytes()
    capture, _ = _open(data)
    capture.walk_all()
    path = tmp_path / "damaged.bin"
    each_kind = {variant.kind: variant for variant in variants(Anatomy(data, capture))}
    for variant in each_kind.values():
        outcome = _examine(variant, set())
        path.write_bytes(variant.data)
        status = main(["check", str(path)])
        printed = capsys.readouterr()
        assert status == (2 if outcome.refusal else 1 if outcome.bad else 0), variant.name
        assert printed.err.count("\n") == (1 if outcome.refusal else 0), variant.name
        assert "\x1b" not in printed.out + printed.err, variant.name


@pytest.mark.parametrize(
    ("kind", "status"),
    [("cut", 1), ("name-not-text", 1), ("vmdesc-deep", 1), ("random-with-magic", 1), ("vmdesc-missing", 0),
     ("offset-prefix", 0), ("magic-swapped", 2), ("empty", 2), ("libvirt-header-only", 2), ("gzip-cut", 1)],
)  # fmt: skip
def test_the_command_never_shows_a_traceback(
    kind: str,
    status: int,
    capture_path: Callable[[str], Path],
    run_qevm: Callable[..., subprocess.CompletedProcess[str]],
    tmp_path: Path,
) -> None:
    data = capture_path("arm-microbit").read_bytes()
    capture, _ = _open(data)
    capture.walk_all()
    path = tmp_path / "damaged.bin"
    path.write_bytes(next(one for one in variants(Anatomy(data, capture)) if one.kind == kind).data)
    done = run_qevm("check", path)
    assert done.returncode == status
    assert "Traceback" not in done.stdout + done.stderr
    assert done.stderr.count("\n") == (1 if status == 2 else 0)
