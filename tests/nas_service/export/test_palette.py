"""Operations are told apart by everybody: the colours measured, to normal eyes and under three simulated colour-blindnesses."""

import re
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from nas_service.export.palette import LOOKS, look_of
from nas_service.export.svg_paint import BACKGROUND, MUTED, PANEL, TEXT, Pair
from search_spaces.operation import OPERATIONS
from search_spaces.space import SPACES
from search_spaces.spaces.nas_bnn import LAYERS

Array = NDArray[np.float64]

# Machado, Oliveira and Fernandes, "A Physiologically-based Model for Simulation of Color Vision Deficiency", IEEE TVCG 2009:
# severity 1, on linear RGB.
EYES = {
    "normal": np.eye(3),
    "protanopia": np.array([[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]),
    "deuteranopia": np.array([[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]),
    "tritanopia": np.array([[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]),
}
TO_XYZ = np.array([[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]])
WHITE = np.array([0.95047, 1.0, 1.08883])  # D65


def _linear(colour: str) -> Array:
    """Return linear RGB in [0, 1] of `#rrggbb` (IEC 61966-2-1)."""
    coded = np.array([int(colour[start : start + 2], 16) for start in (1, 3, 5)]) / 255
    return np.asarray(np.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4))


def _lab(linear: Array) -> Array:
    """Return CIELAB under D65."""
    ratio = TO_XYZ @ linear / WHITE
    root = np.where(ratio > 216 / 24389, np.cbrt(ratio), (24389 / 27 * ratio + 16) / 116)
    return np.array([116 * root[1] - 16, 500 * (root[0] - root[1]), 200 * (root[1] - root[2])])


def _ciede2000(first: Array, second: Array) -> float:
    """Return CIEDE2000 as in Sharma, Wu and Dalal, Color Research and Application 30 (2005), equations 2 to 22."""
    mean_chroma = (np.hypot(*first[1:]) + np.hypot(*second[1:])) / 2
    stretch = 1 + 0.5 * (1 - np.sqrt(mean_chroma**7 / (mean_chroma**7 + 25.0**7)))
    (light_1, chroma_1, hue_1), (light_2, chroma_2, hue_2) = (
        (lab[0], np.hypot(lab[1] * stretch, lab[2]), np.degrees(np.arctan2(lab[2], lab[1] * stretch)) % 360)
        for lab in (first, second)
    )
    turn = (hue_2 - hue_1 + 180) % 360 - 180 if chroma_1 * chroma_2 else 0.0
    hue = hue_1 + turn / 2 if chroma_1 * chroma_2 else hue_1 + hue_2
    light, chroma = (light_1 + light_2) / 2, (chroma_1 + chroma_2) / 2
    waves = ((-0.17, 1, 30), (0.24, 2, 0), (0.32, 3, -6), (-0.20, 4, 63))
    t = 1 + sum(weight * np.cos(np.radians(times * hue - shift)) for weight, times, shift in waves)
    by_light = (light_2 - light_1) / (1 + 0.015 * (light - 50) ** 2 / np.sqrt(20 + (light - 50) ** 2))
    by_chroma = (chroma_2 - chroma_1) / (1 + 0.045 * chroma)
    by_hue = 2 * np.sqrt(chroma_1 * chroma_2) * np.sin(np.radians(turn / 2)) / (1 + 0.015 * chroma * t)
    spread = 30 * np.exp(-((((hue % 360) - 275) / 25) ** 2))
    rotation = -np.sin(np.radians(2 * spread)) * 2 * np.sqrt(chroma**7 / (chroma**7 + 25.0**7))
    return float(np.sqrt(by_light**2 + by_chroma**2 + by_hue**2 + rotation * by_chroma * by_hue))


def _contrast(first: str, second: str) -> float:
    """Return WCAG's contrast ratio."""
    low, high = sorted(float(TO_XYZ[1] @ _linear(colour)) for colour in (first, second))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize(
    ("first", "second", "difference"),
    [  # of the table of test data in Sharma, Wu and Dalal
        ([50.0, 2.6772, -79.7751], [50.0, 0.0, -82.7485], 2.0425),
        ([50.0, 0.0, 0.0], [50.0, -1.0, 2.0], 2.3669),
        ([50.0, 2.5, 0.0], [73.0, 25.0, -18.0], 27.1492),
        ([50.0, 2.49, -0.001], [50.0, -2.49, 0.0011], 7.2195),
        ([2.0776, 0.0795, -1.135], [0.9033, -0.0636, -0.5514], 0.9082),
    ],
)
def test_the_measure_gives_the_published_figures(first: list[float], second: list[float], difference: float) -> None:
    assert _ciede2000(np.array(first), np.array(second)) == pytest.approx(difference, abs=5e-5)


def test_every_operation_of_the_catalogue_has_a_look_of_its_own() -> None:
    assert set(LOOKS) == set(OPERATIONS.names())
    looks = LOOKS.values()
    for parts in ([look.colour.light for look in looks], [look.colour.dark for look in looks], [look.dash for look in looks]):
        assert len(set(parts)) == len(LOOKS)
    for look in LOOKS.values():
        assert re.fullmatch(r"#[0-9a-f]{6}#[0-9a-f]{6}(\d+( \d+)*)?", "".join(look.colour) + look.dash)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("eyes", EYES)
def test_every_two_operations_are_told_apart(theme: str, eyes: str) -> None:
    labs = {name: _lab(np.clip(EYES[eyes] @ _linear(getattr(look.colour, theme)), 0, 1)) for name, look in LOOKS.items()}
    for first, second in combinations(labs, 2):
        least = 6 if len({first, second} & set(LAYERS)) == 1 and "skip" not in {first, second} else 10
        assert _ciede2000(labs[first], labs[second]) >= least, (first, second)


def test_every_two_operations_of_nas_bnn_are_among_those_that_are_furthest_apart() -> None:
    """Which the test above leaves out: its blocks, and `skip`."""
    (edge,) = SPACES.get("nas-bnn").edges
    assert set(edge.operations) == {*LAYERS, "skip"}


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_names_are_legible_on_pages_and_panels(theme: str) -> None:
    pairs: list[Pair] = [*(look.colour for look in LOOKS.values()), TEXT, MUTED]
    for pair in pairs:
        for ground in (BACKGROUND, PANEL):
            assert _contrast(getattr(pair, theme), getattr(ground, theme)) >= 4.5, pair


def test_an_operation_of_a_user_s_own_keeps_its_look() -> None:
    looks: dict[str, Any] = {name: look_of(name) for name in ("my-own", "other", "\udcff", "")}
    assert looks["my-own"] == look_of("my-own")
    assert looks["my-own"].colour in {look.colour for look in LOOKS.values()}
    assert len({look.dash for look in (*LOOKS.values(), *looks.values())}) == len(LOOKS) + len(looks)
