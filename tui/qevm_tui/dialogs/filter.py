"""Filter the section tree: the prompt that narrows it while one types."""

from __future__ import annotations

from collections.abc import Callable

from textual import on
from textual.widgets import Input

from qevm_tui.dialogs.prompt import Prompt
from qevm_tui.palette import Palette

_EXAMPLES = "type:FULL name:virtio* size>1k depth:0 problem not (cpu or ram)"

HELP = (
    ("virtio", "the device id holds it"),
    ("type:FULL,END", "kind of section; also confidence:guessed"),
    ("name:*ide", "device name or its last part, with * and ?"),
    ("size>1k", "also offset id instance version depth"),
    ("problem", "has problems; problem:error the bad ones"),
    ("not a (b or c)", "not or -, and or nothing, or, brackets"),
)
"""For the help screen."""


class FilterPrompt(Prompt[str]):
    """Asks for an expression; Enter keeps it, Escape and an empty one show all sections again."""

    def __init__(self, palette: Palette, value: str, former: list[str], typed: Callable[[str], bool]) -> None:
        """``typed`` narrows the tree; it says whether the text is an expression, or empty."""
        super().__init__(palette, " f", value, _EXAMPLES, former)
        self._tell = typed
        self._good = True

    def typed(self, text: str) -> None:
        self._good = self._tell(text)

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        if self._good:
            self.dismiss(event.value.strip())
