"""What the dialogs share: a frame over the panes, inputs that do not blink, Escape."""

from __future__ import annotations

from typing import ClassVar, TypeVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.screen import ModalScreen
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Input

from qevm_tui.palette import Palette

Result = TypeVar("Result")


class Dialog(ModalScreen[Result | None]):
    """A dialog that Escape closes without a result."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "close", show=False)]

    def __init__(self, palette: Palette) -> None:
        super().__init__()
        self.palette = palette


def frame(title: str, *children: Widget) -> Vertical:
    """The box of a dialog.  ``title`` is ours, never text of a capture."""
    box = Vertical(*children, classes="dialog")
    box.border_title = Content(title)
    return box


class QuietInput(Input):
    """An input whose cursor does not blink: nothing is written to the terminal while nobody types."""

    def __init__(self, value: str = "", *, placeholder: str = "", id: str | None = None) -> None:  # noqa: A002
        super().__init__(value, placeholder=placeholder, id=id, select_on_focus=False)
        self.cursor_blink = False


class Line(Widget):
    """One line of plain text that can change."""

    ALLOW_SELECT = False

    def __init__(self, text: str = "", style: Style | None = None, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id, classes="line")
        self.text = text
        self._style = style

    def say(self, text: str, style: Style | None = None) -> None:
        """Show another text."""
        if (text, style) != (self.text, self._style):
            self.text, self._style = text, style
            self.refresh()

    def render_line(self, y: int) -> Strip:
        return Strip([Segment(self.text, self._style)] if self.text else []).adjust_cell_length(
            self.size.width
        )


class Choice(Widget, can_focus=True):
    """One of a few words, chosen with the arrow keys, a blank or the mouse."""

    ALLOW_SELECT = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "step(-1)", "previous", show=False),
        Binding("right,space", "step(1)", "next", show=False),
    ]

    class Changed(Message):
        """Another word is chosen."""

        def __init__(self, choice: Choice) -> None:
            super().__init__()
            self.choice = choice

    def __init__(self, words: list[str], palette: Palette, *, id: str) -> None:  # noqa: A002
        super().__init__(id=id)
        self.words = words
        self.chosen = 0
        self._palette = palette

    def _cells(self) -> list[tuple[int, str]]:
        x, cells = 0, []
        for number, word in enumerate(self.words):
            text = f"{'(•)' if number == self.chosen else '( )'} {word}   "
            cells.append((x, text))
            x += len(text)
        return cells

    def render_line(self, y: int) -> Strip:
        segments = []
        for number, (_, text) in enumerate(self._cells()):
            style = None
            if number == self.chosen:
                style = self._palette.cursor if self.has_focus else self._palette.strong
            segments += [Segment(text.rstrip(), style), Segment("   ")]
        return Strip(segments).adjust_cell_length(self.size.width)

    def choose(self, number: int) -> None:
        """Choose a word by its number."""
        if number != self.chosen:
            self.chosen = number
            self.refresh()
            self.post_message(self.Changed(self))

    def action_step(self, by: int) -> None:
        """The next or previous word, round the ends."""
        self.choose((self.chosen + by) % len(self.words))

    def on_click(self, event: events.Click) -> None:
        for number, (x, text) in enumerate(self._cells()):
            if x <= event.x < x + len(text):
                self.choose(number)

    def on_focus(self) -> None:
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()
