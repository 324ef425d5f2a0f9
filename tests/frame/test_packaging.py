"""What is installed, what the README promises, and that the two agree with the checkout."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib import metadata, resources
from pathlib import Path

import pytest
from examples import COMMITTED, REPOSITORY, committed
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import qevm

README = (REPOSITORY / "README.md").read_text()
PYPROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())


def installed() -> metadata.Distribution:
    try:
        return metadata.distribution("qevm")
    except metadata.PackageNotFoundError:
        pytest.skip("qevm is not installed here, only on the path")


@pytest.mark.parametrize(("root", "package"), [("parsers", "qevm"), ("tui", "qevm_tui")])
def test_every_file_of_the_checkout_is_in_the_installed_package(root: str, package: str):
    checkout = REPOSITORY / root / package
    wanted = {path.relative_to(checkout) for path in checkout.rglob("*") if path.is_file()}
    there = Path(str(resources.files(package)))
    found = {path.relative_to(there) for path in there.rglob("*") if path.is_file()}
    assert {path for path in wanted - found if path.suffix != ".pyc"} == set()
    assert any(path.suffix == ".typed" for path in found)


def test_the_command_is_qevm_and_tells_its_version():
    (entry,) = installed().entry_points.select(group="console_scripts")
    assert entry.name == "qevm"
    command = Path(sys.executable).with_name("qevm")
    done = subprocess.run([command, "--version"], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, f"qevm {qevm.__version__}\n")
    assert installed().version == qevm.__version__


def test_the_lock_pins_every_requirement_inside_of_its_bounds():
    lock = (REPOSITORY / "requirements.lock").read_text()
    pinned: dict[str, list[str]] = {}
    for name, version in re.findall(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", lock, re.MULTILINE):
        pinned.setdefault(canonicalize_name(name), []).append(version)
    project = PYPROJECT["project"]
    extras = [line for lines in project["optional-dependencies"].values() for line in lines]
    for line in project["dependencies"] + extras:
        wanted = Requirement(line)
        if wanted.name != "qevm":
            assert pinned.get(canonicalize_name(wanted.name)), f"{line} is not in requirements.lock"
            assert all(
                wanted.specifier.contains(version) for version in pinned[canonicalize_name(wanted.name)]
            ), line


def test_the_lock_has_hashes_and_names_no_host():
    lock = (REPOSITORY / "requirements.lock").read_text()
    assert "://" not in lock
    pins = re.split(r"^(?=[A-Za-z0-9])", lock, flags=re.MULTILINE)[1:]
    assert pins
    assert all("--hash=sha256:" in pin for pin in pins)


@pytest.mark.parametrize("marker", ["demo-command", "test-command"])
def test_the_readme_sets_up_in_one_line(marker: str):
    block = README.split(f"<!-- {marker} -->", 1)[1].split("```")[1]
    _, *lines = block.strip("\n").split("\n")
    assert len(lines) == 1
    assert re.match(r"python3 -m venv \.venv && \.venv/bin/pip install ", lines[0])
    assert lines[0].endswith(
        {"demo-command": "&& .venv/bin/qevm --demo", "test-command": "&& .venv/bin/pytest"}[marker]
    )


def test_the_gate_runs_the_readmes_test_command():
    (script,) = re.findall(
        r"^test_command=\$\(sed -n '(.*)' README\.md\)$", (REPOSITORY / ".ci/run").read_text(), re.MULTILINE
    )
    done = subprocess.run(["sed", "-n", script, "README.md"], cwd=REPOSITORY, capture_output=True, text=True)
    block = README.split("<!-- test-command -->", 1)[1].split("```")[1]
    assert done.stdout == block.removeprefix("sh\n")
    assert done.stdout.strip()


def test_every_subcommand_is_in_the_readme():
    help_text = subprocess.run(
        [sys.executable, "-m", "qevm_tui", "--help"], capture_output=True, text=True, timeout=60
    ).stdout
    names = re.findall(r"^    ([a-z]+) ", help_text, re.MULTILINE)
    assert len(names) >= 6
    for name in names:
        assert f"`qevm {name} " in README, f"README does not tell of qevm {name}"


def test_every_file_that_the_readme_shows_is_there():
    shown = re.findall(r"\]\(([^)#:]+)\)", README)
    assert shown
    for path in shown:
        if path.startswith("screenshots/") and not (REPOSITORY / "screenshots").exists():
            continue  # made by a command of their own, later than this file
        assert (REPOSITORY / path).exists(), path


def test_the_captures_of_the_tests_are_few_and_all_told_of():
    assert sum(path.stat().st_size for path in COMMITTED.iterdir()) < 8_000_000
    rows = re.findall(r"^\| ([a-z0-9-]+) \|", (COMMITTED / "README.md").read_text(), re.MULTILINE)
    assert set(rows) - {"name", "file"} == {example.name for example in committed()}
