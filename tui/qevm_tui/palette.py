"""Every style that the panes draw with, in one place.

Themes for dark and for light terminals, one with high contrast, one with the 16 colours of every terminal
and one with none.  Colours are indexes of the terminal's own palette: two to three bytes over the line
where true colour takes a dozen.  Backgrounds are painted only for the cursor and in the map.  Each thing
that a colour says is also said by a sign, a word or an attribute.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

from rich.style import Style

from qevm.field import Role

_NONE = Style()


@dataclass(slots=True)
class Palette:
    """Styles by what they mean.  All parts of the screen share one, which becomes another theme's."""

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
    cells: tuple[Style, ...]
    """One for each kind of cell of the map, in its order."""

    def become(self, other: Palette) -> None:
        """Take over all styles of ``other``."""
        for item in fields(self):
            setattr(self, item.name, getattr(other, item.name))


def _roles(styles: dict[Role, str]) -> tuple[Style, ...]:
    return tuple(Style.parse(styles.get(role, "none")) for role in Role)


def _palette(roles: dict[Role, str], cells: tuple[str, ...], **styles: str) -> Palette:
    parsed = {name: Style.parse(text) for name, text in styles.items()}
    kinds = tuple(Style.parse(text) for text in cells)
    return Palette(text=_NONE, strong=Style(bold=True), roles=_roles(roles), cells=kinds, **parsed)


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
    (
        "color(240)",
        "color(242) on color(235)",
        "color(110) on color(24)",
        "color(231) on color(60)",
        "color(231) on color(29)",
        "color(231) on color(94)",
        "color(231) on color(166)",
        "bold color(231) on color(160)",
    ),
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

LIGHT = _palette(
    {
        Role.HEADER: "color(25)",
        Role.FOOTER: "color(60)",
        Role.LENGTH: "color(94)",
        Role.NAME: "color(28)",
        Role.ADDRESS: "color(90)",
        Role.TEXT: "color(28)",
        Role.BUFFER: "color(240)",
        Role.PAGE: "color(23)",
        Role.SUBSECTION: "color(130)",
        Role.PADDING: "color(248)",
        Role.PROBLEM: "bold color(160)",
    },
    (
        "color(248)",
        "color(246) on color(254)",
        "color(24) on color(153)",
        "color(231) on color(60)",
        "color(231) on color(29)",
        "color(16) on color(222)",
        "color(231) on color(166)",
        "bold color(231) on color(160)",
    ),
    dim="color(242)",
    accent="color(25)",
    rule="color(250)",
    key="bold color(25)",
    problem="bold color(160)",
    note="color(130)",
    meaning="color(28)",
    number="color(94)",
    name="none",
    cursor="color(231) on color(25)",
    cursor_away="on color(252)",
    selected="on color(153)",
    match="bold underline color(130)",
)
"""256 colours on a light background."""

CONTRAST = _palette(
    {
        Role.HEADER: "bold color(51)",
        Role.FOOTER: "color(117)",
        Role.LENGTH: "color(226)",
        Role.NAME: "color(46)",
        Role.ADDRESS: "color(213)",
        Role.TEXT: "color(46)",
        Role.PAGE: "color(51)",
        Role.SUBSECTION: "bold color(226)",
        Role.PROBLEM: "bold color(231) on color(160)",
    },
    (
        "none",
        "color(231)",
        "bold color(16) on color(51)",
        "bold color(16) on color(213)",
        "bold color(16) on color(46)",
        "bold color(16) on color(226)",
        "bold color(16) on color(231)",
        "bold color(231) on color(160)",
    ),
    dim="none",
    accent="bold color(51)",
    rule="color(231)",
    key="bold color(226)",
    problem="bold color(231) on color(160)",
    note="bold color(226)",
    meaning="color(46)",
    number="color(226)",
    name="color(231)",
    cursor="bold color(16) on color(226)",
    cursor_away="bold underline",
    selected="color(16) on color(231)",
    match="bold underline color(226)",
)
"""Nothing dim, everything bright; black on a bright ground where one is."""

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
    (
        "bright_black",
        "bright_black",
        "black on blue",
        "white on magenta",
        "black on green",
        "black on yellow",
        "bold white on magenta",
        "bold white on red",
    ),
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
    ("none", "none", "none", "bold", "bold", "none", "underline", "bold underline"),
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


THEMES = {"dark": DARK, "light": LIGHT, "contrast": CONTRAST, "ansi": BASIC, "mono": MONO}
"""Each theme's palette; ``auto`` beside them is what suits the terminal."""

AUTO = "auto"


def theme_for(wanted: str, color_system: str | None, no_color: bool) -> str:
    """The theme that a terminal gets; ``color_system`` as rich names it.

    NO_COLOR wins over every wish, and the 256 colours of a theme need a terminal that has them.
    """
    if no_color or color_system is None:
        return "mono"
    few = color_system == "standard"
    if wanted not in THEMES:
        return "ansi" if few else "dark"
    return "ansi" if few and wanted in ("dark", "light") else wanted


def palette_of(theme: str) -> Palette:
    """A palette of its own for ``theme``."""
    return replace(THEMES[theme])
