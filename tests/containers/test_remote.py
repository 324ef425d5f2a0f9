"""Remote captures against real servers on loopback: HTTP with and without ranges, and sshd with sftp."""

from __future__ import annotations

import http.server
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from qevm.containers import UnpackingSource, growing, open_streams
from qevm.containers.remote import BLOCK, BLOCKS, RemoteSource, open_remote
from qevm.problems import CannotOpen, SourceError

fsspec = pytest.importorskip("fsspec")


class Server:
    """An HTTP server on loopback over a dict of files; counts the bytes of bodies that it sends."""

    def __init__(self, ranges: bool) -> None:
        self.files: dict[str, bytes] = {}
        self.sent = 0
        self.requests: list[str] = []
        self.fail = 0
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_HEAD(self) -> None:
                self.do_GET()

            def do_GET(self) -> None:
                data = server.files.get(self.path)
                server.requests.append(self.headers.get("Range", self.command))
                if data is None:
                    self.send_error(404)
                    return
                if server.fail and self.command == "GET":
                    server.fail -= 1
                    self.send_error(503)
                    return
                wanted = self.headers.get("Range")
                status, body = 200, data
                if ranges and wanted:
                    first, _, last = wanted.removeprefix("bytes=").partition("-")
                    body = data[int(first) : int(last) + 1]
                    status = 206
                self.send_response(status)
                if status == 206:
                    self.send_header(
                        "Content-Range", f"bytes {first}-{int(first) + len(body) - 1}/{len(data)}"
                    )
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command == "GET":
                    try:
                        self.wfile.write(body)
                        server.sent += len(body)
                    except OSError:
                        self.close_connection = True

            def log_message(self, *arguments: object) -> None:
                return

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def http_server() -> Iterator[Server]:
    pytest.importorskip("aiohttp")
    server = Server(ranges=True)
    yield server
    server.close()


@pytest.fixture
def http_without_ranges() -> Iterator[Server]:
    pytest.importorskip("aiohttp")
    server = Server(ranges=False)
    yield server
    server.close()


def large(stream: bytes) -> bytes:
    return stream + os.urandom(1 << 20) * 20


def test_opening_over_http_reads_head_and_tail_only(http_server: Server, stream: bytes) -> None:
    data = large(stream)
    http_server.files["/dir/capture"] = data
    opened = open_streams(f"{http_server.url}/dir/capture")
    source = opened.stream.source
    assert isinstance(source, RemoteSource)
    assert source.size == len(data)
    assert source.read(0, 8) == b"QEVM\0\0\0\3"
    assert source.read(len(data) - 1000, 2000) == data[-1000:]
    middle = len(data) // 2
    assert source.read(middle, 100) == data[middle : middle + 100]
    assert http_server.sent < 4 * BLOCK
    assert opened.stream.file_offset(77) == 77
    opened.close()
    with pytest.raises(SourceError):
        source.read(0, 1)


def test_a_walk_reads_ahead_and_every_byte_once(http_server: Server, stream: bytes) -> None:
    data = large(stream)
    http_server.files["/capture"] = data
    source = open_remote(f"{http_server.url}/capture")
    assert isinstance(source, RemoteSource)
    before = len(http_server.requests)
    got = bytearray()
    while piece := source.read(len(got), 100_000):
        got += piece
    assert bytes(got) == data
    assert source.fetched < len(data) + 2 * BLOCK
    assert len(http_server.requests) - before < 15
    assert len(source._cache) <= BLOCKS
    source.close()


def test_reads_of_any_place_and_length_equal_the_file(http_server: Server) -> None:
    data = os.urandom(3 * BLOCK + 17)
    http_server.files["/capture"] = data
    source = open_remote(f"{http_server.url}/capture")
    for offset in (0, 1, BLOCK - 1, BLOCK, 2 * BLOCK - 5, 3 * BLOCK, len(data) - 1, len(data), len(data) + 9):
        for length in (0, 1, 10, BLOCK, BLOCK + 1, 4 * BLOCK):
            assert source.read(offset, length) == data[offset : offset + length]
    assert source.read(-1, 5) == b""
    source.close()


