"""``qevm -``: pipes, redirected files, and keys from the terminal afterwards."""

from __future__ import annotations

import gzip
import os
import pty
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from qevm.containers import UnpackingSource, growing, open_streams
from qevm.containers.stdin import open_stdin
from qevm.problems import CannotOpen
from qevm.source import FileSource


def test_a_pipe_grows_and_keeps_its_own_descriptor(stream: bytes) -> None:
    read, write = os.pipe()
    source = open_stdin(descriptor=read)
    os.close(read)
    os.write(write, stream[:100])
    assert source.size <= 100
    assert growing.wait_for(source, 100, 10)
    assert not growing.is_complete(source)
    os.write(write, stream[100:])
    os.close(write)
    assert growing.wait_complete(source, 10)
    assert source.read(0, 1 << 20) == stream
    source.close()


def test_a_redirected_file_is_read_in_place_whatever_its_position(stream: bytes, tmp_path: Path) -> None:
    (tmp_path / "capture").write_bytes(stream)
    descriptor = os.open(tmp_path / "capture", os.O_RDONLY)
    os.lseek(descriptor, 500, os.SEEK_SET)
    source = open_stdin(descriptor=descriptor)
    assert isinstance(source, FileSource)
    assert source.read(0, 1 << 20) == stream
    assert os.lseek(descriptor, 0, os.SEEK_CUR) == 500
    os.close(descriptor)
    source.close()


def test_a_socket_is_a_pipe_too(stream: bytes) -> None:
    ours, theirs = socket.socketpair()
    source = open_stdin(descriptor=ours.fileno())
    ours.close()
    theirs.sendall(stream[:3000])
    theirs.close()
    assert growing.wait_complete(source, 10)
    assert source.read(0, 1 << 20) == stream[:3000]
    source.close()


def test_a_terminal_and_a_directory_are_refused(tmp_path: Path) -> None:
    master, slave = pty.openpty()
    with pytest.raises(
        CannotOpen, match=r"is a terminal: pipe a capture into it, as in  cat capture \| qevm -"
    ):
        open_stdin(descriptor=slave)
    os.close(master)
    os.close(slave)
    folder = os.open(tmp_path, os.O_RDONLY)
    with pytest.raises(CannotOpen, match="neither a file nor a pipe"):
        open_stdin(descriptor=folder)
    os.close(folder)
    with pytest.raises(CannotOpen, match="is closed"):
        open_stdin(descriptor=folder)


def run(program: str, data: bytes) -> str:
    done = subprocess.run([sys.executable, "-c", program], input=data, capture_output=True, timeout=60)
    return done.stdout.decode() + done.stderr.decode()


OPEN = """
from qevm.containers import open_streams
o = open_streams("-", wait=True)
print(o.container.layers, o.stream.source.size, [str(p) for p in o.problems])
"""


def test_dash_opens_what_is_piped_in_plain_and_compressed(stream: bytes) -> None:
    assert run(OPEN, stream) == f"[] {len(stream)} []\n"
    assert run(OPEN, gzip.compress(stream)) == f"['gzip'] {len(stream)} []\n"


def test_dash_with_nothing_says_so() -> None:
    assert "standard input: not a migration stream: the file is empty" in run(OPEN, b"")


def test_an_opened_pipe_is_browsable_before_it_ends(stream: bytes) -> None:
    read, write = os.pipe()
    os.write(write, stream[:4000])
    opened = open_streams(open_stdin(descriptor=read))
    os.close(read)
    assert isinstance(opened.stream.source, UnpackingSource)
    assert opened.stream.source.read(0, 8) == b"QEVM\0\0\0\3"
    assert not growing.is_complete(opened.stream.source)
    opened.close()
    with pytest.raises(BrokenPipeError):
        os.write(write, b"x")
    os.close(write)


KEYS = """
import os, sys
from qevm.containers import open_streams
from qevm.containers.stdin import keys_from_terminal
o = open_streams("-", wait=True)
ok = keys_from_terminal()
print("opened", o.stream.source.size, ok, os.isatty(0), flush=True)
print("key", sys.__stdin__.readline().strip(), flush=True)
"""


def test_keys_come_from_the_terminal_after_the_pipe_was_taken(stream: bytes, tmp_path: Path) -> None:
    pexpect = pytest.importorskip("pexpect")
    capture = tmp_path / "capture"
    capture.write_bytes(stream)
    program = tmp_path / "program.py"
    program.write_text(KEYS)
    child = pexpect.spawn("/bin/sh", ["-c", f"cat {capture} | {sys.executable} {program}"], timeout=30)
    child.expect(f"opened {len(stream)} True True")
    child.sendline("hello")
    child.expect("key hello")
    child.expect(pexpect.EOF)


def test_without_a_terminal_there_are_no_keys() -> None:
    program = "from qevm.containers.stdin import keys_from_terminal\nprint(keys_from_terminal())"
    done = subprocess.run(
        [sys.executable, "-c", program], input=b"", capture_output=True, timeout=30, start_new_session=True
    )
    assert done.stdout == b"False\n"
