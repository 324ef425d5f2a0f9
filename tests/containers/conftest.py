"""Small real captures, the shared ones when they are there, and QEMU's own tools as the second source."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from shared_files import Shared, shared_folder

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
