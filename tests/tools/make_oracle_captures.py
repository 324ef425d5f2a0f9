"""Make the captures with an oracle that tests/explain compares with: QEMU's own words beside its stream.

    python tests/tools/make_oracle_captures.py [DIRECTORY] [--qemu qemu-system-x86_64]

Each capture is a small guest that runs its firmware for some seconds, is stopped, asked by the monitor
what it is, and migrated into a file.  NAME.bin.zst and NAME.json land in tests/captures/oracle (or
DIRECTORY).  The guest is stopped before the questions, so that the answers describe the bytes of the
stream.  The boot sector of
pc-long-mode needs GNU as and ld.
"""

from __future__ import annotations

import argparse
import json
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

SECONDS = 4
DIRECTORY = Path(__file__).parent.parent / "captures" / "oracle"
COMMON = ["-nodefaults", "-display", "none", "-no-user-config", "-serial", "null"]
NULL_DISK = "driver=null-co,size=67108864,read-zeroes=on,node-name="
GUESTS = {
    "q35-virtio": [
        "-M", "q35", "-smp", "2", "-m", "16M", "-vga", "none",
        "-device", "virtio-net-pci,addr=2,romfile=,mac=52:54:00:aa:bb:01,netdev=n0", "-netdev",
        "hubport,id=n0,hubid=0",
        "-blockdev", NULL_DISK + "d0", "-device", "virtio-blk-pci,addr=3,drive=d0,num-queues=2",
        "-device", "virtio-rng-pci,addr=4",
        "-device", "virtio-serial-pci,addr=5,max_ports=4", "-chardev", "null,id=c0", "-device",
        "virtconsole,chardev=c0",
        "-device", "virtio-balloon-pci,addr=6",
        "-device", "pcie-root-port,id=rp0,addr=7,slot=1",
        "-device", "virtio-scsi-pci,bus=rp0", "-blockdev", NULL_DISK + "d1", "-device", "scsi-hd,drive=d1",
        "-device", "pcie-root-port,id=rp1,addr=8,slot=2", "-device",
        "e1000e,bus=rp1,romfile=,mac=52:54:00:aa:bb:02",
        "-device", "qemu-xhci,addr=9", "-device", "usb-tablet",
        "-device", "virtio-gpu-pci,addr=a",
    ],
    "pc-i440fx": [
        "-M", "pc", "-cpu", "max", "-m", "8M", "-vga", "none", "-rtc", "base=2024-02-29T12:34:56",
        "-device", "VGA,addr=2,romfile=,vgamem_mb=1", "-device",
        "e1000,addr=3,romfile=,mac=52:54:00:aa:bb:03",
        "-device", "pci-bridge,id=br0,chassis_nr=3,addr=4", "-device", "rtl8139,bus=br0,addr=1,romfile=",
        "-device", "piix3-usb-uhci,id=usb,addr=5", "-device", "usb-kbd,bus=usb.0",
        "-blockdev", NULL_DISK + "d0", "-device", "ide-hd,drive=d0,bus=ide.0,serial=QEVM0001",
        "-device", "ide-cd,bus=ide.1",
        "-device", "virtio-net-pci,disable-modern=on,addr=6,romfile=,mac=52:54:00:aa:bb:04",
    ],
    "pc-long-mode": [
        "-M", "pc,hpet=on", "-cpu", "max", "-m", "4M", "-vga", "none",
        "-blockdev", "driver=file,filename=@BOOT,node-name=boot", "-device", "ide-hd,drive=boot,bus=ide.0",
    ],
}  # fmt: skip
HMP = (
    "info registers -a",
    "info pci",
    "info lapic",
    "info pic",
    "info qtree",
    "info usb",
    "info network",
    "info cpus",
)


