"""The small real capture that ships with qevm, so that a first run needs no file.

``pc-live``: a live migration of a QEMU 10.0.2 pc machine, 14.2 MiB: a RAM chain of 34 sections with zero
pages and pages that were sent again, 33 devices, and the description.
"""

from __future__ import annotations

import gzip
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path

_PACKED = "pc-live.bin.gz"


@contextmanager
def demo_capture_path() -> Iterator[Path]:
    """The demo capture as a private temporary file; it vanishes when the context ends.

    A capture that was opened inside of the context stays readable behind it: POSIX keeps the bytes of an
    open file.  Raises OSError when there is no room for 15 MB.
    """
    with tempfile.TemporaryDirectory(prefix="qevm-demo-") as folder:
        path = Path(folder, _PACKED.removesuffix(".gz"))
        with (
            resources.files(__name__).joinpath(_PACKED).open("rb") as packed,
            gzip.open(packed) as unpacked,
            path.open("wb") as target,
        ):
            shutil.copyfileobj(unpacked, target, 1 << 20)
        yield path
