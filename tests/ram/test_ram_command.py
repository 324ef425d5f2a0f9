"""``qevm ram``."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import examples
import pytest

from qevm.bodies.ram_blocks import RamBlock
from qevm.memory_writer import safe_block_names
from qevm_tui.cli import main

CapturePath = Callable[[str], Path]


def test_all_blocks_into_a_folder(
    capture_path: CapturePath, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ram", str(capture_path("microvm")), "-o", str(tmp_path / "out")]) == 0
    expected = examples.example("microvm").manifest["oracle"]["ram"]
    found = {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in (tmp_path / "out").iterdir()}
    assert found == {
        "microvm.ram.bin": expected["microvm.ram"]["sha256"],
        "rom@etc_acpi_tables.bin": expected["/rom@etc/acpi/tables"]["sha256"],
        "pc.bios.bin": expected["pc.bios"]["sha256"],
        "rom@etc_table-loader.bin": expected["/rom@etc/table-loader"]["sha256"],
        "rom@etc_acpi_rsdp.bin": expected["/rom@etc/acpi/rsdp"]["sha256"],
    }
    assert "microvm.ram: 16.0 MiB" in capsys.readouterr().err


def test_one_block_into_a_file_and_not_over_it(
    capture_path: CapturePath, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "bios"
    command = ["ram", str(capture_path("microvm")), "--block", "pc.bios", "-o", str(target)]
    assert main(command) == 0
    size = target.stat().st_size
    target.write_bytes(b"mine")
    assert main(command) == 2
    assert target.read_bytes() == b"mine"
    assert main([*command, "--force"]) == 0
    assert target.stat().st_size == size
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bios"]
    assert main(["ram", str(capture_path("microvm")), "--block", "nope", "-o", str(target)]) == 2
    assert "no RAM block nope" in capsys.readouterr().err


def test_unknown_pages_are_listed_and_exit_1(
    capture_path: CapturePath, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capture = str(capture_path("ignore-shared"))
    assert main(["ram", capture, "--block", "pc.ram", "-o", str(tmp_path / "x")]) == 1
    assert "pc.ram+0x0, 33,554,432 bytes: shared memory outside the stream" in capsys.readouterr().err


def test_memory_as_of_a_section(
    capture_path: CapturePath, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capture = str(capture_path("pc-live"))
    assert main(["ram", capture, "--at", "5", "--block", "pc.ram", "-o", str(tmp_path / "x")]) == 1
    assert "sent after this section" in capsys.readouterr().err
    assert main(["ram", capture, "--at", "nothing", "-o", str(tmp_path / "y")]) == 2


def test_channels_supply_the_pages(capture_path: CapturePath, tmp_path: Path) -> None:
    channels = []
    for number in (1, 2):
        path = tmp_path / f"ch{number}"
        path.write_bytes(
            examples.zstd.decompress((examples.COMMITTED / f"multifd.ch{number}.bin.zst").read_bytes())
        )
        channels += ["--channel", str(path)]
    target = tmp_path / "out"
    command = ["ram", str(capture_path("multifd")), "--block", "pc.ram", "-o", str(target)]
    assert main([*command, *channels]) == 0
    expected = examples.example("multifd").manifest["oracle"]["ram"]["pc.ram"]["sha256"]
    assert hashlib.sha256(target.read_bytes()).hexdigest() == expected
    assert main([*command, "--force"]) == 1
    assert main([*command, "--force", "--channel", str(target)]) == 2


def test_names_from_a_capture_make_safe_and_different_file_names() -> None:
    names = [b"../../etc/passwd", b"a/b", b"a_b", b"A_B", b"\x1b]52;c;x\x07", b"", b"." * 9, b"-rf"]
    names.append(b"x" * 255)
    made = safe_block_names([RamBlock(i, name, 4096) for i, name in enumerate(names)])
    assert len({name.lower() for name in made}) == len(names)
    for name in made:
        assert name.isascii()
        assert name.isprintable()
        assert not set(name) & set("/\\\0 ")
        assert name[0] not in ".-"
        assert len(name) < 120
