"""Damaged RAM never crashes, never hangs, and loses little (stream-format §12.3, §14)."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qevm.bodies.page_runs import PageKind
from qevm.bodies.ram import RamBody
from qevm.capture import Capture
from qevm.guest_memory import GuestMemory, NoGuestMemory
from qevm.source import BytesSource

Walked = Callable[[str], Capture]


class CountedSource(BytesSource):
    """Counts the bytes that are read."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.bytes_read = 0

    def read(self, offset: int, length: int) -> bytes:
        data = super().read(offset, length)
        self.bytes_read += len(data)
        return data


def walked_bytes(data: bytes) -> tuple[Capture, CountedSource]:
    source = CountedSource(data)
    capture = Capture(source)
    capture.walk_all()
    return capture, source


def ram_of(capture: Capture) -> RamBody | None:
    for device in capture.index.devices:
        body = capture.body_of(capture.index[device.sections[0]])
        if isinstance(body, RamBody):
            return body
    return None


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    import examples

    folder = tmp_path_factory.mktemp("damage")
    names = ("avr-mega-q72", "or1k-sim", "microvm", "compress-q72", "xbzrle", "mapped-ram")
    return {name: examples.example(name).unpack(folder).read_bytes() for name in names}


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_flipped_and_cut_bytes_are_survived_with_bounded_work(
    small: dict[str, bytes], data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from(["avr-mega-q72", "or1k-sim", "microvm"]))
    changed = bytearray(small[name])
    for _ in range(data.draw(st.integers(1, 12))):
        at = data.draw(st.integers(8, len(changed) - 1))
        changed[at : at + data.draw(st.sampled_from([1, 1, 1, 9, 300]))] = data.draw(st.binary(max_size=12))
    if data.draw(st.booleans()):
        changed = changed[: data.draw(st.integers(9, len(changed)))]
    capture, source = walked_bytes(bytes(changed))
    assert capture.complete
    assert source.bytes_read < 40 * len(changed) + (8 << 20)
    for section in list(capture.index)[:30]:
        for depth, field in capture.decode(section).walk(500):
            assert depth < 50
            assert field.size >= 0
    body = ram_of(capture)
    if body is not None:
        try:
            memory = GuestMemory.of(capture)
        except NoGuestMemory:
            return
        for block in memory.blocks[:4]:
            if block.length is None or block.length:
                memory.page(block, 0)


def test_one_flipped_header_bit_loses_at_most_one_page(small: dict[str, bytes]) -> None:
    """Every bit of a record's header inside long runs of zero pages and of normal pages."""
    data = small["microvm"]
    capture, _ = walked_bytes(data)
    body = ram_of(capture)
    assert body is not None
    total = body.runs.records
    longest = sorted(range(len(body.runs)), key=lambda run: -body.runs.counts[run])[:2]
    normal = max(
        (run for run in range(len(body.runs)) if body.runs.kinds[run] == PageKind.NORMAL),
        key=lambda run: body.runs.counts[run],
    )
    for run in {*longest, normal}:
        record = body.runs.record(run, body.runs.counts[run] // 2)
        for bit in range(64):
            changed = bytearray(data)
            changed[record.offset + bit // 8] ^= 0x80 >> bit % 8
            again, _ = walked_bytes(bytes(changed))
            found = ram_of(again)
            assert found is not None
            assert found.runs.records >= total - 1
            if found.runs.records < total:
                errors = [p for p in again.problems if p.severity > 0]
                assert errors[0].offset in range(record.offset, record.offset + 16)


@pytest.mark.parametrize("name", ["compress-q72", "xbzrle", "mapped-ram"])
def test_the_variants_of_damage_py_that_touch_ram(name: str, small: dict[str, bytes]) -> None:
    tools = Path(os.environ.get("QEVM_TOOLS", Path(__file__).parents[3] / "shared" / "tools"))
    if not (tools / "damage.py").exists():
        pytest.skip("no shared tools")
    import importlib
    import sys

    sys.path.insert(0, str(tools))
    try:
        damage = importlib.import_module("damage")
    finally:
        sys.path.remove(str(tools))
    data = small[name]
    whole = ram_of(walked_bytes(data)[0])
    assert whole is not None
    wanted = ("part-unknown-id", "no-start", "ram-total", "block-", "page-", "double-start")
    for kind, changed, _ in damage.variants(data, 1):
        if not kind.startswith(wanted) or changed == data:
            continue
        capture, _ = walked_bytes(changed)
        problems = [p for p in capture.problems if p.severity > 0]
        first = next(i for i, (a, b) in enumerate(zip(data, changed, strict=False)) if a != b)
        assert problems, kind
        if kind != "no-start":
            assert abs(min(p.offset for p in problems) - first) <= 16, kind
        found = ram_of(capture)
        assert found is not None
        assert found.runs.records >= whole.runs.records - 1, kind
