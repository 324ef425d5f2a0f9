"""Unpacking in the background: growth, cancel, bounds, disk space, and nothing left behind."""

from __future__ import annotations

import gzip
import io
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qevm.containers import Limits, Progress, Space, UnpackingSource, growing, open_streams
from qevm.containers.decoders import Plain
from qevm.containers.decoders import gzip as gzip_decoder
from qevm.containers.feed import PipeFeed, SourceFeed
from qevm.containers.spool import Spool
from qevm.problems import CannotOpen, SourceError
from qevm.source import BytesSource, FileSource, SubSource

MIB = 1 << 20


class GatedFeed:
    """A feed whose pieces come when the test says so."""

    def __init__(self, *pieces: bytes) -> None:
        self.name, self.origin, self.position = "gated", 0, 0
        self.total: int | None = sum(map(len, pieces))
        self._pieces = list(pieces)
        self._gate = threading.Semaphore(0)
        self._cancelled = False
        self.closed = False

    def open(self, count: int = 1) -> None:
        self._gate.release(count)

    def read(self) -> bytes:
        self._gate.acquire()
        if self._cancelled or not self._pieces:
            return b""
        piece = self._pieces.pop(0)
        self.position += len(piece)
        return piece

    def cancel(self) -> None:
        self._cancelled = True
        self._gate.release()

    def refresh(self) -> bool:
        return False

    def close(self) -> None:
        self.closed = True


def test_what_has_arrived_is_readable_while_the_rest_is_on_its_way() -> None:
    feed = GatedFeed(b"abc", b"def")
    source = UnpackingSource(feed, Plain())
    assert (source.size, source.complete, source.read(0, 10)) == (0, False, b"")
    feed.open()
    assert source.wait_for(3)
    assert (source.size, source.read(1, 10)) == (3, b"bc")
    assert not source.wait_for(4, timeout=0)
    assert not growing.is_complete(SubSource(source, 1))
    feed.open(2)
    assert growing.wait_complete(source)
    assert not source.wait_for(7)
    assert (source.read(2, 3), source.read(6, 1), source.problems) == (b"cde", b"", [])
    source.close()
    assert feed.closed
    with pytest.raises(SourceError):
        source.read(0, 1)


def test_progress_counts_both_sides() -> None:
    data = os.urandom(3 * MIB)
    packed = gzip.compress(data, 1)
    source = UnpackingSource(SourceFeed(BytesSource(packed)), gzip_decoder())
    seen: list[Progress] = []
    source.finish(seen.append, interval=0.001)
    last = seen[-1]
    assert (last.bytes_in, last.total_in, last.bytes_out) == (len(packed), len(packed), len(data))
    assert (last.complete, last.fraction, last.remaining) == (True, 1.0, 0.0)
    assert [p.bytes_out for p in seen] == sorted(p.bytes_out for p in seen)
    half = Progress(50, 100, 500, 2.0, False)
    assert (half.fraction, half.rate, half.remaining) == (0.5, 250.0, 2.0)
    assert Progress(50, None, 50, 1.0, False).remaining is None
    source.close()


def test_cancel_stops_and_keeps_what_is_there() -> None:
    feed = GatedFeed(b"abc", b"def")
    source = UnpackingSource(feed, Plain())
    feed.open()
    source.wait_for(3)
    source.cancel()
    assert growing.wait_complete(source)
    assert source.read(0, 9) == b"abc"
    assert "cancelled; 3 bytes recovered" in source.problems[0].message
    source.close()


def test_cancel_goes_through_every_layer(stream: bytes) -> None:
    packed = gzip.compress(gzip.compress(stream))
    feed = GatedFeed(packed[:40], packed[40:])
    outer = UnpackingSource(feed, gzip_decoder())
    inner = UnpackingSource(SourceFeed(outer), gzip_decoder())
    feed.open()
    inner.cancel()
    assert growing.wait_complete(inner, 10)
    assert outer.cancelled
    inner.close()
    assert feed.closed


