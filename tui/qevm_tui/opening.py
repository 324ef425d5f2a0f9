"""Opening a capture for the app: in a thread, so that what comes up on the way can be asked."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from qevm.capture import Capture
from qevm.containers import ChoiceNeeded, Space
from qevm_tui.questions import Question, Questions

if TYPE_CHECKING:
    from qevm_tui.dialogs.chooser import ChooserDialog
    from qevm_tui.dialogs.space import SpaceDialog
    from qevm_tui.palette import Palette


PATIENCE = 1.0
"""Seconds that opening may take without a word: a pipe may have nothing to give yet."""


def choose_with(questions: Questions) -> Callable[[ChoiceNeeded], str | None]:
    """A ``choose`` callback for opening: asks for one of several snapshots."""

    def choose(needed: ChoiceNeeded) -> str | None:
        def dialog(palette: Palette) -> ChooserDialog:
            from qevm_tui.dialogs.chooser import ChooserDialog

            rows = [one.columns for one in needed.choices]
            return ChooserDialog("which snapshot?", needed.headings, rows, palette)

        number = questions.ask(dialog)
        return None if number is None else needed.choices[number].value

    return choose


def confirm_with(questions: Questions) -> Callable[[Space], bool]:
    """A ``confirm`` callback for limits: asks before the disk is filled."""

    def confirm(space: Space) -> bool:
        def dialog(palette: Palette) -> SpaceDialog:
            from qevm_tui.dialogs.space import SpaceDialog

            return SpaceDialog(space, palette)

        return questions.ask(dialog) is True

    return confirm


def open_asking(
    questions: Questions, opening: Callable[[], Capture], show: Callable[[Question], None]
) -> Capture:
    """Run ``opening`` in a thread and meanwhile ``show`` the questions that come up.

    Raises what ``opening`` raises.
    """
    capture: list[Capture] = []
    failure: list[BaseException] = []

    def run() -> None:
        try:
            capture.append(opening())
        except BaseException as error:
            failure.append(error)
        finally:
            questions.wake()

    thread = threading.Thread(target=run, name="qevm-open", daemon=True)
    thread.start()
    waited = False
    while thread.is_alive() and not capture and not failure:
        question = questions.take(timeout=None if waited else PATIENCE)
        if question is not None:
            show(question)
        elif not waited and not capture and not failure:
            waited = True
            print("qevm: opening … (ctrl+C ends)", end="\r", file=sys.stderr, flush=True)
    if failure:
        raise failure[0]
    return capture[0]
