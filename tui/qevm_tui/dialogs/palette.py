"""The command palette: every action and every device."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, cast

from textual.command import CommandInput, CommandPalette, DiscoveryHit, Hit, Hits, Provider, SearchIcon
from textual.content import Content
from textual.types import IgnoreReturnCallbackType

from qevm.safetext import safe
from qevm_tui.dialogs.jump import DeviceKey, all_devices
from qevm_tui.keys import KEYS, shown
from qevm_tui.settings import THEME_NAMES

if TYPE_CHECKING:
    from qevm_tui.app import QevmApp


class QevmCommands(Provider):
    """Actions from the table of keys, then devices."""

    def _commands(self) -> Iterable[tuple[str, str, IgnoreReturnCallbackType]]:
        app = cast("QevmApp", self.app)
        for key in KEYS:
            if key.command:
                # What belongs to a pane is done there, whichever has the keys now.
                pane = app if key.scope == "app" else app.query_one(f"#{key.scope}")
                yield key.help, shown(key, app.settings.keymap), partial(app.run_action, key.action, pane)
        for theme in THEME_NAMES:
            yield f"theme {theme}", "", partial(app.use_theme, theme)
        for (idstr, instance), size in all_devices(app.capture):
            yield f"device {safe(idstr)}@{instance}", size, partial(self._jump, (idstr, instance))

    def _jump(self, device: DeviceKey) -> None:
        cast("QevmApp", self.app).go_to_device(*device)

    async def discover(self) -> Hits:
        for text, note, command in self._commands():
            yield DiscoveryHit(Content(f"{text}  {note}"), command, text=text)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for text, note, command in self._commands():
            score, places = matcher.fuzzy_search.match(query, text)
            if score > 0:
                content = Content(f"{text}  {note}")
                for place in places:
                    content = content.stylize("underline", place, place + 1)
                yield Hit(score, content, command, text=text)


class QevmPalette(CommandPalette):
    """Textual's palette with our commands, without a blinking cursor and wide signs."""

    def __init__(self) -> None:
        super().__init__(providers=[QevmCommands], placeholder="action or device")

    def on_mount(self) -> None:
        self.query_one(SearchIcon).icon = ">"
        self.query_one(CommandInput).cursor_blink = False
