"""The devices of a capture, decoded and explained as the program shows them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import examples
from examples import Example

from qevm.capture import Capture
from qevm.field import Field, LazyFields
from qevm.section import Section, SectionKind

ORACLES = examples.COMMITTED / "oracle"


def with_answers(question: str) -> list[Example]:
    """The captures whose oracle answers a question of the monitor, the oracle captures first."""
    own = [Example(path.stem, ORACLES) for path in sorted(ORACLES.glob("*.json"))]
    others = examples.committed() + examples.only_shared()
    return [one for one in own + others if one.manifest.get("oracle", {}).get(question)]


@contextmanager
def opened(example: Example, folder: Path) -> Iterator[Capture]:
    """A capture, unpacked and open."""
    options = {} if example.folder == ORACLES else example.options
    capture = Capture.open(example.unpack(folder), **options)
    try:
        yield capture
    finally:
        capture.close()


def devices(capture: Capture) -> dict[str, Field]:
    """Device id → explained tree, of all FULL sections."""
    return {section.device_id: capture.decode(section) for section in sections(capture)}


def sections(capture: Capture) -> list[Section]:
    """The FULL sections of a capture."""
    capture.walk_all()
    return [
        one for one in (capture.index[i] for i in range(len(capture.index))) if one.kind is SectionKind.FULL
    ]


def everything(root: Field, most: int = 40) -> Iterator[Field]:
    """A field and all below it; of long runs the first ``most`` and the last."""
    yield root
    children = root.children
    if isinstance(children, LazyFields) and len(children) > most:
        for item in [*children[:most], children[-1]]:
            yield from everything(item, most)
    else:
        for item in children:
            yield from everything(item, most)


def at(root: Field, *path: str) -> Field:
    """The field at a path of names."""
    for name in path:
        child = root.child(name)
        assert child is not None, f"{root.name} has no {name}: {[c.name for c in root.children][:50]}"
        root = child
    return root


def value(root: Field, *path: str) -> int:
    """The integer at a path of names."""
    found = at(root, *path).value
    assert isinstance(found, int), path
    return found


def unsigned(root: Field, *path: str) -> int:
    """The bit pattern of the integer at a path of names."""
    item = at(root, *path)
    return value(item) & ((1 << 8 * item.size) - 1)
