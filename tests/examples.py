"""The captures that the tests read: those in tests/captures, and the shared ones where they are there."""

from __future__ import annotations

import functools
import json
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

REPOSITORY = Path(__file__).resolve().parent.parent
COMMITTED = REPOSITORY / "tests" / "captures"


def shared_folder() -> Path | None:
    """The full set of captures: ``../shared/captures``, or what QEVM_CAPTURES names; None without them."""
    given = os.environ.get("QEVM_CAPTURES")
    for folder in ([Path(given)] if given else []) + [REPOSITORY.parent / "shared" / "captures"]:
        if (folder / "README.md").exists():
            return folder
    return None


@dataclass(frozen=True)
class Example:
    """One capture with its manifest, packed in a folder; of an image with snapshots one of them."""

    name: str
    folder: Path
    snapshot: str = ""

    @property
    def id(self) -> str:
        """The name of the file, and of the snapshot."""
        return f"{self.name}.{self.snapshot}" if self.snapshot else self.name

    @functools.cached_property
    def manifest(self) -> dict[str, Any]:
        """What QEMU and the independent walker said (see tests/captures/README.md)."""
        whole = json.loads((self.folder / f"{self.name}.json").read_text())
        return whole | whole["snapshots"][self.snapshot] if self.snapshot else whole

    @property
    def snapshots(self) -> list[str]:
        """The names of the snapshots in the file."""
        return list(self.manifest.get("snapshots", {}))

    @property
    def analyzed(self) -> dict[str, Any] | None:
        """The output of QEMU's script; None where the script failed."""
        packed = self.folder / f"{self.id}.analyze.json.zst"
        return json.loads(zstd.decompress(packed.read_bytes())) if packed.exists() else None

    @property
    def stream_size(self) -> int | None:
        """Bytes of the stream from "QEVM" to its end, where the manifest tells."""
        if "stream_size" in self.manifest:
            return int(self.manifest["stream_size"])
        bare = "container" not in self.manifest
        return self.manifest["file_size"] - self.manifest["stream_offset"] if bare else None

    @property
    def options(self) -> dict[str, Any]:
        """What must be said to open it: a snapshot, or an offset that nothing in the file tells."""
        if self.snapshot:
            return {"snapshot": self.snapshot}
        if "container" not in self.manifest and self.manifest["stream_offset"]:
            return {"offset": self.manifest["stream_offset"]}
        return {}

    def unpack(self, folder: Path) -> Path:
        """The capture as a file in ``folder``.  Runs of zeros become holes."""
        plain = self.folder / f"{self.name}.bin"
        target = folder / f"{self.name}.bin"
        if target.exists():
            return target
        if plain.exists():
            shutil.copyfile(plain, target)
            return target
        with zstd.open(self.folder / f"{self.name}.bin.zst", "rb") as packed, target.open("wb") as file:
            while piece := packed.read(1 << 16):
                if piece.strip(b"\0"):
                    file.write(piece)
                else:
                    file.seek(len(piece), os.SEEK_CUR)
            file.truncate()
        return target


def _in(folder: Path) -> list[Example]:
    return [
        Example(path.stem, folder)
        for path in sorted(folder.glob("*.json"))
        if (folder / f"{path.stem}.bin.zst").exists()
    ]


def committed() -> list[Example]:
    """The captures that come with the tests."""
    return _in(COMMITTED)


def only_shared() -> list[Example]:
    """The captures that are in the shared folder alone; none without it."""
    folder = shared_folder()
    here = {example.name for example in committed()}
    return [] if folder is None else [example for example in _in(folder) if example.name not in here]


def streams(examples: list[Example]) -> list[Example]:
    """Each stream of these captures: an image with snapshots gives one for each."""
    return [Example(one.name, one.folder, snapshot) for one in examples for snapshot in one.snapshots or [""]]


def example(name: str) -> Example:
    """The committed capture of that name."""
    return Example(name, COMMITTED)
