"""How the panes share the screen: sizes, zoom, focus, the order of the keys' panes."""

from __future__ import annotations

from collections.abc import Iterator

from textual import events, on
from textual.geometry import Size

from qevm_tui.panes.hex_pane import HexPane
from qevm_tui.panes.line_pane import LinePane
from qevm_tui.panes.splitter import Splitter
from qevm_tui.selecting import Selecting
from qevm_tui.sizes import PaneSizes

PANES = ("tree", "hex", "detail")


class Arranging(Selecting):
    """Gives the panes their places."""

    def begin_arranging(self) -> None:
        """The division is ours until the user changes it; called once, before the app runs."""
        self.sizes = PaneSizes()
        self.zoomed = ""

    def on_resize(self, event: events.Resize) -> None:
        # What a terminal shows after a change of size is its own affair.
        self._forget_terminal()
        if self.tree_pane.is_mounted:
            self.arrange(event.size)

    def arrange(self, size: Size | None = None) -> None:
        """Give the panes their sizes on a screen of ``size`` (default: what it is now)."""
        width, height = size or self.size
        stacked = self.sizes.stacked(width)
        digits = self.hex_pane.digits
        shown = {name: self.zoomed in ("", name) for name in PANES}
        self.tree_pane.set_class(not shown["tree"], "hidden")
        self.hex_pane.set_class(not shown["hex"], "hidden")
        self.detail_pane.set_class(not shown["detail"], "hidden")
        self.query_one("#right").set_class(not (shown["hex"] or shown["detail"]), "hidden")
        for splitter in self.query(Splitter):
            splitter.set_class(bool(self.zoomed), "hidden")
        self.query_one("#right").set_class(stacked, "stacked")
        self.tree_pane.styles.width = "1fr" if self.zoomed else self.sizes.tree_width(width, digits)
        self.hex_pane.styles.width = "1fr" if self.zoomed or stacked else self.sizes.hex_width(width, digits)
        self.hex_pane.styles.height = (
            self.sizes.hex_rows(height - 3) if stacked and not self.zoomed else "1fr"
        )

    def panes(self) -> Iterator[LinePane]:
        """Left, middle, right."""
        yield from (self.tree_pane, self.hex_pane, self.detail_pane)

    def focused_pane(self) -> str:
        """The name of the pane that has the keys."""
        focused = self.focused
        return focused.id if focused is not None and focused.id in PANES else "tree"

    def focus_pane(self, name: str) -> None:
        """Give a pane the keys."""
        if self.zoomed and self.zoomed != name:
            self.zoomed = name
            self.arrange()
        self.screen.set_focus(next(pane for pane in self.panes() if pane.id == name))

    def action_focus_next(self) -> None:
        self._cycle(1)

    def action_focus_previous(self) -> None:
        self._cycle(-1)

    def _cycle(self, step: int) -> None:
        if self.screen.is_modal:
            self.screen.focus_next() if step > 0 else self.screen.focus_previous()
        else:
            self.focus_pane(PANES[(PANES.index(self.focused_pane()) + step) % len(PANES)])

    def action_tree_mode(self) -> None:
        """By device or by stream."""
        self.tree_pane.toggle_mode()

    def action_zoom(self) -> None:
        """One pane on the whole screen, and back."""
        self.zoomed = "" if self.zoomed else self.focused_pane()
        self.arrange()

    def action_resize(self, by: int) -> None:
        """Make the focused pane wider (in a stack: higher) or narrower."""
        width, height = self.size
        digits = self.hex_pane.digits
        name = self.focused_pane()
        if name == "tree":
            self.sizes.tree = self.sizes.tree_width(width, digits) + by
        elif self.sizes.stacked(width):
            change = by // 2 if name == "hex" else -by // 2
            self.sizes.hex_height = self.sizes.hex_rows(height - 3) + change
        else:
            self.sizes.hex = self.sizes.hex_width(width, digits) + (by if name == "hex" else -by)
        self.arrange()

    @on(Splitter.Dragged)
    def _splitter_dragged(self, message: Splitter.Dragged) -> None:
        if message.splitter.id == "split-tree":
            self.sizes.tree = max(1, message.x)
        else:
            self.sizes.hex = max(1, message.x - self.tree_pane.size.width - 1)
        self.arrange()

    @on(HexPane.DetailWanted)
    def _detail_wanted(self) -> None:
        self.focus_pane("detail")

    def action_redraw(self) -> None:
        """Draw everything anew: something else has written to the terminal."""
        self._forget_terminal()
        self.screen.refresh(layout=True)

    def _forget_terminal(self) -> None:
        from qevm_tui.thin_line import forget

        forget(self._driver)
