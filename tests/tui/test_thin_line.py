"""The driver that sends differences: the terminal must look as if everything had been sent."""

from __future__ import annotations

import pyte
from hypothesis import given, settings
from hypothesis import strategies as st

from qevm_tui.thin_line import Grid, attributes, change, on_blanks

WIDTH, HEIGHT = 24, 6
OPEN = "\x1b[?1049h"


class Terminal:
    """pyte with and without a Grid in front of it."""

    def __init__(self) -> None:
        self.screen = pyte.Screen(WIDTH, HEIGHT)
        self.screen.reset_mode(pyte.modes.DECAWM)
        self.stream = pyte.Stream(self.screen)

    def cells(self) -> list[list[tuple[str, ...]]]:
        """What can be seen: a blank's colour and weight cannot."""
        rows = []
        for y in range(HEIGHT):
            row = []
            for x in range(WIDTH):
                cell = self.screen.buffer[y][x]
                blank = cell.data == " " and not cell.underscore and not cell.reverse
                front = "" if blank else f"{cell.fg} {cell.bold}"
                row.append((cell.data, front, cell.bg, str(cell.reverse), str(cell.underscore)))
            rows.append(row)
        return rows


texts = st.text(alphabet="ab c·─漢", min_size=1, max_size=10)
styles = st.sampled_from(
    ["", "1", "38;5;110", "1;38;5;203", "48;5;25", "38;5;231;48;5;25", "7", "4;32", "97;44"]
)
piece = st.tuples(st.integers(0, WIDTH - 1), st.integers(0, HEIGHT - 1), styles, texts)
frames = st.lists(st.lists(piece, min_size=1, max_size=6), min_size=1, max_size=6)


def as_textual_writes(x: int, y: int, style: str, text: str) -> str:
    from rich.cells import set_cell_size

    text = set_cell_size(text, min(WIDTH - x, 10))
    return f"\x1b[{y + 1};{x + 1}H" + (f"\x1b[{style}m{text}\x1b[0m" if style else text)


@settings(max_examples=300)
@given(frames)
def test_the_terminal_looks_as_if_everything_had_been_sent(drawn: list[list[tuple[int, int, str, str]]]):
    plain, thin, grid = Terminal(), Terminal(), Grid()
    thin.stream.feed(grid.write(OPEN).replace(OPEN, ""))
    for frame in drawn:
        # A wide character that is half overwritten looks different from terminal to terminal: it has its
        # row for itself.
        rows = {p[1]: p for p in frame if "漢" in p[3]}
        data = "".join(as_textual_writes(0, *p[1:]) for p in rows.values())
        data += "".join(as_textual_writes(*p) for p in frame if p[1] not in rows)
        data = "".join(as_textual_writes(0, y, "", " " * WIDTH) for y in rows) + data
        data = "\x1b[?2026h" + data + "\x1b[?2026l"
        plain.stream.feed(data.replace("\x1b[?2026h", "").replace("\x1b[?2026l", ""))
        sent = grid.write(data)
        thin.stream.feed(sent.replace("\x1b[?2026h", "").replace("\x1b[?2026l", ""))
        if "漢" not in data:
            assert thin.cells() == plain.cells()
    again = "".join(as_textual_writes(*p) for p in drawn[-1] if "漢" not in p[3])
    first = grid.write(again)
    assert grid.write(again) == "", first


def test_what_is_shown_already_costs_nothing():
    grid = Grid()
    grid.write(OPEN)
    frame = "\x1b[?2026h\x1b[1;1H\x1b[38;5;110mqevm\x1b[0m   \x1b[?2026l"
    assert "qevm" in grid.write(frame)
    assert grid.write(frame) == ""


def test_a_changed_cell_costs_a_few_bytes():
    grid = Grid()
    grid.write(OPEN)
    grid.write("\x1b[3;1H" + "." * 60)
    assert grid.write("\x1b[3;1H" + "." * 30 + "x" + "." * 29) == "\x1b[3;31Hx"


def test_after_forgetting_everything_is_sent_again_blanks_too():
    grid = Grid()
    grid.write(OPEN)
    grid.write("\x1b[1;1Habc       ")
    grid.forget()
    assert grid.write("\x1b[1;1Habc       ") == "\x1b[1Habc\x1b[K"


def test_other_sequences_pass_through_in_their_order():
    grid = Grid()
    grid.write(OPEN)
    sent = grid.write("\x1b[1;1Hab\x1b]52;c;QUJD\x07\x1b[?25h")
    assert sent.index("ab") < sent.index("\x1b]52;c;QUJD\x07") < sent.index("\x1b[?25h")


def test_attributes_change_in_the_shortest_way():
    accent, bold = attributes("38;5;110"), attributes("1;38;5;110")
    assert change(accent, bold) == "\x1b[1m"
    assert change(bold, accent) == "\x1b[0;38;5;110m"
    assert change(accent, attributes("0")) == "\x1b[m"
    assert on_blanks(bold) == attributes("")
    assert on_blanks(attributes("7;32")) == attributes("7;32")
