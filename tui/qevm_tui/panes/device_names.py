"""What devices are called in the tree: without ``@0`` where no other instance has the same idstr."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from qevm.safetext import safe
from qevm.section import Section

if TYPE_CHECKING:
    from qevm.capture import Capture


class DeviceNames:
    """Counts how many devices share an idstr, walked or located by the tail."""

    def __init__(self, capture: Capture) -> None:
        self._capture = capture
        self._from_tail = {(s.idstr or "", s.instance_id or 0) for s in capture.located}
        self._instances = Counter(idstr for idstr, _ in self._from_tail)
        self._counted = 0
        self.update()

    def update(self) -> None:
        """Take in what the walk has found."""
        devices = self._capture.index.devices
        for device in devices[self._counted :]:
            if (device.idstr, device.instance_id) not in self._from_tail:
                self._instances[device.idstr] += 1
        self._counted = len(devices)

    def of(self, section: Section) -> str:
        """The name for a section; its kind where no device is.  Safe for a terminal."""
        if section.idstr is None:
            return section.kind.name
        several = self._instances[section.idstr] > 1 or section.instance_id
        return safe(section.device_id if several else section.idstr)
