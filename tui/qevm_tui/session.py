"""One run of the app after the other, as long as the user goes from stream to stream of a file."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from textual.app import App

from qevm.capture import Capture
from qevm.problems import QevmError
from qevm_tui.app import QevmApp
from qevm_tui.opening import open_asking
from qevm_tui.palette import AUTO, palette_of, theme_for
from qevm_tui.questions import Question, Questions
from qevm_tui.settings import Settings
from qevm_tui.theme import PREFIX, TEXTUAL_THEMES

if TYPE_CHECKING:
    from textual.driver import Driver

Opening = Callable[[str | None], Capture]
"""Opens the file, with the id of a snapshot or as the command line says."""


class AskApp(App[None]):
    """One dialog on an empty screen, for what must be known before there is a capture."""

    CSS_PATH = "app.tcss"
    TITLE = "qevm"

    def __init__(self, question: Question, theme: str = AUTO) -> None:
        super().__init__(ansi_color=True)
        self.animation_level = "none"
        for one in TEXTUAL_THEMES:
            self.register_theme(one)
        self._theme_name = theme_for(theme, self.console.color_system, self.no_color)
        self.theme = PREFIX + self._theme_name
        self._question = question

    def get_driver_class(self) -> type[Driver]:
        from qevm_tui.thin_line import thin_driver

        return thin_driver(super().get_driver_class())

    def on_mount(self) -> None:
        self.push_screen(self._question.dialog(palette_of(self._theme_name)), self._answered)

    def _answered(self, result: object) -> None:
        self._question.result = result
        self.exit()


def show_question(question: Question, theme: str) -> None:
    """Run :class:`AskApp`; an app that was quit in another way has answered None."""
    try:
        AskApp(question, theme).run()
    finally:
        question.answer(question.result)


def explore(
    opening: Opening,
    questions: Questions,
    settings: Settings,
    first_words: str = "",
    prepare: Callable[[], None] = lambda: None,
) -> int:
    """Open a capture and explore it; returns the exit status.

    ``first_words`` are said when the app opens.  ``prepare`` is called when the capture's own bytes are
    taken care of and before the terminal is used.
    """
    prepared = False

    def show(question: Question) -> None:
        nonlocal prepared
        if not prepared:
            prepare()
            prepared = True
        show_question(question, settings.theme)

    capture = open_asking(questions, lambda: opening(None), show)
    if not prepared:
        prepare()
    words = first_words
    while True:
        app = QevmApp(capture, questions=questions, settings=settings)
        app.first_words = words
        app.reopen = opening
        try:
            app.run()
            wanted = app.wanted
            if wanted is None:
                return app.return_code or 0
            try:
                before, capture = capture, open_asking(questions, wanted, show)
            except QevmError as error:
                words = str(error)
            else:
                words = ""
                if before.opened is not capture.opened:
                    before.close()
        finally:
            if app.wanted is None:
                questions.close()
                capture.close()
