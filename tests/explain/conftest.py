"""Captures that come with QEMU's own answers, unpacked once for all tests here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import devices
import examples
import pytest
from examples import Example

from qevm.capture import Capture
from qevm.field import Field


@pytest.fixture(scope="session")
def explain_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("explained")


@pytest.fixture
def explained(explain_folder: Path) -> Iterator[Callable[[Example], dict[str, Field]]]:
    """Give the explained devices of a capture; its file stays open until the test ends."""
    with ExitStack() as stack:

        def load(example: Example) -> dict[str, Field]:
            return devices.devices(stack.enter_context(devices.opened(example, explain_folder)))

        yield load


@pytest.fixture
def capture_of(explain_folder: Path) -> Iterator[Callable[[str], Capture]]:
    """Give an oracle capture by its name, open."""
    with ExitStack() as stack:

        def load(name: str) -> Capture:
            example = Example(name, examples.COMMITTED / "oracle")
            return stack.enter_context(devices.opened(example, explain_folder))

        yield load
