"""Text in pictures that are written without a browser: how wide it may become, and no markup of anybody's."""

from html import escape

from nas_service.wording import printable

FONT = "DejaVu Sans, Helvetica, Arial, sans-serif"
ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"

# Widths in em, above those of DejaVu Sans Bold and of Liberation Sans Bold (Arial's); any other sign counts as `_WIDEST`, which
# holds ideographs and emoji.
_CLASSES = {
    0.40: " ',./:;I\\ijl|\N{MIDDLE DOT}",
    0.46: "!()-[]f",
    0.52: "`rt",
    0.60: '"*J_csz',
    0.66: "?Lvxy",
    0.71: "$0123456789EFTaeko",
    0.74: "CPSYZbdghnpqu{}",
    0.79: "ABKRVX",
    0.84: "#+<=>DGHNU^~\N{MINUS SIGN}\N{NOT EQUAL TO}",
    0.88: "&OQ",
    1.05: "%@Mmw\N{HORIZONTAL ELLIPSIS}\N{RIGHTWARDS ARROW}",
    1.14: "W",
}
_WIDTHS = {sign: width for width, signs in _CLASSES.items() for sign in signs}
_WIDEST = 1.45


def width(text: str, size: float) -> float:
    """Return a bound from above of how wide `text` is in a font of `size`, in the unit of `size`."""
    return size * sum(_WIDTHS.get(sign, _WIDEST) for sign in text)


def cut(text: str, size: float, room: float) -> str:
    """Return `printable(text)`, its middle left out where it could be wider than `room`."""
    shown = printable(text)
    if width(shown, size) <= room:
        return shown
    head, tail = len(shown) // 2, len(shown) - len(shown) // 2
    while head + tail and width(shown[:head] + ELLIPSIS + shown[len(shown) - tail :], size) > room:
        head, tail = (head - 1, tail) if head >= tail else (head, tail - 1)
    return shown[:head] + ELLIPSIS + (shown[-tail:] if tail else "")


def quoted(text: str) -> str:
    """Return `printable(text)` such that it is text in XML and HTML, also in an attribute."""
    return escape(printable(text))


def text(shown: str, x: float, y: float, *, size: float, attributes: str = "") -> str:
    """Return a text element at (x, y), with attributes as markup."""
    return f'<text x="{x:g}" y="{y:g}" font-size="{size:g}"{attributes and " "}{attributes}>{quoted(shown)}</text>'
