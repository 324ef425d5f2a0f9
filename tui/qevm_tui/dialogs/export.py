"""Export a section, its chain or the selected bytes to a file."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rich.style import Style
from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widgets import Input

from qevm import export
from qevm.problems import QevmError
from qevm.safetext import safe
from qevm.section import Section
from qevm_tui.dialogs.base import Choice, Dialog, Line, QuietInput, frame
from qevm_tui.palette import Palette
from qevm_tui.selection import Selection
from qevm_tui.words import human

if TYPE_CHECKING:
    from qevm.capture import Capture

_FORMATS = (export.Format.RAW, export.Format.HEX, export.Format.JSON)


class ExportDialog(Dialog[str]):
    """Asks what, in which format and where to; returns what was done, in words."""

    def __init__(self, capture: Capture, selection: Selection, palette: Palette) -> None:
        super().__init__(palette)
        assert selection.section is not None
        self._capture = capture
        self._section: Section = selection.section
        self._selection = selection
        self._chain = self._chain_of(self._section)
        self._whats = ["section"]
        if len(self._chain) > 1:
            self._whats.append("chain")
        if selection.size:
            self._whats.append("bytes")
        self._proposed = ""
        self._overwrite: Path | None = None
        self._writing = False

    def _chain_of(self, section: Section) -> list[Section]:
        if section.device is None:
            return [section]
        device = self._capture.index.devices[section.device]
        return [self._capture.index[row] for row in device.sections] if device.iterative else [section]

    def compose(self) -> ComposeResult:
        what = Choice(self._whats, self.palette, id="what")
        if self._selection.marked:
            what.chosen = len(self._whats) - 1
        yield frame(
            " export ",
            Horizontal(_label("what"), what, classes="entry"),
            Horizontal(
                _label("format"),
                Choice([f.value for f in _FORMATS], self.palette, id="format"),
                classes="entry",
            ),
            Horizontal(_label("file"), QuietInput(id="name"), classes="entry"),
            Line("", id="size"),
            Line("Enter writes   Tab and arrows choose   Esc closes", self.palette.dim, id="answer"),
        )

    def on_mount(self) -> None:
        self._propose()
        self.query_one("#name").focus()

    def _what(self) -> str:
        return self._whats[self.query_one("#what", Choice).chosen]

    def _format(self) -> export.Format:
        return _FORMATS[self.query_one("#format", Choice).chosen]

    @on(Choice.Changed)
    def _propose(self) -> None:
        """Propose a name, unless the user has typed another one."""
        what, form = self._what(), self._format()
        if what == "bytes":
            start, end = self._selection.start, self._selection.end
            name, size = export.propose_range_name(start, end, form), end - start
            words = f"bytes 0x{start:x} … 0x{end - 1:x}"
        elif what == "chain":
            name = export.propose_name(self._chain, form, chain=True)
            size = sum(section.size for section in self._chain)
            words = f"{len(self._chain):,} sections of {safe(self._section.device_id)}"
            if not self._capture.complete:
                words += " (so far: indexing goes on)"
        else:
            name, size = export.propose_name([self._section], form), self._section.size
            words = f"{self._section.kind.name} {safe(self._section.device_id)}"
        entry = self.query_one("#name", Input)
        if entry.value in ("", self._proposed):
            entry.value = name
            entry.cursor_position = len(name)
        self._proposed = name
        self._overwrite = None
        self.query_one("#size", Line).say(f"{words}, {human(size)}", self.palette.dim)

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
        what = self._what()
        chosen: list[Section] | tuple[int, int]
        if what == "bytes":
            chosen = (self._selection.start, self._selection.end)
        else:
            chosen = self._chain if what == "chain" else [self._section]
        self._writing = True
        self._answer("writing …", self.palette.dim)
        force = self._overwrite == target
        self.run_worker(partial(self._write, chosen, self._format(), target, force), thread=True)

    def _write(
        self, chosen: list[Section] | tuple[int, int], form: export.Format, target: Path, force: bool
    ) -> None:
        """In a thread: a chain can be a hundred gigabytes."""
        try:
            count = export.write_file(target, export.blocks(self._capture, chosen, form), force=force)
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
