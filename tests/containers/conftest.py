"""Small real captures, the shared ones when they are there, and QEMU's own tools as the second source."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def small() -> Callable[[str], bytes]:
    """The bytes of one of the small captures that come with the tests."""

    def read(name: str) -> bytes:
        return (REPOSITORY / "tests" / "captures" / f"{name}.bin").read_bytes()

    return read


@pytest.fixture(scope="session")
def stream(small: Callable[[str], bytes]) -> bytes:
    """A whole real stream of 27 KiB."""
    return small("arm-microbit")


class Shared:
    """The folder of shared captures: manifests, and the captures themselves unpacked on demand."""

    def __init__(self, folder: Path, work: Path) -> None:
        self.folder = folder
        self._work = work

    def manifest(self, name: str) -> dict[str, Any]:
        manifest: dict[str, Any] = json.loads((self.folder / f"{name}.json").read_text())
        return manifest

    def path(self, name: str) -> Path:
        from qevm.containers.decoders import zstd

        target = self._work / f"{name}.bin"
        if not target.exists():
            packed = (self.folder / f"{name}.bin.zst").read_bytes()
            with target.open("wb") as file:
                for piece in zstd().feed(packed):
                    file.write(piece)
        return target


def shared_folder() -> Path | None:
    """Where the shared captures are, or None."""
    given = os.environ.get("QEVM_CAPTURES")
    for folder in ([Path(given)] if given else []) + [REPOSITORY.parent / "shared" / "captures"]:
        if (folder / "README.md").exists():
            return folder
    return None


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    folder = shared_folder()
    if folder is None:
        pytest.skip("no shared captures: ../shared/captures is not there and QEVM_CAPTURES is not set")
    work = tmp_path_factory.mktemp("shared")
    yield Shared(folder, work)
    shutil.rmtree(work, ignore_errors=True)


@pytest.fixture(scope="session")
def tool() -> Callable[..., bytes]:
    """Run a program of the system on stdin; skips the test when it is not installed."""

    def run(*command: str, data: bytes = b"") -> bytes:
        if shutil.which(command[0]) is None:
            pytest.skip(f"{command[0]} is not installed")
        done = subprocess.run(command, input=data, capture_output=True, timeout=60)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    return run
