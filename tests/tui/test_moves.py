"""How an offset is read, where devices are looked up, what history remembers."""

from __future__ import annotations

import pytest

from qevm_tui.dialogs.jump import narrow
from qevm_tui.moves import OffsetFormatError, read_offset
from qevm_tui.selection import History, Selection


@pytest.mark.parametrize(
    ("text", "offset"),
    [
        ("0x1f", 31),
        ("1f", 31),
        ("1fh", 31),
        ("31", 31),
        ("1_000", 1000),
        ("0x1000 ", 4096),
        ("+0x10", 116),
        ("-16", 84),
        ("+a", 110),
    ],
)
def test_offsets_are_read_as_the_dialog_says(text: str, offset: int):
    assert read_offset(text, 100, 10_000)[0] == offset


def test_digits_alone_say_that_they_are_decimal():
    assert "decimal" in read_offset("1000", 0, 10_000)[1]


@pytest.mark.parametrize("text", ["", "+", "xyz", "0x", "99999999", "-200", "1.5", "٣"])
def test_what_is_no_offset_in_the_capture_is_refused(text: str):
    with pytest.raises(OffsetFormatError):
        read_offset(text, 100, 10_000)


def test_narrowing_puts_what_stands_together_first():
    names = ["0000:00:01.3/piix4_pm@0", "cpu_common@0", "cpu@0", "cpu@1", "apic@0"]
    assert [names[n] for n, _ in narrow(names, "cpu")][:3] == ["cpu@0", "cpu@1", "cpu_common@0"]
    assert names[narrow(names, "cpu1")[0][0]] == "cpu@1"
    assert len(narrow(names, "")) == len(names)
    assert narrow(names, "zzz") == []


def test_history_goes_back_and_forward_and_forgets_what_was_forward():
    history = History()
    a, b, c, d = (Selection(cursor=n) for n in range(4))
    history.visit(a, jump=True)
    history.visit(b, jump=True)
    history.visit(c, jump=True)
    assert history.back() == b
    assert history.back() == a
    assert history.back() is None
    assert history.forward() == b
    history.visit(d, jump=True)
    assert history.forward() is None
    assert history.back() == b


def test_small_moves_replace_the_place_that_one_comes_back_to():
    history = History()
    history.visit(Selection(cursor=1), jump=True)
    history.visit(Selection(cursor=2), jump=False)
    history.visit(Selection(cursor=9), jump=True)
    assert history.back() == Selection(cursor=2)
