"""The decoded devices of a few captures, compared as text with what was reviewed before.

``pytest --update-golden`` writes the texts anew; the diff is for reviewing.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from examples import COMMITTED

from qevm_tui.cli import main

NAMES = ("microvm", "s390x-ccw-q72", "arm-virt-a15")


@pytest.mark.parametrize("name", NAMES)
def test_the_decoded_devices_read_as_reviewed(
    name: str,
    capture_path: Callable[[str], Path],
    capsys: pytest.CaptureFixture[str],
    request: pytest.FixtureRequest,
):
    from qevm.capture import Capture

    path = str(capture_path(name))
    capture = Capture.open(path)
    capture.walk_all()
    devices = [device.device_id for device in capture.index.devices if not device.iterative]
    capture.close()
    text = ""
    for device in devices:
        assert main(["show", path, device]) == 0
        text += capsys.readouterr().out + "\n"
    golden = COMMITTED / f"{name}.golden"
    if request.config.getoption("--update-golden"):
        golden.write_text(text)
    # Lists of lines: pytest then shows the first line that differs, not 3000 of them.
    assert text.splitlines() == golden.read_text().splitlines()
