"""Narrowing the section tree by an expression."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qevm.filter import KEYS, FilterError, read_filter
from qevm.safetext import safe
from qevm_tui.explorer import Explorer

if TYPE_CHECKING:
    from qevm_tui.palette import Palette
    from qevm_tui.panes.section_tree import SectionTree

_REMEMBERED = 50


class Filtering(Explorer):
    """Adds the filter to the explorer."""

    palette: Palette
    tree_pane: SectionTree
    former_filters: tuple[str, ...] = ()
    """For the arrow keys of the prompt, the newest last."""

    def action_filter(self) -> None:
        """Ask for an expression that narrows the section tree."""
        from qevm_tui.dialogs.filter import FilterPrompt

        def done(text: str | None) -> None:
            if not text:
                self.tree_pane.narrow(None)
                return
            others = (one for one in self.former_filters if one != text)
            self.former_filters = (*others, text)[-_REMEMBERED:]

        wanted = self.tree_pane.filter
        value = "" if wanted is None else wanted.text
        self.push_screen(FilterPrompt(self.palette, value, list(self.former_filters), self._narrow), done)

    def _narrow(self, text: str) -> bool:
        """Narrow the tree by what is typed so far; returns whether it is an expression, or empty."""
        if not text.strip():
            self.tree_pane.narrow(None)
            self._say_below(
                f"Enter keeps, Esc shows all · {' '.join(f'{key}:' for key in KEYS)} and or not ( )"
            )
            return True
        try:
            wanted = read_filter(text)
        except FilterError as error:
            self._say_below(safe(str(error)), bad=True)
            return False
        self.tree_pane.narrow(wanted)
        self._say_below(f"{self.tree_pane.narrowed_words()} sections")
        return True

    def _say_below(self, text: str, *, bad: bool = False) -> None:
        from qevm_tui.dialogs.filter import FilterPrompt

        if isinstance(self.screen, FilterPrompt):
            self.screen.answer(text, self.palette.problem if bad else self.palette.meaning)

    def drop_filter(self) -> bool:
        """Show all sections again; returns whether there was a filter."""
        if self.tree_pane.filter is None:
            return False
        self.tree_pane.narrow(None)
        self.say("all sections are shown again")
        return True
