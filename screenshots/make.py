"""Make the pictures of this folder anew: the real app on real captures of tests/captures.

    .venv/bin/python screenshots/make.py            # needs the extra "test"

Each is an SVG of 140×40 cells (180×40 for the virtio device, 80×24 for the small one).
"""

from __future__ import annotations

import asyncio
import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests"))

import examples

from qevm.capture import Capture
from qevm_tui.app import QevmApp

LARGE, WIDE, SMALL = (140, 40), (180, 40), (80, 24)
VIRTIO = ("d", *"virtio-net", "enter")

Scene = tuple[str, str, tuple[int, int], Sequence[str]]

SCENES: Sequence[Scene] = (
    ("device", "pc-smp4", LARGE, ["d", *"cpu@1", "enter", "tab", "tab", "down", "down"]),
    ("tree", "postcopy", LARGE, ["t", "end", *["pageup"] * 1, *["up"] * 6]),
    ("chain", "pc-live", LARGE, ["down", "right", "down", "down", "down", "down"]),
    ("virtio", "q35-devices", WIDE, [*VIRTIO, "slash", *"field:BAR 4", "tab", "enter", "tab", "tab"]),
    ("search", "q35-devices", LARGE, ["slash", *"52 54 00 ?? ??"]),
    ("jump", "q35-devices", LARGE, ["d", *"virt"]),
    ("export", "pc-smp4", LARGE, ["d", *"hpet", "enter", "x"]),
    ("small", "pc-smp4", SMALL, ["d", *"i8259@1", "enter"]),
)

# The font is the viewer's own: a picture must not fetch one from somewhere.
_FONTS = "DejaVu Sans Mono, Menlo, Consolas, monospace"
_FONT_FACE = re.compile(r"@font-face\s*\{.*?\}", re.DOTALL)


async def take(scene: Scene, folder: Path) -> None:
    """Open the app, press the keys, write the picture."""
    name, capture_name, size, keys = scene
    path = examples.example(capture_name).unpack(folder)
    capture = Capture.open(path)
    capture.name = path.name
    app = QevmApp(capture)
    async with app.run_test(size=size) as pilot:
        await app.workers.wait_for_complete()
        await pilot.pause()
        for key in keys:
            await pilot.press(key)
            await pilot.pause()
        # The other panes follow the tree when its cursor rests.
        await pilot.pause(0.4)
        await app.workers.wait_for_complete()
        await pilot.pause()
        svg = _FONT_FACE.sub("", app.export_screenshot(title=f"qevm {path.name}"))
        svg = svg.replace("Fira Code, monospace", _FONTS).replace("Fira Code", _FONTS)
        (HERE / f"{name}.svg").write_text(svg)
    capture.close()
    print(f"screenshots/{name}.svg")


def main() -> None:
    """Make all pictures, or those that are named."""
    with tempfile.TemporaryDirectory() as folder:
        for scene in SCENES:
            if not sys.argv[1:] or scene[0] in sys.argv[1:]:
                asyncio.run(take(scene, Path(folder)))


if __name__ == "__main__":
    main()
