"""Ask before the disk is filled with what is unpacked."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from qevm.containers import Space
from qevm.safetext import safe
from qevm_tui.dialogs.base import Choice, Dialog, Line, frame
from qevm_tui.palette import Palette
from qevm_tui.words import human


class SpaceDialog(Dialog[bool]):
    """Returns True to go on unpacking; Escape and the first answer stop it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "answer", "answer", show=False),
        Binding("y", "dismiss(True)", "go on", show=False),
        Binding("n", "dismiss(False)", "stop", show=False),
    ]

    def __init__(self, space: Space, palette: Palette) -> None:
        super().__init__(palette)
        self._space = space

    def compose(self) -> ComposeResult:
        space = self._space
        wanted = f", about {human(space.wanted)} in all" if space.wanted else ""
        yield frame(
            " little room for unpacking ",
            Line(f"{safe(space.folder, 40)} has {human(space.free)} free."),
            Line(f"Unpacked so far: {human(space.written)}{wanted}."),
            Line(f"qevm leaves {human(space.reserve)} free unless you say otherwise."),
            Choice(["stop here", "unpack anyway"], self.palette, id="go-on"),
            Line("Enter answers   y unpacks   n or Esc stops   --tmpdir: elsewhere", self.palette.dim),
        )

    def on_mount(self) -> None:
        self.query_one("#go-on").focus()

    def action_answer(self) -> None:
        """The chosen word."""
        self.dismiss(bool(self.query_one("#go-on", Choice).chosen))
