"""The README's table of formats says what the captures show; ``--update-golden`` writes it anew."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from pathlib import Path

import examples
import pytest
from examples import Example

from qevm.bodies.multifd import Channel
from qevm.capture import Capture
from qevm.guest_memory import GuestMemory
from qevm.memory_writer import write_block
from qevm.source import FileSource

README = Path(__file__).resolve().parents[2] / "README.md"
BEGIN, END = "<!-- formats:begin -->\n", "<!-- formats:end -->"

FORMATS = (
    ("ordinary stream, QEMU 5.2", "old-i440fx14-q52", ""),
    ("ordinary stream, QEMU 7.2", "i386-q72", ""),
    ("ordinary stream, QEMU 10.0, live: pages sent again", "pc-live", ""),
    ("ordinary stream, QEMU 11.1", "aarch64-virt-q111", ""),
    ("no footers", "pc-no-footer", ""),
    ("no configuration, footers or description", "pc-bare", ""),
    ("no description", "pc-no-vmdesc", ""),
    ("early section (virtio-mem)", "virtio-mem", ""),
    ("XBZRLE pages", "xbzrle", ""),
    ("zlib-compressed pages", "compress-q72", ""),
    ("multifd, with its page channels", "multifd", ""),
    ("multifd, zlib channels", "multifd-zlib", ""),
    ("mapped-ram", "mapped-ram", ""),
    ("x-ignore-shared", "ignore-shared", ""),
    ("postcopy: DISCARD, PACKAGED, LISTEN, RUN", "postcopy", ""),
    ("background snapshot", "background-snapshot", ""),
    ("`dirty-bitmap`", "dirty-bitmaps", ""),
    ("`block`", "block-q72", ""),
    ("`spapr/htab`", "ppc64-pseries", ""),
    ("`s390-storage_attributes`, `s390-skeys`", "s390x-ccw", ""),
    ("256-byte pages (AVR)", "avr-mega-q72", ""),
    ("8 KiB pages (Alpha)", "alpha-clipper", ""),
    ("libvirt save image, raw", "libvirt-real-raw", ""),
    ("libvirt save image, sparse", "libvirt-real-sparse", ""),
    ("libvirt save image, zstd", "libvirt-zstd", ""),
    ("qcow2 internal snapshot", "qcow2-snapshots", "first"),
    ("gzip file", "file-gzip", ""),
    ("lzop file", "file-lzop", ""),
)


def line(label: str, name: str, snapshot: str, folder: Path) -> str:
    """One row: what the walk finds in the capture, what decodes, which blocks are QEMU's own memory."""
    example = Example(name, examples.COMMITTED, snapshot)
    capture = Capture.open(example.unpack(folder), **example.options)
    capture.walk_all()
    read = f"{len(capture.index):,} sections" if capture.sound else "problems"
    kinds = Counter(
        "raw" if any(f.name == "data" and f.meaning == "not described" for f in root.children)
        else "inferred" if any(f.inferred for f in root.children) else "described"
        for device in capture.index.devices
        for root in [capture.decode(capture.index[device.sections[0]])]
    )  # fmt: skip
    decoded = f"{kinds['described']} devices"
    if kinds["inferred"]:
        decoded += f", {kinds['inferred']} by built-in layouts"
    if kinds["raw"]:
        decoded += f", {kinds['raw']} as bytes"
    row = f"| {label} | {read} | {decoded} | {rebuilt(capture, example, folder)} |"
    capture.close()
    return row


def rebuilt(capture: Capture, example: Example, folder: Path) -> str:
    """How many RAM blocks have the sha256 that the running QEMU's memory had."""
    expected = (example.manifest.get("oracle") or {}).get("ram")
    if not expected:
        return "no memory to compare with"
    loaded = example.manifest.get("loaded_ram") or {}
    page_size = capture.facts.page_size or 4096
    channels = []
    for number in range(1, 5):
        packed = example.folder / f"{example.name}.ch{number}.bin.zst"
        if example.name.startswith("multifd") and packed.exists():
            plain = folder / packed.stem
            plain.write_bytes(examples.zstd.decompress(packed.read_bytes()))
            channels.append(Channel(FileSource(plain), page_size))
    memory = GuestMemory.of(capture, channels)
    same = unknown = 0
    blocks = [block for block in memory.blocks if block.text in expected]
    for block in blocks:
        target = folder / "block"
        report = write_block(memory, block, target, force=True)
        digest = hashlib.sha256(target.read_bytes()).hexdigest()
        known = {expected[block.text]["sha256"], loaded.get(block.text, {}).get("sha256")}
        same += digest in known
        unknown += digest not in known and bool(report.unknown_pages)
        target.unlink()
    return f"{same} of {len(blocks)} blocks equal" + (f", {unknown} not in the stream" if unknown else "")


def table(folder: Path) -> str:
    """The whole table."""
    head = "| format | read | decoded | memory against QEMU's own |\n|---|---|---|---|\n"
    return head + "".join(line(*row, folder) + "\n" for row in FORMATS)


def test_the_readme_tells_what_the_captures_show(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    before, rest = README.read_text().split(BEGIN)
    shown, behind = rest.split(END)
    made = table(tmp_path)
    assert "problems" not in made
    if request.config.getoption("--update-golden"):
        README.write_text(before + BEGIN + made + END + behind)
        shown = made
    assert shown.splitlines() == made.splitlines()


def test_every_format_names_a_capture_of_its_own() -> None:
    names = [name for _, name, _ in FORMATS]
    assert len(set(names)) == len(names)
    for name in names:
        assert json.loads((examples.COMMITTED / f"{name}.json").read_text())["name"] == name
