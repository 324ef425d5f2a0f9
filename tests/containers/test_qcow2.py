"""qcow2 internal snapshots, against savevm, qemu-img and qemu-io, and against images that lie."""

from __future__ import annotations

import hashlib
import re
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qevm.containers import ChoiceNeeded, Opened, open_streams
from qevm.containers.qcow2 import Qcow2Image
from qevm.containers.vmstate import VmState
from qevm.problems import CannotOpen
from qevm.source import BytesSource

needs_qemu_tools = pytest.mark.skipif(
    not (shutil.which("qemu-img") and shutil.which("qemu-io")), reason="qemu-img or qemu-io is not installed"
)
needs_qemu = pytest.mark.skipif(
    not shutil.which("qemu-system-x86_64") or not shutil.which("qemu-io"),
    reason="qemu-system-x86_64 or qemu-io is not installed",
)


def run(*command: str | Path, data: str | None = None) -> str:
    done = subprocess.run(
        [str(c) for c in command], input=data, capture_output=True, text=True, timeout=60, errors="replace"
    )
    if "Unable to get accurate CPU usage" in done.stderr:
        pytest.skip("qemu-img could not time its key derivation on this machine")
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def qemu_io(path: Path, *commands: str, may_fail: bool = False) -> str:
    arguments = [a for command in commands for a in ("-c", command)]
    done = subprocess.run(
        ["qemu-io", "-f", "qcow2", *arguments, path], capture_output=True, text=True, timeout=60
    )
    assert may_fail or done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def dump(text: str) -> bytes:
    """The bytes of the hex lines that ``qemu-io read -v`` prints."""
    return b"".join(
        bytes.fromhex(m[1]) for m in re.finditer(r"^[0-9a-f]{8,}:  ((?:[0-9a-f]{2} )+)", text, re.MULTILINE)
    )


def vm_state_by_qemu(path: Path, work: Path, snapshot: str, size: int) -> bytes:
    """The VM state of a snapshot as QEMU's own block layer reads it, from an applied copy."""
    copy = work / "applied.qcow2"
    shutil.copy(path, copy)
    run("qemu-img", "snapshot", "-a", snapshot, copy)
    return dump(qemu_io(copy, f"read -b -v 0 {-(-size // 512) * 512}"))[:size]


# -- real snapshots, made here by savevm


@needs_qemu
@pytest.mark.parametrize(
    "options",
    [
        "cluster_size=512",
        "cluster_size=4096",
        "cluster_size=65536",
        "cluster_size=2M",
        "compat=0.10",
        "compat=0.10,cluster_size=1024",
        "extended_l2=on,cluster_size=16k",
        "extended_l2=on,cluster_size=2M",
        "compression_type=zstd",
        "lazy_refcounts=on",
        "refcount_bits=64",
        "backing_file=base.qcow2,backing_fmt=qcow2",
    ],
)
def test_savevm_with_every_kind_of_image(options: str, tmp_path: Path) -> None:
    run("qemu-img", "create", "-q", "-f", "qcow2", tmp_path / "base.qcow2", "3M")
    path = tmp_path / "disk.qcow2"
    run("qemu-img", "create", "-q", "-f", "qcow2", "-o", options, path, "3M")
    run(
        "qemu-system-x86_64", "-M", "isapc", "-cpu", "486", "-m", "1", "-display", "none", "-nodefaults",
        "-S", "-monitor", "stdio", "-drive", f"if=ide,file={path}",
        data="savevm first\nqemu-io ide0-hd0 \"write -P 5 0 64k\"\nsavevm second\nquit\n",
    )  # fmt: skip
    listed = run("qemu-img", "snapshot", "-l", path)
    assert re.findall(r"^\d+ +(\w+)", listed, re.MULTILINE) == ["first", "second"]
    for tag in ("1", "second"):
        o = open_streams(path, snapshot=tag)
        size = o.stream.source.size
        state = o.stream.source.read(0, size + 1)
        assert (state[:4], state[-1:], len(state)) == (b"QEVM", b"}", size)
        assert state == vm_state_by_qemu(path, tmp_path, tag, size)
        assert o.problems == []
        # The file offsets lead to the same bytes.
        with path.open("rb") as file:
            for offset in range(0, size, 7777):
                place = o.stream.file_offset(offset)
                if place is not None:
                    file.seek(place)
                    assert file.read(1) == state[offset : offset + 1]
        assert o.stream.file_offset(0) is not None
        assert o.stream.file_offset(size) is None
        o.close()


