"""The colours of the series stay apart for every kind of colour vision, in both themes.

Colour vision deficiencies are simulated with the matrices of Machado, Oliveira and Fernandes, "A
physiologically-based model for simulation of color vision deficiency" (2009), severity 1.0, in
linear RGB; distance is Euclidean in Oklab (Ottosson 2020), where 0.02 is about one just
noticeable difference. Contrast is that of WCAG 2.2.
"""

from __future__ import annotations

import itertools
import math
import re
from importlib import resources

import pytest

Colour = tuple[float, float, float]
Matrix = tuple[Colour, Colour, Colour]

VISION: dict[str, Matrix] = {
    "full": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protanopia": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "deuteranopia": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
    "tritanopia": (
        (1.255528, -0.076749, -0.178779),
        (-0.078411, 0.930809, 0.147602),
        (0.004733, 0.691367, 0.303900),
    ),
}
RGB_TO_LMS: Matrix = (
    (0.4122214708, 0.5363325363, 0.0514459929),
    (0.2119034982, 0.6806995451, 0.1073969566),
    (0.0883024619, 0.2817188376, 0.6299787005),
)
LMS_TO_LAB: Matrix = (
    (0.2104542553, 0.7936177850, -0.0040720468),
    (1.9779984951, -2.4285922050, 0.4505937099),
    (0.0259040371, 0.7827717662, -0.8086757660),
)
NOTICEABLE = 0.02


def palette(theme: int) -> dict[str, Colour]:
    css = (resources.files("ecomind_query.ui") / "static" / "page.css").read_text("utf-8")
    pairs = re.findall(r"--([\w-]+): light-dark\((#\w{6}), (#\w{6})\)", css)
    return {name: linear((light, dark)[theme]) for name, light, dark in pairs}


def linear(code: str) -> Colour:
    def channel(text: str) -> float:
        value = int(text, 16) / 255
        return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4

    return channel(code[1:3]), channel(code[3:5]), channel(code[5:7])


def times(matrix: Matrix, colour: Colour) -> Colour:
    x, y, z = (sum(m * c for m, c in zip(row, colour, strict=True)) for row in matrix)
    return x, y, z


def oklab(colour: Colour) -> Colour:
    long, medium, short = (max(value, 0.0) ** (1 / 3) for value in times(RGB_TO_LMS, colour))
    return times(LMS_TO_LAB, (long, medium, short))


def distance(first: Colour, second: Colour, vision: Matrix) -> float:
    seen = (oklab(times(vision, colour)) for colour in (first, second))
    return math.dist(*seen)


def contrast(first: Colour, second: Colour) -> float:
    bright, dim = sorted(
        (0.2126 * r + 0.7152 * g + 0.0722 * b for r, g, b in (first, second)), reverse=True
    )
    return (bright + 0.05) / (dim + 0.05)


def test_the_yardsticks_themselves() -> None:
    white, black = linear("#ffffff"), linear("#000000")
    assert contrast(white, black) == pytest.approx(21)  # WCAG 2.2, the largest there is
    assert oklab(white) == pytest.approx((1, 0, 0), abs=1e-6)  # Ottosson: white is L = 1
    assert contrast(linear("#777777"), white) == pytest.approx(4.48, abs=0.005)  # known near miss


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("vision", VISION)
def test_any_two_series_differ_by_four_noticeable_steps(theme: int, vision: str) -> None:
    colours = palette(theme)
    series = [f"s{index}" for index in range(7)]
    apart = {
        (a, b): distance(colours[a], colours[b], VISION[vision])
        for a, b in itertools.combinations(series, 2)
    }
    closest = min(apart, key=lambda pair: apart[pair])
    assert apart[closest] >= 4 * NOTICEABLE, (closest, apart[closest])


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("vision", VISION)
def test_neighbouring_tiers_differ_by_three_noticeable_steps(theme: int, vision: str) -> None:
    colours = palette(theme)
    for index in range(5):
        pair = (colours[f"t{index}"], colours[f"t{index + 1}"])
        assert distance(*pair, VISION[vision]) >= 3 * NOTICEABLE, index


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_text_keeps_four_and_a_half_to_one(theme: int) -> None:
    colours = palette(theme)
    texts = ("ink", "quiet", "accent", "warn")
    for text, ground in itertools.product(texts, ("page", "card", "track")):
        if (text, ground) in {("accent", "track"), ("warn", "track")}:  # never set so
            continue
        assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
    assert contrast(colours["on-accent"], colours["accent"]) >= 4.5


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_the_accent_stands_out_as_a_graphic(theme: int) -> None:
    colours = palette(theme)
    for ground in ("card", "page", "track", "accent-soft"):
        assert contrast(colours["accent"], colours[ground]) >= 3, ground
