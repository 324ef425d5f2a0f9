"""The app in a real pseudo-terminal: hostile strings, few bytes, plain terminals."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyte
import pytest

from qevm.capture import Capture

Captures = Callable[[str], Path]

COLUMNS, ROWS = 140, 40
UNWANTED = ("COLUMNS", "LINES", "COLORTERM", "NO_COLOR")
QUERIES = re.compile(rb"\x1b\[\?\d+\$p|\x1b\[[<>=][0-9;]*u")


class Session:
    """The app behind a pseudo-terminal, with a count of the bytes that it sends."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.sent = b""
        self.screen = pyte.Screen(COLUMNS, ROWS)
        self._stream = pyte.ByteStream(self.screen)

    def read(self, until: str = "", quiet: float = 0.3, limit: float = 20.0) -> int:
        """Read until ``until`` is on the screen and then nothing more comes; how many bytes came."""
        count, begun, last = 0, time.monotonic(), time.monotonic()
        while time.monotonic() - begun < limit:
            ready, _, _ = select.select([self.descriptor], [], [], 0.05)
            if ready:
                try:
                    data = os.read(self.descriptor, 1 << 16)
                except OSError:
                    break
                count += len(data)
                self.sent += data
                self._stream.feed(QUERIES.sub(b"", data))
                last = time.monotonic()
            elif (not until or until in self.text) and time.monotonic() - last > quiet:
                break
        return count

    def press(self, keys: bytes, until: str = "") -> int:
        os.write(self.descriptor, keys)
        return self.read(until)

    @property
    def text(self) -> str:
        return "\n".join(line.rstrip() for line in self.screen.display)


@contextmanager
def session(path: Path, **environment: str) -> Iterator[Session]:
    process, descriptor = pty.fork()
    if not process:
        # Not execv: readline, where something has loaded it, puts COLUMNS and LINES into C's environment.
        kept = {name: value for name, value in os.environ.items() if name not in UNWANTED}
        wanted = {**kept, "TERM": "xterm-256color", **environment}
        os.execve(sys.executable, [sys.executable, "-m", "qevm_tui", str(path)], wanted)
    fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    try:
        yield Session(descriptor)
    finally:
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        os.close(descriptor)


def test_the_line_is_used_sparingly(microbit: Path):
    with session(microbit) as terminal:
        assert terminal.read("sound") <= 30_000
        terminal.press(b"\t")
        terminal.press(b"\x1b[C")
        assert terminal.press(b"\x1b[C") <= 400
        # The first page leads into another section: all three panes are painted.
        terminal.press(b"\x1b[6~")
        assert terminal.press(b"\x1b[6~") <= 8_000
        assert terminal.read(quiet=1.0, limit=2.0) == 0


EVIL = {
    "nrf51_soc.uart": "\x1b]52;c;QUFBQQ\x07",
    "nrf51_soc.gpio": "[red]\x9b31m\u202e]",
    "globalstate": "\x1b]0;title\x1b\\",
}


def test_a_device_id_cannot_steer_the_terminal(microbit: Path, tmp_path: Path):
    """ESC ]52 in a device id would write the user's clipboard; bidi overrides would hide what it says."""
    path = tmp_path / "evil\x1b[31m.bin"
    path.write_bytes(with_names(microbit.read_bytes(), EVIL))
    assert set(EVIL.values()) <= {device.idstr for device in walked(path)}
    with session(path) as terminal:
        terminal.read("armv7m")
        terminal.press(b"t")
        terminal.press(b"\x1b[F")
        terminal.press(b"d", "devices")
        terminal.press(b"52\r")
        terminal.press(b"x", "export")
        terminal.press(b"\x1b")
        terminal.press(b"\x10")
        terminal.press(b"\x1b")
        terminal.press(b"!")
        assert b"\x1b]52" not in terminal.sent
        assert b"\x1b]0;" not in terminal.sent
        assert b"\x1b[31m.bin" not in terminal.sent
        assert b"\x9b31m" not in terminal.sent.replace("\x9b".encode(), b"")
        assert "\u202e".encode() not in terminal.sent
        assert "\\x1b]52;c;" in terminal.text or "\\x1b]52" in terminal.text


