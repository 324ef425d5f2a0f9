"""Bookmarks: kept by content, written whole, safe against what lies in their place."""

from __future__ import annotations

import json
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qevm import bookmarks
from qevm.bookmarks import Bookmark, Bookmarks, BookmarksError, DamagedError, bookmark_at, place_of
from qevm.capture import Capture
from qevm.source import BytesSource

Captures = Callable[[str], Path]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("QEVM_DATA_DIR", str(tmp_path / "data"))
    return tmp_path / "data" / "bookmarks"


@pytest.fixture
def capture(capture_path: Captures):
    with_walk = Capture.open(capture_path("arm-microbit"))
    with_walk.walk_all()
    yield with_walk
    with_walk.close()


def test_a_bookmark_says_where_it_is(capture: Capture) -> None:
    [timer] = capture.find("nrf51_soc.timer@2")
    mark = bookmark_at(capture, timer.offset + 5, "look here")
    assert mark == Bookmark(timer.offset + 5, "look here", "nrf51_soc.timer@2", timer.section_id, 0, 5)
    assert place_of(capture, mark) == timer.offset + 5


def test_a_bookmark_finds_its_device_when_another_one_stands_at_its_offset(capture: Capture) -> None:
    [timer] = capture.find("nrf51_soc.timer@2")
    moved = Bookmark(0x400, "", "nrf51_soc.timer@2", timer.section_id or 0, 0, 5)
    assert place_of(capture, moved) == timer.offset + 5
    gone = Bookmark(0x400, "", "no such device@0", 3, 0, 5)
    assert place_of(capture, gone) == 0x400


def test_bookmarks_are_kept_in_order_and_privately(capture: Capture, place: Path) -> None:
    kept = Bookmarks.of(capture)
    assert kept.load() == []
    assert not place.exists()
    kept.put(Bookmark(30, "third"))
    kept.put(Bookmark(10, "first"))
    kept.put(Bookmark(30, "changed"))
    assert [(m.offset, m.note) for m in Bookmarks.of(capture).load()] == [(10, "first"), (30, "changed")]
    assert kept.remove(10) == [Bookmark(30, "changed")]
    assert kept.remove(10) == [Bookmark(30, "changed")]
    [file] = place.iterdir()
    assert stat.S_IMODE(place.stat().st_mode) == 0o700
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_two_sessions_do_not_lose_each_others_bookmarks(capture: Capture, place: Path) -> None:
    one, other = Bookmarks.of(capture), Bookmarks.of(capture)
    one.put(Bookmark(1))
    other.put(Bookmark(2))
    one.put(Bookmark(3))
    assert [m.offset for m in other.load()] == [1, 2, 3]


def test_a_copy_keeps_its_bookmarks_and_another_capture_has_its_own(
    capture_path: Captures, capture: Capture, tmp_path: Path, place: Path
) -> None:
    Bookmarks.of(capture).put(Bookmark(7, "here"))
    shutil.copy(capture_path("arm-microbit"), tmp_path / "copy.bin")
    copy = Capture.open(tmp_path / "copy.bin")
    assert [m.note for m in Bookmarks.of(copy).load()] == ["here"]
    copy.close()
    other = Capture.open(capture_path("avr-mega-q72"))
    assert Bookmarks.of(other).load() == []
    other.close()


def test_large_captures_are_known_by_samples() -> None:
    data = bytearray(3 << 20)
    key = bookmarks.identity(BytesSource(bytes(data)), 0)
    assert key == bookmarks.identity(BytesSource(bytes(data)), 0)
    assert key != bookmarks.identity(BytesSource(bytes(data) + b"\0"), 0)
    data[-5] = 1
    assert key != bookmarks.identity(BytesSource(bytes(data)), 0)


def broken(key: str) -> dict[str, bytes]:
    good = {"offset": 1, "note": "", "device": "", "section": -1, "chunk": 0, "inside": 0}

    def file(**change: object) -> bytes:
        return json.dumps({"version": 1, "key": key, "bookmarks": [good]} | change).encode()

    def mark(**change: object) -> bytes:
        return file(bookmarks=[good | change])

    return {
        "empty": b"",
        "no json": b"\xff\xfe{",
        "a list": b"[]",
        "a number": b"7",
        "no version": file(version=None),
        "another capture": file(key="x"),
        "no list": file(bookmarks={"a": 1}),
        "bookmarks of numbers": file(bookmarks=[1, 2]),
        "negative": mark(offset=-1),
        "a fraction": mark(offset=1.5),
        "huge": mark(offset=1 << 70),
        "true": mark(offset=True),
        "a long note": mark(note="x" * 5000),
        "no text": mark(note=7),
        "nested": b"[" * 100_000,
        "too many": file(bookmarks=[good] * 10_001),
        "no device": file(bookmarks=[{"offset": 1}]),
    }


@pytest.mark.parametrize("what", sorted(broken("")))
def test_a_damaged_file_is_not_used_and_set_aside(what: str, tmp_path: Path) -> None:
    kept = Bookmarks("abc", place=tmp_path)
    content = broken("abc")[what]
    (tmp_path / "abc.json").write_bytes(content)
    with pytest.raises(DamagedError, match="damaged"):
        kept.load()
    assert kept.put(Bookmark(5)) == [Bookmark(5)]
    assert kept.load() == [Bookmark(5)]
    assert (tmp_path / "abc.damaged").read_bytes() == content


def test_the_file_of_another_version_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "abc.json"
    path.write_text('{"version": 2, "marks": []}')
    with pytest.raises(BookmarksError, match="another version"):
        Bookmarks("abc", place=tmp_path).put(Bookmark(5))
    assert path.read_text() == '{"version": 2, "marks": []}'


def test_where_nothing_can_be_written_nothing_is_left_behind(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BookmarksError, match="Not a directory"):
        Bookmarks("abc", place=tmp_path / "file").put(Bookmark(5))
    (tmp_path / "abc.json").mkdir()
    with pytest.raises(BookmarksError):
        Bookmarks("abc", place=tmp_path).put(Bookmark(5))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["abc.json", "file"]


marks = st.builds(
    Bookmark,
    st.integers(0, 1 << 50),
    st.text(max_size=50),
    st.text(max_size=50),
    st.integers(-1, 1 << 32),
    st.integers(0, 1 << 32),
    st.integers(0, 1 << 50),
)


@given(st.lists(marks, max_size=6))
def test_what_is_put_is_what_is_loaded(
    tmp_path_factory: pytest.TempPathFactory, given: list[Bookmark]
) -> None:
    kept = Bookmarks("abc", place=tmp_path_factory.mktemp("marks"))
    for mark in given:
        kept.put(mark)
    assert kept.load() == sorted({mark.offset: mark for mark in given}.values())
