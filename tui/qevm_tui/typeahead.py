"""Keys in the order in which they were typed, whatever they open or close.

A key travels from the app to the focused widget and back up to the app, where bindings run.  On a slow line
keys come in bursts: when ``/`` and ``cpu`` arrive in one read, the letters would set out for the pane behind
before the search has opened, and be lost.  So each key waits until the one before it is done, and until a
dialog that has opened can take it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from time import monotonic

from textual import events
from textual.app import App
from textual.message_pump import MessagePump

_LOST_AFTER = 0.5
"""Seconds after which a key that did not come back is given up: its widget was removed meanwhile."""

_ROUNDS = 2
"""A key may make its widget post a message (Enter in an input); the second round is behind that one."""


class TypeAhead(App[None]):
    """An app that takes one key at a time."""

    def __init__(self, *, ansi_color: bool = False) -> None:
        super().__init__(ansi_color=ansi_color)
        self._keys: deque[events.Key | events.Paste] = deque()
        self._key_began: float | None = None
        """When the key that is at work was taken; None when none is."""
        self._key_waits = False

    async def on_event(self, event: events.Event) -> None:
        """Keep keys and pasted text apart from all else."""
        if isinstance(event, events.Key | events.Paste) and not event.is_forwarded:
            self._keys.append(event)
            if self._key_began is None or monotonic() - self._key_began > _LOST_AFTER:
                self._key_waits = False
                await self._take_key()
        else:
            await super().on_event(event)

    async def _take_key(self) -> None:
        if not self._keys:
            self._key_began = None
            return
        self._key_began = began = monotonic()
        screen = self.screen
        if not screen.is_mounted:
            # What is called later on a screen is called when it is composed and mounted.
            self._behind(screen, lambda: self.call_later(self._go_on, began))
            return
        target = self.focused or screen
        await super().on_event(self._keys.popleft())
        self._follow(target, _ROUNDS, began)

    def _follow(self, target: MessagePump, rounds: int, began: float) -> None:
        """Go behind the key from widget to parent up to the app: their queues keep the order."""

        def up(node: MessagePump) -> None:
            parent = node._parent or self
            if parent is not self:
                self._behind(parent, lambda: up(parent))
            elif rounds > 1:
                self.call_later(self._follow, target, rounds - 1, began)
            else:
                self.call_later(self._go_on, began)

        self._behind(target, lambda: up(target))

    def _behind(self, node: MessagePump, then: Callable[[], object]) -> None:
        """Call ``then`` when ``node`` is done with what waits for it."""
        if not node.call_later(then):
            self.call_later(then)

    async def _go_on(self, began: float) -> None:
        if self._key_began == began and not self._key_waits:
            await self._take_key()

    def key_waits(self) -> None:
        """The action of the key at work opens its dialog later: keys behind it are for that dialog.

        They wait until :meth:`key_done`, or until it is clear that this takes long.
        """
        self._key_waits = self._key_began is not None

    def key_done(self) -> None:
        """What :meth:`key_waits` announced has come, or will not come."""
        if self._key_waits and self._key_began is not None:
            self._key_waits = False
            self.call_later(self._go_on, self._key_began)

    @property
    def typing(self) -> bool:
        """True while a key is at work or waits, in an app that has not been quit."""
        return self._key_began is not None and not self._exit
