"""The README's table of keys is the table that the app binds; ``pytest --update-golden`` writes it anew."""

from __future__ import annotations

from itertools import groupby

import pytest
from examples import REPOSITORY

from qevm_tui.keys import KEYS, SCOPES

BEGIN, END = "<!-- keys -->\n", "<!-- end of keys -->\n"


def table() -> str:
    lines = ["| key | does | where |\n", "|---|---|---|\n"]
    for scope, keys in groupby(KEYS, lambda key: key.scope):
        for key in keys:
            shown = " ".join(f"`{word}`" for word in key.shown.split())
            lines.append(f"| {shown} | {key.help} | {SCOPES[scope]} |\n")
    return "".join(lines)


def test_the_readme_tells_every_key(request: pytest.FixtureRequest):
    readme = REPOSITORY / "README.md"
    before, rest = readme.read_text().split(BEGIN)
    shown, behind = rest.split(END)
    if request.config.getoption("--update-golden"):
        shown = table()
        readme.write_text(before + BEGIN + shown + END + behind)
    assert shown.splitlines() == table().splitlines()
