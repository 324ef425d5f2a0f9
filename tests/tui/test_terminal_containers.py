"""The whole program in a pseudo-terminal: bytes from a pipe while keys come from the terminal, choosers."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Callable
from pathlib import Path

import pexpect
import pyte

Captures = Callable[[str], Path]
COLUMNS, ROWS = 120, 30


class Terminal:
    """A shell command behind a pseudo-terminal, and what its screen shows."""

    def __init__(self, command: str) -> None:
        environment = {**os.environ, "TERM": "xterm-256color"}
        environment.pop("NO_COLOR", None)
        self.screen = pyte.Screen(COLUMNS, ROWS)
        self._stream = pyte.ByteStream(self.screen)
        self.child = pexpect.spawn(
            "/bin/sh", ["-c", command], dimensions=(ROWS, COLUMNS), env=environment, timeout=30
        )

    @property
    def text(self) -> str:
        return "\n".join(line.rstrip() for line in self.screen.display)

    def until(self, words: str, seconds: float = 20.0) -> str:
        """Read until ``words`` are on the screen."""
        end = time.monotonic() + seconds
        while words not in self.text:
            assert time.monotonic() < end, f"{words!r} is not on the screen:\n{self.text}"
            try:
                data = self.child.read_nonblocking(1 << 16, timeout=0.1)
            except pexpect.TIMEOUT:
                continue
            except pexpect.EOF:
                break
            # pyte takes the queries of modern terminals for text.
            self._stream.feed(b"".join(data.split(b"\x1b[?2026$p\x1b[?2048$p")))
        assert words in self.text, self.text
        return self.text

    def press(self, keys: str) -> None:
        self.child.send(keys)

    def ends(self) -> int | None:
        """Wait for the end; the exit status."""
        self.child.expect(pexpect.EOF)
        self.child.close()
        return self.child.exitstatus


def shell(command: list[str]) -> str:
    return " ".join(map(shlex.quote, command))


def test_a_capture_from_a_pipe_is_explored_with_the_keys_of_the_terminal(
    capture_path: Captures, qevm_command: list[str], tmp_path: Path
):
    data = capture_path("arm-microbit").read_bytes()
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    terminal = Terminal(f"cat {shlex.quote(str(pipe))} | {shell(qevm_command)} -")
    with pipe.open("wb", buffering=0) as writer:
        writer.write(data[:9000])
        terminal.until("reading 8.8 KiB")
        terminal.press("\x1b[B\r")
        terminal.until("CONFIGURATION  13 B")
        writer.write(data[9000:])
    terminal.until("sound")
    terminal.press("d")
    terminal.until("jump to device")
    terminal.press("globalst\r")
    assert "standard input" in terminal.until("globalstate@0  134 B")
    terminal.press("q")
    assert terminal.ends() == 0


def test_a_snapshot_is_chosen_on_a_screen_of_its_own(capture_path: Captures, qevm_command: list[str]):
    path = capture_path("qcow2-snapshots")
    terminal = Terminal(shell([*qevm_command, str(path)]))
    terminal.until("which snapshot?")
    terminal.press("\x1b[B\r")
    terminal.until("qcow2 snapshot second-one")
    terminal.press("S")
    terminal.until("snapshots of this image")
    terminal.press("\r")
    terminal.until("qcow2 snapshot first")
    terminal.press("q")
    assert terminal.ends() == 0


def test_a_chooser_that_is_closed_leaves_the_list(capture_path: Captures, qevm_command: list[str]):
    path = capture_path("qcow2-snapshots")
    terminal = Terminal(shell([*qevm_command, str(path)]) + "; echo status $?")
    terminal.until("which snapshot?")
    terminal.press("\x1b")
    assert "--snapshot" in terminal.until("status 2")


def test_streams_one_after_the_other_are_gone_through(
    capture_path: Captures, qevm_command: list[str], tmp_path: Path
):
    both = tmp_path / "both.bin"
    both.write_bytes(capture_path("arm-microbit").read_bytes() + capture_path("none-machine").read_bytes())
    terminal = Terminal(shell([*qevm_command, str(both)]))
    terminal.until("another stream follows")
    terminal.press("S")
    terminal.until("streams of this file")
    terminal.press("\x1b[B\r")
    terminal.until("both.bin   none ·")
    terminal.press("q")
    assert terminal.ends() == 0


def test_without_a_terminal_for_the_keys_it_says_so(capture_path: Captures, qevm_command: list[str]):
    path = shlex.quote(str(capture_path("arm-microbit")))
    program = f"cat {path} | setsid -w {shell(qevm_command)} -; echo status $?"
    terminal = Terminal(program)
    assert "no terminal to read keys from" in terminal.until("status 2")
