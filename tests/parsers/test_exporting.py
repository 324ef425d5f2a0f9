"""Exports: the bytes of the capture, text that gives them back, JSON; whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import hexdump
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qevm.capture import Capture
from qevm.export import ExportError, Format, TargetExists, blocks, propose_name, safe_name, write_file
from qevm.section import Confidence, Section, SectionKind

IDSTRS = st.text(st.characters(), max_size=60) | st.sampled_from(
    [
        "",
        ".",
        "..",
        "/etc/passwd",
        "../../x",
        "a\0b",
        "\x1b]52;c;AA\x07",
        "-rf",
        "~",
        "\u202egpj",
        "con",
        "a" * 255,
    ]
)


@pytest.fixture
def microvm(walked: Callable[[str], Capture]) -> Capture:
    return walked("microvm")


def slices(capture: Capture, sections: list[Section]) -> bytes:
    data = Path(capture.name).read_bytes()
    return b"".join(data[section.offset : section.end] for section in sections)


@pytest.mark.parametrize("spec", ["cpu", "ram", "0", "globalstate@0"])
def test_raw_is_the_slice_of_the_file(microvm: Capture, spec: str):
    sections = microvm.find(spec)
    assert b"".join(blocks(microvm, sections, Format.RAW)) == slices(microvm, sections)


@pytest.mark.parametrize("spec", ["cpu", "ram", "0"])
def test_hexdump_text_restores_the_bytes(microvm: Capture, spec: str):
    sections = microvm.find(spec)
    if spec == "ram":
        sections = [section for section in sections if section.size < 20_000]
    text = b"".join(blocks(microvm, sections, Format.HEX)).decode("ascii")
    assert hexdump.restore(text) == slices(microvm, sections)


@given(st.data())
def test_a_byte_range_is_the_slice_of_the_file(data: st.DataObject):
    from examples import COMMITTED

    capture = Capture.open(COMMITTED / "none-machine.bin")
    whole = (COMMITTED / "none-machine.bin").read_bytes()
    start = data.draw(st.integers(0, len(whole) - 1))
    end = data.draw(st.integers(start + 1, len(whole)))
    assert b"".join(blocks(capture, (start, end), Format.RAW)) == whole[start:end]
    text = b"".join(blocks(capture, (start, end), Format.HEX)).decode("ascii")
    assert hexdump.restore(text) == whole[start:end]
    capture.close()


def test_a_last_line_of_one_blank_restores_too(capture_path, tmp_path: Path):
    path = tmp_path / "padded.bin"
    path.write_bytes(capture_path("none-machine").read_bytes() + b" ")
    capture = Capture.open(path)
    end = path.stat().st_size
    text = b"".join(blocks(capture, (end - 17, end), Format.HEX)).decode("ascii")
    assert hexdump.restore(text) == path.read_bytes()[-17:]


def test_json_is_one_object_or_a_list_of_them(microvm: Capture):
    one = json.loads(b"".join(blocks(microvm, microvm.find("cpu"), Format.JSON)))
    assert (one["kind"], one["idstr"]) == ("FULL", "cpu")
    assert {"name", "offset", "size", "type"} <= one["fields"][0].keys()
    chain = json.loads(b"".join(blocks(microvm, microvm.find("ram"), Format.JSON)))
    assert [section["kind"] for section in chain] == ["START", "PART", "END"]


def test_an_export_that_ends_early_in_the_file_leaves_nothing(capture_path, tmp_path: Path):
    cut = tmp_path / "cut.bin"
    cut.write_bytes(capture_path("microvm").read_bytes())
    capture = Capture.open(cut)
    sections = capture.find("globalstate")
    os.truncate(cut, sections[0].offset + 3)
    with pytest.raises(Exception, match="0x"):
        write_file(tmp_path / "out", blocks(capture, sections, Format.RAW))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cut.bin"]


def test_an_existing_file_is_kept_without_force(tmp_path: Path):
    target = tmp_path / "there"
    target.write_bytes(b"mine")
    with pytest.raises(TargetExists, match="exists"):
        write_file(target, [b"new"])
    assert target.read_bytes() == b"mine"
    assert write_file(target, [b"new", b"er"], force=True) == 5
    assert target.read_bytes() == b"newer"
    assert list(tmp_path.iterdir()) == [target]


def test_a_dangling_link_counts_as_existing(tmp_path: Path):
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "nowhere")
    with pytest.raises(TargetExists):
        write_file(link, [b"x"])
    assert not (tmp_path / "nowhere").exists()


def test_a_file_made_meanwhile_is_not_overwritten(tmp_path: Path):
    target = tmp_path / "racing"

    def pieces() -> Iterator[bytes]:
        target.write_bytes(b"someone else's")
        yield b"ours"

    with pytest.raises(TargetExists):
        write_file(target, pieces())
    assert target.read_bytes() == b"someone else's"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EDQUOT])
def test_a_disk_that_fails_half_way_leaves_nothing_behind(tmp_path: Path, code: int, force: bool):
    target = tmp_path / "out.bin"
    if force:
        target.write_bytes(b"before")

    def pieces() -> Iterator[bytes]:
        yield b"x" * 100_000
        raise OSError(code, os.strerror(code))

    with pytest.raises(ExportError, match=os.strerror(code)) as caught:
        write_file(target, pieces(), force=force)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == ([target] if force else [])
    assert not force or target.read_bytes() == b"before"


def test_a_full_disk_is_told_and_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ExportError, match="No space left"):
        write_file(tmp_path / "out.bin", [b"x"])
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_export_leaves_nothing_behind(tmp_path: Path):
    def pieces() -> Iterator[bytes]:
        yield b"x"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_file(tmp_path / "out.bin", pieces())
    assert list(tmp_path.iterdir()) == []


def test_no_folder_and_a_folder_in_the_place_of_the_file_are_told(tmp_path: Path):
    with pytest.raises(ExportError, match="No such file"):
        write_file(tmp_path / "missing" / "out.bin", [b"x"])
    with pytest.raises(ExportError, match="is a directory"):
        write_file(tmp_path, [b"x"], force=True)


def test_the_file_has_the_permissions_of_any_new_file(tmp_path: Path):
    ordinary = tmp_path / "ordinary"
    ordinary.touch()
    write_file(tmp_path / "out.bin", [b"x"])
    assert stat.S_IMODE((tmp_path / "out.bin").stat().st_mode) == stat.S_IMODE(ordinary.stat().st_mode)


@given(IDSTRS)
def test_a_name_from_a_capture_is_one_harmless_file_name(idstr: str):
    name = safe_name(idstr)
    assert name
    assert len(name) <= 120
    assert not name.startswith((".", "-", "~"))
    assert all(c.isascii() and (c.isalnum() or c in "._@+=-") for c in name)
    assert Path(name).name == name


@given(IDSTRS, st.integers(0, (1 << 32) - 1), st.sampled_from(SectionKind), st.sampled_from(Format))
def test_every_proposed_name_stays_in_its_folder(idstr: str, instance: int, kind: SectionKind, form: Format):
    section = Section(
        0,
        kind,
        16,
        30,
        40,
        45,
        Confidence.EXACT,
        idstr=idstr if kind.of_device else None,
        instance_id=instance,
    )
    for chain in (False, True):
        name = propose_name([section], form, chain=chain)
        assert Path(name).name == name
        assert not name.startswith((".", "-", "~"))
        assert name.endswith(form.suffix)
        assert len(name.encode()) < 200


def test_proposed_names_tell_the_section(microvm: Capture):
    start, part, end = microvm.find("ram")
    (cpu,) = microvm.find("cpu")
    assert [propose_name([one], Format.RAW) for one in (start, part, end, cpu, microvm.index[0])] == [
        "ram@0.START.bin",
        "ram@0.PART1.bin",
        "ram@0.END.bin",
        "cpu@0.bin",
        "header-0x0.bin",
    ]
    assert propose_name([start, part, end], Format.HEX) == "ram@0.chain.hex"


def test_a_large_export_passes_through_in_blocks(walked: Callable[[str], Capture]):
    capture = walked("xbzrle")
    sections = capture.find("ram")
    digest = hashlib.sha256()
    for piece in blocks(capture, sections, Format.RAW):
        assert len(piece) <= 1 << 20
        digest.update(piece)
    assert digest.digest() == hashlib.sha256(slices(capture, sections)).digest()
