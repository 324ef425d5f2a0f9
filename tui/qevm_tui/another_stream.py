"""Going over to another stream of the same file: the next one behind this one, or another snapshot."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from qevm.capture import Capture
from qevm_tui.background import Background

if TYPE_CHECKING:
    from qevm.containers import Snapshot

Reopen = Callable[[str], Capture]
"""Opens the same file with another snapshot, by its id."""


class AnotherStream(Background):
    """``wanted`` is what to open after this app has ended; None to end the program."""

    wanted: Callable[[], Capture] | None = None
    reopen: Reopen | None = None

    def action_streams(self) -> None:
        """Choose another stream or snapshot of the file."""
        opened = self.capture.opened
        snapshots = [] if opened is None else [s for s in opened.container.snapshots if s.vm_state_size]
        if len(snapshots) > 1:
            self._choose_snapshot(snapshots)
            return
        bases = self._bases()
        if len(bases) > 1:
            self._choose_base(bases)
        elif not self.capture.complete:
            self.say("whether another stream follows is known when this one is indexed")
        else:
            self.say("there is no other stream in this file")

    def _bases(self) -> list[int]:
        """Where streams are known to begin in the source: the first, this one, the next."""
        opened = self.capture.opened
        found = {self.capture.base}
        if opened is not None:
            found.add(opened.stream.base)
        if self.doing.next_stream is not None:
            found.add(self.doing.next_stream)
        return sorted(found)

    def _choose_base(self, bases: list[int]) -> None:
        from qevm_tui.dialogs.chooser import ChooserDialog

        here = self.capture.base
        rows = [
            (f"0x{base:x}", "open here" if base == here else "next" if base > here else "before")
            for base in bases
        ]

        def chosen(number: int | None) -> None:
            if number is not None and bases[number] != here:
                self._leave_for(lambda: self._beside(bases[number]))

        headings = ("begins at", "")
        dialog = ChooserDialog("streams of this file", headings, rows, self.palette, bases.index(here))
        self.push_screen(dialog, chosen)

    def _beside(self, base: int) -> Capture:
        now = self.capture
        capture = Capture(now.source, base, now.name, opened=now.opened)
        capture.cached, capture.follow = now.cached, now.follow
        return capture

    def _choose_snapshot(self, snapshots: list[Snapshot]) -> None:
        from qevm.containers.qcow2 import choice
        from qevm_tui.dialogs.chooser import ChooserDialog

        reopen = self.reopen
        if reopen is None or self.capture.name == "-":
            self.say("a pipe cannot be opened again: choose with --snapshot")
            return
        needed = choice("", snapshots)

        def chosen(number: int | None) -> None:
            if number is not None:
                self._leave_for(lambda: reopen(snapshots[number].id))

        rows = [tuple(one.columns) for one in needed.choices]
        self.push_screen(
            ChooserDialog("snapshots of this image", needed.headings, rows, self.palette), chosen
        )

    def _leave_for(self, wanted: Callable[[], Capture]) -> None:
        self.wanted = wanted
        self.exit()
