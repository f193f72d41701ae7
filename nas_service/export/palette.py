"""How operations look: one colour a theme and one dash pattern each, the same in every picture of every space.

26 colours by hue alone cannot be told apart by everybody, so the colours were searched for by number, from Okabe's and Ito's hues
outwards: every two of them, in either theme, are at least 10 apart (CIEDE2000) to normal eyes and under simulated protanopia,
deuteranopia and tritanopia (Machado, Oliveira and Fernandes 2009, severity 1), and each has a contrast of at least 4.5:1 to
the pages and panels of its theme, since labels are written in it. The price is that some are near black or near white. With 18
no room was left, so the eight blocks of `nas-bnn` are that far apart among themselves and from `skip`, which are the
operations of that space, and at least 6 from all others. The dash is the second sign, its beat the kind of operation, its
dots the kernel's size: two operations never share it.

An operation of a user's own has the colour that its name's digest picks and a dash that no other has but by chance: it looks
the same everywhere, and stays as it is when others come and go.
"""

import hashlib
from typing import NamedTuple

from nas_service.export.svg_paint import Pair


class Look(NamedTuple):
    """How an operation looks.

    Attributes:
        colour: Of its lines and its name, in either theme.
        dash: SVG's `stroke-dasharray`, in pixels; empty: a whole line.
    """

    colour: Pair
    dash: str

    def to_dict(self) -> dict[str, str]:
        """Return `{"light": ..., "dark": ..., "dash": ...}`."""
        return {"light": self.colour.light, "dark": self.colour.dark, "dash": self.dash}


LOOKS = {
    "zeroise": Look(Pair("#2d2d3c", "#788796"), "1 5"),
    "skip": Look(Pair("#4b5a3c", "#4b963c"), ""),
    "max-pool-3x3": Look(Pair("#3c4ba5", "#a5a5ff"), "24 4"),
    "avg-pool-3x3": Look(Pair("#4b69d2", "#2de1c3"), "24 4 2 4"),
    "conv-3x3": Look(Pair("#1e0000", "#b4c378"), "16 4"),
    "conv-5x5": Look(Pair("#961e0f", "#ff2d1e"), "16 4 2 4"),
    "separable-conv-3x3": Look(Pair("#d22d00", "#d2b400"), "11 4"),
    "separable-conv-5x5": Look(Pair("#876969", "#e1f096"), "11 4 2 4"),
    "grouped-conv-3x3": Look(Pair("#694b5a", "#e1ffd2"), "4 4"),
    "grouped-conv-5x5": Look(Pair("#0f001e", "#fff0ff"), "4 4 2 4"),
    "dilated-conv-1x1": Look(Pair("#786987", "#b4a5c3"), "7 4 7 8"),
    "dilated-conv-3x3": Look(Pair("#781e69", "#ff0f96"), "7 4"),
    "dilated-conv-5x5": Look(Pair("#3c00ff", "#d2d2ff"), "7 4 2 4"),
    "dilated-conv-7x7": Look(Pair("#2d004b", "#b45aff"), "7 4 2 4 2 4"),
    "dilated-grouped-conv-3x3": Look(Pair("#4b2d2d", "#b48778"), "4 3 4 8"),
    "dilated-grouped-conv-5x5": Look(Pair("#5a783c", "#a5ff0f"), "4 3 4 3 2 8"),
    "gabor-conv-3x3": Look(Pair("#5a0000", "#f096a5"), "20 4 2 4 2 4 2 4"),
    "denoise": Look(Pair("#0000b4", "#9687c3"), "2 3 2 8"),
    "mobile-conv-3x3": Look(Pair("#1278a2", "#c6d8ea"), "14 3 6 4"),
    "mobile-conv-5x5": Look(Pair("#1e0684", "#b47ef0"), "14 3 6 4 2 4"),
    "mobile-grouped-conv-3x3": Look(Pair("#726c18", "#b4d25a"), "9 3 4 4"),
    "mobile-grouped-conv-5x5": Look(Pair("#184842", "#7e8484"), "9 3 4 4 2 4"),
    "wide-mobile-conv-3x3": Look(Pair("#843c72", "#ea54ae"), "20 3 6 4"),
    "wide-mobile-conv-5x5": Look(Pair("#6606cc", "#eabac0"), "20 3 6 4 2 4"),
    "wide-mobile-grouped-conv-3x3": Look(Pair("#780c06", "#baa272"), "20 3 4 4"),
    "wide-mobile-grouped-conv-5x5": Look(Pair("#3c1e48", "#fffc78"), "20 3 4 4 2 4"),
}


def look_of(operation: str) -> Look:
    """Return how an operation looks, also one that the catalogue does not have."""
    if operation in LOOKS:
        return LOOKS[operation]
    digest = hashlib.sha256(operation.encode(errors="surrogatepass")).digest()
    colours = sorted(LOOKS.items())
    dash = " ".join(str(2 + byte % 11) for byte in digest[1:7])
    return Look(colours[digest[0] % len(colours)][1].colour, dash)
