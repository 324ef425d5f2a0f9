"""The capture that ships with qevm."""

from __future__ import annotations

import hashlib
import stat

from examples import example

from qevm.capture import Capture
from qevm.demo import demo_capture_path


def test_the_demo_is_the_capture_whose_manifest_we_have():
    with demo_capture_path() as path:
        assert hashlib.sha256(path.read_bytes()).hexdigest() == example("pc-live").manifest["sha256"]


def test_the_file_is_private_and_vanishes():
    with demo_capture_path() as path:
        folder = path.parent
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert not folder.exists()


def test_an_opened_demo_is_read_after_its_file_has_vanished():
    with demo_capture_path() as path:
        capture = Capture.open(path)
    capture.walk_all()
    wanted = example("pc-live").manifest["walker"]["sections"]
    assert len(capture.index.devices) == wanted["START"] + wanted["FULL"]
    assert capture.analyze() == example("pc-live").analyzed
    capture.close()
