"""No test reads or writes what the user at this machine has configured or what qevm remembers of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session", autouse=True)
def _own_folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """In the environment itself: the tests in pseudo-terminals start whole programs."""
    before = {name: os.environ.get(name) for name in ("QEVM_STATE_DIR", "QEVM_CONFIG_DIR", "QEVM_DATA_DIR")}
    for name in before:
        os.environ[name] = str(tmp_path_factory.mktemp(name.lower()))
    yield
    for name, value in before.items():
        if value is None:
            del os.environ[name]
        else:
            os.environ[name] = value


@pytest.fixture(autouse=True)
def _nothing_remembered(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test starts as on the first day."""
    monkeypatch.setenv("QEVM_STATE_DIR", str(tmp_path_factory.mktemp("state")))


@pytest.fixture
def microbit(capture_path: Callable[[str], Path]) -> Path:
    """The small capture that most tests of the app open."""
    return capture_path("arm-microbit")
