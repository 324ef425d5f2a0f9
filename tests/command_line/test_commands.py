"""The installed ``qevm`` as a script sees it: output, exit status, errors."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import hexdump
import pytest
from examples import example

Run = Callable[..., subprocess.CompletedProcess[str]]
Unpack = Callable[[str], Path]

KEYS = [
    "index",
    "kind",
    "offset",
    "size",
    "section_id",
    "idstr",
    "instance_id",
    "version_id",
    "depth",
    "confidence",
]
KINDS = {
    "HEADER",
    "CONFIGURATION",
    "START",
    "PART",
    "END",
    "FULL",
    "COMMAND",
    "EOF",
    "VMDESCRIPTION",
    "UNKNOWN",
}
OF_DEVICES = {"START", "PART", "END", "FULL"}
COMMANDS = ("ls", "show", "export", "check", "analyze")


def rows(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


def assert_one_line_error(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("qevm: ")
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr


# ls


@pytest.mark.parametrize("name", ["microvm", "postcopy", "s390x-ccw", "old-i440fx14-q52", "dirty-bitmaps"])
def test_ls_json_has_these_keys_and_nulls(run_qevm: Run, capture_path: Unpack, name: str):
    done = run_qevm("ls", "--json", capture_path(name))
    assert (done.returncode, done.stderr) == (0, "")
    found = rows(done.stdout)
    assert [row["index"] for row in found] == list(range(len(found)))
    for row in found:
        assert list(row) == KEYS
        assert row["kind"] in KINDS
        owned = [row[key] for key in ("section_id", "idstr", "instance_id", "version_id")]
        assert (None not in owned) if row["kind"] in OF_DEVICES else owned == [None] * 4
    wanted = dict(example(name).manifest["walker"]["sections"])
    wanted.pop("FOOTER", None)
    if "VMDESC" in wanted:
        wanted["VMDESCRIPTION"] = wanted.pop("VMDESC")
    assert Counter(row["kind"] for row in found) == wanted | {"HEADER": 1}


def test_ls_shows_what_is_in_a_package_one_deeper(run_qevm: Run, capture_path: Unpack):
    found = rows(run_qevm("ls", "--json", capture_path("postcopy")).stdout)
    ((start, length),) = example("postcopy").manifest["walker"]["packaged"]
    assert {row["depth"] for row in found} == {0, 1}
    for row in found:
        assert row["depth"] == (start <= row["offset"] < start + length)


def test_ls_prints_one_line_a_section_under_a_heading(run_qevm: Run, capture_path: Unpack):
    path = capture_path("microvm")
    lines = run_qevm("ls", path).stdout.splitlines()
    found = rows(run_qevm("ls", "--json", path).stdout)
    assert len(lines) == len(found) + 1
    for line, row in zip(lines[1:], found, strict=True):
        words = line.split()
        assert words[:2] == [str(row["index"]), row["kind"]]
        assert f"{row['offset']:#x}" in words
        assert f"{row['size']:,}" in words


@pytest.mark.parametrize("command", COMMANDS)
def test_no_command_for_scripts_imports_textual(qevm_command, capture_path: Unpack, command: str, tmp_path):
    code = (
        "import sys; from qevm_tui.cli import main; status = main(sys.argv[1:]); "
        "print(sorted({m.partition('.')[0] for m in sys.modules} & {'textual', 'rich'}), file=sys.stderr); "
        "sys.exit(status)"
    )
    arguments = [command, str(capture_path("microvm"))]
    if command in ("show", "export"):
        arguments.append("cpu")
    if command == "export":
        arguments += ["-o", str(tmp_path / "out")]
    python = Path(qevm_command[0]).with_name("python")
    done = subprocess.run([python, "-c", code, *arguments], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-1] == "[]"


# show


@pytest.mark.parametrize("spec", ["cpu", "cpu@0", "6"])
def test_show_finds_a_device_by_name_instance_and_index(run_qevm: Run, capture_path: Unpack, spec: str):
    path = capture_path("microvm")
    at = next(row for row in rows(run_qevm("ls", "--json", path).stdout) if row["idstr"] == "cpu")
    if spec.isdigit():
        spec = str(at["index"])
    section = json.loads(run_qevm("show", "--json", path, spec).stdout)
    assert (section["offset"], section["size"], section["idstr"]) == (at["offset"], at["size"], "cpu")


def test_show_tells_instances_apart(run_qevm: Run, capture_path: Unpack):
    path = capture_path("pc-smp4")
    apics = {
        row["instance_id"]: row["offset"]
        for row in rows(run_qevm("ls", "--json", path).stdout)
        if row["idstr"] == "apic"
    }
    assert len(apics) == 4
    for instance, offset in apics.items():
        assert json.loads(run_qevm("show", "--json", path, f"apic@{instance}").stdout)["offset"] == offset
    everyone = json.loads(run_qevm("show", "--json", path, "apic").stdout)
    assert [section["offset"] for section in everyone] == sorted(apics.values())


def test_show_of_a_chain_is_all_of_it_or_one_chunk(run_qevm: Run, capture_path: Unpack):
    path = capture_path("pc-live")
    chain = [row for row in rows(run_qevm("ls", "--json", path).stdout) if row["idstr"] == "ram"]
    assert len(chain) == 34
    found = json.loads(run_qevm("show", "--json", path, "ram").stdout)
    assert [section["offset"] for section in found] == [row["offset"] for row in chain]
    for chunk, row in (
        ("start", chain[0]),
        ("end", chain[-1]),
        ("0", chain[0]),
        ("7", chain[7]),
        ("33", chain[33]),
    ):
        one = json.loads(run_qevm("show", "--json", "--chunk", chunk, path, "ram@0").stdout)
        assert (one["offset"], one["kind"]) == (row["offset"], row["kind"])


@pytest.mark.parametrize(
    "arguments",
    [
        ["cpu@1"],
        ["nothing"],
        ["9999"],
        ["-1"],
        ["cpu@x"],
        [""],
        ["ram", "--chunk", "34"],
        ["ram", "--chunk", "middle"],
    ],
)
def test_show_of_what_is_not_there_is_one_line(run_qevm: Run, capture_path: Unpack, arguments: list[str]):
    assert_one_line_error(run_qevm("show", capture_path("microvm"), *arguments))


@pytest.mark.parametrize("name", ["i386-q72", "microvm"])
def test_decoded_registers_are_those_of_info_registers(run_qevm: Run, capture_path: Unpack, name: str):
    text = example(name).manifest["oracle"]["info_registers"]
    wanted = {name: int(value, 16) for name, value in re.findall(r"\b(E[A-Z]{2}|EIP)=([0-9a-f]{8})", text)}
    wanted.pop("EFL")
    assert len(wanted) == 9
    cpu = json.loads(run_qevm("show", "--json", capture_path(name), "cpu").stdout)
    # QEMU says EAX while a 64-bit CPU is in 32-bit code; the stream holds RAX.
    found = {
        "E" + name[1:]: value
        for name, value in named_values(cpu["fields"])
        if re.fullmatch("[RE][A-Z]{2}", name)
    }
    assert {name: found[name] & 0xFFFFFFFF for name in wanted} == wanted


def named_values(fields: list[dict]) -> list[tuple[str, object]]:
    """(name, value) of all fields that have a value of their own."""
    found = []
    for field in fields:
        if "value" in field:
            found.append((field["name"], field["value"]))
        found += named_values(field.get("children", []))
    return found


# export


def test_export_writes_the_bytes_of_the_section(run_qevm: Run, capture_path: Unpack, tmp_path: Path):
    path = capture_path("microvm")
    row = next(row for row in rows(run_qevm("ls", "--json", path).stdout) if row["idstr"] == "cpu")
    wanted = path.read_bytes()[row["offset"] : row["offset"] + row["size"]]
    assert run_qevm("export", path, "cpu", "-o", "cpu.bin").returncode == 0
    assert (tmp_path / "cpu.bin").read_bytes() == wanted
    assert run_qevm("export", path, "cpu", "-o", "cpu.hex", "--format", "hex").returncode == 0
    assert hexdump.restore((tmp_path / "cpu.hex").read_text()) == wanted
    assert run_qevm("export", path, "cpu", "-o", "cpu.json", "--format", "json").returncode == 0
    assert json.loads((tmp_path / "cpu.json").read_text())["size"] == len(wanted)
    assert run_qevm("export", path, "cpu", "-o", "-", text=False).stdout == wanted
    assert sorted(file.name for file in tmp_path.iterdir()) == ["cpu.bin", "cpu.hex", "cpu.json"]


@pytest.mark.parametrize("spec", [["ram"], ["ram", "--chunk", "end", "--chain"], ["4", "--chain"]])
def test_export_of_a_chain_is_its_sections_one_after_the_other(
    run_qevm: Run, capture_path: Unpack, spec: list[str]
):
    path = capture_path("pc-live")
    data = path.read_bytes()
    chain = [row for row in rows(run_qevm("ls", "--json", path).stdout) if row["idstr"] == "ram"]
    wanted = b"".join(data[row["offset"] : row["offset"] + row["size"]] for row in chain)
    assert run_qevm("export", path, *spec, "-o", "-", text=False).stdout == wanted


def test_export_overwrites_only_with_force(run_qevm: Run, capture_path: Unpack, tmp_path: Path):
    path, target = capture_path("microvm"), tmp_path / "out"
    target.write_text("mine")
    assert_one_line_error(run_qevm("export", path, "cpu", "-o", target))
    assert target.read_text() == "mine"
    assert run_qevm("export", path, "cpu", "-o", target, "--force").returncode == 0
    assert target.stat().st_size > 1000


def test_export_never_overwrites_its_own_capture_by_halves(
    run_qevm: Run, capture_path: Unpack, tmp_path: Path
):
    mine = tmp_path / "mine.bin"
    whole = capture_path("microvm").read_bytes()
    mine.write_bytes(whole)
    assert_one_line_error(run_qevm("export", mine, "cpu", "-o", mine))
    assert mine.read_bytes() == whole
    assert run_qevm("export", mine, "cpu", "-o", mine, "--force").returncode == 0
    assert mine.read_bytes() in whole


def test_export_where_one_may_not_write_leaves_nothing(run_qevm: Run, capture_path: Unpack, tmp_path: Path):
    for target in (tmp_path / "missing" / "out", Path("/proc/out"), tmp_path):
        assert_one_line_error(run_qevm("export", capture_path("microvm"), "cpu", "-o", target))
    assert list(tmp_path.iterdir()) == []


# check and analyze


def test_check_of_a_sound_capture_is_0(run_qevm: Run, capture_path: Unpack):
    done = run_qevm("check", capture_path("microvm"))
    assert (done.returncode, done.stderr) == (0, "")
    assert "sound" in done.stdout


def test_check_of_a_cut_capture_is_1_and_names_the_place(run_qevm: Run, capture_path: Unpack, tmp_path: Path):
    whole = capture_path("microvm").read_bytes()
    (tmp_path / "cut.bin").write_bytes(whole[:100_000])
    done = run_qevm("check", "cut.bin")
    assert (done.returncode, done.stderr) == (1, "")
    assert f"{100_000:#x}" in done.stdout
    problems = rows(run_qevm("check", "--json", "cut.bin").stdout)
    assert problems
    keys = {"offset", "severity", "section", "device", "message", "expected", "found"}
    assert all(problem.keys() >= keys for problem in problems)
    assert problems[0]["offset"] == 100_000
    assert problems[0]["device"] == "ram@0"
    assert run_qevm("ls", "cut.bin").returncode == 0


def test_analyze_prints_what_qemus_script_printed(run_qevm: Run, capture_path: Unpack):
    done = run_qevm("analyze", capture_path("riscv64-virt"))
    assert json.loads(done.stdout) == example("riscv64-virt").analyzed


# what is no capture, and arguments that are none


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "empty"),
        (b"QEVM", "4 bytes"),
        (b"\x7fELF" + bytes(60), "ELF"),
        (b"QEVM\0\0\0\2" + bytes(20), "version 2"),
        (b"just text, nothing else\n", ""),
        (b"\xff" * 10_000, ""),
    ],
    ids=["empty", "four bytes", "elf", "version 2", "text", "noise"],
)
def test_what_is_no_capture_is_told_in_one_line(
    run_qevm: Run, tmp_path: Path, command, content: bytes, word: str
):
    (tmp_path / "file").write_bytes(content)
    more = {"show": ["0"], "export": ["0", "-o", "out"]}.get(command, [])
    done = run_qevm(command, "file", *more)
    assert_one_line_error(done)
    assert "file" in done.stderr
    assert word in done.stderr
    assert not (tmp_path / "out").exists()


def test_files_that_cannot_be_read_are_told_in_one_line(run_qevm: Run, tmp_path: Path):
    for path in ("missing.bin", tmp_path, "/dev/null", "bad\x1b]0;name\x07"):
        done = run_qevm("ls", path)
        assert_one_line_error(done)
        assert "\x1b" not in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["ls"],
        ["show", "file"],
        ["export", "file", "0"],
        ["export", "file", "0", "-o", "x", "--format", "xml"],
        ["ls", "--offset", "-1", "file"],
        ["ls", "--offset", "zwei", "file"],
        ["ls", "file", "too", "many"],
        ["ls", "--jsno", "file"],
    ],
)
def test_wrong_arguments_are_told_in_one_line(run_qevm: Run, arguments: list[str]):
    done = run_qevm(*arguments)
    assert_one_line_error(done)
    assert "--help" in done.stderr


@pytest.mark.parametrize("command", ["", *COMMANDS, "open"])
def test_help_is_offered_everywhere(run_qevm: Run, command: str):
    done = run_qevm(*filter(None, [command]), "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("usage: qevm")


def test_the_app_without_a_terminal_says_what_to_use_in_its_place(run_qevm: Run, capture_path: Unpack):
    for arguments in ([capture_path("microvm")], ["open", capture_path("microvm")], ["--demo"]):
        done = run_qevm(*arguments)
        assert_one_line_error(done)
        assert "ls" in done.stderr


# pipes, offsets, the demo


@pytest.mark.parametrize(
    "arguments", [["ls"], ["ls", "--json"], ["check", "--json"], ["analyze"], ["show", "ram", "--all"]]
)
def test_a_closed_pipe_ends_quietly(qevm_command, capture_path: Unpack, arguments: list[str]):
    command, *rest = arguments
    process = subprocess.Popen(
        [*qevm_command, command, str(capture_path("dirty-bitmaps")), *rest],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
    )
    assert process.stdout is not None
    process.stdout.close()
    _, complaint = process.communicate(timeout=120)
    assert complaint == b""
    assert process.returncode in (0, 1)


def test_a_stream_behind_an_offset_is_read_there(run_qevm: Run, capture_path: Unpack, tmp_path: Path):
    whole = capture_path("none-machine").read_bytes()
    (tmp_path / "behind").write_bytes(b"\x55" * 12345 + whole)
    found = rows(run_qevm("ls", "--json", "--offset", "0x3039", "behind").stdout)
    wanted = rows(run_qevm("ls", "--json", capture_path("none-machine")).stdout)
    assert [row["offset"] - 12345 for row in found] == [row["offset"] for row in wanted]


@pytest.mark.parametrize(
    "arguments",
    [
        ["ls", "--demo"],
        ["show", "--demo", "cpu"],
        ["show", "cpu", "--demo"],
        ["check", "--demo"],
        ["analyze", "--demo"],
        ["export", "--demo", "cpu", "-o", "-", "--format", "hex"],
    ],
)
def test_the_demo_stands_for_a_capture_everywhere(run_qevm: Run, capture_path: Unpack, arguments: list[str]):
    demo = run_qevm(*arguments)
    assert (demo.returncode, demo.stderr) == (0, "")
    command, *rest = [word for word in arguments if word != "--demo"]
    real = run_qevm(command, capture_path("pc-live"), *rest)
    assert demo.stdout.replace("pc-live.bin", "") == real.stdout.replace(str(capture_path("pc-live")), "")


def test_the_demo_leaves_no_file_behind(run_qevm: Run, tmp_path: Path):
    folder = tmp_path / "tmp"
    folder.mkdir()
    assert run_qevm("ls", "--demo", env=os.environ | {"TMPDIR": str(folder)}).returncode == 0
    assert list(folder.iterdir()) == []


def test_names_from_a_capture_are_escaped(run_qevm: Run, capture_path: Unpack, tmp_path: Path):
    data = capture_path("none-machine").read_bytes()
    evil = data.replace(b"\x05timer", b"\x05\x1b]0;x").replace(b'"timer"', b'"\\u001b]0;x"')
    assert evil != data
    (tmp_path / "evil").write_bytes(evil)
    for arguments in (
        ["ls", "evil"],
        ["check", "evil"],
        ["show", "evil", "3"],
        ["ls", "--json", "evil"],
        ["analyze", "evil"],
    ):
        done = run_qevm(*arguments)
        assert done.returncode in (0, 1)
        assert "\x1b" not in done.stdout + done.stderr
