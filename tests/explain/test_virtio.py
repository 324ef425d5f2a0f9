"""The virtio blob against QMP's x-query-virtio, and what damage does to it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import pytest
from devices import at, everything, unsigned, with_answers
from examples import Example
from hypothesis import given, settings
from hypothesis import strategies as st

from qevm.explain import ExplainContext
from qevm.explain.virtio import blob
from qevm.field import Field, LazyFields

Devices = Callable[[Example], dict[str, Field]]


def tiles(item: Field) -> bool:
    """Children with bytes follow each other without a gap and fill their parent."""
    children: Sequence[Field] = item.children
    if isinstance(children, LazyFields):
        children = [children[0], children[-1]] if len(children) == 2 else []
    parts = [child for child in children if child.bits is None and child.type != "derived"]
    at_offset = item.offset
    for child in parts:
        if child.offset != at_offset or not tiles(child):
            return False
        at_offset = child.end
    return not parts or at_offset == item.end


def _blobs(devices: dict[str, Field]) -> dict[str, Field]:
    return {
        name.rpartition("/")[2].partition("@")[0]: child
        for name, root in devices.items()
        for child in root.children
        if child.type == "virtio"
    }


def _names(entries: list[str]) -> set[str]:
    """``VIRTIO_NET_F_MAC: text`` → MAC; ``VIRTIO_CONFIG_S_DRIVER: …`` → DRIVER."""
    return {
        re.sub(r"^VIRTIO(_[A-Z]+)??_[FS]_|^VIRTIO_RING_F_", "", entry.partition(":")[0]) for entry in entries
    }


@pytest.mark.parametrize("example", with_answers("virtio"), ids=lambda one: one.name)
def test_blob_says_what_query_virtio_says(example: Example, explained: Devices) -> None:
    blobs = _blobs(explained(example))
    devices = example.manifest["oracle"]["virtio"]
    assert devices
    assert {device["name"] for device in devices} <= {*blobs, "virtio-serial"}
    for device in devices:
        name = {"virtio-serial": "virtio-console"}.get(device["name"], device["name"])
        item = blobs[name]
        status = device["status"]
        expected = _names(status["status"]["statuses"])
        shown = set(at(item, "common", "status").meaning.split()) if expected else set()
        assert shown == expected
        assert unsigned(item, "common", "isr") == status["isr"]
        assert unsigned(item, "common", "queue_sel") == status["queue-sel"]
        features = _names(status["guest-features"]["dev-features"]) | _names(
            status["guest-features"]["transports"]
        )
        wide = item.child("virtio/64bit_features")
        meaning = (
            at(wide, "guest_features").meaning
            if wide
            else at(item, "common", "guest_features (low 32)").meaning
        )
        assert (set(meaning.split()) if features else set()) == features
        queues = [child for child in at(item, "queues").children if child.name.startswith("queue ")]
        assert len(queues) == status["num-vqs"]
        for queue, told in zip(queues, device["queues"], strict=False):
            assert unsigned(queue, "num") == told["vring-num"]
            assert unsigned(queue, "desc") == told["vring-desc"]
            assert unsigned(queue, "last_avail_idx") == told["last-avail-idx"]
            if told["vring-desc"]:
                assert f"avail {told['vring-avail']:#x}, used {told['vring-used']:#x}" in queue.meaning
        rings = item.child("virtio/virtqueues")
        if rings is not None:
            for number, told in enumerate(device["queues"]):
                ring = at(rings, "vq").children[number]
                assert unsigned(ring, "vring.avail") == told["vring-avail"]
                assert unsigned(ring, "vring.used") == told["vring-used"]
        assert ("driver running" in item.meaning) == ("DRIVER_OK" in expected)


@pytest.mark.parametrize("example", with_answers("info_network"), ids=lambda one: one.name)
def test_mac_addresses_equal_info_network(example: Example, explained: Devices) -> None:
    devices = explained(example)
    text = example.manifest["oracle"]["info_network"]
    said = " ".join(item.meaning for root in devices.values() for item in everything(root) if item.meaning)
    for mac in re.findall(r"macaddr=([0-9a-f:]{17})", text):
        assert mac in said


def _has_blob(example: Example) -> bool:
    return example.name in BLOBS


BLOBS = {
    "q35-devices", "microvm", "s390x-ccw", "s390x-ccw-q72", "virtio-mem", "block-q72", "ppc64-pseries",
    "libvirt-real-raw", "q35-virtio", "pc-i440fx", "hotplug",
}  # fmt: skip


@pytest.mark.parametrize(
    "example", [one for one in with_answers("info_registers") if _has_blob(one)], ids=lambda o: o.name
)
def test_every_blob_is_explained_to_the_last_byte(example: Example, explained: Devices) -> None:
    seen = 0
    for root in explained(example).values():
        for item in root.children:
            if item.type == "virtio":
                seen += 1
                assert item.children, item.problem
                assert tiles(item), root.name
                assert not any(part.name == "rest" for part in everything(item))
    assert seen


def _explain(data: bytes, idstr: str) -> Field:
    item = Field("virtio", 500, len(data), "virtio", data)

    def read(offset: int, length: int) -> bytes:
        return data[max(offset - 500, 0) : max(offset - 500, 0) + length]

    blob(item, ExplainContext(idstr, read, vmsd=idstr.rpartition("/")[2]))
    return item


IDSTRS = [
    "0000:00:02.0/virtio-net",
    "virtio-mmio@1/virtio-blk",
    "/fe.0.0001/virtio-console",
    "x",
    "virtio-balloon",
]


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=2000), st.sampled_from(IDSTRS), st.booleans())
def test_random_bytes_tile_or_stay_plain(data: bytes, idstr: str, looks_like_pci: bool) -> None:
    item = _explain((b"\0\0\0\2" if looks_like_pci else b"") + data, idstr)
    assert tiles(item)
    for part in everything(item):
        assert item.offset <= part.offset <= part.end <= item.end


def _real(name: str, device: str) -> bytes:
    from backports import zstd

    example = next(one for one in with_answers("virtio") if one.name == name)
    data = zstd.decompress((example.folder / f"{name}.bin.zst").read_bytes())
    head = data.index(device.encode() + b"\0\0\0\0") + len(device) + 8
    return data[head : head + 46000]


@pytest.fixture(scope="module")
def real_blobs() -> dict[str, bytes]:
    return {
        "0000:00:02.0/virtio-net": _real("q35-virtio", "0000:00:02.0/virtio-net"),
        "0000:00:03.0/virtio-blk": _real("q35-virtio", "0000:00:03.0/virtio-blk"),
        "0000:00:05.0/virtio-console": _real("q35-virtio", "0000:00:05.0/virtio-console"),
    }


@settings(max_examples=120, deadline=None)
@given(st.data())
def test_damaged_blobs_never_break(real_blobs: dict[str, bytes], data: st.DataObject) -> None:
    idstr = data.draw(st.sampled_from(sorted(real_blobs)))
    raw = bytearray(real_blobs[idstr])
    for _ in range(data.draw(st.integers(1, 8))):
        raw[data.draw(st.integers(0, min(len(raw), 1500) - 1))] = data.draw(st.integers(0, 255))
    size = data.draw(st.integers(0, len(raw)))
    item = _explain(bytes(raw[:size]), idstr)
    assert tiles(item)
