"""Every shared container capture gives the bytes of its inner stream."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from shared_files import Shared, shared_folder

from qevm.containers import ChoiceNeeded, Opened, open_streams
from qevm.source import Source


def _manifests() -> dict[str, dict[str, Any]]:
    folder = shared_folder()
    if folder is None:
        return {}
    found = {p.stem: json.loads(p.read_text()) for p in sorted(folder.glob("*.json"))}
    return {n: m for n, m in found.items() if m.get("container", "stream") != "stream"}


MANIFESTS = _manifests()


def sha256(source: Source, start: int = 0) -> str:
    digest, position = hashlib.sha256(), start
    while data := source.read(position, 1 << 20):
        digest.update(data)
        position += len(data)
    return digest.hexdigest()


def file_bytes_agree(path: Path, opened: Opened, step: int = 99_991) -> int:
    """How many sampled bytes of the stream were found at their file offsets; asserts that they are equal."""
    found = 0
    source = opened.stream.source
    with path.open("rb") as file:
        for offset in range(opened.stream.base, source.size, step):
            place = opened.stream.file_offset(offset)
            if place is not None:
                file.seek(place)
                assert file.read(4) == source.read(offset, 4)
                found += 1
    return found


def test_there_are_captures_of_every_kind(shared: Shared) -> None:
    assert {m["container"] for m in MANIFESTS.values()} >= {
        "gzip",
        "xz",
        "zstd",
        "lzop",
        "libvirt-save",
        "qcow2",
    }


@pytest.mark.parametrize("name", [n for n, m in MANIFESTS.items() if "stream_sha256" in m])
def test_the_inner_stream_is_that_of_the_manifest(name: str, shared: Shared) -> None:
    manifest = shared.manifest(name)
    path = shared.path(name)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == manifest["sha256"]
    opened = open_streams(path, wait=True)
    source = opened.stream.source
    assert (opened.stream.base, source.size) == (0, manifest["stream_size"])
    assert sha256(source) == manifest["stream_sha256"]
    base = manifest.get("base_capture")
    if base is not None:
        assert source.read(0, 1 << 30) == shared.path(base).read_bytes()
    bare = name in ("libvirt-raw", "libvirt-raw-nocookie", "libvirt-partial", "libvirt-real-raw")
    assert (file_bytes_agree(path, opened) > 0) == bare
    assert [p.offset for p in opened.problems] == ([0] if name == "libvirt-partial" else [])
    opened.close()


@pytest.mark.parametrize("name", [n for n, m in MANIFESTS.items() if "libvirt" in m])
def test_the_header_and_the_xml_are_those_of_the_manifest(name: str, shared: Shared) -> None:
    path = shared.path(name)
    expected = shared.manifest(name)["libvirt"]
    opened = open_streams(path)
    header, xml, *cookie = opened.container.parts
    root = header.decode()
    fields = {f.name: f for f in root.children}
    assert fields["magic"].value == expected["magic"].encode()
    assert root.meaning == f"{expected['byte_order']}-endian host"
    for ours, theirs in (
        ("version", "version"),
        ("data_len", "data_len"),
        ("was_running", "was_running"),
        ("cookieOffset", "cookie_offset"),
    ):
        assert fields[ours].value == expected[theirs], ours
    assert expected["format"] in (fields["format"].value, fields["format"].meaning)
    raw = path.read_bytes()
    assert fields["format"].offset == 28
    if "xml_sha256" in expected:
        text = raw[xml.offset : xml.offset + xml.size]
        assert hashlib.sha256(text).hexdigest() == expected["xml_sha256"]
    assert xml.decode().problem == ""
    assert xml.decode().children[0].name == "domain"
    assert bool(cookie) == bool(expected["cookie_offset"])
    for part in cookie:
        assert part.offset == 92 + expected["cookie_offset"]
        assert part.decode().children[0].name == "cookie"
    opened.close()


@pytest.mark.parametrize("name", ["libvirt-real-sparse", "mapped-ram-libvirt"])
def test_a_sparse_image_is_read_in_place(name: str, shared: Shared) -> None:
    path = shared.path(name)
    opened = open_streams(path)
    assert opened.stream.base == shared.manifest(name)["libvirt"]["stream_offset"]
    assert opened.stream.source.read(opened.stream.base, 8) == b"QEVM\0\0\0\3"
    assert opened.container.unpacking == []
    assert file_bytes_agree(path, opened) > 100
    opened.close()


QCOW2 = [n for n, m in MANIFESTS.items() if m["container"] == "qcow2"]


@pytest.mark.parametrize("name", QCOW2)
def test_the_snapshots_are_those_of_the_manifest(name: str, shared: Shared) -> None:
    manifest = shared.manifest(name)
    path = shared.path(name)
    with pytest.raises(ChoiceNeeded) as caught:
        open_streams(path)
    assert [c.columns[1] for c in caught.value.choices] == list(manifest["snapshots"])
    for row in manifest["snapshot_table"]:
        expected = manifest["snapshots"][row["name"]]
        for key in (row["id"], row["name"]):
            opened = open_streams(path, snapshot=key)
            assert opened.stream.source.size == expected["stream_size"] == row["vm_state_size"]
            assert sha256(opened.stream.source) == expected["stream_sha256"]
            assert opened.problems == []
            assert file_bytes_agree(path, opened) > 0
            opened.close()
        [ours] = [s for s in opened.container.snapshots if s.id == row["id"]]
        assert (ours.tag, ours.vm_clock_ns, ours.disk_size) == (
            row["name"],
            row["vm_clock_ns"],
            row["disk_size"],
        )
        assert (ours.l1_offset, ours.l1_entries) == (row["l1_offset"], row["l1_entries"])
        assert ours.icount is None
        assert ours.date is not None
        assert int(ours.date.timestamp()) == row["date"]
        assert opened.container.unpacking == []


def test_a_stream_behind_an_offset_is_found_where_the_manifest_says(shared: Shared) -> None:
    opened = open_streams(shared.path("file-offset"))
    assert opened.stream.base == shared.manifest("file-offset")["stream_offset"] == 12345
    opened.close()