class Monitor:
    """QMP over a UNIX socket."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        deadline = time.monotonic() + 30
        while True:
            try:
                self._socket.connect(str(path))
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
        self._file = self._socket.makefile("rw")
        self._file.readline()
        self("qmp_capabilities")

    def __call__(self, command: str, **arguments: object) -> object:
        self._file.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self._file.flush()
        while True:
            reply = json.loads(self._file.readline())
            if "error" in reply:
                raise RuntimeError(f"{command}: {reply['error']['desc']}")
            if "return" in reply:
                return reply["return"]

    def hmp(self, line: str) -> str:
        """A human monitor command's answer."""
        answer = self("human-monitor-command", **{"command-line": line})
        return str(answer).replace("\r\n", "\n")


@contextmanager
def guest(qemu: str, arguments: list[str], directory: Path) -> Iterator[Monitor]:
    """A running QEMU that ends with the block."""
    path = directory / "qmp"
    process = subprocess.Popen([qemu, *COMMON, *arguments, "-qmp", f"unix:{path},server,nowait"])
    try:
        yield Monitor(path)
    finally:
        process.terminate()
        process.wait(10)


def oracle(monitor: Monitor) -> dict[str, object]:
    """Everything that the monitor says of the stopped guest."""
    found: dict[str, object] = {
        command.replace(" ", "_").replace("_-a", ""): monitor.hmp(command) for command in HMP
    }
    devices = monitor("x-query-virtio")
    assert isinstance(devices, list)
    virtio = []
    for device in devices:
        status = monitor("x-query-virtio-status", path=device["path"])
        assert isinstance(status, dict)
        queues = [
            monitor("x-query-virtio-queue-status", path=device["path"], queue=number)
            for number in range(min(int(status["num-vqs"]), 8))
        ]
        virtio.append({"path": device["path"], "name": device["name"], "status": status, "queues": queues})
    found["virtio"] = virtio
    return found


def boot_sector(directory: Path) -> Path:
    """A disk image of 64 KiB that starts with boot_long_mode.S."""
    source = Path(__file__).parent / "boot_long_mode.S"
    subprocess.run(["as", "--64", "-o", directory / "boot.o", source], check=True)
    link = ["ld", "-m", "elf_x86_64", "-Ttext=0x7c00", "--oformat=binary", "-o"]
    subprocess.run([*link, directory / "boot", directory / "boot.o"], check=True)
    image = directory / "boot.img"
    image.write_bytes((directory / "boot").read_bytes().ljust(64 << 10, b"\0"))
    return image


def make(name: str, arguments: list[str], qemu: str, target: Path) -> None:
    """Run one guest and write its capture and its oracle."""
    with tempfile.TemporaryDirectory() as scratch:
        directory = Path(scratch)
        raw = directory / "raw"
        boot = boot_sector(directory)
        with guest(qemu, [part.replace("@BOOT", str(boot)) for part in arguments], directory) as monitor:
            version = monitor("query-version")
            time.sleep(SECONDS)
            monitor("stop")
            found = oracle(monitor)
            monitor("migrate", uri=f"exec:cat > {raw}")
            while True:
                state = monitor("query-migrate")
                assert isinstance(state, dict)
                if state.get("status") in ("completed", "failed"):
                    break
                time.sleep(0.1)
        if state["status"] != "completed":
            raise SystemExit(f"{name}: migration failed: {state}")
        data = raw.read_bytes()
    assert isinstance(version, dict)
    (target / f"{name}.bin.zst").write_bytes(zstd.compress(data, 19))
    manifest = {
        "name": name,
        "qemu_version": version["qemu"],
        "command_line": [qemu, *COMMON, *arguments],
        "made_by": "tests/tools/make_oracle_captures.py",
        "oracle": found,
    }
    (target / f"{name}.json").write_text(json.dumps(manifest, indent=1) + "\n")
    print(f"{name}: {len(data)} bytes, {(target / f'{name}.bin.zst').stat().st_size} compressed")


def main() -> None:
    """Make all captures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("directory", nargs="?", type=Path, default=DIRECTORY)
    parser.add_argument("--qemu", default="qemu-system-x86_64")
    options = parser.parse_args()
    for name, arguments in GUESTS.items():
        make(name, arguments, options.qemu, options.directory)


if __name__ == "__main__":
    main()
