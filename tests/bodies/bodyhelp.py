"""What the tests of body formats share: scan bytes as a section, check that Fields tile them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

from examples import zstd

from qevm.bodies.protocol import BadBody, Body
from qevm.capture import Capture
from qevm.cursor import Cursor, Truncated
from qevm.facts import StreamFacts
from qevm.field import Field, LazyFields
from qevm.section import Confidence, Section, SectionKind
from qevm.source import BytesSource

CAPTURES = Path(__file__).parent.parent / "captures"
JUNK = b"\x7e\x00\x00\x00\x02\x04\xff\xff"


@cache
def capture_bytes(name: str) -> bytes:
    plain = CAPTURES / f"{name}.bin"
    if plain.exists():
        return plain.read_bytes()
    packed = (CAPTURES / f"{name}.bin.zst").read_bytes()
    return zstd.decompress(packed)


@cache
def unpacked(name: str, folder: Path) -> Path:
    path = folder / f"{name}.bin"
    path.write_bytes(capture_bytes(name))
    return path


def opened(name: str, folder: Path) -> Capture:
    path = folder / f"{name}.bin"
    if not path.exists():
        path.write_bytes(capture_bytes(name))
    made = Capture.open(str(path))
    for _ in made.walk():
        pass
    return made


def facts(data: bytes) -> StreamFacts:
    return StreamFacts(BytesSource(data))


def section(kind: SectionKind, start: int, end: int, row: int = 0, offset: int | None = None) -> Section:
    return Section(row, kind, start if offset is None else offset, start, end, end, Confidence.EXACT)


class Chain:
    """One body object and the sections scanned with it, one behind the other in ``data``."""

    def __init__(self, make: Callable[[StreamFacts], Body], *bodies: tuple[SectionKind, bytes]) -> None:
        self.data = b"".join(data for _, data in bodies) + JUNK
        self.body = make(facts(self.data))
        self.sections: list[Section] = []
        cursor = Cursor(BytesSource(self.data))
        for row, (kind, data) in enumerate(bodies):
            start = cursor.position
            empty = getattr(self.body, "empty_body", None)
            # As the walker does: what is empty is never scanned.
            if kind is SectionKind.PART and empty and data == empty:
                cursor.skip(len(data))
            else:
                for _ in self.body.scan(cursor, kind, row):
                    pass
            assert cursor.position == start + len(data)
            self.sections.append(section(kind, start, cursor.position, row))

    def fields(self, number: int) -> list[Field]:
        return self.body.fields(self.sections[number])


def assert_tiles(fields: list[Field] | LazyFields, start: int, end: int) -> None:
    """The fields stand in order, without holes or overlaps, and so do those inside them.

    Bit fields and explanations lie inside their parent.
    """
    at = start
    for field in fields:
        assert field.offset == at, f"{field.name} at {field.offset}, expected {at}"
        assert field.size >= 0
        at = field.end
        if field.children and not any(child.bits for child in field.children):
            assert_tiles(field.children, field.offset, field.end)  # type: ignore[arg-type]
        for child in field.children:
            assert field.offset <= child.offset <= child.end <= field.end
    assert at == end, f"fields end at {at}, the body at {end}"


def survives(make: Callable[[StreamFacts], Body], kind: SectionKind, data: bytes) -> None:
    """Whatever the bytes: scan ends, or raises what the walker catches; fields tile what it got."""
    body = make(facts(data))
    cursor = Cursor(BytesSource(data))
    steps = 0
    try:
        for _ in body.scan(cursor, kind, 0):
            steps += 1
    except (BadBody, Truncated):
        pass
    assert steps <= len(data) + 1
    assert 0 <= cursor.position <= len(data)
    whole = section(kind, 0, len(data))
    assert_tiles(body.fields(whole), 0, len(data))
    assert isinstance(body.summary(whole), str)
    body.chain_fields()


def leaves(fields: list[Field]) -> list[Field]:
    found = []
    for field in fields:
        children = [child for child in field.children if not child.bits]
        found += leaves(children) if children else [field]
    return found
