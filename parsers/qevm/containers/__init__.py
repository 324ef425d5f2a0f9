"""What can be wrapped round a stream; each container turns a Source into a Stream (containers.md).

opened = open_streams("guest.save")
opened.stream.source, opened.stream.base      # where "QEVM" is
opened.container.kind                         # "libvirt save image, gzip"
opened.container.parts                        # header, domain XML, cookie, snapshot table
"""

from __future__ import annotations

from qevm.containers.detect import find_stream
from qevm.containers.model import (
    Choice,
    ChoiceNeeded,
    Container,
    ContainerPart,
    Opened,
    Snapshot,
    Stream,
)
from qevm.containers.opener import open_streams
from qevm.containers.spool import Space
from qevm.containers.unpack import Limits, Progress, UnpackingSource

__all__ = [
    "Choice",
    "ChoiceNeeded",
    "Container",
    "ContainerPart",
    "Limits",
    "Opened",
    "Progress",
    "Snapshot",
    "Space",
    "Stream",
    "UnpackingSource",
    "find_stream",
    "open_streams",
]