def test_a_server_without_ranges_is_spooled(http_without_ranges: Server, stream: bytes) -> None:
    data = large(stream)
    http_without_ranges.files["/capture"] = data
    opened = open_streams(f"{http_without_ranges.url}/capture", wait=True)
    source = opened.stream.source
    assert isinstance(source, UnpackingSource)
    assert source.read(0, len(data) + 1) == data
    assert opened.problems == []
    progress = source.progress()
    assert (progress.bytes_in, progress.total_in) == (len(data), len(data))
    opened.close()


def test_a_compressed_capture_is_unpacked_from_afar(http_server: Server, stream: bytes) -> None:
    import lzma

    http_server.files["/capture.xz"] = lzma.compress(stream)
    opened = open_streams(f"{http_server.url}/capture.xz", wait=True)
    assert opened.stream.source.read(0, 1 << 20) == stream
    assert opened.container.kind == "xz"
    opened.close()


def test_one_failure_is_tried_again_and_two_are_an_error(http_server: Server, stream: bytes) -> None:
    http_server.files["/capture"] = large(stream)
    source = open_remote(f"{http_server.url}/capture")
    http_server.fail = 1
    assert source.read(0, 4) == b"QEVM"
    http_server.fail = 2
    with pytest.raises(SourceError, match="cannot read at 0x800000: 503"):
        source.read(8 << 20, 4)
    assert source.read(8 << 20, 4) == http_server.files["/capture"][8 << 20 :][:4]
    source.close()


def test_a_remote_file_that_grew_is_seen(http_server: Server, stream: bytes) -> None:
    http_server.files["/capture"] = stream[:5000]
    source = open_remote(f"{http_server.url}/capture")
    assert source.read(0, 1 << 20) == stream[:5000]
    http_server.files["/capture"] = stream
    assert growing.refresh(source) == len(stream)
    assert source.read(0, 1 << 20) == stream
    source.close()


def test_what_is_not_there_is_one_line(http_server: Server) -> None:
    for url in (
        f"{http_server.url}/absent",
        "http://127.0.0.1:1/capture",
        "nosuchscheme://host/capture",
        "memory://absent",
    ):
        with pytest.raises(CannotOpen) as caught:
            open_streams(url)
        assert "\n" not in str(caught.value)
        assert str(caught.value).startswith(url)


def test_other_file_systems_of_fsspec_work_too(stream: bytes) -> None:
    fsspec.filesystem("memory").pipe("/folder/capture", stream)
    opened = open_streams("memory://folder/capture")
    assert opened.stream.source.read(0, 1 << 20) == stream
    opened.close()


def test_without_fsspec_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(CannotOpen) as caught:
        open_streams("https://user:hunter2@host/capture")
    assert "pip install 'qevm[remote]'" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_local_path_that_looks_like_a_url_is_a_file(
    stream: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "odd:").mkdir()
    (tmp_path / "odd:" / "capture").write_bytes(stream)
    monkeypatch.chdir(tmp_path)
    assert open_streams("odd://capture").stream.source.size == len(stream)
    assert open_streams(f"file://{tmp_path}/odd:/capture").stream.source.size == len(stream)


