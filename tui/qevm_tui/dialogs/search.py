"""Search: the prompt that shows the first match while one types."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual import events, on
from textual.binding import Binding, BindingType
from textual.widgets import Input

from qevm.search import Scope
from qevm_tui.dialogs.base import Line
from qevm_tui.dialogs.prompt import Prompt
from qevm_tui.palette import Palette

SCOPES = (Scope.CAPTURE, Scope.SECTION, Scope.DEVICE, Scope.RAM)
_EXAMPLES = "text, 7e ?? 00 2a, re:a.+b, field:rip, eip=0x7cd4, value>9, device:net"

HELP = (
    ("some text", "ASCII, UTF-8, UTF-16; text:7e 00 is no hex"),
    ("7e ?? 0? 2a", "bytes in hex, ? is any digit; also hex:7e00"),
    ("re:[a-z]+", "regular expression over bytes"),
    ("field:rip", "fields by a part of their name, or a glob"),
    ("env.eip=0x7cd4", "fields by value, = != < <= > >="),
    ("value=0xfee00000", "the same for fields of any name"),
    ("device:net, cpu@0", "devices by a part of their id, or a glob"),
    ("Tab", "where: capture, section, device, RAM pages, part of the container"),
)
"""For the help screen."""


class SearchPrompt(Prompt[tuple[str, Scope]]):
    """Asks what to find; Enter keeps the match that is shown, Escape goes back to where one was."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "scope(1)", "next scope", show=False, priority=True),
        Binding("shift+tab", "scope(-1)", "previous scope", show=False, priority=True),
    ]

    def __init__(
        self,
        palette: Palette,
        former: list[str],
        scope: Scope,
        typed: Callable[[str, Scope], None],
        *,
        part: bool = False,
    ) -> None:
        """``part``: a part of the container is selected, and searched first."""
        super().__init__(palette, " /", "", _EXAMPLES, former)
        self._scopes = (Scope.PART, *SCOPES) if part else SCOPES
        self.scope = Scope.PART if part else scope
        self._tell = typed

    def on_mount(self) -> None:
        self._show_scope()

    def _show_scope(self) -> None:
        self.beside(f" in {self.scope.value} (Tab)")

    def typed(self, text: str) -> None:
        self._tell(text, self.scope)

    def action_scope(self, step: int) -> None:
        """Another scope."""
        self.scope = self._scopes[(self._scopes.index(self.scope) + step) % len(self._scopes)]
        self._show_scope()
        self.typed(self.text)

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.dismiss((event.value, self.scope) if event.value.strip() else None)

    def on_click(self, event: events.Click) -> None:
        if event.widget is self.query_one("#side", Line):
            self.action_scope(1)
