"""A prompt on the last two lines of the screen: what is above stays in view while one types."""

from __future__ import annotations

from typing import ClassVar

from rich.style import Style
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Input

from qevm_tui.dialogs.base import Dialog, Line, QuietInput, Result
from qevm_tui.palette import Palette


class Prompt(Dialog[Result]):
    """A sign, an input, words at the right; below it a line that answers while one types.

    ``former`` are earlier entries, the newest last: the arrow keys bring them back.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "former(-1)", "earlier entry", show=False, priority=True),
        Binding("down", "former(1)", "later entry", show=False, priority=True),
    ]

    def __init__(
        self, palette: Palette, sign: str, value: str, placeholder: str, former: list[str] | None = None
    ) -> None:
        super().__init__(palette)
        self._sign = sign
        self._value = value
        self._placeholder = placeholder
        self._former = [*(former or []), ""]
        self._at = len(self._former) - 1

    def compose(self) -> ComposeResult:
        sign = Line(self._sign, self.palette.key)
        sign.styles.width = len(self._sign) + 1
        # The width is that of the text; nothing stands there when there is none.
        side = Line("", self.palette.dim, id="side")
        side.styles.width = 0
        yield Vertical(
            Horizontal(sign, QuietInput(self._value, placeholder=self._placeholder), side, classes="entry"),
            Line("", self.palette.dim, id="answer"),
            classes="prompt",
        )

    @property
    def text(self) -> str:
        """What was typed."""
        return self.query_one(Input).value

    def answer(self, text: str, style: Style | None = None) -> None:
        """Say something on the second line; ``text`` is safe for a terminal."""
        self.query_one("#answer", Line).say(" " + text, style if style is not None else self.palette.dim)

    def beside(self, text: str) -> None:
        """Say something at the right of the input."""
        side = self.query_one("#side", Line)
        side.styles.width = len(text) + 1 if text else 0
        side.say(text, self.palette.dim)

    def on_mount(self) -> None:
        self.typed(self.text)

    def typed(self, text: str) -> None:
        """The text changed."""

    @on(Input.Changed)
    def _changed(self, event: Input.Changed) -> None:
        event.stop()
        self.typed(event.value)

    def action_former(self, step: int) -> None:
        """An earlier or later entry in place of what is typed."""
        at = min(max(self._at + step, 0), len(self._former) - 1)
        if at != self._at:
            if self._at == len(self._former) - 1:
                self._former[-1] = self.text
            self._at = at
            entry = self.query_one(Input)
            entry.value = self._former[at]
            entry.cursor_position = len(entry.value)
