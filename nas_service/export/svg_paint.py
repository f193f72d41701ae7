"""Colours of pictures in a light, a dark, or the reader's own theme."""

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple


class Theme(StrEnum):
    """On what a picture is looked at."""

    LIGHT = "light"
    DARK = "dark"
    AUTO = "auto"  # whichever the reader's browser prefers


class Pair(NamedTuple):
    """One colour as it is in both themes, each `#rrggbb`."""

    light: str
    dark: str


BACKGROUND = Pair("#ffffff", "#0f1216")
PANEL = Pair("#f7f7f5", "#161b22")
LINE = Pair("#d5d3cb", "#38404b")  # borders, grids: nothing to be read
TEXT = Pair("#1b1f24", "#e8eaed")
MUTED = Pair("#59616b", "#a0a9b5")


class Paint:
    """Writes colours as attributes; for the reader's own theme it also keeps the rules that replace them on dark.

    The attributes alone are the light theme: what reads no style sheets, or is not allowed to, shows that one.
    """

    def __init__(self, theme: Theme) -> None:
        """Keep no rule yet."""
        self._theme = theme
        self._rules: dict[str, str] = {}

    def attributes(self, classes: str = "", **colours: Pair) -> str:
        """Return attributes such as `fill="#ffffff"`, and a class attribute where one is needed."""
        words = classes.split()
        written = []
        for name, pair in colours.items():
            written.append(f'{name}="{pair.dark if self._theme is Theme.DARK else pair.light}"')
            if self._theme is Theme.AUTO:
                word = f"nas-{name}-{pair.light[1:]}-{pair.dark[1:]}"
                self._rules[word] = f"{name}:{pair.dark}"
                words.append(word)
        return " ".join([*([f'class="{" ".join(words)}"'] if words else []), *written])

    def style(self) -> str:
        """Return the style element of everything painted so far: nothing unless the theme is the reader's own."""
        return f"<style>{dark_rules(self._rules)}</style>" if self._rules else ""


def dark_rules(rules: Mapping[str, str]) -> str:
    """Return the style sheet that gives classes these rules where the reader prefers a dark theme."""
    written = "".join(f".{name}{{{rule}}}" for name, rule in sorted(rules.items()))
    return f"@media (prefers-color-scheme:dark){{{written}}}"
