"""Build a big, valid, live-style capture round the sections of a small real one.

    python tests/benchmarks/make_big.py --out /tmp/big/live.bin
    python tests/benchmarks/make_big.py --out /tmp/big/zero64.bin --memory 65536 --data 0

Header, configuration, device sections and description are those of the real capture; the block list
says that the first block has --memory MiB, and the PARTs hold its pages: --data MiB of pages with
contents in runs of 64 to 4096 pages, the rest zero, then --rounds rounds in which 1 % of the pages are
sent again in runs of 1 to 16.  The same arguments always give the same file.
"""

from __future__ import annotations

import argparse
import random
import struct
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "parsers"))

from qevm.capture import Capture
from qevm.section import SectionKind

PAGE = 4096
PART_BYTES = 32 << 20
ZERO, NORMAL = 0x22, 0x28


def main() -> None:
    """Write the capture that the arguments describe."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--real", type=Path, default=Path("/tmp/caps/pc-default.bin"))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--memory", type=int, default=4096, help="MiB of the first block")
    parser.add_argument("--data", type=int, default=1700, help="MiB of it with contents")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    build(options.real, options.out, options.memory << 8, options.data << 8, options.rounds, options.seed)


def build(
    real: Path, out: Path, pages: int, with_data: int, rounds: int, seed: int, *, scattered: bool = False
) -> None:
    """``pages`` pages in the first block, ``with_data`` of them normal, the others zero.

    ``scattered``: after the rounds every other page comes once more, so that no two records are a run.
    """
    capture = Capture.open(real)
    capture.walk_all()
    data = real.read_bytes()
    sections = list(capture.index)
    ram = next(s for s in sections if s.kind is SectionKind.START and s.idstr == "ram")
    parts = [s for s in sections if s.device == ram.device]
    chance = random.Random(seed)
    noise = chance.randbytes(PAGE * 1024)
    with out.open("wb", buffering=1 << 22) as file:
        file.write(data[: ram.offset])
        start = bytearray(data[ram.offset : ram.end])
        head = ram.body - ram.offset
        total = struct.unpack_from(">Q", start, head)[0]
        name_length = start[head + 8]
        length = struct.unpack_from(">Q", start, head + 9 + name_length)[0]
        struct.pack_into(">Q", start, head, total - length + pages * PAGE)
        struct.pack_into(">Q", start, head + 9 + name_length, pages * PAGE)
        name = bytes(start[head + 8 : head + 9 + name_length])
        file.write(start)
        part = b"\x02" + struct.pack(">I", ram.section_id)
        end = struct.pack(">QBI", 0x10, 0x7E, ram.section_id or 0)
        records = write_parts(file, part, end, name, first_round(chance, pages, with_data), noise)
        for _ in range(rounds):
            records += write_parts(file, part, end, name, later_round(chance, pages), noise)
        if scattered:
            every_other = ((ZERO, page, 1) for page in range(0, pages, 2))
            records += write_parts(file, part, end, name, every_other, noise)
        file.write(data[parts[-1].offset :])
    print(f"{out}: {out.stat().st_size:,} bytes, {records:,} page records")


def first_round(chance, pages, with_data):
    """(kind, first page, count) for every page of the block, in order."""
    page = 0
    left = with_data
    zeros_per_page = pages / max(with_data, 1) - 1
    while page < pages:
        count = min(chance.randint(64, 4096), left, pages - page)
        if count:
            yield NORMAL, page, count
            page += count
            left -= count
        zeros = min(int(count * zeros_per_page) + 1 if left else pages, pages - page)
        if zeros:
            yield ZERO, page, zeros
            page += zeros


def later_round(chance, pages):
    """Short runs of pages that the guest wrote to meanwhile, in order."""
    page = 0
    while (page := page + chance.randint(1, 1600)) < pages:
        count = min(chance.randint(1, 16), pages - page)
        yield (NORMAL if chance.random() < 0.8 else ZERO), page, count
        page += count


def write_parts(file, part, end, name, runs, noise):
    """Write the runs as PART sections of about 32 MiB; returns how many records that were."""
    records = written = 0
    named = False
    for kind, page, count in runs:
        if not written:
            file.write(part)
        for first in range(page, page + count, 4096):
            chunk = bytearray()
            for number in range(first, min(first + 4096, page + count)):
                word = number * PAGE | kind
                if not named:
                    chunk += struct.pack(">Q", word & ~0x20) + name
                    named = True
                else:
                    chunk += struct.pack(">Q", word)
                if kind == ZERO:
                    chunk.append(0)
                else:
                    at = number % 1024 * PAGE
                    chunk += noise[at : at + PAGE]
            file.write(chunk)
            written += len(chunk)
        records += count
        if written >= PART_BYTES:
            file.write(end)
            written = 0
    if written:
        file.write(end)
    return records


if __name__ == "__main__":
    main()
