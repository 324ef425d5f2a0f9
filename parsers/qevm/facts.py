"""What a stream says about itself, gathered as the walk goes: the context that bodies are read in."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from qevm.source import Source

if TYPE_CHECKING:
    from qevm.bodies.remembered import RememberedRam


@dataclass(slots=True)
class StreamFacts:
    """Facts of one stream that decide how later bytes are read (stream-format §2.4, §3, §5.7).

    ``page_size`` is the target page size in bytes, None while unknown.  ``footers`` is None until the
    first section with one (or without) was seen.  ``base`` is the source offset of "QEVM".
    ``page_size_summary`` is the OR of all RAM page sizes that POSTCOPY_ADVISE announced, None
    without that command.
    """

    source: Source
    base: int = 0
    machine: str = ""
    page_size: int | None = None
    page_size_from: str = ""
    capabilities: list[str] = field(default_factory=list)
    uuid: bytes | None = None
    footers: bool | None = None
    page_size_summary: int | None = None
    remembered_ram: RememberedRam | None = None
    """What an earlier walk found in the RAM sections (``qevm.cache``)."""
    postcopy_running: bool = False
    """A POSTCOPY_LISTEN or RUN command was seen: what follows is the postcopy phase."""
