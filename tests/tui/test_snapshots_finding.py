"""What the prompts and menus of finding and copying look like; see test_snapshots."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_snapshots import Compare, _terminal, look  # noqa: F401 - fixtures

DIALOGS = {
    "search": ("slash", "'nrf51_soc.t'"),
    "not-a-query": ("slash", "'hex:7e 0'"),
    "filter": ("f", "'type:FULL size>1k'"),
    "not-an-expression": ("f", "'size>1k (ram'"),
    "bookmark": ("d", "'globalstate'", "enter", "m", "'running?'"),
    "bookmarks": ("m", "'begin'", "enter", "e", "m", "enter", "apostrophe"),
    "copy": ("tab", "right", "Y"),
}


@pytest.mark.parametrize("keys", DIALOGS.values(), ids=DIALOGS)
def test_finding(look: Compare, keys: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):  # noqa: F811
    monkeypatch.setenv("QEVM_DATA_DIR", str(tmp_path))
    assert look("arm-microbit", "small", *keys)


def test_matches_are_tinted_without_colours_too(look: Compare, monkeypatch: pytest.MonkeyPatch):  # noqa: F811
    monkeypatch.setenv("NO_COLOR", "1")
    assert look("arm-microbit", "middle", "slash", "'timer'", "enter", "tab", "down")
