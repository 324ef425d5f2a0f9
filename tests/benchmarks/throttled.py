"""A session over a thin line: how long each step takes when the terminal takes 25 KiB a second.

    python tests/benchmarks/throttled.py CAPTURE        # best one with devices of a PC
    python tests/benchmarks/throttled.py --tmux CAPTURE # inside of tmux, whose client has the thin line

Prints bytes and milliseconds until the screen stands still, a line for each step.
"""

from __future__ import annotations

import argparse
import os
import select
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from terminal import Terminal

RATE = 25 << 10
PIECE = 1 << 10
QUIET = 0.35
TMUX = ("tmux", "-L", "qevm-throttled", "-f", "/dev/null")

STEPS = (
    ("d: jump dialog", b"d"),
    ("type a device id", b"hpet"),
    ("Enter: jump", b"\r"),
    ("Tab: to the hex pane", b"\t"),
    ("page down", b"\x1b[6~"),
    ("page down", b"\x1b[6~"),
    ("row down", b"\x1b[B"),
    ("/: search prompt", b"/"),
    ("type text:QEMU", b"text:QEMU"),
    ("Enter", b"\r"),
    ("n: next match", b"n"),
    ("o: map", b"o"),
    ("i: data inspector", b"i"),
)


def settle(terminal: Terminal) -> tuple[int, float]:
    """(bytes, seconds) until nothing has come for QUIET seconds, read at RATE."""
    count, begun = 0, time.perf_counter()
    last = begun
    while time.perf_counter() - last < QUIET:
        if select.select([terminal.descriptor], [], [], 0.02)[0]:
            size = len(os.read(terminal.descriptor, PIECE))
            time.sleep(size / RATE)
            count, last = count + size, time.perf_counter()
    return count, last - begun


def main() -> None:
    """Run the session and print it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tmux", action="store_true", help="run inside of tmux")
    parser.add_argument("capture")
    options = parser.parse_args()
    script = Path(sys.executable).with_name("qevm")
    qevm = [str(script)] if script.exists() else [sys.executable, "-m", "qevm_tui"]
    command = [*qevm, options.capture]
    if options.tmux:
        command = [*TMUX, "new-session", *command]
    terminal = Terminal(command)
    print("| step | bytes | ms |\n|---|---|---|")
    while not select.select([terminal.descriptor], [], [], 10.0)[0]:
        pass
    for name, keys in (("start", b""), *STEPS):
        os.write(terminal.descriptor, keys)
        count, seconds = settle(terminal)
        print(f"| {name} | {count:,} | {seconds * 1e3:.0f} |")
    if options.tmux:
        subprocess.run([*TMUX, "kill-server"], check=True)
    terminal.close()


if __name__ == "__main__":
    main()
