"""Fuzz one target with coverage as the guide.

    pip install atheris
    python tests/fuzz/run.py walker --minutes 10

Targets: walker, description, xbzrle, mapped-ram, containers, lzop.  The seeds are small captures, streams of
the property tests and hostile ones.  What is found lies in --folder (default /var/tmp/qevm-fuzz/TARGET) as
crash-* or timeout-*; copied to tests/fuzz/crashes/TARGET-WHAT it is a test from then on.
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

import seeds


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
    seeds.write(options.target, corpus)
    flags = [
        f"-max_total_time={int(options.minutes * 60)}",
        f"-artifact_prefix={folder}/",
        f"-dict={folder}/words.dict",
        "-timeout=20",
        "-rss_limit_mb=400",
        "-max_len=16384",
        "-print_final_stats=1",
        "-verbosity=0",
    ]
    atheris.Setup([sys.argv[0], *flags, str(corpus)], targets.TARGETS[options.target])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
