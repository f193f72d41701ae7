"""A page that is watched: what it may not do, and what may not be wrong with it at any time."""

import re
import shutil
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import ConsoleMessage, Page, Request

CHROMIUM = Path(shutil.which("chromium") or "/usr/bin/chromium")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
WIDTHS = (390, 768, 1440)

_WIDER = """() => {
  const limit = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= limit) return [];
  return [...document.querySelectorAll('body *')]
    .filter((element) => element.getBoundingClientRect().right > limit + 1)
    .map((element) => `${element.tagName} ${element.className} ${Math.round(element.getBoundingClientRect().right)}`)
    .slice(0, 5);
}"""
_TEXTS = """(picture) => [...document.querySelectorAll(`${picture} text`)].filter((text) => text.textContent).map((text) => {
  const box = text.getBoundingClientRect();
  const frame = text.closest('svg').getBoundingClientRect();
  return {text: text.textContent, left: box.left - frame.left, right: box.right - frame.left, top: box.top - frame.top,
    bottom: box.bottom - frame.top, width: frame.width, height: frame.height};
})"""
_FINDINGS = """async () => (await axe.run(document)).violations.map(
  (found) => `${found.id}: ${found.nodes.slice(0, 3).map((node) => node.target + ' ' + node.failureSummary).join(' | ')}`
)"""


@dataclass
class Watch:
    """What a page said and asked for; a test of a service that goes away forgives what it expects."""

    base: str
    errors: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    forgiven: list[str] = field(default_factory=list)

    def follow(self, page: Page) -> None:
        """Listen to a page."""
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", self._see)

    def forgive(self, pattern: str) -> None:
        """Expect errors that hold this pattern."""
        self.forgiven.append(pattern)

    def complaints(self) -> list[str]:
        """Return everything that was not expected."""
        errors = [error for error in self.errors if not any(re.search(pattern, error) for pattern in self.forgiven)]
        return [*errors, *(f"foreign: {address}" for address in self.foreign)]

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.errors.append(f"{message.text} ({message.location.get('url', '')})")

    def _see(self, request: Request) -> None:
        if not request.url.startswith((self.base, "data:", "blob:")):
            self.foreign.append(request.url)


@cache
def _axe() -> str:
    return (Path(__file__).parent / "axe.min.js").read_text()


def axe(page: Page) -> list[str]:
    """Return what axe finds wrong with a page as it is now."""
    page.evaluate(_axe())
    found: list[str] = page.evaluate(_FINDINGS)
    return found


def overflow(page: Page) -> list[str]:
    """Return what is wider than the screen."""
    found: list[str] = page.evaluate(_WIDER)
    return found


def texts_of(page: Page, picture: str) -> list[dict[str, Any]]:
    """Return texts of the pictures that a selector finds: edges from the left upper corner, and the picture's size, in pixels."""
    found: list[dict[str, Any]] = page.evaluate(_TEXTS, picture)
    return found


def is_inside(text: dict[str, Any]) -> bool:
    """Tell whether a text of a picture leaves it nowhere; a pixel is rounding."""
    across: bool = text["left"] >= -1 and text["right"] <= text["width"] + 1
    down: bool = text["top"] >= -1 and text["bottom"] <= text["height"] + 1
    return across and down


@dataclass(frozen=True)
class Look:
    """A way to look at a page."""

    name: str
    width: int
    height: int
    scheme: Any

    def context(self) -> dict[str, Any]:
        """Return what a browser's context is made with."""
        return {"viewport": {"width": self.width, "height": self.height}, "color_scheme": self.scheme}


LIGHT = Look("light", 1440, 900, "light")
DARK = Look("dark", 1440, 900, "dark")
PHONE = Look("phone", 390, 844, "light")
LOOKS = (LIGHT, DARK, PHONE)
# With every change the first alone, which is looked at in all widths.
LIGHT_EACH_TIME = (LIGHT, *(pytest.param(look, marks=pytest.mark.slow) for look in LOOKS[1:]))
