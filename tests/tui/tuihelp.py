"""What the tests of the app share: an app that runs on a capture, its screen as text, made-up captures."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from textual.pilot import Pilot

from qevm.capture import Capture
from qevm.index import SectionIndex
from qevm.problems import Problem
from qevm.section import Section, SectionKind
from qevm.source import BytesSource
from qevm_tui.app import QevmApp


@asynccontextmanager
async def running(
    capture: Capture | Path, size: tuple[int, int] = (140, 40), *, walk: bool = True
) -> AsyncIterator[tuple[QevmApp, Pilot[None]]]:
    """The app on a capture, walked to its end; a cursor in the tree is followed at once."""
    opened = Capture.open(capture) if isinstance(capture, Path) else capture
    app = QevmApp(opened, walk=walk)
    app.tree_pane.follow_delay = 0
    async with app.run_test(size=size) as pilot:
        await settled(app, pilot)
        yield app, pilot
    opened.close()


async def settled(app: QevmApp, pilot: Pilot[None]) -> None:
    """All that was begun is done and shown."""
    await pilot.pause()
    while app.typing:
        await pilot.pause()
    await app.workers.wait_for_complete()
    await pilot.pause()


async def press(app: QevmApp, pilot: Pilot[None], *keys: str) -> None:
    for key in keys:
        await pilot.press(key)
        await settled(app, pilot)


async def type_text(app: QevmApp, pilot: Pilot[None], text: str) -> None:
    await press(app, pilot, *text)


def screen_text(app: QevmApp) -> str:
    """What is on the screen, as text."""
    return "\n".join(strip.text.rstrip() for strip in app.screen._compositor.render_strips())


def selected(app: QevmApp) -> str:
    """The selected section as ``KIND device@instance``."""
    section = app.selection.section
    return "" if section is None else f"{section.kind.name} {section.device_id}".strip()


@dataclass
class MadeUp:
    """As much of a Capture as the tree's models ask for, with an index that a test fills."""

    index: SectionIndex = field(default_factory=SectionIndex)
    located: list[Section] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    complete: bool = False
    walked: int = 0
    generation: int = 0
    growing: bool = False
    follow: bool = False
    finished: bool = False
    source: BytesSource = field(default_factory=lambda: BytesSource(b"\0" * 64))

    def add(self, kind: SectionKind, device: int | None = None, size: int = 16) -> int:
        """Append a section behind the others."""
        index = self.index
        offset = index.ends[len(index) - 1] if len(index) else 0
        return index.append(
            kind, offset, offset + 4, offset + size, offset + size, device=device, section_id=device
        )

    def device(self, idstr: str, *, iterative: bool = True, instance_id: int = 0) -> int:
        number = len(self.index.devices)
        return self.index.add_device(number, idstr, instance_id, 1, iterative)
