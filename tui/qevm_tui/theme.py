"""The themes of Textual's own parts (dialog frames, inputs, the palette): the terminal's own colours."""

from __future__ import annotations

from textual.theme import Theme

PREFIX = "qevm-"


def _theme(name: str, *, accent: str, cursor: tuple[str, str], quiet: str, dark: bool = True) -> Theme:
    """``cursor`` is (text, ground) of the chosen row, ``quiet`` what scrollbars and old frames have."""
    plain = "ansi_default"
    text, ground = cursor
    return Theme(
        name=PREFIX + name,
        ansi=True,
        primary=accent,
        secondary=accent,
        warning="ansi_yellow" if name != "mono" else plain,
        error="ansi_red" if name != "mono" else plain,
        success="ansi_green" if name != "mono" else plain,
        accent=accent,
        foreground=plain,
        background=plain,
        surface=plain,
        panel=plain,
        boost=plain,
        dark=dark,
        variables={
            "ansi-background": "ansi_black" if dark else "ansi_bright_white",
            "ansi-foreground": "ansi_white" if dark else "ansi_black",
            "block-cursor-foreground": text,
            "block-cursor-background": ground,
            "block-cursor-text-style": "none" if name != "mono" else "reverse",
            "border": accent,
            "border-blurred": quiet,
            "input-cursor-background": "ansi_white" if dark else "ansi_black",
            "input-cursor-foreground": "ansi_black" if dark else "ansi_bright_white",
            "input-selection-background": ground,
            "input-selection-foreground": text,
            "scrollbar": quiet,
            "scrollbar-background": plain,
        },
    )


TEXTUAL_THEMES = (
    _theme("dark", accent="ansi_cyan", cursor=("ansi_bright_white", "ansi_blue"), quiet="ansi_bright_black"),
    _theme(
        "light",
        accent="ansi_blue",
        cursor=("ansi_bright_white", "ansi_blue"),
        quiet="ansi_bright_black",
        dark=False,
    ),
    _theme(
        "contrast",
        accent="ansi_bright_cyan",
        cursor=("ansi_black", "ansi_bright_yellow"),
        quiet="ansi_bright_white",
    ),
    _theme("ansi", accent="ansi_cyan", cursor=("ansi_white", "ansi_blue"), quiet="ansi_bright_black"),
    _theme("mono", accent="ansi_default", cursor=("ansi_default", "ansi_default"), quiet="ansi_default"),
)
"""One for each of :data:`qevm_tui.palette.THEMES`."""
