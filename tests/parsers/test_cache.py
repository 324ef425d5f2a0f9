"""The index of large captures in the user's cache directory."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from qevm import cache
from qevm.bodies.ram import RamBody
from qevm.capture import Capture


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("QEVM_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr("qevm.capture.CACHED_FROM", 0)
    return tmp_path / "cache"


@pytest.fixture
def live(capture_path, tmp_path: Path) -> Path:
    path = tmp_path / "live.bin"
    path.write_bytes(capture_path("microvm").read_bytes())
    return path


def walked(path: Path, *, cached: bool = True) -> Capture:
    capture = Capture.open(path, cached=cached)
    capture.walk_all()
    return capture


def rows(capture: Capture) -> list[tuple[int, ...]]:
    return [(s.kind, s.offset, s.body, s.body_end, s.end, s.confidence) for s in capture.index]


def records(capture: Capture) -> list[object]:
    [ram] = [b for b in (capture.body_of(s) for s in capture.index) if isinstance(b, RamBody)][:1]
    return list(ram.runs)


def fields(capture: Capture) -> list[tuple[object, ...]]:
    return [
        (f.name, f.offset, f.size, f.value)
        for section in capture.find("ram")
        for _, f in capture.decode(section).walk(20_000)
    ]


def test_a_remembered_walk_says_the_same_as_the_first(live: Path, place: Path) -> None:
    plain = walked(live, cached=False)
    assert not place.exists()
    first = walked(live)
    assert len(list(place.glob("*.idx"))) == 1
    again = walked(live)
    assert again.facts.remembered_ram is not None
    assert rows(plain) == rows(first) == rows(again)
    assert records(plain) == records(again)
    assert fields(plain) == fields(again)
    assert again.sound


def test_the_cache_is_private(live: Path, place: Path) -> None:
    walked(live)
    [kept] = place.glob("*.idx")
    assert place.stat().st_mode & 0o077 == 0
    assert kept.stat().st_mode & 0o077 == 0


def test_any_damaged_byte_makes_the_index_worthless(live: Path, place: Path) -> None:
    first = walked(live)
    [kept] = place.glob("*.idx")
    whole = kept.read_bytes()
    step = max(len(whole) // 40, 1)
    for at in range(0, len(whole), step):
        kept.write_bytes(whole[:at] + bytes((whole[at] ^ 0x10,)) + whole[at + 1 :])
        assert cache.load(kept.stem) is None
    for size in (0, 5, len(whole) // 2, len(whole) - 1):
        kept.write_bytes(whole[:size])
        assert cache.load(kept.stem) is None
    kept.write_bytes(b"junk")
    again = walked(live)
    assert rows(again) == rows(first)
    assert kept.read_bytes() == whole


def test_an_index_of_another_capture_is_not_used(live: Path, place: Path) -> None:
    walked(live)
    [kept] = place.glob("*.idx")
    other = place / f"{'0' * len(kept.stem)}.idx"
    kept.rename(other)
    assert cache.load(other.stem) is None


def test_a_changed_file_is_another_capture(live: Path, place: Path) -> None:
    walked(live)
    status = live.stat()
    os.utime(live, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    assert Capture.open(live, cached=True).facts.remembered_ram is None
    capture = Capture.open(live, cached=True)
    next(capture.walk())
    assert capture.facts.remembered_ram is None


def test_small_captures_are_not_kept(live: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QEVM_CACHE_DIR", str(tmp_path / "cache"))
    walked(live)
    assert not (tmp_path / "cache").exists()


def test_a_damaged_capture_is_not_kept(live: Path, place: Path) -> None:
    data = bytearray(live.read_bytes())
    first = Capture.open(live)
    first.walk_all()
    part = next(s for s in first.index if s.kind.name == "PART")
    data[part.body + 6] ^= 0x08
    live.write_bytes(data)
    assert not walked(live).sound
    assert not list(place.glob("*.idx"))


def test_the_oldest_go_when_the_cache_is_full(
    live: Path, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    walked(live)
    [kept] = place.glob("*.idx")
    os.utime(kept, (1, 1))
    monkeypatch.setattr(cache, "LARGEST_TOTAL", kept.stat().st_size * 5 - 1)
    for number in range(4):
        copy = tmp_path / f"copy{number}.bin"
        copy.write_bytes(live.read_bytes())
        walked(copy)
    assert not kept.exists()
    assert len(list(place.glob("*.idx"))) == 4


def test_nobody_minds_a_cache_that_cannot_be_written(
    live: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qevm.capture.CACHED_FROM", 0)
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("QEVM_CACHE_DIR", str(tmp_path / "file" / "below"))
    assert walked(live).sound