@needs_qemu
def test_snapshots_of_a_real_image_are_listed_and_chosen(tmp_path: Path) -> None:
    path = tmp_path / "disk.qcow2"
    run("qemu-img", "create", "-q", "-f", "qcow2", path, "3M")
    with pytest.raises(CannotOpen, match=r"no internal snapshots: it is a disk without VM state"):
        open_streams(path)
    run("qemu-img", "snapshot", "-c", "disk only", path)
    with pytest.raises(CannotOpen, match=r"1 disk-only snapshots and no VM state"):
        open_streams(path)
    savevm = ["qemu-system-x86_64", "-M", "none", "-display", "none", "-monitor", "stdio"]
    run(*savevm, "-drive", f"if=none,file={path}", data="savevm one\nquit\n")
    alone = open_streams(path)
    assert alone.stream.name == "snapshot one"
    assert [(s.id, s.tag) for s in alone.container.snapshots] == [("1", "disk only"), ("2", "one")]
    chosen = alone.container.snapshots[1]
    assert chosen.disk_size == 3 << 20
    listed = run("qemu-img", "snapshot", "-l", path).splitlines()[-1].split()
    assert chosen.date is not None
    assert chosen.date.astimezone().strftime("%Y-%m-%d %H:%M:%S") in " ".join(listed)
    alone.close()
    run(*savevm, "-drive", f"if=none,file={path}", data="savevm two\nquit\n")
    with pytest.raises(ChoiceNeeded) as caught:
        open_streams(path)
    assert [c.value for c in caught.value.choices] == ["2", "3"]
    lines = str(caught.value).splitlines()
    assert len(lines) == 4
    assert "--snapshot ID_OR_TAG" in lines[0]
    assert lines[2].split()[:2] == ["2", "one"]
    with pytest.raises(ChoiceNeeded, match=r"no snapshot 'three'"):
        open_streams(path, snapshot="three")
    with pytest.raises(CannotOpen, match=r"'disk only' .id 1. is disk-only"):
        open_streams(path, snapshot="1")
    asked: list[ChoiceNeeded] = []

    def choose(needed: ChoiceNeeded) -> str:
        asked.append(needed)
        return "two"

    assert open_streams(path, choose=choose).stream.name == "snapshot two"
    assert len(asked) == 1


_READER = """
import hashlib, sys
from qevm.containers import open_streams
o = open_streams(sys.argv[1], snapshot=sys.argv[2])
source, position, digest = o.stream.source, 0, hashlib.sha256()
while data := source.read(position, 1 << 20):
    digest.update(data)
    position += len(data)
peak = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(position, digest.hexdigest(), peak)
"""


