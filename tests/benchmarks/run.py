"""Measure what the README's table of figures says, and print the table.

    python tests/benchmarks/run.py                 # makes 2 GB of captures in /var/tmp/qevm-bench, once
    python tests/benchmarks/run.py ls ram bytes    # some of the figures

Every figure is the median of --runs runs of a whole process or of --keys keys in a real pseudo-terminal.
Nothing here is a test: the machine decides how fast it is.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import examples
import make_big
from terminal import Terminal

from qevm.bodies.ram import RamBody
from qevm.capture import Capture
from qevm.search import Search, read_query

GIB = 1 << 30
DOWN, PAGE_DOWN = b"\x1b[B", b"\x1b[6~"

Row = tuple[str, str, str]


class Bench:
    """The captures to measure on, and how often."""

    def __init__(self, folder: Path, runs: int, keys: int) -> None:
        self.folder = folder
        self.runs = runs
        self.keys = keys
        script = Path(sys.executable).with_name("qevm")
        self.qevm = [str(script)] if script.exists() else [sys.executable, "-m", "qevm_tui"]
        folder.mkdir(parents=True, exist_ok=True)

    def small(self, name: str) -> Path:
        """A capture of tests/captures, unpacked."""
        return examples.example(name).unpack(self.folder)

    def made(self, name: str, make: Callable[[Path], None]) -> Path:
        """A capture that is made when it is not there."""
        path = self.folder / name
        if not path.exists():
            print(f"making {path} …", file=sys.stderr)
            make(path)
        return path

    def live(self) -> Path:
        """1.8 GB, live-style, about 1.05 million page records."""
        real = self.small("pc-smp4")
        return self.made("live.bin", lambda out: make_big.build(real, out, 4096 << 8, 1700 << 8, 2, 1))

    def zeros(self) -> Path:
        """A 64 GiB guest, nearly all zero: 16.8 million page records."""
        real = self.small("pc-smp4")
        return self.made("zeros.bin", lambda out: make_big.build(real, out, 65536 << 8, 0, 0, 1))

    def sparse(self) -> Path:
        """100 GB: head and tail of a real stream, a hole between them."""
        return self.made("sparse-100g.bin", lambda out: stretch(self.small("pc-smp4"), out))

    def slow(self) -> Path:
        """Four million records that are no runs: a walk that takes a while."""
        real = self.small("pc-smp4")
        return self.made(
            "slow.bin", lambda out: make_big.build(real, out, 32768 << 8, 0, 0, 1, scattered=True)
        )

    def sparse_mapped(self) -> Path:
        """100 GB: a mapped-ram capture whose first block is a hole."""
        return self.made("mapped-100g.bin", lambda out: stretch_mapped(self.small("mapped-ram"), out))

    def median(self, command: list[str]) -> tuple[float, int]:
        """(median wall seconds, peak resident bytes) of a whole process."""
        walls = []
        for number in range(self.runs + 1):
            started = time.perf_counter()
            subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
            if number:
                walls.append(time.perf_counter() - started)
        return statistics.median(walls), peak(command)


def peak(command: list[str]) -> int:
    """Peak resident bytes of one run of ``command``."""
    code = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL);"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    done = subprocess.run([sys.executable, "-c", code, *command], capture_output=True, text=True, check=True)
    return int(done.stdout) << 10


def stretch(real: Path, out: Path) -> None:
    """``real`` with a hole of 100 GB behind the head of its RAM."""
    capture = Capture.open(real)
    capture.walk_all()
    part = next(s for s in capture.index if s.kind.name == "PART")
    end = next(s for s in capture.index if s.kind.name == "END")
    data = real.read_bytes()
    with out.open("wb") as file:
        file.write(data[: part.offset + 5])
        file.seek(100 * GIB)
        file.write(data[end.offset :])


def stretch_mapped(real: Path, out: Path) -> None:
    """``real`` (mapped-ram) with its first block 100 GiB long, all of it a hole without set bits.

    The bitmap of so long a block does not fit before the old pages: everything behind moves by as much.
    """
    capture = Capture.open(real)
    capture.walk_all()
    data = bytearray(real.read_bytes())
    start = next(s for s in capture.index if s.kind.name == "START")
    ram = capture.body_of(start)
    assert isinstance(ram, RamBody)
    first = ram.blocks[0]
    assert first.mapped is not None
    length = 100 * GIB
    pages_at = (first.mapped.bitmap_at + length // 4096 // 8 + (1 << 20)) & -(1 << 20)
    old_end = first.mapped.pages_at + first.mapped.length
    moved = pages_at + length - old_end
    total = int.from_bytes(data[start.body : start.body + 8], "big")
    data[start.body : start.body + 8] = (total + length - first.mapped.length).to_bytes(8, "big")
    at = first.offset + 1 + len(first.name)
    data[at : at + 8] = length.to_bytes(8, "big")
    data[first.mapped.offset + 20 : first.mapped.offset + 28] = pages_at.to_bytes(8, "big")
    for block in ram.blocks[1:]:
        assert block.mapped is not None
        for field in (12, 20):
            place = block.mapped.offset + field
            old = int.from_bytes(data[place : place + 8], "big")
            data[place : place + 8] = (old + moved).to_bytes(8, "big")
    with out.open("wb") as file:
        file.write(data[: first.mapped.bitmap_at])
        file.seek(pages_at + length)
        file.write(data[old_end:])


def figure_ls(bench: Bench) -> Iterator[Row]:
    """``qevm ls`` of a small and of a 1.8 GB capture."""
    wall, _ = bench.median([*bench.qevm, "ls", str(bench.small("pc-smp4"))])
    yield "`qevm ls`, 2.2 MB capture", "≤ 0.25 s", f"{wall:.2f} s"
    live = str(bench.live())
    wall, memory = bench.median([*bench.qevm, "ls", "--no-cache", live])
    cat, _ = bench.median(["cat", live])
    yield (
        "`qevm ls`, 1.8 GB, 1.05 M page records",
        "≤ 0.35 s, ≤ 80 MB",
        f"{wall:.2f} s, {memory / 1e6:.0f} MB (`cat`: {cat:.2f} s)",
    )
    wall, _ = bench.median([*bench.qevm, "ls", live])
    yield "the same again, index kept", "instant", f"{wall:.2f} s"
    wall, memory = bench.median([*bench.qevm, "ls", "--no-cache", str(bench.zeros())])
    yield (
        "`qevm ls`, 64 GiB guest, 16.8 M page records",
        "≤ 3 s, ≤ 150 MB",
        f"{wall:.2f} s, {memory / 1e6:.0f} MB",
    )


def figure_walk(bench: Bench) -> Iterator[Row]:
    """Nanoseconds a page record in long runs, and the walk of 105,874 tiny sections."""
    for path, what in ((bench.zeros(), "zero"), (bench.live(), "zero and normal")):
        times = []
        for _ in range(bench.runs):
            capture = Capture.open(path)
            started = time.perf_counter()
            capture.walk_all()
            times.append(time.perf_counter() - started)
            ram = capture.body_of(capture.find("ram")[0])
            assert isinstance(ram, RamBody)
            records = ram.runs.records
        nanoseconds = statistics.median(times) / records * 1e9
        yield f"walk, {what} page runs, a record", "≤ 40 ns", f"{nanoseconds:.0f} ns"
    path = bench.small("dirty-bitmaps")
    times = []
    for _ in range(bench.runs):
        capture = Capture.open(path)
        started = time.perf_counter()
        capture.walk_all()
        times.append(time.perf_counter() - started)
    yield "`dirty-bitmaps`, full walk", "≤ 0.6 s", f"{statistics.median(times):.2f} s"


def figure_ram(bench: Bench) -> Iterator[Row]:
    """Guest memory into a sparse file, against ``cp`` of the same bytes."""
    target = bench.folder / "pc.ram"
    walls, copies = [], []
    for _ in range(bench.runs):
        for command, times in (
            (
                [*bench.qevm, "ram", str(bench.live()), "--block", "pc.ram", "-o", str(target), "--force"],
                walls,
            ),
            (["cp", "--sparse=always", str(target), str(target.with_suffix(".copy"))], copies),
        ):
            started = time.perf_counter()
            subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
            times.append(time.perf_counter() - started)
    ratio = statistics.median(a / b for a, b in zip(walls, copies, strict=True))
    yield (
        "`qevm ram` of the 1.8 GB capture",
        "≤ 1.5 × `cp`",
        f"{statistics.median(walls):.1f} s, {ratio:.2f} × `cp`",
    )
    target.unlink()
    target.with_suffix(".copy").unlink()


def figure_start(bench: Bench) -> Iterator[Row]:
    """The first useful screen: devices listed."""
    for path, what, seen in (
        (bench.small("pc-smp4"), "2.2 MB", b"mc146818rtc"),
        (bench.sparse(), "100 GB, ordinary", b"mc146818rtc"),
        (bench.sparse_mapped(), "100 GB, mapped-ram", b"mc146818rtc"),
    ):
        times = []
        for _ in range(bench.runs):
            terminal = Terminal([*bench.qevm, str(path)])
            times.append(terminal.read_until(seen))
            terminal.close()
        yield f"first useful screen, {what}", "≤ 1.0 s", f"{statistics.median(times):.2f} s"


def figure_bytes(bench: Bench) -> Iterator[Row]:
    """Bytes to the terminal at 140×40."""
    terminal = Terminal([*bench.qevm, str(bench.small("pc-smp4"))])
    terminal.read_until(b"mc146818rtc")
    terminal.settle(1.0)
    yield "terminal bytes: start", "≤ 30 KB", f"{terminal.bytes / 1000:.1f} KB"
    for pane in ("tree", "hex"):
        terminal.key(DOWN)
        terminal.settle()
        counts = []
        for _ in range(bench.keys):
            before = terminal.bytes
            terminal.key(DOWN)
            terminal.settle()
            counts.append(terminal.bytes - before)
        yield f"terminal bytes: cursor down, {pane}", "≤ 400", f"{statistics.median(counts):.0f}"
        terminal.key(b"\t")
        terminal.settle()
    terminal.key(b"\x1b[Z")
    terminal.settle()
    counts = []
    for _ in range(bench.keys):
        before = terminal.bytes
        terminal.key(PAGE_DOWN)
        terminal.settle()
        counts.append(terminal.bytes - before)
    yield "terminal bytes: page down, hex", "≤ 8 KB", f"{statistics.median(counts) / 1000:.1f} KB"
    yield "terminal bytes: idle, 5 s", "0", f"{terminal.listen(5.0)}"
    terminal.close()
    terminal = Terminal([*bench.qevm, "open", "--no-cache", str(bench.slow())])
    terminal.read_until(b"mc146818rtc")
    terminal.listen(1.0)
    yield "terminal bytes: a second of indexing", "≤ 1.5 KB", f"{terminal.listen(2.0) / 2000:.1f} KB"
    terminal.close()


def figure_keys(bench: Bench) -> Iterator[Row]:
    """From a key to the first byte of its answer."""
    terminal = Terminal([*bench.qevm, str(bench.small("dirty-bitmaps"))])
    terminal.read_until(b"mc146818rtc")
    terminal.settle(1.5)
    times = []
    for _ in range(bench.keys):
        times.append(terminal.key(DOWN))
        terminal.settle(0.05)
    yield (
        "key to paint, 105,874 PARTs indexed",
        "≤ 50 ms",
        f"{statistics.median(times) * 1e3:.0f} ms, 95th percentile {percentile(times):.0f} ms",
    )
    terminal.close()
    terminal = Terminal([*bench.qevm, "open", "--no-cache", str(bench.slow())])
    terminal.read_until(b"mc146818rtc")
    times = []
    for _ in range(bench.keys):
        times.append(terminal.key(DOWN))
        terminal.listen(0.02)
    yield "key to paint while indexing, 95th percentile", "≤ 60 ms", f"{percentile(times):.0f} ms"
    terminal.close()


def figure_memory(bench: Bench) -> Iterator[Row]:
    """The app's peak memory on the capture with most sections."""
    terminal = Terminal([*bench.qevm, str(bench.small("dirty-bitmaps"))])
    terminal.read_until(b"mc146818rtc")
    terminal.settle(1.5)
    yield "app, peak memory, `dirty-bitmaps`", "≤ 120 MB", f"{terminal.memory() / 1e6:.0f} MB"
    terminal.close()


