"""Export a section, its chain, a part of the container or the selected bytes to a file."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from rich.style import Style
from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widgets import Input

from qevm import export
from qevm.problems import QevmError
from qevm.safetext import safe
from qevm_tui.dialogs.base import Choice, Dialog, Line, QuietInput, frame
from qevm_tui.exports import Exportable
from qevm_tui.palette import Palette
from qevm_tui.words import human


class ExportDialog(Dialog[str]):
    """Asks what, in which format and where to; returns what was done, in words."""

    def __init__(self, choices: Sequence[Exportable], palette: Palette, first: int = 0) -> None:
        """``choices``: at least one; ``first`` is the one that is proposed."""
        super().__init__(palette)
        self._choices = choices
        self._first = first
        # All choices of one selection have the same formats.
        self._formats = choices[0].formats
        self._proposed = ""
        self._overwrite: Path | None = None
        self._writing = False

    def compose(self) -> ComposeResult:
        what = Choice([choice.word for choice in self._choices], self.palette, id="what")
        what.chosen = self._first
        yield frame(
            " export ",
            Horizontal(_label("what"), what, classes="entry"),
            Horizontal(
                _label("format"),
                Choice([f.value for f in self._formats], self.palette, id="format"),
                classes="entry",
            ),
            Horizontal(_label("file"), QuietInput(id="name"), classes="entry"),
            Line("", id="size"),
            Line("Enter writes   Tab and arrows choose   Esc closes", self.palette.dim, id="answer"),
        )

    def on_mount(self) -> None:
        self._propose()
        self.query_one("#name").focus()

    def _what(self) -> Exportable:
        return self._choices[self.query_one("#what", Choice).chosen]

    def _format(self) -> export.Format:
        return self._formats[self.query_one("#format", Choice).chosen]

    @on(Choice.Changed)
    def _propose(self) -> None:
        """Propose a name, unless the user has typed another one."""
        what = self._what()
        name = what.name(self._format())
        entry = self.query_one("#name", Input)
        if entry.value in ("", self._proposed):
            entry.value = name
            entry.cursor_position = len(name)
        self._proposed = name
        self._overwrite = None
        self.query_one("#size", Line).say(f"{what.words}, {human(what.size)}", self.palette.dim)

    @on(Input.Changed)
    def _name_changed(self) -> None:
        if self._overwrite is not None:
            self._overwrite = None
            self._answer("")

    def _answer(self, text: str, style: Style | None = None) -> None:
        self.query_one("#answer", Line).say(text, style)

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        if self._writing:
            return
        if not event.value.strip():
            self._answer("type a file name", self.palette.problem)
            return
        target = Path(event.value).expanduser()
        self._writing = True
        self._answer("writing …", self.palette.dim)
        force = self._overwrite == target
        self.run_worker(partial(self._write, self._what(), self._format(), target, force), thread=True)

    def _write(self, what: Exportable, form: export.Format, target: Path, force: bool) -> None:
        """In a thread: a chain can be a hundred gigabytes."""
        try:
            count = export.write_file(target, what.blocks(form), force=force)
        except export.TargetExists:
            self.app.call_from_thread(self._ask_overwrite, target)
        except QevmError as error:
            self.app.call_from_thread(self._failed, str(error))
        else:
            words = f"wrote {count:,} bytes to {safe(str(target))}"
            self.app.call_from_thread(self.dismiss, words)

    def _ask_overwrite(self, target: Path) -> None:
        self._writing = False
        self._overwrite = target
        self._answer(
            f"{safe(target.name)} exists. Enter again overwrites it, Esc keeps it", self.palette.note
        )

    def _failed(self, text: str) -> None:
        self._writing = False
        self._answer(text, self.palette.problem)


def _label(text: str) -> Line:
    line = Line(text)
    line.set_classes("label")
    return line
