"""The hex pane: the whole capture as offsets, hex and ASCII, with a byte cursor and a range selection."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import BindingType
from textual.geometry import Region
from textual.message import Message

from qevm.field import Field, Role
from qevm.safetext import safe
from qevm_tui.keys import bindings
from qevm_tui.palette import Palette
from qevm_tui.panes.hex_rows import PageCache, tints
from qevm_tui.panes.line_pane import LinePane
from qevm_tui.panes.match_tints import MatchesNear, MatchTints
from qevm_tui.selection import BytesChosen, Selection

if TYPE_CHECKING:
    from qevm.capture import Capture
    from qevm.source import Source

_PRINTABLE = bytes(b if 0x20 <= b < 0x7F else 0x2E for b in range(256))
"""For ``bytes.translate``: what the ASCII column shows for each byte."""

_LEGEND = (
    Role.HEADER,
    Role.FOOTER,
    Role.NAME,
    Role.ADDRESS,
    Role.LENGTH,
    Role.PAGE,
    Role.BUFFER,
    Role.SUBSECTION,
    Role.PADDING,
    Role.PROBLEM,
)
"""The tints that the title names, as many as fit: what one meets first comes first.  Help has them all."""


def row_width(per_row: int, digits: int) -> int:
    """Cells that a row of ``per_row`` bytes takes: offset, hex with a gap each 8 bytes, ASCII."""
    return digits + 1 + per_row * 3 + (per_row // 8 - 1) + 1 + per_row


class HexPane(LinePane):
    """Middle pane.  ``selection`` is painted, the cursor moves by messages only."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("hex")]

    class DetailWanted(Message):
        """The user pressed Enter: show the field under the cursor."""

    def __init__(self, capture: Capture, palette: Palette) -> None:
        super().__init__(palette, id="hex")
        self._capture = capture
        self._source: Source = capture.source
        self._pages = PageCache(capture.source)
        self._digits = self.digits
        self._selection = Selection()
        self._root: Field | None = None
        self._anchor: int | None = None
        self._marking = False
        self._per_row = 16
        self._tints: tuple[int, int, bytearray] = (0, 0, bytearray())
        self._matches = MatchTints(capture.source)

    # -- geometry ---------------------------------------------------------------------------------

    @property
    def digits(self) -> int:
        """Hex digits of the offset column: enough for the stream and for the file around it."""
        container = self._capture.container
        size = max(self._capture.source.size, 0 if container is None else container.source.size)
        return max(6, len(f"{max(size - 1, 0):x}"))

    def digits_changed(self) -> bool:
        """Whether the offset column has become wider or narrower since the last call: bytes arrive."""
        before, self._digits = self._digits, self.digits
        return before != self._digits

    @property
    def per_row(self) -> int:
        """Bytes in a row: a multiple of 8, and of 16 where that fits."""
        return self._per_row

    @property
    def row_count(self) -> int:
        return -(-self._source.size // self._per_row)

    def title(self) -> str:
        mode = "hex, marking" if self._marking else "hex"
        part = self._selection.part
        if part is not None:
            mode += f"  {safe(part.name, 60)}"
        if self._source is not self._capture.source:
            mode += "  (bytes of the file)"
        return f"{mode}  {self._pages.error}" if self._pages.error else mode

    def legend(self, room: int) -> list[Segment]:
        segments: list[Segment] = []
        for role in _LEGEND:
            style, word = self.palette.roles[role], role.name.lower()
            room -= len(word) + 1
            if room < 1:
                break
            if style:
                segments += [Segment(" "), Segment(word, style)]
        return [*segments, Segment(" ")] if segments else []

    def on_resize(self) -> None:
        fits = 8
        for count in (16, 24, 32, 48, 64):
            if row_width(count, self.digits) <= self.view_width:
                fits = count
        if fits > 16:
            fits = fits // 16 * 16
        if fits != self._per_row:
            first = self.top * self._per_row
            self._per_row = fits
            self.top = first // fits
            # The first paint may have come before this.
            self.refresh()
        super().on_resize()
        self._forget_tints()
        self.show_row(self._selection.cursor // self._per_row)

    # -- showing the selection --------------------------------------------------------------------

    def show_selection(self, selection: Selection, root: Field | None) -> None:
        """Paint another selection; scroll to its cursor."""
        before, self._selection = self._selection, selection
        self._look_at(selection.source or self._capture.source)
        if selection.part is not before.part:
            self.refresh_title()
        if not selection.marked and not self._marking:
            self._anchor = None
        if root is not self._root or selection.section != before.section:
            self._root = root
            self._forget_tints()
            self.refresh()
        else:
            self._refresh_bytes(before)
            self._refresh_bytes(selection)
        self.show_row(selection.cursor // self._per_row)

    def _look_at(self, source: Source) -> None:
        """Show the bytes of ``source``: the stream's, or those of the file around it."""
        if source is not self._source:
            self._source = source
            self._pages = PageCache(source)
            self._matches = self._matches.of(source)
            self._forget_tints()
            self.top = 0
            self.refresh()

    def reread(self) -> None:
        """Drop what was read and read the bytes in view again."""
        self._pages.forget()
        self._forget_tints()
        self.refresh()

    def show_matches(self, near: MatchesNear) -> None:
        """Tint what a search has found; painted anew only where that changes the screen."""
        before = self._matches.within(*self._in_view())
        self._matches = MatchTints(self._source, near)
        if self._matches.within(*self._in_view()) != before:
            self.refresh()

    def _in_view(self) -> tuple[int, int]:
        first = self.top * self._per_row
        return first, first + self.view_height * self._per_row

    def grown(self) -> None:
        """The walk found more sections: headers in view may have got a tint."""
        low, high, roles = self._tints
        self._forget_tints()
        if high > low and self._roles(low, high) != roles:
            self.refresh()

    def _refresh_bytes(self, selection: Selection) -> None:
        first, last = selection.cursor, selection.cursor
        if selection.precise and selection.size:
            first, last = min(first, selection.start), max(last, selection.end - 1)
        top, bottom = self.top, self.top + self.view_height
        first_row = max(first // self._per_row, top)
        last_row = min(last // self._per_row, bottom)
        if first_row <= last_row:
            self.refresh(Region(0, first_row - top + 1, self.size.width, last_row - first_row + 1))

    def _forget_tints(self) -> None:
        self._tints = (0, 0, bytearray())

    def _roles(self, low: int, high: int) -> bytearray:
        first, end, roles = self._tints
        if not (first <= low and high <= end):
            first, end = self._in_view()
            first, end = min(first, low), max(end, high)
            index = self._capture.index if self._source is self._capture.source else None
            roles = tints(index, self._selection.section, self._root, first, end)
            self._tints = (first, end, roles)
        return roles[low - first : high - first]

    # -- drawing ----------------------------------------------------------------------------------

    def render_row(self, row: int, width: int) -> list[Segment]:
        per_row = self._per_row
        offset = row * per_row
        had_error = self._pages.error
        data = self._pages.read(offset, per_row)
        if self._pages.error != had_error:
            self.call_next(self.refresh_title)
        here = self._selection.cursor // per_row == row
        segments = [Segment(f"{offset:0{self.digits}x} ", self.palette.accent if here else self.palette.dim)]
        if not data:
            segments.append(Segment("cannot be read", self.palette.problem))
            return segments
        text, ascii_text = _hex_text(data, per_row), data.translate(_PRINTABLE).decode("ascii")
        hex_part: list[Segment] = []
        ascii_part: list[Segment] = []
        for start, end, style in self._style_runs(offset, len(data)):
            first, last = _column(start), _column(end - 1) + 2
            if hex_part:
                gap_from = _column(start - 1) + 2
                hex_part.append(Segment(text[gap_from:first], self._gap_style(offset + start)))
            hex_part.append(Segment(text[first:last], style))
            ascii_part.append(Segment(ascii_text[start:end], style))
        hex_width = per_row * 3 + per_row // 8 - 1
        used = _column(len(data) - 1) + 2
        return [*segments, *hex_part, Segment(" " * (hex_width - used + 1)), *ascii_part]

    def _gap_style(self, offset: int) -> Style | None:
        """Inside a selected range the blanks between bytes are selected too."""
        selection = self._selection
        if selection.precise and selection.start < offset < selection.end:
            return self.palette.selected
        return None

    def _style_runs(self, offset: int, length: int) -> list[tuple[int, int, Style | None]]:
        """(start, end, style) of neighbours that look alike, so that a row costs few changes of style."""
        selection = self._selection
        roles = self._roles(offset, offset + length)
        found = bytearray(length)
        if self._source is self._capture.source:
            first, end = self._in_view()
            found = self._matches.part(offset, offset + length, min(first, offset), max(end, offset + length))
        marks = bytearray(length)
        if selection.precise:
            low, high = max(selection.start - offset, 0), min(selection.end - offset, length)
            if low < high:
                marks[low:high] = b"\x01" * (high - low)
        cursor = selection.cursor - offset
        if 0 <= cursor < length:
            marks[cursor] = 2
        cuts = [
            0,
            *(
                i
                for i in range(1, length)
                if roles[i] != roles[i - 1] or marks[i] != marks[i - 1] or found[i] != found[i - 1]
            ),
            length,
        ]
        return [(a, b, self._byte_style(roles[a], marks[a], found[a])) for a, b in pairwise(cuts)]

    def _byte_style(self, role: int, mark: int, found: int) -> Style | None:
        palette = self.palette
        if mark == 2:
            return palette.cursor if self.has_focus else palette.cursor_away + Style(bold=True)
        style = palette.match if found else palette.roles[role]
        if mark:
            return style + palette.selected
        return style if style else None

    # -- moving -----------------------------------------------------------------------------------

    def _go(self, offset: int, *, mark: bool = False) -> None:
        offset = min(max(offset, 0), max(self._source.size - 1, 0))
        if mark or self._marking:
            if self._anchor is None:
                self._anchor = self._selection.cursor
        else:
            self._anchor = None
        if offset != self._selection.cursor or self._selection.precise:
            self.post_message(BytesChosen(offset, self._anchor))

    def action_move(self, count: int) -> None:
        """Move the cursor by bytes."""
        self._go(self._selection.cursor + count)

    def action_line(self, rows: int) -> None:
        """Move the cursor by rows, staying in its column."""
        self._go_rows(rows)

    def action_page(self, pages: int) -> None:
        """Move cursor and view by pages."""
        rows = pages * max(1, self.view_height - 1)
        self.scroll_rows(self.top + rows)
        self._go_rows(rows)

    def _go_rows(self, rows: int, *, mark: bool = False) -> None:
        wanted = self._selection.cursor + rows * self._per_row
        if 0 <= wanted < self._source.size or abs(rows) > 1:
            self._go(wanted, mark=mark)

    def action_row_edge(self, side: int) -> None:
        """Move to the first or last byte of the row."""
        start = self._selection.cursor // self._per_row * self._per_row
        self._go(start if side < 0 else start + self._per_row - 1)

    def action_edge(self, side: int) -> None:
        """Move to the first or last byte of the capture."""
        self._go(0 if side < 0 else self._source.size - 1)

    def action_mark(self, count: int) -> None:
        """Mark bytes from where the cursor was."""
        self._go(self._selection.cursor + count, mark=True)

    def action_mark_line(self, rows: int) -> None:
        """Mark rows of bytes."""
        self._go_rows(rows, mark=True)

    def action_toggle_mark(self) -> None:
        """Begin marking at the cursor, or end it and keep the range."""
        self._marking = not self._marking
        if self._marking:
            self._anchor = self._selection.cursor
            self.post_message(BytesChosen(self._anchor, self._anchor))
        self.refresh_title()

    def stop_marking(self) -> bool:
        """End marking; returns whether there was anything to end."""
        was = self._marking or self._anchor is not None
        self._marking = False
        self._anchor = None
        self.refresh_title()
        return was

    def action_into_detail(self) -> None:
        """Go to the field under the cursor in the detail pane."""
        self.post_message(self.DetailWanted())

    # -- mouse ------------------------------------------------------------------------------------

    def _byte_at(self, row: int, x: int) -> int:
        per_row = self._per_row
        x -= self.digits + 1
        hex_width = per_row * 3 + per_row // 8 - 1
        if x > hex_width:
            return row * per_row + min(x - hex_width - 1, per_row - 1)
        inside = max(x, 0) // 25 * 8 + min(max(x, 0) % 25 // 3, 7)
        return row * per_row + min(inside, per_row - 1)

    def row_pressed(self, row: int, x: int, event: events.MouseDown) -> None:
        offset = self._byte_at(row, x)
        if event.shift:
            self._go(offset, mark=True)
        else:
            self._marking = False
            self._go(offset)

    def row_dragged(self, row: int, x: int) -> None:
        offset = self._byte_at(row, x)
        if offset != self._selection.cursor:
            self._go(offset, mark=True)


def _column(number: int) -> int:
    """Where byte ``number`` of a row begins in its hex text."""
    return number * 3 + number // 8


def _hex_text(data: bytes, per_row: int) -> str:
    """``00 11 …`` with one more blank after each 8 bytes."""
    return "  ".join(data[i : i + 8].hex(" ") for i in range(0, min(len(data), per_row), 8))
