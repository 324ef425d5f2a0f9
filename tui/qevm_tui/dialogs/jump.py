"""Jump to a device: a list that narrows as one types."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.segment import Segment
from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.fuzzy import Matcher
from textual.message import Message
from textual.widgets import Input

from qevm.safetext import safe
from qevm_tui.dialogs.base import Dialog, QuietInput, frame
from qevm_tui.palette import Palette
from qevm_tui.panes.columns import RowText
from qevm_tui.panes.line_pane import ListPane
from qevm_tui.words import human

if TYPE_CHECKING:
    from qevm.capture import Capture

DeviceKey = tuple[str, int]

_FUZZY_UP_TO = 5000
"""More devices than this are matched by a part of their name only: fuzzy scores would be felt."""


def all_devices(capture: Capture) -> list[tuple[DeviceKey, str]]:
    """((idstr, instance id), size in words) of every device, walked or located, in stream order."""
    found = {(d.idstr, d.instance_id): human(d.size) for d in capture.index.devices}
    for section in capture.located:
        if section.idstr is not None and section.instance_id is not None:
            found.setdefault((section.idstr, section.instance_id), human(section.size))
    return list(found.items())


def narrow(names: list[str], query: str) -> list[tuple[int, tuple[int, ...]]]:
    """(number, matched places) of the names that match, the best first; all in order without a query."""
    query = query.strip()
    if not query:
        return [(number, ()) for number in range(len(names))]
    low = query.lower()
    if len(names) > _FUZZY_UP_TO:
        hits = [(n, names[n].lower().find(low)) for n in range(len(names))]
        return [(n, tuple(range(at, at + len(low)))) for n, at in hits if at >= 0]
    matcher = Matcher(query)
    scored: list[tuple[float, int, tuple[int, ...]]] = []
    for number, name in enumerate(names):
        score, places = matcher.fuzzy_search.match(query, name)
        if score > 0:
            # What stands together, and at the front, is meant more often than scattered letters.
            at = name.lower().find(low)
            bonus = 0.0 if at < 0 else 1000.0 - at - len(name) / 1000
            scored.append((-(score + bonus), number, tuple(places)))
    return [(number, places) for _, number, places in sorted(scored)]


class DeviceList(ListPane):
    """The devices that match."""

    class Chosen(Message):
        """A device was clicked."""

    def __init__(self, devices: list[tuple[DeviceKey, str]], palette: Palette) -> None:
        super().__init__(palette, id="devices")
        self.can_focus = False
        self._devices = devices
        self._names = [f"{safe(idstr)}@{instance}" for (idstr, instance), _ in devices]
        self._shown = narrow(self._names, "")

    @property
    def row_count(self) -> int:
        return len(self._shown)

    def title(self) -> str:
        return f"{len(self._shown):,} of {len(self._devices):,} devices"

    def narrow(self, query: str) -> None:
        """Show what matches ``query``."""
        self._shown = narrow(self._names, query)
        self.top = self.cursor_row = 0
        self.refresh()

    def chosen(self) -> DeviceKey | None:
        """The device under the cursor."""
        return self._devices[self._shown[self.cursor_row][0]][0] if self._shown else None

    def render_row(self, row: int, width: int) -> list[Segment]:
        number, places = self._shown[row]
        over = self.palette.cursor if row == self.cursor_row else None
        text = RowText(width, over)
        name, size = self._names[number], self._devices[number][1]
        limit = width - len(size) - 2
        text.add(" ")
        matched = set(places)
        start = 0
        for end in range(1, len(name) + 1):
            if end == len(name) or (end in matched) != (start in matched):
                style = self.palette.key if start in matched else None
                text.add(name[start:end], style, limit - (width - text.left))
                start = end
        text.right(size, self.palette.dim, width)
        return text.segments()

    def row_pressed(self, row: int, x: int, event: events.MouseDown) -> None:
        self.put_cursor(row)
        self.post_message(self.Chosen())


class JumpDialog(Dialog[DeviceKey]):
    """Typing narrows the list, Enter jumps."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,ctrl+k", "step(-1)", "up", show=False, priority=True),
        Binding("down,ctrl+j", "step(1)", "down", show=False, priority=True),
        Binding("pageup", "page(-1)", "page up", show=False, priority=True),
        Binding("pagedown", "page(1)", "page down", show=False, priority=True),
    ]

    def __init__(self, capture: Capture, palette: Palette) -> None:
        super().__init__(palette)
        self._list = DeviceList(all_devices(capture), palette)

    def compose(self) -> ComposeResult:
        self._list.styles.height = min(16, self._list.row_count + 1)
        yield frame(" jump to device ", QuietInput(placeholder="part of a device id"), self._list)

    def action_step(self, rows: int) -> None:
        """Move in the list."""
        self._list.action_step(rows)

    def action_page(self, pages: int) -> None:
        """Move in the list by pages."""
        self._list.action_page(pages)

    @on(Input.Changed)
    def _changed(self, event: Input.Changed) -> None:
        self._list.narrow(event.value)

    @on(Input.Submitted)
    @on(DeviceList.Chosen)
    def _choose(self) -> None:
        chosen = self._list.chosen()
        if chosen is not None:
            self.dismiss(chosen)