def with_names(data: bytes, names: dict[str, str]) -> bytes:
    """The capture with other device ids, in headers and in the description."""
    description = 0x4487
    text = data[description + 5 :].decode()
    for old, new in names.items():
        was, now = old.encode(), new.encode()
        assert len(was) == len(now)
        data = data.replace(bytes([len(was)]) + was, bytes([len(now)]) + now)
        text = text.replace(f'"{old}"', json.dumps(new))
    return data[:description] + b"\x06" + struct.pack(">I", len(text)) + text.encode()


def walked(path: Path):
    capture = Capture.open(path)
    capture.walk_all()
    return capture.index.devices


@pytest.mark.parametrize(
    ("environment", "never"),
    [
        ({"TERM": "linux"}, rb"\x1b\[[0-9;]*38;[25];"),
        ({"TERM": "xterm-16color"}, rb"\x1b\[[0-9;]*[34]8;[25];"),
        ({"NO_COLOR": "1"}, rb"\x1b\[(?:[0-9]+;)*(?:3[0-8]|4[0-8]|9[0-7]|10[0-7])(?:;[0-9]+)*m"),
        ({"TERM": "screen-256color"}, rb"\x1b\[[0-9;]*[34]8;2;"),
        ({"TERM": "tmux-256color", "TMUX": "x"}, rb"\x1b\[[0-9;]*[34]8;2;"),
    ],
)
def test_plain_terminals_get_only_colours_they_have(
    microbit: Path, environment: dict[str, str], never: bytes
):
    with session(microbit, **environment) as terminal:
        terminal.read("sound")
        terminal.press(b"d", "devices")
        terminal.press(b"cpu\r", "cpu@0")
        terminal.press(b"\t\t\x1b[B")
        assert "cpu@0" in terminal.text
        assert not re.search(never, terminal.sent)


def test_ctrl_l_draws_over_what_others_wrote_and_a_burst_reaches_the_dialog(microbit: Path):
    with session(microbit) as terminal:
        terminal.read("sound")
        before = terminal.text
        terminal._stream.feed(b"\x1b[H\x1b[2J" + b"Broadcast message from root: going down " * 40)
        terminal.press(b"\x0c", until="sound")
        assert terminal.text == before
        # Everything in one write, as keys come over a slow line.
        terminal.press(b"dmicrobit.i2c\r/nrf51_soc.rng\r", until="match 2 of 3")
        assert "VMDESCRIPTION › json › nrf51_soc.rng@0" in terminal.text


def test_a_session_from_start_to_end_of_a_chain_and_out(microbit: Path):
    with session(microbit) as terminal:
        terminal.read("sound")
        terminal.press(b"d", "devices")
        terminal.press(b"ram\r", "ram@0 START")
        terminal.press(b"]", "ram@0 PART 1")
        terminal.press(b"e", "ram@0 END")
        terminal.press(b"q")
        # The terminal is left as it was found.
        assert b"\x1b[?1049l" in terminal.sent
        assert b"\x1b[?25h" in terminal.sent
        assert b"\x1b[?1000l" in terminal.sent


def test_what_a_session_exports_are_the_bytes_of_the_capture(capture_path: Captures, tmp_path: Path):
    path = capture_path("aarch64-virt-a57")
    capture = Capture.open(path)
    capture.walk_all()
    chain = {section.kind.name: section for section in capture.find("ram")}
    capture.close()
    data = path.read_bytes()
    target = tmp_path / "chunk.bin"
    with session(path) as terminal:
        terminal.read("sound")
        terminal.press(b"d", "devices")
        terminal.press(b"pl011\r", "pl011@0")
        terminal.press(b"d", "devices")
        terminal.press(b"ram\r", "ram@0 START")
        terminal.press(b"e", "ram@0 END")
        terminal.press(b"s", "ram@0 START")
        for key, kind in ((b"", "START"), (b"]", "PART"), (b"e", "END")):
            terminal.press(key, f"ram@0 {kind}")
            terminal.press(b"x", "Enter writes")
            terminal.press(b"\x15" + str(target).encode() + b"\r", "wrote")
            section = chain[kind]
            assert target.read_bytes() == data[section.offset : section.end], kind
            target.unlink()
