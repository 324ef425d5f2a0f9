"""The targets of the fuzzer take the captures, and all that the fuzzer has found."""

from __future__ import annotations

import sys
import tracemalloc
from pathlib import Path

import examples
import pytest

FUZZ = Path(__file__).resolve().parents[1] / "fuzz"
sys.path.insert(0, str(FUZZ))

import targets  # noqa: E402

CRASHES = sorted(path for path in (FUZZ / "crashes").iterdir() if path.name != "README.md")

MEMORY = 32 << 20
"""More than any input of a few kilobytes may take."""


@pytest.mark.parametrize("path", CRASHES, ids=lambda path: path.name)
def test_what_the_fuzzer_found_stays_mended(path: Path) -> None:
    name = next(name for name in sorted(targets.TARGETS, key=len, reverse=True) if path.name.startswith(name))
    tracemalloc.start()
    try:
        targets.TARGETS[name](path.read_bytes())
        assert tracemalloc.get_traced_memory()[1] < MEMORY
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", ["none-machine", "avr-mega-q72", "arm-microbit"])
def test_the_targets_take_a_sound_capture(name: str, tmp_path: Path) -> None:
    data = examples.example(name).unpack(tmp_path).read_bytes()
    for target in targets.TARGETS.values():
        target(data)
        target(data[: len(data) // 2])
