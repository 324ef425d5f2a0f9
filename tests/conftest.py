"""Fixtures for all tests: captures as files, the shared folder, the installed command."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import examples
import pytest
from examples import Example

from qevm.capture import Capture


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden", action="store_true", help="write tests/captures/*.golden anew; review the diff"
    )


@pytest.fixture(scope="session")
def _unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("captures")


@pytest.fixture(scope="session")
def capture_path(_unpacked: Path) -> Callable[[str], Path]:
    """Give a capture of tests/captures by its name, unpacked once; do not write to it."""

    def unpack(name: str) -> Path:
        return examples.example(name).unpack(_unpacked)

    return unpack


@pytest.fixture
def walked(capture_path: Callable[[str], Path]) -> Iterator[Callable[[str], Capture]]:
    """Give a capture of tests/captures by its name, opened and walked to its end."""
    opened: list[Capture] = []

    def walk(name: str) -> Capture:
        capture = Capture.open(capture_path(name), **examples.example(name).options)
        opened.append(capture)
        capture.walk_all()
        return capture

    yield walk
    for capture in opened:
        capture.close()


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with all captures; skips where it is not."""
    folder = examples.shared_folder()
    if folder is None:
        pytest.skip("no shared captures: ../shared/captures is not there and QEVM_CAPTURES is not set")
    return folder


@pytest.fixture(scope="session")
def qevm_command() -> list[str]:
    """The installed ``qevm``; in a plain checkout on PYTHONPATH the module in its place."""
    script = Path(sys.executable).with_name("qevm")
    return [str(script)] if script.exists() else [sys.executable, "-m", "qevm_tui"]


@pytest.fixture
def run_qevm(qevm_command: list[str], tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the command in an empty folder, without a terminal; keyword arguments go to subprocess.run."""

    def run(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
        given = {
            "capture_output": True,
            "text": True,
            "stdin": subprocess.DEVNULL,
            "cwd": tmp_path,
            "timeout": 120,
        }
        return subprocess.run([*qevm_command, *map(str, arguments)], **(given | options))

    return run


@pytest.fixture(scope="module")
def streamed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Example, Capture]]:
    """Each stream that there is, walked, with what others said about it.

    One is unpacked at a time: pytest groups the tests of a module by this fixture.
    """
    one: Example = request.param
    path = one.unpack(tmp_path_factory.mktemp("stream"))
    capture = Capture.open(path, **one.options)
    capture.walk_all()
    yield one, capture
    capture.close()
    path.unlink()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "streamed" in metafunc.fixturenames:
        found = examples.streams(examples.committed() + examples.only_shared())
        metafunc.parametrize("streamed", found, ids=[one.id for one in found], indirect=True)