# -- sftp


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Path]]:
    """A real sshd on loopback; (port, home) with a key, known_hosts and config for it in home/.ssh."""
    pytest.importorskip("paramiko")
    program = shutil.which("sshd") or next((p for p in ("/usr/sbin/sshd",) if Path(p).exists()), None)
    if program is None or shutil.which("ssh-keygen") is None:
        pytest.skip("openssh-server is not installed")
    folder = tmp_path_factory.mktemp("sshd")
    ssh = folder / ".ssh"
    ssh.mkdir(mode=0o700)
    for key in (folder / "host", ssh / "key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (folder / "authorized").write_text((ssh / "key.pub").read_text())
    (folder / "config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nPidFile none\nUsePAM no\n"
        f"AuthorizedKeysFile {folder}/authorized\nStrictModes no\nPasswordAuthentication no\n"
        "Subsystem sftp internal-sftp\n"
    )
    host_key = " ".join((folder / "host.pub").read_text().split()[:2])
    (ssh / "known_hosts").write_text(f"[127.0.0.1]:{port} {host_key}\n")
    user = subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()
    (ssh / "config").write_text(
        f"Host capture-host\n HostName 127.0.0.1\n Port {port}\n User {user}\n IdentityFile {ssh}/key\n"
    )
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    process = subprocess.Popen(
        [program, "-D", "-e", "-f", str(folder / "config")], stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    line = process.stderr.readline()
    if "listening" not in line:
        process.kill()
        pytest.skip(f"sshd does not start here: {line.strip()}")
    threading.Thread(target=process.stderr.read, daemon=True).start()
    yield port, folder
    process.terminate()
    process.wait()


@pytest.fixture
def home(sshd: tuple[int, Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(sshd[1]))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    return sshd[1]


def test_opening_over_sftp_reads_head_and_tail_only(home: Path, stream: bytes, tmp_path: Path) -> None:
    data = large(stream)
    (tmp_path / "capture").write_bytes(data)
    opened = open_streams(f"sftp://capture-host{tmp_path}/capture")
    source = opened.stream.source
    assert isinstance(source, RemoteSource)
    assert source.read(0, 8) == b"QEVM\0\0\0\3"
    assert source.read(len(data) - 1000, 2000) == data[-1000:]
    assert source.fetched < 4 * BLOCK
    got = bytearray()
    while piece := source.read(len(got), 300_000):
        got += piece
    assert bytes(got) == data
    opened.close()


def test_a_growing_file_is_followed_over_sftp(home: Path, stream: bytes, tmp_path: Path) -> None:
    path = tmp_path / "capture"
    path.write_bytes(stream[:5000])
    source = open_remote(f"sftp://capture-host{path}")
    assert source.read(0, 1 << 20) == stream[:5000]
    with path.open("ab") as file:
        file.write(stream[5000:])
    assert growing.refresh(source) == len(stream)
    assert source.read(0, 1 << 20) == stream
    source.close()


def test_qcow2_snapshots_are_read_in_place_over_sftp(home: Path, shared: object, tmp_path: Path) -> None:
    from shared_files import Shared

    assert isinstance(shared, Shared)
    path = shared.path("qcow2-2m")
    opened = open_streams(f"sftp://capture-host{path}", snapshot="second-one")
    local = open_streams(path, snapshot="second-one")
    source = opened.container.source
    assert isinstance(source, RemoteSource)
    assert source.fetched < 12 * BLOCK < path.stat().st_size
    size = local.stream.source.size
    assert opened.stream.source.read(0, size) == local.stream.source.read(0, size)
    opened.close()
    local.close()


def test_an_unknown_or_changed_host_key_is_refused(home: Path, sshd: tuple[int, Path], stream: bytes) -> None:
    known = home / ".ssh" / "known_hosts"
    right = known.read_text()
    other = " ".join((home / ".ssh" / "key.pub").read_text().split()[:2])
    try:
        known.write_text("")
        with pytest.raises(CannotOpen, match="not found in known_hosts; connect once with ssh"):
            open_streams("sftp://capture-host/capture")
        known.write_text(f"[127.0.0.1]:{sshd[0]} {other}\n")
        with pytest.raises(CannotOpen, match="host key"):
            open_streams("sftp://capture-host/capture")
    finally:
        known.write_text(right)


def test_sftp_errors_are_one_line(home: Path, sshd: tuple[int, Path], tmp_path: Path) -> None:
    for url, words in (
        (f"sftp://capture-host{tmp_path}/absent", "no such file"),
        (f"sftp://capture-host{tmp_path}", "is a directory"),
        (f"sftp://nobody@127.0.0.1:{sshd[0]}/x", "login refused|No authentication"),
        ("sftp://127.0.0.1:1/x", "connect to port 1"),
        ("sftp:///x", "names no host"),
    ):
        with pytest.raises(CannotOpen, match=words) as caught:
            open_streams(url)
        assert "\n" not in str(caught.value)
