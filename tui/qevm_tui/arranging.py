"""How the parts share the screen: sizes, zoom, focus, data inspector and map, themes."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from textual import events, on
from textual.geometry import Size
from textual.widget import Widget

from qevm_tui.another_stream import AnotherStream
from qevm_tui.map_buckets import Buckets
from qevm_tui.palette import palette_of, theme_for
from qevm_tui.panes import inspector, map_strip
from qevm_tui.panes.bars import Bar
from qevm_tui.panes.device_detail import DeviceDetail
from qevm_tui.panes.hex_pane import HexPane
from qevm_tui.panes.inspector import Inspector
from qevm_tui.panes.map_strip import MapStrip
from qevm_tui.panes.section_tree import SectionTree
from qevm_tui.panes.splitter import Splitter
from qevm_tui.settings import Settings
from qevm_tui.theme import PREFIX, TEXTUAL_THEMES

if TYPE_CHECKING:
    from qevm.capture import Capture
    from qevm_tui.questions import Questions

PANES = ("tree", "hex", "detail")

_LEAST_HEX = 4
"""Rows that the hex pane keeps above the inspector, with its title."""


class Arranging(AnotherStream):
    """Makes the parts of the screen and gives them their places."""

    def __init__(self, capture: Capture, questions: Questions | None, settings: Settings | None) -> None:
        super().__init__(capture, questions)
        self.animation_level = "none"
        self.settings = settings or Settings()
        for theme in TEXTUAL_THEMES:
            self.register_theme(theme)
        name = theme_for(self.settings.theme, self.console.color_system, self.no_color)
        self.theme = PREFIX + name
        self.palette = palette_of(name)
        self.tree_pane = SectionTree(capture, self.problems, self.palette, self.parts)
        self.tree_pane.set_mode(self.settings.tree)
        self.hex_pane = HexPane(capture, self.palette)
        self.detail_pane = DeviceDetail(capture, self.problems, self.palette, self.parts)
        self.inspector = Inspector(self.palette)
        self.map_strip = MapStrip(self.palette)
        self.header_bar = Bar(self.palette, id="header")
        self.status_bar = Bar(self.palette, id="status")
        self.zoomed = ""
        self._mapped: tuple[object, ...] = ()

    # -- sizes ------------------------------------------------------------------------------------

    def on_resize(self, event: events.Resize) -> None:
        # What a terminal shows after a change of size is its own affair.
        self._forget_terminal()
        if self.tree_pane.is_mounted:
            self.arrange(event.size)

    def shown(self, size: Size | None = None) -> list[str]:
        """The panes that are on the screen now, in the order of Tab."""
        width, _ = size or self.size
        panes = [self.zoomed] if self.zoomed else list(PANES)
        if self.settings.inspector and not self.zoomed and self.settings.panes.stacked(width):
            panes.remove("detail")
        return panes

    def arrange(self, size: Size | None = None) -> None:
        """Give the panes their sizes on a screen of ``size`` (default: what it is now)."""
        width, height = size or self.size
        sizes, digits, shown = self.settings.panes, self.hex_pane.digits, self.shown(size)
        stacked = sizes.stacked(width)
        room = height - 3 - (map_strip.HEIGHT if self.settings.map else 0)
        middle = self.query_one("#middle")
        self._show_only(self.map_strip, self.settings.map)
        self._show_only(self.tree_pane, "tree" in shown)
        self._show_only(middle, "hex" in shown)
        self._show_only(self.detail_pane, "detail" in shown)
        self._show_only(self.query_one("#right"), shown != ["tree"])
        self._show_only(self.query_one("#split-tree"), not self.zoomed)
        self._show_only(self.query_one("#split-hex"), not self.zoomed and not stacked)
        self._show_only(self.inspector, self.settings.inspector)
        self.query_one("#right").set_class(stacked, "stacked")
        self.tree_pane.styles.width = "1fr" if self.zoomed else sizes.tree_width(width, digits)
        alone = self.zoomed or "detail" not in shown
        middle.styles.width = "1fr" if alone or stacked else sizes.hex_width(width, digits)
        middle.styles.height = sizes.hex_rows(room) if stacked and not alone else "1fr"
        self.inspector.styles.height = max(1, min(inspector.HEIGHT, room - _LEAST_HEX))
        if self.settings.map:
            self.call_after_refresh(self.draw_map)

    @staticmethod
    def _show_only(widget: Widget, shown: bool) -> None:
        widget.set_class(not shown, "hidden")

    def action_zoom(self) -> None:
        """One pane on the whole screen, and back."""
        self.zoomed = "" if self.zoomed else self.focused_pane()
        self.arrange()

    def action_resize(self, by: int) -> None:
        """Make the focused pane wider (in a stack: higher) or narrower."""
        width, height = self.size
        sizes, digits, name = self.settings.panes, self.hex_pane.digits, self.focused_pane()
        if name == "tree":
            sizes.tree = sizes.tree_width(width, digits) + by
        elif sizes.stacked(width):
            change = by // 2 if name == "hex" else -by // 2
            sizes.hex_height = sizes.hex_rows(height - 3) + change
        else:
            sizes.hex = sizes.hex_width(width, digits) + (by if name == "hex" else -by)
        self.arrange()

    @on(Splitter.Dragged)
    def _splitter_dragged(self, message: Splitter.Dragged) -> None:
        if message.splitter.id == "split-tree":
            self.settings.panes.tree = max(1, message.x)
        else:
            self.settings.panes.hex = max(1, message.x - self.tree_pane.size.width - 1)
        self.arrange()

    # -- focus ------------------------------------------------------------------------------------

    def focused_pane(self) -> str:
        """The name of the pane that has the keys."""
        focused = self.focused
        return focused.id if focused is not None and focused.id in PANES else "tree"

    def focus_pane(self, name: str) -> None:
        """Give a pane the keys, and the screen when one is zoomed."""
        if self.zoomed and self.zoomed != name and name in PANES:
            self.zoomed = name
            self.arrange()
        elif name in PANES and name not in self.shown():
            # The detail pane and the inspector take turns on a narrow screen.
            self.action_inspector()
        # Not Widget.focus(), which waits for its turn: two quick Tabs would count as one.
        self.screen.set_focus(self.query_one(f"#{name}"))

    def action_focus_next(self) -> None:
        self._cycle(1)

    def action_focus_previous(self) -> None:
        self._cycle(-1)

    def _cycle(self, step: int) -> None:
        if self.screen.is_modal:
            self.screen.focus_next() if step > 0 else self.screen.focus_previous()
            return
        order = list(PANES) if self.zoomed else self.shown()
        if self.settings.map:
            order.append("map")
        focused = self.focused
        here = focused.id if focused is not None else None
        place = order.index(here) if here in order else 0
        self.focus_pane(order[(place + step) % len(order)])

    @on(HexPane.DetailWanted)
    def _detail_wanted(self) -> None:
        self.focus_pane("detail")

    # -- inspector, map ---------------------------------------------------------------------------

    def action_inspector(self) -> None:
        """Show or hide the data inspector."""
        self.settings.inspector = not self.settings.inspector
        self.arrange()
        self.show_place()
        if self.focused is self.detail_pane and "detail" not in self.shown():
            self.focus_pane("hex")

    def action_map(self) -> None:
        """Show or hide the map."""
        self.settings.map = not self.settings.map
        self.arrange()
        self.show_place()
        if not self.settings.map and self.focused is self.map_strip:
            self.focus_pane("hex")

    def show_place(self) -> None:
        """Let inspector and map follow the cursor."""
        if self.settings.inspector:
            self.inspector.inspect(self.source, self.selection.cursor)
        if self.settings.map:
            self.map_strip.follow(self.selection.cursor if self.selection.source is None else None)

    def draw_map(self) -> None:
        """Make the map anew when it would look different: in a thread, since bitmaps may have to be read."""
        if not self.settings.map:
            return
        capture, width = self.capture, max(1, self.size.width)
        state = (
            width,
            capture.generation,
            capture.source.size,
            capture.complete,
            len(self.problems),
            width * capture.walked // max(1, capture.source.size),
        )
        if state != self._mapped:
            self._mapped = state
            self.run_worker(partial(self._make_map, width), thread=True, group="map", exclusive=True)

    def _make_map(self, width: int) -> None:
        buckets = Buckets(self.capture, width)
        self.call_from_thread(self.map_strip.put, buckets)

    @on(MapStrip.Jumped)
    def _map_jumped(self, message: MapStrip.Jumped) -> None:
        self.count_in(None)
        self.select_offset(message.offset, jump=message.jump)

    # -- themes -----------------------------------------------------------------------------------

    def use_theme(self, wanted: str) -> None:
        """Change all colours; ``wanted`` is remembered, the terminal gets what it can show."""
        self.settings.theme = wanted
        name = theme_for(wanted, self.console.color_system, self.no_color)
        self.palette.become(palette_of(name))
        self.theme = PREFIX + name
        self.detail_pane.restyle()
        for widget in self.query(Widget):
            widget.refresh()
        self.show_bars()
        if name != wanted and wanted != "auto":
            self.say(f"this terminal gets the theme {name}")

    def _forget_terminal(self) -> None:
        from qevm_tui.thin_line import forget

        forget(self._driver)
