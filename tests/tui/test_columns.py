"""Device ids in narrow columns."""

from __future__ import annotations

import pytest

from qevm_tui.panes.columns import tail_fit


@pytest.mark.parametrize(
    ("text", "room", "shown"),
    [
        ("cpu@0", 5, "cpu@0"),
        # The end of a path says what the device is.
        ("0000:00:01.3/piix4_pm", 9, "…piix4_pm"),
        ("0000:00:00.0/I440FX", 7, "…I440FX"),
        # Of several instances the number is what tells them apart.
        ("nrf51_soc.timer@2", 15, "nrf51_soc.ti…@2"),
        ("cpu_common@255", 9, "cpu_…@255"),
        # Too narrow for anything clever: the row cuts it.
        ("0000:00:01.3/piix4_pm", 4, "0000:00:01.3/piix4_pm"),
        ("a_long_name", 6, "a_long_name"),
    ],
)
def test_what_tells_devices_apart_is_kept(text: str, room: int, shown: str):
    assert tail_fit(text, room) == shown
