"""Fuzz one target with coverage as the guide.

    pip install atheris
    python tests/fuzz/run.py walker --minutes 10

Targets: walker, description, xbzrle, mapped-ram, containers, lzop.  The seeds are the small captures of
tests/captures.  What is found lies in --folder (default /var/tmp/qevm-fuzz/TARGET) as crash-* or timeout-*;
copied to tests/fuzz/crashes/TARGET-NAME it is a test from then on.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import atheris

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

with atheris.instrument_imports(include=["qevm"]):
    import targets

import examples

SEEDS = {
    "walker": ("none-machine", "avr-mega-q72", "arm-microbit", "rx-gdbsim", "or1k-sim"),
    "containers": ("file-xz", "none-machine"),
    "lzop": ("file-lzop",),
}


def seed(target: str, folder: Path) -> None:
    """Put the seeds of a target into its corpus."""
    for name in SEEDS.get(target, ()):
        path = examples.example(name).unpack(folder)
        path.rename(folder / f"seed-{name}")
    if target == "description":
        for name in ("none-machine", "avr-mega-q72"):
            path = examples.example(name).unpack(folder)
            data = path.read_bytes()
            (folder / f"seed-{name}").write_bytes(data[data.rindex(b"\x06\0\0") + 5 :])
            path.unlink()
    if target == "xbzrle":
        (folder / "seed").write_bytes(bytes.fromhex("1001dbef0f02dbc3"))


def main() -> None:
    """Run until the time is up or something is found."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("target", choices=targets.TARGETS)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--folder", type=Path, default=Path("/var/tmp/qevm-fuzz"))
    options = parser.parse_args()
    folder = options.folder / options.target
    corpus = folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    seed(options.target, corpus)
    flags = [
        f"-max_total_time={int(options.minutes * 60)}",
        f"-artifact_prefix={folder}/",
        "-timeout=20",
        "-rss_limit_mb=2048",
        "-max_len=65536",
        "-print_final_stats=1",
    ]
    atheris.Setup([sys.argv[0], *flags, str(corpus)], targets.TARGETS[options.target])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