def test_an_interrupt_while_waiting_cancels() -> None:
    feed = GatedFeed(b"abc")
    source = UnpackingSource(feed, Plain())

    def interrupt(_: Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        source.finish(interrupt, interval=0.001)
    assert growing.wait_complete(source, 10)
    assert source.cancelled
    source.close()


def test_the_size_limit_ends_a_bomb_and_keeps_its_beginning(tmp_path: Path) -> None:
    bomb = gzip.compress(b"QEVM\0\0\0\3\7\0\0\0\4none" + bytes(64 * MIB))
    limits = Limits(max_size=5 * MIB, tmpdir=tmp_path)
    o = open_streams(BytesSource(bomb), limits=limits, wait=True)
    source = o.stream.source
    assert 4 * MIB < source.size <= 5 * MIB
    [problem] = o.problems
    assert "passes the limit of 5242880 bytes (raise it with --max-size)" in problem.message
    o.close()


def test_the_ratio_limit_counts_disk_space_not_holes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qevm.containers.unpack.RATIO_FLOOR", MIB)
    monkeypatch.setattr("qevm.containers.unpack.SPACE_STEP", MIB)
    full = gzip.compress(b"A" * (30 * MIB))
    holes = gzip.compress(bytes(30 * MIB))
    assert len(full) * 900 < 30 * MIB
    source = UnpackingSource(SourceFeed(BytesSource(full)), gzip_decoder(), Limits(max_ratio=500))
    source.finish()
    assert source.size < 30 * MIB
    assert "a decompression bomb? (raise the limit with --max-ratio)" in source.problems[0].message
    source.close()
    for packed, ratio in ((full, 2000), (holes, 500)):
        source = UnpackingSource(SourceFeed(BytesSource(packed)), gzip_decoder(), Limits(max_ratio=ratio))
        source.finish()
        assert (source.size, source.problems) == (30 * MIB, [])
        source.close()


def test_a_full_disk_is_asked_about_before_it_is_filled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qevm.containers.unpack.SPACE_STEP", MIB)
    disk = 50 * MIB

    def free(spool: Spool) -> int:
        return disk - spool.allocated

    monkeypatch.setattr(Spool, "free", free)
    data = os.urandom(30 * MIB)
    packed = gzip.compress(data, 1)
    for answer in (False, True):
        asked: list[Space] = []

        def confirm(space: Space, answer: bool = answer, asked: list[Space] = asked) -> bool:
            asked.append(space)
            return answer

        limits = Limits(reserve=40 * MIB, confirm=confirm)
        source = UnpackingSource(SourceFeed(BytesSource(packed)), gzip_decoder(), limits)
        source.finish()
        # Asked from the projection, long before the reserve is touched.
        assert asked[0].written < 5 * MIB
        assert abs(asked[0].wanted - 30 * MIB) < MIB
        assert asked[0].free == disk - asked[0].written
        if answer:
            assert (source.size, source.problems) == (30 * MIB, [])
            assert len(asked) == 2, "once for the projection, once when the reserve is really touched"
        else:
            assert source.size < 6 * MIB
            assert "are to stay free" in source.problems[0].message
            assert "--tmpdir" in source.problems[0].message
            assert len(asked) == 1
        source.close()


def test_a_disk_that_is_full_ends_the_unpacking_with_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.pwrite

    def pwrite(fd: int, data: bytes, offset: int) -> int:
        if offset >= MIB:
            raise OSError(28, "No space left on device")
        return real(fd, data, offset)

    monkeypatch.setattr(os, "pwrite", pwrite)
    data = os.urandom(3 * MIB)
    source = UnpackingSource(SourceFeed(BytesSource(gzip.compress(data, 1))), gzip_decoder())
    source.finish()
    assert source.size >= MIB // 2
    assert source.read(0, source.size) == data[: source.size]
    assert "No space left on device" in source.problems[0].message
    source.close()


def test_a_file_that_grew_is_unpacked_on(stream: bytes, tmp_path: Path) -> None:
    path = tmp_path / "growing.gz"
    packed = gzip.compress(stream)
    path.write_bytes(packed[:1000])
    o = open_streams(path, wait=True)
    source = o.stream.source
    before = source.size
    assert 0 < before < len(stream)
    assert "ends too early" in o.problems[0].message
    assert growing.refresh(source) == before
    with path.open("ab") as file:
        file.write(packed[1000:])
    growing.refresh(source)
    assert growing.wait_complete(source)
    assert source.read(0, len(stream) + 1) == stream
    assert o.problems == []
    o.close()


def test_a_plain_file_that_grew_is_seen_through_its_frame(stream: bytes, tmp_path: Path) -> None:
    path = tmp_path / "growing"
    path.write_bytes(stream[:5000])
    window = SubSource(FileSource(path), 100)
    assert window.size == 4900
    with path.open("ab") as file:
        file.write(stream[5000:])
    assert window.size == 4900
    assert growing.refresh(window) == len(stream) - 100
    window.close()


# -- the temporary file


def test_the_temporary_file_is_private_and_has_no_name(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.append(b"secret")
    assert list(tmp_path.iterdir()) == []
    status = os.fstat(spool._fd)
    assert status.st_mode & 0o777 == 0o600
    assert status.st_nlink == 0
    spool.close()


def test_without_o_tmpfile_it_is_unlinked_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "O_TMPFILE")
    spool = Spool(tmp_path)
    spool.append(b"secret")
    assert (list(tmp_path.iterdir()), spool.read(0, 9)) == ([], b"secret")
    assert os.fstat(spool._fd).st_mode & 0o777 == 0o600
    spool.close()


def test_a_bad_tmpdir_is_named(tmp_path: Path) -> None:
    with pytest.raises(CannotOpen, match=r"no temporary file in .*absent.*--tmpdir"):
        Spool(tmp_path / "absent")


@given(
    pieces=st.lists(
        st.one_of(
            st.binary(min_size=1, max_size=200),
            st.integers(1, 20000).map(bytes),
            st.integers(1, 9000).map(lambda n: b"x" * n),
        ),
        max_size=12,
    ),
    reads=st.lists(st.tuples(st.integers(0, 60000), st.integers(0, 60000)), max_size=5),
)
@settings(max_examples=150, deadline=None)
def test_the_spool_reads_back_what_was_appended(pieces: list[bytes], reads: list[tuple[int, int]]) -> None:
    spool = Spool()
    model = b""
    for piece in pieces:
        spool.append(piece)
        model += piece
        assert spool.size == len(model)
    assert spool.read(0, len(model) + 1) == model
    for offset, length in reads:
        assert spool.read(offset, length) == model[offset : offset + length]
    spool.close()


def test_zeros_take_no_room_on_the_disk(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    for _ in range(64):
        spool.append(b"x" * 10 + bytes(MIB - 10))
    assert spool.size == 64 * MIB
    assert spool.allocated == 64 * 4096
    assert os.fstat(spool._fd).st_blocks * 512 <= 64 * 8192
    spool.close()


# -- pipes


def test_a_pipe_is_spooled_as_it_comes_in(stream: bytes) -> None:
    read, write = os.pipe()
    source = UnpackingSource(PipeFeed(read, "pipe"), Plain())
    os.write(write, stream[:1000])
    assert source.wait_for(1000, 10)
    assert (source.read(0, 2000), source.complete) == (stream[:1000], False)
    os.write(write, stream[1000:])
    os.close(write)
    assert growing.wait_complete(source, 10)
    assert source.read(0, 1 << 20) == stream
    source.close()


def test_closing_ends_a_reader_that_waits_for_a_silent_pipe() -> None:
    read, write = os.pipe()
    source = UnpackingSource(PipeFeed(read, "pipe"), Plain())
    source.close()
    with pytest.raises(BrokenPipeError):
        os.write(write, b"x")
    os.close(write)


# -- whole processes

_PROGRAM = """
import sys
from qevm.containers import open_streams
o = open_streams(sys.argv[1], tmpdir=sys.argv[2], wait=sys.argv[3] == "wait")
# Not ru_maxrss: that remembers the parent from before exec.
peak = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(o.stream.source.size, peak, flush=True)
sys.stdin.read()
"""


def _process(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def _zeros_and_noise(megabytes: int) -> Iterator[bytes]:
    yield b"QEVM\0\0\0\3\7\0\0\0\4none"
    for _ in range(megabytes):
        yield os.urandom(4096) + bytes(MIB - 4096)


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM, None])
def test_nothing_is_left_behind_however_the_process_ends(
    end: signal.Signals | None, tmp_path: Path, stream: bytes
) -> None:
    folder = tmp_path / "spool"
    folder.mkdir()
    path = tmp_path / "capture.gz"
    path.write_bytes(gzip.compress(stream))
    process = _process(str(path), str(folder), "no")
    assert process.stdout is not None
    process.stdout.readline()
    if end is not None:
        process.send_signal(end)
    process.communicate("", timeout=30)
    assert list(folder.iterdir()) == []


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc for the peak memory")
@pytest.mark.parametrize("name", ["gzip", "xz", "zstd", "lz4"])
def test_unpacking_hundreds_of_megabytes_takes_little_memory(name: str, tmp_path: Path) -> None:
    path = tmp_path / "big"
    with path.open("wb") as file:
        for piece in _packed(name, _zeros_and_noise(400)):
            file.write(piece)
    process = _process(str(path), str(tmp_path), "wait")
    out, _ = process.communicate("", timeout=120)
    size, kilobytes = map(int, out.split())
    assert size == 400 * MIB + 17
    assert kilobytes < 150_000
    path.unlink()


def _packed(name: str, pieces: Iterator[bytes]) -> Iterator[bytes]:
    if name == "gzip":
        target = io.BytesIO()
        with gzip.GzipFile(fileobj=target, mode="wb", compresslevel=1) as file:
            for piece in pieces:
                file.write(piece)
        yield target.getvalue()
        return
    import shutil

    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed")
    level = "-0" if name == "xz" else "-1"
    process = subprocess.Popen([name, level, "-q", "-c"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    out: list[bytes] = []
    reader = threading.Thread(target=lambda: out.append(process.stdout.read()))  # type: ignore[union-attr]
    reader.start()
    for piece in pieces:
        process.stdin.write(piece)
    process.stdin.close()
    reader.join()
    process.wait()
    yield from out