@needs_qemu_tools
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc for the peak memory")
@pytest.mark.parametrize("cluster", ["4k", "2M"])
def test_a_vm_state_of_hundreds_of_megabytes_is_read_with_little_memory(cluster: str, tmp_path: Path) -> None:
    path = tmp_path / "disk.qcow2"
    size = 300 << 20
    run("qemu-img", "create", "-q", "-f", "qcow2", "-o", f"cluster_size={cluster}", path, "64M")
    (tmp_path / "head").write_bytes(b"QEVM\0\0\0\3\7\0\0\0\4none".ljust(512, b"."))
    qemu_io(path, f"write -b -P 0x61 0 {size}", f"write -b -s {tmp_path / 'head'} 0 512")
    run("qemu-img", "snapshot", "-c", "s", path)
    patch_snapshot(path, 64 << 20, size)
    answer = run(sys.executable, "-c", _READER, path, "s").split()
    expected = hashlib.sha256((tmp_path / "head").read_bytes())
    for _ in range(size // 512 - 1):
        expected.update(b"a" * 512)
    assert answer[:2] == [str(size), expected.hexdigest()]
    assert int(answer[2]) < 150_000


def test_a_sparse_image_with_the_largest_tables_is_opened_with_little_memory(
    stream: bytes, tmp_path: Path
) -> None:
    """nb_snapshots, name lengths and L1 entries at their limits, in a file that is one large hole."""
    path = tmp_path / "disk.qcow2"
    image = made(stream)
    change(image, 60, "I", 0xFFFFFFFF)
    change(image, TABLE + 8, "I", 0xFFFFFFFF)
    change(image, TABLE + 40, "Q", 1 << 62)
    path.write_bytes(image)
    with path.open("r+b") as file:
        file.truncate(1 << 40)
    answer = run(sys.executable, "-c", _READER, path, "tag").split()
    # The L1 table runs on into what is no table: its entries name clusters all over the place.
    assert len(stream) < int(answer[0]) < 1 << 30
    assert int(answer[2]) < 150_000


def test_tables_that_name_the_same_clusters_over_and_over_are_cut(stream: bytes) -> None:
    image = made(stream)
    size = len(image) + 8 * 100_000
    image += bytes(-len(image) % CLUSTER)
    change(image, TABLE, "Q", len(image))
    change(image, TABLE + 8, "I", 100_000)
    change(image, TABLE + 40, "Q", 1 << 60)
    image += struct.pack(">Q", L2) * 100_000
    o = opened(image)
    assert o.stream.source.size < 65 * size < 100_000 * SPAN
    assert "times as large as the image" in o.problems[-1].message


# -- property: any writes by QEMU's block layer, read through a patched snapshot


def patch_snapshot(path: Path, disk: int, state: int) -> None:
    """Give the only snapshot of ``path`` another disk size and a VM state size."""
    with path.open("r+b") as file:
        file.seek(60)
        count, at = struct.unpack(">IQ", file.read(12))
        assert count == 1
        file.seek(at + 36)
        (extra,) = struct.unpack(">I", file.read(4))
        assert extra >= 16
        file.seek(at + 32)
        file.write(struct.pack(">I", min(state, 0xFFFFFFFF)))
        file.seek(at + 40)
        file.write(struct.pack(">QQ", state, disk))


operations = st.lists(
    st.tuples(
        st.sampled_from(["write", "write -c", "write -z", "write -z -u", "discard"]),
        st.integers(0, 60),
        st.integers(1, 30),
        st.integers(1, 255),
    ),
    min_size=1,
    max_size=10,
)


@needs_qemu_tools
@given(
    bits=st.integers(9, 18),
    extended=st.booleans(),
    compression=st.sampled_from(["zlib", "zstd"]),
    ops=operations,
    window=st.tuples(st.integers(0, 1 << 20), st.integers(1, 1 << 20)),
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_qemu_wrote_is_read_as_qemu_reads_it(
    tmp_path_factory: pytest.TempPathFactory,
    bits: int,
    extended: bool,
    compression: str,
    ops: list[tuple[str, int, int, int]],
    window: tuple[int, int],
) -> None:
    if extended and bits < 14:
        bits = 14
    cluster = 1 << bits
    span = cluster * (cluster // (16 if extended else 8))
    base = span * 2
    folder = tmp_path_factory.mktemp("qcow2")
    path = folder / "disk.qcow2"
    options = f"cluster_size={cluster},compression_type={compression}" + (
        ",extended_l2=on" if extended else ""
    )
    run("qemu-img", "create", "-q", "-f", "qcow2", "-o", options, path, str(base + 64 * cluster + (4 << 20)))
    (folder / "head").write_bytes(b"QEVM\0\0\0\3\7\0\0\0\4none".ljust(512, b"\xee"))
    commands = [f"write -P 0xaa {base + 20 * cluster} {10 * cluster}"]
    for verb, start, length, byte in ops:
        whole = verb == "write -c"
        unit = cluster if whole else 512
        at, size = start * unit, (1 if whole else length) * unit
        pattern = "" if "-z" in verb or verb == "discard" else f"-P {byte} "
        commands.append(f"{verb} {pattern}{base + at} {size}")
    commands.append(f"write -s {folder / 'head'} {base} 512")
    # QEMU refuses to compress over what is there: then it stays as it was.
    qemu_io(path, *commands, may_fail=True)
    run("qemu-img", "snapshot", "-c", "s", path)
    count = 60 * cluster
    block = min(cluster, 1 << 16)
    run(
        "qemu-img", "dd", "-f", "qcow2", "-O", "raw", f"bs={block}", f"skip={base // block}",
        f"count={(base + count) // block}", f"if={path}", f"of={folder / 'expected'}",
    )  # fmt: skip
    expected = (folder / "expected").read_bytes()
    patch_snapshot(path, base - 512, count)
    state = open_streams(path).stream.source
    # What was unmapped at the end is not there any more; QEMU reads it as zeros.
    assert len(expected) == count
    assert expected[state.size :].count(0) == count - state.size
    assert state.read(0, count) == expected[: state.size]
    at, length = window[0] % count, window[1]
    assert state.read(at, length) == expected[at : min(at + length, state.size)]
    state.close()
    shutil.rmtree(folder)


# -- images that lie, made here by the tables of containers §11.4

SMALL = Path(__file__).resolve().parents[1] / "captures" / "arm-microbit.bin"

CLUSTER = 512
SPAN = CLUSTER * CLUSTER // 8


def made(stream: bytes, *, disk: int = 100_000, moved: int = 0, tag: bytes = b"tag") -> bytearray:
    """A version 2 image of 512-byte clusters whose only snapshot holds ``stream``.

    Layout: header in cluster 0, snapshot table in 1 and 2, L1 from 3 to 7, then L2 tables, then data.
    """
    base = -(-disk // SPAN) + moved
    clusters = -(-len(stream) // CLUSTER)
    tables = -(-clusters // (CLUSTER // 8))
    first_l2, first_data = 8, 8 + tables
    out = bytearray((first_data + clusters) * CLUSTER)
    out[:72] = struct.pack(
        ">4sIQIIQIIQQIIQ", b"QFI\xfb", 2, 0, 0, 9, disk, 0, 1, 3 * CLUSTER, 0, 0, 1, CLUSTER
    )
    entry = struct.pack(">QIHHIIQII", 3 * CLUSTER, base + tables, 1, len(tag), 1000, 0, 7, 0, 24)
    entry += struct.pack(">QQQ", len(stream), disk, (1 << 64) - 1) + b"1" + tag
    out[CLUSTER : CLUSTER + len(entry)] = entry
    for i in range(tables):
        struct.pack_into(">Q", out, 3 * CLUSTER + 8 * (base + i), (1 << 63) | (first_l2 + i) * CLUSTER)
    for i in range(clusters):
        struct.pack_into(">Q", out, first_l2 * CLUSTER + 8 * i, (1 << 63) | (first_data + i) * CLUSTER)
    out[first_data * CLUSTER : first_data * CLUSTER + len(stream)] = stream
    return out


def opened(image: bytes | bytearray) -> Opened:
    return open_streams(BytesSource(bytes(image), "disk.qcow2"))


def change(image: bytearray, at: int, form: str, *values: int) -> bytearray:
    struct.pack_into(">" + form, image, at, *values)
    return image


TABLE = CLUSTER
L1 = 3 * CLUSTER + 8 * 4
L2 = 8 * CLUSTER


def test_the_made_image_reads_back(stream: bytes) -> None:
    o = opened(made(stream))
    assert o.stream.source.read(0, 1 << 20) == stream
    assert o.problems == []
    assert o.container.kind == "qcow2 snapshot tag"
    table = o.container.parts[1].decode()
    [entry] = table.children
    fields = {f.name: f for f in entry.children}
    assert (fields["vm_state_size_large"].offset, fields["vm_state_size_large"].value) == (
        CLUSTER + 40,
        len(stream),
    )
    assert (fields["name"].value, fields["name"].offset, fields["name"].size) == ("tag", CLUSTER + 65, 3)


def test_a_disk_that_was_resized_is_searched_for_its_state(stream: bytes) -> None:
    o = opened(made(stream, moved=2))
    assert o.stream.source.read(0, 1 << 20) == stream
    assert "the disk was resized" in o.problems[0].message
    # Without the extra data the header's size decides.
    image = made(stream)
    change(image, TABLE + 36, "I", 0)
    image[TABLE + 40 : TABLE + 44] = b"1tag"
    change(image, TABLE + 32, "I", len(stream))
    assert opened(image).stream.source.read(0, 1 << 20) == stream


@pytest.mark.parametrize("size", [1 << 60, (1 << 64) - 1, 1 << 40])
def test_a_vm_state_of_2_60_bytes_ends_where_its_clusters_end(stream: bytes, size: int) -> None:
    image = change(made(stream), TABLE + 40, "Q", size)
    o = opened(image)
    source = o.stream.source
    mapped = -(-len(stream) // CLUSTER) * CLUSTER
    assert source.size == mapped
    assert source.read(0, 1 << 62) == stream.ljust(mapped, b"\0")
    [problem] = o.problems
    assert (problem.offset, problem.expected, problem.found) == (mapped, f"{size} bytes", f"{mapped} bytes")


def test_a_cluster_outside_of_the_file_reads_as_zeros_and_is_reported(stream: bytes) -> None:
    for wrong in (1 << 50, 0x00FF_FFFF_FFFF_FE00):
        image = change(made(stream), L2 + 8 * 5, "Q", wrong)
        o = opened(image)
        got = o.stream.source.read(0, 1 << 20)
        assert got == stream[: 5 * CLUSTER] + bytes(CLUSTER) + stream[6 * CLUSTER :]
        [problem] = o.problems
        assert problem.offset == 5 * CLUSTER
        assert problem.found == f"0x{wrong:x}"
        o.stream.source.read(0, 1 << 20)
        assert len(o.problems) == 1


def test_an_l2_table_outside_of_the_file_hides_only_its_own_part(stream: bytes) -> None:
    data = stream + stream[::-1]
    image = change(made(data), L1, "Q", 1 << 40)
    with pytest.raises(CannotOpen, match=r"expected 51 45 56 4d .QEVM., found 00 00 00 00"):
        opened(image)
    image = change(made(data), L1 + 8, "Q", 1 << 40)
    # The last table decides the size; it is gone here, so the state ends with the table before it.
    o = opened(image)
    part = CLUSTER * CLUSTER // 8
    assert o.stream.source.size == part
    assert o.stream.source.read(0, 1 << 20) == data[:part]
    assert "is cut" in o.problems[0].message


def test_tables_that_point_at_each_other_end(stream: bytes) -> None:
    image = made(stream)
    for at, target in ((L2, 8 * CLUSTER), (L2 + 8, 3 * CLUSTER), (L1, 3 * CLUSTER)):
        looped = change(bytearray(image), at, "Q", target)
        try:
            o = opened(looped)
        except CannotOpen:
            continue
        assert len(o.stream.source.read(0, 1 << 20)) <= len(stream) + CLUSTER


def test_absurd_counts_are_bounded(stream: bytes) -> None:
    image = change(made(stream), 60, "I", 0xFFFFFFFF)
    o = opened(image)
    assert o.stream.source.read(0, 1 << 20) == stream
    assert o.problems[0].found == "4294967295"
    assert "breaks off" in o.problems[1].message
    image = change(made(stream), TABLE + 36, "I", 0xFFFFFFFF)
    with pytest.raises(CannotOpen, match=r"breaks off at entry 1 of 1: extra data of 4294967295 bytes"):
        opened(image)
    image = change(made(stream), TABLE + 8, "I", 0xFFFFFFFF)
    o = opened(image)
    assert o.stream.source.read(0, 1 << 20) == stream
    assert "L1 table" in o.problems[0].message


@pytest.mark.parametrize("l1", [0, 7, 1 << 40, (1 << 64) - 1])
def test_an_l1_table_outside_of_the_file_is_an_error(stream: bytes, l1: int) -> None:
    with pytest.raises(CannotOpen, match=r"its L1 table at 0x[0-9a-f]+ is not in the file"):
        opened(change(made(stream), TABLE, "Q", l1))


def test_a_file_cut_anywhere_is_an_error_or_a_stream_with_problems(stream: bytes) -> None:
    image = bytes(made(stream))
    for length in [*range(0, 130, 7), *range(130, len(image), 1999)]:
        try:
            o = opened(image[:length])
        except CannotOpen:
            continue
        got = o.stream.source.read(0, 1 << 20)
        sound = max(0, length - (len(image) - -(-len(stream) // CLUSTER) * CLUSTER))
        assert got[:sound] == stream[:sound]
        assert o.problems


@pytest.mark.parametrize(
    ("at", "form", "value", "words"),
    [
        (4, "I", 1, "qcow2 version 1 at 0x4 is unknown"),
        (20, "I", 8, "cluster_bits 8 at 0x14, expected 9…21"),
        (20, "I", 63, "cluster_bits 63"),
        (32, "I", 1, "encrypted .AES."),
        (32, "I", 2, "encrypted .LUKS."),
        (64, "Q", 1 << 60, "breaks off at entry 1 of 1: it lies outside of the file"),
    ],
)
def test_what_cannot_be_read_says_why(stream: bytes, at: int, form: str, value: int, words: str) -> None:
    with pytest.raises(CannotOpen, match=words):
        opened(change(made(stream), at, form, value))


@needs_qemu_tools
def test_encryption_and_external_data_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "luks.qcow2"
    run(
        "qemu-img", "create", "-q", "-f", "qcow2", "--object", "secret,id=s,data=abc", "-o",
        "encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10", path, "1M",
    )  # fmt: skip
    with pytest.raises(CannotOpen, match=r"this qcow2 image is encrypted .LUKS."):
        open_streams(path)
    path = tmp_path / "external.qcow2"
    run("qemu-img", "create", "-q", "-f", "qcow2", "-o", f"data_file={tmp_path / 'data'}", path, "1M")
    with pytest.raises(CannotOpen, match=r"keeps its data in an external file"):
        open_streams(path)


def test_hostile_tags_reach_the_list_as_escapes(stream: bytes) -> None:
    image = made(stream, tag=b"\x1b]52;c;QQ==\x07\n[red]")
    two = Qcow2Image(BytesSource(bytes(image)))
    from qevm.containers.qcow2 import choice

    text = str(choice("two", two.snapshots))
    assert "\x1b" not in text
    assert "\\x1b]52" in text
    assert text.count("\n") == 2


# The magic stays: without it the image is something unknown with a stream behind it.
@given(
    damage=st.lists(st.tuples(st.integers(4, 13 * CLUSTER), st.binary(min_size=1, max_size=8)), max_size=4)
)
@settings(max_examples=300, deadline=None)
def test_any_damage_ends_in_an_error_or_a_bounded_stream(damage: list[tuple[int, bytes]]) -> None:
    image = made(SMALL.read_bytes())
    for at, data in damage:
        image[at : at + len(data)] = data
    try:
        o = opened(image)
    except (CannotOpen, ChoiceNeeded):
        return
    source = o.stream.source
    assert isinstance(source, VmState)
    assert source.size < 1 << 45
    assert len(source.read(0, 1 << 20)) == min(source.size, 1 << 20)
    assert len(source.read(source.size - 10, 100)) <= 10
    for part in o.container.parts:
        assert list(part.decode().walk(1000))


def test_a_damaged_compressed_cluster_keeps_the_others(tmp_path: Path, tool: Callable[..., bytes]) -> None:
    tool("qemu-img", "--version")
    path = tmp_path / "disk.qcow2"
    base, cluster = 2 * 65536 * 8192, 65536
    run("qemu-img", "create", "-q", "-f", "qcow2", path, str(base + (1 << 20)))
    (tmp_path / "data").write_bytes(b"QEVM\0\0\0\3\7\0\0\0\4none" + b"abc" * 43684 + b"xy" * (cluster // 2))
    qemu_io(path, *(f"write -c -s {tmp_path / 'data'} {base + i * cluster} {cluster}" for i in range(3)))
    run("qemu-img", "snapshot", "-c", "s", path)
    patch_snapshot(path, base - 1, 3 * cluster)
    sound = open_streams(path).stream.source
    whole = sound.read(0, 1 << 20)
    assert isinstance(sound, VmState)
    _, descriptor = sound._locate(base + cluster, report=False)
    with path.open("r+b") as file:
        file.seek((descriptor & ((1 << 54) - 1)) + 30)
        file.write(b"\xff" * 20)
    o = open_streams(path)
    got = o.stream.source.read(0, 1 << 20)
    assert (got[:cluster], got[2 * cluster :]) == (whole[:cluster], whole[2 * cluster :])
    assert got[cluster : 2 * cluster] != whole[cluster : 2 * cluster]
    assert o.problems[0].offset == cluster
    assert "compressed cluster" in o.problems[0].message
