"""The README's tables of keys and of queries are the app's; ``pytest --update-golden`` writes them anew."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

import pytest
from examples import REPOSITORY

from qevm_tui.dialogs.filter import HELP as FILTER
from qevm_tui.dialogs.search import HELP as SEARCH
from qevm_tui.keys import KEYS, SCOPES


def key_table() -> str:
    lines = ["| key | does | where |\n", "|---|---|---|\n"]
    for scope, keys in groupby(KEYS, lambda key: key.scope):
        for key in keys:
            shown = " ".join(f"`{word}`" for word in key.shown.split())
            lines.append(f"| {shown} | {key.help} | {SCOPES[scope]} |\n")
    return "".join(lines)


def query_table(head: str, entries: Iterable[tuple[str, str]]) -> str:
    lines = [head, "|---|---|\n"]
    lines += [f"| `{typed}` | {what} |\n" for typed, what in entries if typed != "Tab"]
    return "".join(lines)


TABLES = {
    "keys": key_table(),
    "search": query_table("| `/` and | finds |\n", SEARCH),
    "filter": query_table("| `f` and | keeps sections |\n", FILTER),
}


@pytest.mark.parametrize("name", TABLES)
def test_the_readme_tells_what_can_be_typed(request: pytest.FixtureRequest, name: str):
    begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->\n"
    readme = REPOSITORY / "README.md"
    before, rest = readme.read_text().split(begin)
    shown, behind = rest.split(end)
    if request.config.getoption("--update-golden"):
        shown = TABLES[name]
        readme.write_text(before + begin + shown + end + behind)
    assert shown.splitlines() == TABLES[name].splitlines()
