"""Layouts of devices that a stream does not describe."""

from __future__ import annotations

from qevm.source import Source
from qevm.vmdesc import Vmsd


def match_body(
    source: Source, body: int, limit: int, idstr: str, version_id: int
) -> list[tuple[int, Vmsd]]:
    """Candidates (end, layout)."""
    return []
