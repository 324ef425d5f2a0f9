"""The folder of shared captures, as the tests of containers read it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]


class Shared:
    """The folder of shared captures: manifests, and the captures themselves unpacked on demand."""

    def __init__(self, folder: Path, work: Path) -> None:
        self.folder = folder
        self._work = work

    def manifest(self, name: str) -> dict[str, Any]:
        manifest: dict[str, Any] = json.loads((self.folder / f"{name}.json").read_text())
        return manifest

    def path(self, name: str) -> Path:
        from qevm.containers.decoders import zstd

        target = self._work / f"{name}.bin"
        if not target.exists():
            packed = (self.folder / f"{name}.bin.zst").read_bytes()
            with target.open("wb") as file:
                for piece in zstd().feed(packed):
                    file.write(piece)
        return target


def shared_folder() -> Path | None:
    """Where the shared captures are, or None."""
    given = os.environ.get("QEVM_CAPTURES")
    for folder in ([Path(given)] if given else []) + [REPOSITORY.parent / "shared" / "captures"]:
        if (folder / "README.md").exists():
            return folder
    return None
