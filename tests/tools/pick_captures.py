"""Copy the captures that the tests stand on from a full set of captures into tests/captures.

    python tests/tools/pick_captures.py ../shared/captures

A manifest keeps what QEMU, its own script and the independent walker said (see KEPT); the digests of each
1 MiB of RAM are left out.  Writes tests/captures/README.md, too.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent / "captures"

# What each one is there for.
PICKED = {
    "aarch64-virt-a57": "64-bit Arm",
    "aarch64-virt-q111": "64-bit Arm of QEMU 11.1: descriptions without array indexes",
    "alpha-clipper": "8 KiB pages",
    "arm-microbit": "Cortex-M0, a few small devices",
    "arm-mps2": "Cortex-M, many small devices",
    "arm-stellaris": "QEMU's own script fails on it",
    "arm-virt-a15": "32-bit Arm",
    "avr-mega-q72": "256-byte pages",
    "background-snapshot": "RAM behind the devices",
    "block-q72": "block migration",
    "compress-q72": "zlib pages",
    "dirty-bitmaps": "105,874 PARTs of 22 bytes",
    "file-gzip": "a gzip file",
    "file-lzop": "an lzop file",
    "file-xz": "an xz file",
    "file-zstd": "a zstd file",
    "i386-q72": "32-bit x86",
    "ignore-shared": "x-ignore-shared: the block list has addresses",
    "libvirt-bzip2": "a libvirt save image, bzip2",
    "libvirt-gzip": "a libvirt save image, gzip",
    "libvirt-real-raw": "a save image written by libvirt itself",
    "libvirt-real-sparse": "a sparse save image written by libvirt itself",
    "libvirt-zstd": "a libvirt save image, zstd",
    "mapped-ram": "mapped-ram, sparse",
    "microblaze-ml605": "MicroBlaze",
    "microvm": "the smallest x86 machine, virtio-mmio",
    "mips-malta": "big-endian MIPS",
    "multifd": "multifd: pages in two channels of their own",
    "multifd-zlib": "multifd, compressed",
    "nios2-q72": "Nios II",
    "none-machine": "no devices, no RAM",
    "old-i440fx14-q52": "QEMU 5.2, machine type 1.4: no footers, no configuration",
    "old-pc-q35-100-q111": "machine type of another version",
    "or1k-sim": "OpenRISC",
    "pc-bare": "no configuration, no footers, no description",
    "pc-live": "a chain of 34 sections; also the demo capture",
    "pc-no-config-q52": "no configuration section",
    "pc-no-footer": "no footers",
    "pc-no-vmdesc": "no description",
    "pc-smp4": "four CPUs: instances of one idstr",
    "postcopy": "postcopy: PACKAGED with a stream inside",
    "ppc-mac99": "big-endian PowerPC",
    "ppc64-pseries": "spapr/htab",
    "q35-devices": "many PCI, virtio, USB and storage devices",
    "qcow2-snapshots": "internal snapshots",
    "riscv64-virt": "RISC-V",
    "rx-gdbsim": "Renesas RX",
    "s390x-ccw": "s390-storage_attributes and s390-skeys",
    "s390x-ccw-q72": "s390x of QEMU 7.2",
    "sparc-ss5": "SPARC",
    "virtio-mem": "an early device section ahead of RAM",
    "xbzrle": "XBZRLE pages",
}

KEPT = (
    "name", "about", "qemu_version", "libvirt_version", "target", "machine", "command_line", "capabilities",
    "parameters", "file_size", "sha256", "stream_offset", "stream_size", "stream_sha256", "container",
    "base_capture", "libvirt", "image_options", "snapshot_table", "channels", "walker", "analyze_migration",
    "oracle", "loaded_ram", "snapshots",
)  # fmt: skip
ORACLES = ("info_registers", "info_pic", "info_lapic", "ram")


def trimmed(manifest: dict[str, object]) -> dict[str, object]:
    """The manifest with what the tests look at."""
    kept = {key: manifest[key] for key in KEPT if key in manifest}
    if isinstance(kept.get("oracle"), dict):
        kept["oracle"] = _oracle(kept["oracle"])
    if isinstance(kept.get("loaded_ram"), dict):
        kept["loaded_ram"] = _ram(kept["loaded_ram"])
    if isinstance(kept.get("snapshots"), dict):
        kept["snapshots"] = {
            name: {key: _ram(value) if key == "ram" else value for key, value in snapshot.items()}
            for name, snapshot in kept["snapshots"].items()
        }
    return kept


def _oracle(oracle: dict[str, object]) -> dict[str, object]:
    kept = {key: oracle[key] for key in ORACLES if key in oracle}
    if "ram" in kept:
        kept["ram"] = _ram(kept["ram"])
    return kept


def _ram(blocks: dict[str, dict[str, object]]) -> dict[str, object]:
    return {name: {"size": block["size"], "sha256": block["sha256"]} for name, block in blocks.items()}


def main(source: Path) -> None:
    """Copy, trim and write the README."""
    HERE.mkdir(exist_ok=True)
    rows = []
    for name, why in PICKED.items():
        manifest = trimmed(json.loads((source / f"{name}.json").read_text()))
        (HERE / f"{name}.json").write_text(json.dumps(manifest, indent=1) + "\n")
        for pattern in (
            f"{name}.bin.zst",
            f"{name}.ch*.bin.zst",
            f"{name}.analyze.json.zst",
            f"{name}.*.analyze.json.zst",
        ):
            for file in source.glob(pattern):
                shutil.copyfile(file, HERE / file.name)
        rows.append(
            f"| {name} | {why} | {manifest['qemu_version']} | {manifest['target']} | {manifest['machine']} "
            f"| {manifest['file_size']} |"
        )
    size = sum(file.stat().st_size for file in HERE.iterdir())
    (HERE / "README.md").write_text(
        "# Captures that the tests stand on\n\n"
        "Real migration streams of running QEMUs, and what others said about them. The guests are boot\n"
        "sectors and bare-metal programs written for this, beside the firmware that QEMU brings along.\n"
        f"{len(rows)} captures, {size / 1e6:.1f} MB.\n\n"
        "| file | what |\n|---|---|\n"
        "| NAME.bin.zst | the capture (`NAME.chN.bin.zst`: further channels of the same migration) |\n"
        "| NAME.json | the command line of QEMU; `oracle`: registers and sha256 of each RAM block, "
        "taken from the QEMU that was migrated; `walker`: counts of a walker that shares no code with qevm; "
        "`analyze_migration`: what QEMU's script did |\n"
        "| NAME.analyze.json.zst | the output of QEMU 10.0.2's `scripts/analyze-migration.py -d state` |\n"
        "| NAME.golden | the output of `qevm show` for every device; `pytest --update-golden` writes it "
        "anew, and the diff is for reviewing |\n\n"
        "Copied by `python tests/tools/pick_captures.py FOLDER`, FOLDER holding the full set. The suite also "
        "runs over\nall of `../shared/captures` where that folder is there.\n\n"
        "| name | there for | QEMU | target | machine | bytes unpacked |\n|---|---|---|---|---|---|\n"
        + "\n".join(rows)
        + "\n"
    )
    print(f"{len(rows)} captures, {size:,} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
