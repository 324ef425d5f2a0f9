"""The configuration file, what is printed of it, and what is remembered."""

from __future__ import annotations

import json
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qevm_tui import config, state
from qevm_tui.keynames import BadKeyError, normal_key, shown_key
from qevm_tui.keys import KEYS, clashes
from qevm_tui.settings import Settings

Run = Callable[..., "subprocess.CompletedProcess[str]"]

GOOD = b"""
theme = "light"
tree = "by stream"
inspector = true

[panes]
tree = 40
hex = 0

[keys]
jump = "ctrl+j"
goto = ["g", "f5"]
help = "F1"
"""


def read(text: bytes) -> tuple[Settings, list[str]]:
    settings = Settings()
    return settings, config.read(text, settings)


def test_everything_can_be_set():
    settings, wrong = read(GOOD)
    assert wrong == []
    assert (settings.theme, settings.tree, settings.inspector, settings.map) == (
        "light",
        "by stream",
        True,
        False,
    )
    assert (settings.panes.tree, settings.panes.hex) == (40, None)
    assert settings.keymap == {"jump": "ctrl+j", "goto": "g,f5", "help": "f1"}


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ('theme = "pink"', 1, "theme is one of auto, dark, light, contrast, ansi, mono"),
        ("\n\ninspector = 3", 3, "inspector is true or false"),
        ("x = 1", 1, "unknown setting 'x'"),
        ("[panes]\n\ntree = -1", 3, "tree is a number of cells"),
        ("[panes]\ntree = true", 2, "tree is a number of cells"),
        ("[panes]\nwidth = 3", 2, "unknown size 'width'"),
        ('map = true\n[keys]\njunp = "x"', 3, "unknown action 'junp'"),
        ('[keys]\njump = "ctrl+nokey"', 2, "'ctrl+nokey' is no key"),
        ("[keys]\njump = []", 2, "jump is a key, or a list of keys"),
        ("[keys]\njump = 5", 2, "jump is a key, or a list of keys"),
        ('[keys]\njump = "g"', 2, "g is the key of goto: give goto another one too"),
        ('[keys]\njump = "f6"\ngoto = "f6"', 3, "f6 is the key of jump already"),
        ('keys = "x"', 1, "[keys] is a table"),
        ("panes = [1]", 1, "[panes] is a table"),
        ('theme = "dark"\ntheme = "light"', 2, "Cannot overwrite a value"),
        ("theme = ", 1, "Invalid value"),
        ('a = "\n', 1, "Illegal character"),
        ("[[keys]]\n", 1, "[keys] is a table"),
    ],
)
def test_what_is_wrong_is_said_in_one_line_with_its_number(text: str, line: int, words: str):
    _, wrong = read(text.encode())
    assert len(wrong) == 1
    assert wrong[0].startswith(f"line {line}: ")
    assert words in wrong[0]
    assert "\n" not in wrong[0]


def test_the_rest_counts_where_something_is_wrong():
    settings, wrong = read(b'theme = "pink"\nmap = true\n[keys]\njump = "nokey"\ngoto = "f5"\n')
    assert len(wrong) == 2
    assert settings.map
    assert settings.keymap == {"goto": "f5"}


def test_two_keys_can_be_exchanged():
    settings, wrong = read(b'[keys]\njump = "g"\ngoto = "d"\n')
    assert wrong == []
    assert settings.keymap == {"jump": "g", "goto": "d"}


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_no_file_whatever_ends_the_program(text: bytes):
    settings = Settings()
    for line in config.read(text, settings):
        assert line.startswith("line ")
        assert line.isprintable()


def test_what_is_printed_is_valid_and_reads_back_as_it_was():
    settings, _ = read(GOOD)
    text = config.printed(settings)
    values = tomllib.loads(text)
    assert set(values["keys"]) == {key.name for key in KEYS}
    again, wrong = read(text.encode())
    assert wrong == []
    assert (again.theme, again.tree, again.panes) == (settings.theme, settings.tree, settings.panes)
    for key in KEYS:
        wanted = settings.keymap.get(key.name, key.keys)
        assert again.keymap[key.name].split(",") == wanted.split(",")


def test_no_two_actions_share_a_key_by_default():
    assert list(clashes({key.name: key.keys for key in KEYS})) == []


@pytest.mark.parametrize(
    ("text", "name", "shown"),
    [
        ("?", "question_mark", "?"),
        ("[", "left_square_bracket", "["),
        ("Ctrl+G", "ctrl+g", "ctrl+g"),
        ("S", "S", "S"),
        ("PageUp", "pageup", "PgUp"),
        ("f12", "f12", "F12"),
        ("+", "plus", "+"),
        ("shift+left", "shift+left", "shift+←"),
        (",", "comma", ","),
        ("é", "é", "é"),
    ],
)
def test_keys_have_the_names_that_one_expects(text: str, name: str, shown: str):
    assert normal_key(text) == name
    assert shown_key(name) == shown


@pytest.mark.parametrize("text", ["", "nokey", "ctrl+", "hypr+a", "\x1b", "a b"])
def test_what_is_no_key_is_refused(text: str):
    with pytest.raises(BadKeyError):
        normal_key(text)


def test_the_program_prints_its_configuration(run_qevm: Run, tmp_path: Path):
    (tmp_path / "config.toml").write_bytes(GOOD + b'quit = "x"\n')
    environment = {"QEVM_CONFIG_DIR": str(tmp_path), "QEVM_STATE_DIR": str(tmp_path / "none")}
    done = run_qevm("--print-config", env=environment_with(environment))
    assert done.returncode == 1
    assert "line 14: x is the key of export: give export another one too" in done.stderr
    assert done.stderr.count("\n") == 1
    assert tomllib.loads(done.stdout)["theme"] == "light"
    (tmp_path / "config.toml").unlink()
    done = run_qevm("--print-config", env=environment_with(environment))
    assert (done.returncode, done.stderr) == (0, "")
    assert tomllib.loads(done.stdout)["keys"]["jump"] == "d"


def environment_with(values: dict[str, str]) -> dict[str, str]:
    import os

    return {**os.environ, **values}


# -- what is remembered ---------------------------------------------------------------------------


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("QEVM_STATE_DIR", str(tmp_path / "state"))
    return tmp_path / "state"


def test_what_was_used_last_is_remembered(place: Path):
    settings, _ = read(GOOD)
    state.save(settings)
    again = Settings()
    state.load(again)
    assert (again.theme, again.tree, again.inspector, again.panes) == (
        settings.theme,
        settings.tree,
        True,
        settings.panes,
    )
    assert again.keymap == {}
    assert [path.name for path in place.iterdir()] == ["state.json"]


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"[]",
        b"\xff",
        b'{"theme": 3, "tree": [], "panes": {"tree": "x", "hex": -1, "hex-height": true}}',
        b"[" * 10_000,
    ],
)
def test_a_damaged_memory_is_none(place: Path, text: bytes):
    place.mkdir()
    (place / "state.json").write_bytes(text)
    settings = Settings()
    state.load(settings)
    assert settings == Settings()


def test_whoever_cannot_write_goes_without(place: Path, monkeypatch: pytest.MonkeyPatch):
    place.write_text("a file where the folder should be")
    state.save(Settings())
    assert place.read_text() == "a file where the folder should be"


def test_the_state_is_plain_json(place: Path):
    state.save(Settings(theme="contrast", map=True))
    values = json.loads((place / "state.json").read_text())
    assert values["theme"] == "contrast"
    assert values["panes"] == {"tree": 0, "hex": 0, "hex-height": 0}
