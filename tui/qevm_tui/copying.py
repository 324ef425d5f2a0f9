"""Copying to the terminal's clipboard: the selected bytes at once, or in a form from a menu."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from qevm.problems import QevmError
from qevm.safetext import safe
from qevm_tui.clipboard import TEXT_LIMIT, advice, sequence
from qevm_tui.explorer import Explorer

if TYPE_CHECKING:
    from qevm_tui.copy_forms import Form
    from qevm_tui.palette import Palette


class Copying(Explorer):
    """Adds copying to the explorer."""

    palette: Palette

    def copy_to_clipboard(self, text: str) -> None:
        """Write text to the terminal's clipboard, also from inside tmux and screen."""
        self._clipboard = text
        if self._driver is not None:
            self._driver.write(sequence(text, os.environ))

    def action_copy(self) -> None:
        """Copy the selected bytes as hexdump text."""
        from qevm_tui.copy_forms import hexdump_text

        try:
            text = hexdump_text(self.source, self.selection)
        except QevmError as error:
            self.say(str(error), bad=True)
        else:
            self._copy(text, f"{self.selection.size:,} bytes as hexdump text")

    def action_copy_menu(self) -> None:
        """Ask in which form to copy."""
        from qevm_tui.copy_forms import forms
        from qevm_tui.dialogs.copy import CopyMenu

        def chosen(form: Form | None) -> None:
            if form is None:
                return
            try:
                text = form.text()
            except QevmError as error:
                self.say(str(error), bad=True)
            else:
                self._copy(text, form.name)

        entries = forms(self.source, self.selection, self.root)
        self.push_screen(CopyMenu(entries, self.palette), chosen)

    def _copy(self, text: str, what: str) -> None:
        if len(text.encode("utf-8", "replace")) > TEXT_LIMIT:
            self.say(f"{what} is too long for a terminal's clipboard", bad=True)
            return
        self.copy_to_clipboard(text)
        self.say(f"copied {safe(what)}; {advice(os.environ)}")
