"""Every style that the panes draw with, in one place.

Colours are indexes of the terminal's own palette: two to three bytes over the line where true colour
takes a dozen, and a 16-colour terminal or ``TERM=linux`` shows them too.  Backgrounds are painted only
for the cursor.  Each thing that a colour says is also said by a sign, a word or an attribute.
"""

from __future__ import annotations

from dataclasses import dataclass

from rich.style import Style

from qevm.field import Role

_NONE = Style()


@dataclass(frozen=True, slots=True)
class Palette:
    """Styles by what they mean."""

    text: Style
    dim: Style
    strong: Style
    accent: Style
    rule: Style
    key: Style
    problem: Style
    note: Style
    meaning: Style
    number: Style
    name: Style
    cursor: Style
    """The row or byte under the cursor of the pane that has the keys."""
    cursor_away: Style
    """The same in the other panes."""
    selected: Style
    """Selected bytes."""
    roles: tuple[Style, ...]
    """One tint for each :class:`Role`, in its order."""
    match: Style
    """Bytes that a search found."""


def _roles(styles: dict[Role, str]) -> tuple[Style, ...]:
    return tuple(Style.parse(styles.get(role, "none")) for role in Role)


def _palette(roles: dict[Role, str], **styles: str) -> Palette:
    parsed = {name: Style.parse(text) for name, text in styles.items()}
    return Palette(text=_NONE, strong=Style(bold=True), roles=_roles(roles), **parsed)


DARK = _palette(
    {
        Role.HEADER: "color(110)",
        Role.FOOTER: "color(103)",
        Role.LENGTH: "color(180)",
        Role.NAME: "color(108)",
        Role.ADDRESS: "color(139)",
        Role.TEXT: "color(108)",
        Role.BUFFER: "color(246)",
        Role.PAGE: "color(73)",
        Role.SUBSECTION: "color(179)",
        Role.PADDING: "color(240)",
        Role.PROBLEM: "bold color(203)",
    },
    dim="color(244)",
    accent="color(110)",
    rule="color(240)",
    key="bold color(110)",
    problem="bold color(203)",
    note="color(179)",
    meaning="color(108)",
    number="color(180)",
    name="none",
    cursor="color(231) on color(25)",
    cursor_away="on color(237)",
    selected="on color(17)",
    match="bold underline color(221)",
)
"""256 colours on a dark background."""

BASIC = _palette(
    {
        Role.HEADER: "cyan",
        Role.FOOTER: "blue",
        Role.LENGTH: "yellow",
        Role.NAME: "green",
        Role.ADDRESS: "magenta",
        Role.TEXT: "green",
        Role.PAGE: "cyan",
        Role.SUBSECTION: "yellow",
        Role.PADDING: "bright_black",
        Role.PROBLEM: "bold red",
    },
    dim="bright_black",
    accent="cyan",
    rule="bright_black",
    key="bold cyan",
    problem="bold red",
    note="yellow",
    meaning="green",
    number="yellow",
    name="none",
    cursor="white on blue",
    cursor_away="bold underline",
    selected="black on cyan",
    match="bold underline yellow",
)
"""The 16 colours that every terminal has."""

MONO = _palette(
    {Role.HEADER: "bold", Role.FOOTER: "bold", Role.PROBLEM: "bold underline"},
    dim="none",
    accent="bold",
    rule="none",
    key="bold",
    problem="bold underline",
    note="underline",
    meaning="none",
    number="none",
    name="none",
    cursor="reverse",
    cursor_away="bold underline",
    selected="underline",
    match="bold underline",
)
"""No colour at all (NO_COLOR)."""


def palette_for(color_system: str | None, no_color: bool) -> Palette:
    """The palette that suits a terminal; ``color_system`` as rich names it."""
    if no_color or color_system is None:
        return MONO
    return BASIC if color_system == "standard" else DARK
