"""Fewer bytes over the line: what Textual writes is compared with what the terminal shows already.

Textual repaints whole widget lines, with a full set of attributes and a reset around each piece of text.
Over ssh those bytes are what one waits for.  This driver reads Textual's output into a grid of cells and
sends the difference: only cells that changed, only attributes that changed, blanks at the end of a line as
"erase".  Everything that is not text, position or attributes passes through untouched.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from rich.cells import cell_len, get_character_cell_size

if TYPE_CHECKING:
    from textual.driver import Driver

_SEQUENCE = re.compile(
    r"\x1b\[(?P<args>[0-9;:?<=>]*)[ !$]*(?P<final>[@-~])"  # CSI
    r"|(?P<osc>\x1b[\]P_^X].*?(?:\x07|\x1b\\))"  # OSC, DCS and other strings
    r"|(?P<escape>\x1b.)"
    r"|(?P<control>[\x00-\x1a\x1c-\x1f\x7f])"
    r"|(?P<text>[^\x00-\x1f\x7f]+)",
    re.DOTALL,
)

Attributes = tuple[str, str, frozenset[str]]
"""Foreground, background (SGR parameters, empty for the default) and the other attributes."""

_PLAIN: Attributes = ("", "", frozenset())
_VISIBLE_ON_BLANKS = frozenset({"4", "7", "9", "21", "53"})
_POINTER_SHAPE = "\x1b]22;"
_SKIP = 4
"""So many unchanged cells are rather sent again than jumped over."""


@lru_cache(maxsize=4096)
def attributes(parameters: str) -> Attributes:
    """What SGR parameters set, from a reset state."""
    foreground = background = ""
    flags: set[str] = set()
    numbers = parameters.split(";")
    while numbers:
        number = numbers.pop(0)
        if number in ("", "0"):
            foreground, background = "", ""
            flags.clear()
        elif number in ("38", "48"):
            length = 2 if numbers[:1] == ["5"] else 4
            colour = ";".join([number, *numbers[:length]])
            del numbers[:length]
            if number == "38":
                foreground = colour
            else:
                background = colour
        elif number == "39":
            foreground = ""
        elif number == "49":
            background = ""
        elif number.isdigit() and (30 <= int(number) <= 37 or 90 <= int(number) <= 97):
            foreground = number
        elif number.isdigit() and (40 <= int(number) <= 47 or 100 <= int(number) <= 107):
            background = number
        else:
            flags.add(number)
    return foreground, background, frozenset(flags)


@lru_cache(maxsize=4096)
def on_blanks(style: Attributes) -> Attributes:
    """What can be seen of a style on a blank."""
    foreground, background, flags = style
    seen = flags & _VISIBLE_ON_BLANKS
    return (foreground if seen else "", background, seen)


@lru_cache(maxsize=4096)
def change(old: Attributes, new: Attributes) -> str:
    """The shortest SGR sequence from one style to another."""
    if old == new:
        return ""
    if new == _PLAIN:
        return "\x1b[m"
    parts: list[str] = []
    if old[2] - new[2] or (old[0] and not new[0] and old[1] and not new[1]):
        parts.append("0")
        old = _PLAIN
    parts.extend(sorted(new[2] - old[2]))
    if new[0] != old[0]:
        parts.append(new[0] or "39")
    if new[1] != old[1]:
        parts.append(new[1] or "49")
    return f"\x1b[{';'.join(parts)}m"


class _Row:
    """One line of the screen: what Textual wants and what the terminal has."""

    __slots__ = ("shown", "shown_styles", "styles", "text")

    def __init__(self) -> None:
        self.text: list[str] = []
        self.styles: list[Attributes] = []
        self.shown: list[str] = []
        self.shown_styles: list[Attributes] = []

    def grow(self, width: int, known: bool) -> None:
        """Have ``width`` cells.  One whose content is not known (not blank) differs from every text."""
        more = width - len(self.text)
        if more > 0:
            self.text += [" "] * more
            self.styles += [_PLAIN] * more
            self.shown += [" " if known else "\0"] * more
            self.shown_styles += [_PLAIN] * more


class Grid:
    """The terminal's screen as far as we have written it.

    :meth:`write` takes Textual's output and returns what to send.  Cells of wide characters hold the
    character and then an empty string; after one, the position is told to the terminal anew, since
    terminals differ in what they think is wide.
    """

    def __init__(self) -> None:
        self._rows: dict[int, _Row] = {}
        self._touched: set[int] = set()
        self._x = self._y = 0
        self._style: Attributes = _PLAIN
        self._sent_style: Attributes = _PLAIN
        self._known = False
        self._sync_wanted = self._sync_open = False

    def forget(self) -> None:
        """Nothing is known of what the terminal shows (it was resized, or something else wrote to it)."""
        self._rows.clear()
        self._touched.clear()
        self._known = False

    def write(self, data: str) -> str:
        """What to send to the terminal for ``data``."""
        out: list[str] = []
        for match in _SEQUENCE.finditer(data):
            kind = match.lastgroup
            if kind == "text":
                self._put(match["text"])
            elif kind == "final":
                final, args = match["final"], match["args"]
                if final == "m" and not args.startswith((">", "?", "<")):
                    self._style = attributes(args)
                elif final == "H" and args.replace(";", "").isdigit():
                    row, _, column = args.partition(";")
                    self._y, self._x = int(row) - 1, int(column or 1) - 1
                else:
                    out.append(self._flush())
                    out.append(self._pass_through(match.group(), final, args))
            elif kind == "control":
                if match.group() == "\n":
                    self._y += 1
                    self._x = 0
                elif match.group() == "\r":
                    self._x = 0
            elif not match.group().startswith(_POINTER_SHAPE):
                out.append(self._flush())
                out.append(match.group())
        out.append(self._flush())
        return "".join(out)

    def _pass_through(self, sequence: str, final: str, args: str) -> str:
        if args == "?2026" and final in "hl":
            # Synchronized output: only worth its bytes when something is written inside.
            self._sync_wanted = final == "h"
            if final == "h" or not self._sync_open:
                return ""
            self._sync_open = False
        if final in "hl" and "1049" in args:
            # The other screen is a blank one: its content need not be sent.
            self.forget()
            self._known = final == "h"
            self._sent_style = _PLAIN
            return sequence + ("\x1b[m\x1b[2J" if final == "h" else "\x1b[m")
        if final in "JKLMPSTX@":
            self.forget()
        return sequence

    def _row(self, y: int, width: int) -> _Row:
        row = self._rows.get(y)
        if row is None:
            row = self._rows[y] = _Row()
        row.grow(width, self._known)
        return row

    def _put(self, text: str) -> None:
        x = self._x
        row = self._row(self._y, x + cell_len(text))
        self._touched.add(self._y)
        style = self._style
        if text.isascii():
            row.text[x : x + len(text)] = text
            row.styles[x : x + len(text)] = [style] * len(text)
            if " " in text:
                blank = on_blanks(style)
                if blank is not style:
                    for place, character in enumerate(text, x):
                        if character == " ":
                            row.styles[place] = blank
            self._x = x + len(text)
            return
        for character in text:
            width = get_character_cell_size(character)
            if not width:
                if x:
                    row.text[x - 1] += character
                continue
            row.text[x] = character
            row.styles[x] = on_blanks(style) if character == " " else style
            if width == 2:
                row.text[x + 1] = ""
                row.styles[x + 1] = style
            x += width
        self._x = x

    def _flush(self) -> str:
        if not self._touched:
            return ""
        out: list[str] = []
        at: tuple[int, int] | None = None
        for y in sorted(self._touched):
            at = self._flush_row(y, self._rows[y], at, out)
        self._touched.clear()
        if not out:
            return ""
        if self._sent_style != _PLAIN:
            out.append("\x1b[m")
            self._sent_style = _PLAIN
        if self._sync_wanted and not self._sync_open:
            self._sync_open = True
            out.insert(0, "\x1b[?2026h")
        return "".join(out)

    def _flush_row(
        self, y: int, row: _Row, at: tuple[int, int] | None, out: list[str]
    ) -> tuple[int, int] | None:
        text, styles, shown, shown_styles = row.text, row.styles, row.shown, row.shown_styles
        if text == shown and styles == shown_styles:
            return at
        changed = [x for x in range(len(text)) if text[x] != shown[x] or styles[x] != shown_styles[x]]
        end = self._blank_from(row)
        erase = changed[-1] >= end and sum(1 for x in changed if x >= end) > 4
        runs = self._runs([x for x in changed if x < end] if erase else changed, row)
        for first, last in runs:
            at = self._move(y, first, at, out)
            at = self._send(y, first, last, row, out)
        if erase:
            at = self._move(y, end, at, out)
            out.append(change(self._sent_style, _PLAIN))
            self._sent_style = _PLAIN
            out.append("\x1b[K")
        row.shown = text.copy()
        row.shown_styles = styles.copy()
        return at

    @staticmethod
    def _blank_from(row: _Row) -> int:
        """Where the plain blanks at the end of a row begin."""
        end = len(row.text)
        while end and row.text[end - 1] == " " and row.styles[end - 1] == _PLAIN:
            end -= 1
        return end

    @staticmethod
    def _runs(changed: list[int], row: _Row) -> list[tuple[int, int]]:
        """Stretches to send: changed cells, with short unchanged gaps between them."""
        runs: list[tuple[int, int]] = []
        for x in changed:
            if (
                runs
                and x - runs[-1][1] <= _SKIP
                and all(
                    row.text[gap] == " " or row.styles[gap] == row.styles[runs[-1][1]]
                    for gap in range(runs[-1][1] + 1, x)
                )
            ):
                runs[-1] = (runs[-1][0], x)
            else:
                # The second half of a wide character is sent with its first.
                runs.append((x - 1 if x and row.text[x] == "" else x, x))
        return runs

    @staticmethod
    def _move(y: int, x: int, at: tuple[int, int] | None, out: list[str]) -> tuple[int, int]:
        if at != (y, x):
            if at is not None and at[0] == y and x > at[1]:
                step = x - at[1]
                out.append(f"\x1b[{step}C" if step > 1 else "\x1b[C")
            else:
                out.append(f"\x1b[{y + 1};{x + 1}H" if x else f"\x1b[{y + 1}H")
        return y, x

    def _send(self, y: int, first: int, last: int, row: _Row, out: list[str]) -> tuple[int, int] | None:
        text, styles = row.text, row.styles
        sent = self._sent_style
        exact = True
        for x in range(first, last + 1):
            character, style = text[x], styles[x]
            # A blank needs only what can be seen of its style; the colour of the text may stay.
            if style != sent and (character != " " or on_blanks(sent) != style):
                out.append(change(sent, style))
                sent = style
            out.append(character)
            exact = exact and len(character) == 1
        self._sent_style = sent
        return (y, last + 1) if exact else None


def thin_driver(base: type[Driver]) -> type[Driver]:
    """``base`` with a :class:`Grid` in front of the terminal; unchanged when it is not the Unix one."""
    from textual.drivers.linux_driver import LinuxDriver

    if not issubclass(base, LinuxDriver):
        return base

    class ThinDriver(base):  # type: ignore[misc, valid-type]
        """Sends differences."""

        grid = Grid()

        def start_application_mode(self) -> None:
            self.grid = Grid()
            super().start_application_mode()

        def write(self, data: str) -> None:
            # Every move of the pointer would be sent up the line (1003); moves with a button down do (1002).
            data = data.replace("\x1b[?1003", "\x1b[?1002")
            thin = self.grid.write(data)
            if thin:
                super().write(thin)

    return ThinDriver


def forget(driver: Driver | None) -> None:
    """What the terminal shows is not known any more."""
    grid = getattr(driver, "grid", None)
    if isinstance(grid, Grid):
        grid.forget()