def figure_search(bench: Bench) -> Iterator[Row]:
    """GB/s through the whole 1.8 GB capture with the file in the page cache, for what is not in it."""
    capture = Capture.open(bench.live())
    capture.walk_all()
    for text, what, target in (
        ("hex:7e 00 00 77 2a 99", "six bytes", "≥ 1 GB/s"),
        ("hex:7e ?? ?? 99 2a 99", "bytes with wildcards", "-"),
        ("text:nothing like this", "text (ASCII and UTF-16)", "≥ 1 GB/s"),
        ("re:QQ[A-Z]+zz", "a regular expression", "-"),
    ):
        times = []
        for _ in range(bench.runs):
            started = time.perf_counter()
            matches = [step for step in Search(capture, read_query(text)).all() if step.match is not None]
            times.append(time.perf_counter() - started)
            assert not matches, "this was not to be found"
        yield f"search, {what}", target, f"{capture.source.size / statistics.median(times) / 1e9:.2f} GB/s"


def percentile(times: list[float], part: float = 0.95) -> float:
    """The 95th percentile in milliseconds."""
    return sorted(times)[min(int(len(times) * part), len(times) - 1)] * 1e3


FIGURES = {
    name.removeprefix("figure_"): value
    for name, value in list(globals().items())
    if name.startswith("figure_")
}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("figures", nargs="*", choices=[*FIGURES, []], help="all when none is named")
    parser.add_argument("--folder", type=Path, default=Path("/var/tmp/qevm-bench"))
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--keys", type=int, default=30)
    options = parser.parse_args()
    os.environ["QEVM_CACHE_DIR"] = str(options.folder / "cache")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    bench = Bench(options.folder, options.runs, options.keys)
    print("| what | reach | measured |\n|---|---|---|")
    for name in options.figures or FIGURES:
        for row in FIGURES[name](bench):
            print(f"| {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()
