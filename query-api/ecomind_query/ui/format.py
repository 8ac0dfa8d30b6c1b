"""How a number reads: three significant figures, a unit of sensible size, never an exponent.

Everything goes through `Decimal`, so that rounding is half to even on the digits a person would
write down and the page, the command line and the reports show the same figure for the same value.
Unit steps are powers of ten and are held as exponents; the quantities themselves are always Wh, g
and mL.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final, NamedTuple

from ecomind_semconv.units import MS_PER_SECOND, SECONDS_PER_HOUR, SECONDS_PER_MINUTE

THIN_SPACE: Final = "\u202f"
"""Narrow no-break space: stands between a number and its unit."""
MINUS: Final = "\u2212"
SIGNIFICANT_FIGURES: Final = 3
MULTIPLES_FROM: Final = 10
"""A change from this factor on is told as a multiple: ×14 reads better than +1,300 %."""

Steps = tuple[tuple[int, str], ...]

ENERGY: Final[Steps] = ((-3, "mWh"), (0, "Wh"), (3, "kWh"), (6, "MWh"))
MASS: Final[Steps] = ((-3, "mg"), (0, "g"), (3, "kg"), (6, "t"))
CARBON: Final[Steps] = tuple((exponent, f"{unit} CO₂e") for exponent, unit in MASS)
WATER: Final[Steps] = ((0, "mL"), (3, "L"), (6, "m³"))
COMPACT: Final[Steps] = ((0, ""), (3, "k"), (6, "M"), (9, "B"))


class Figure(NamedTuple):
    """A number and its unit as text; printed with a narrow no-break space between them."""

    number: str
    unit: str

    def __str__(self) -> str:
        return f"{self.number}{THIN_SPACE}{self.unit}" if self.unit else self.number


def energy(energy_wh: float) -> Figure:
    """Energy given in Wh, shown in mWh, Wh, kWh or MWh."""
    return scaled(energy_wh, ENERGY)


def carbon(co2e_g: float) -> Figure:
    """Greenhouse gases given in grams of CO2e, shown in mg, g, kg or t."""
    return scaled(co2e_g, CARBON)


def mass(co2e_g: float) -> Figure:
    """The same as `carbon`, where a heading already says CO₂e."""
    return scaled(co2e_g, MASS)


def water(water_ml: float) -> Figure:
    """Water given in mL, shown in mL, L or m³."""
    return scaled(water_ml, WATER)


def compact(count: float) -> str:
    """A count in three figures: 31.2 M. Whole numbers below 1,000 stay as they are."""
    if abs(count) < 1000 and count == int(count):
        return integer(int(count))
    return str(scaled(count, COMPACT))


def integer(count: int) -> str:
    """A count in full, in groups of three: 12,481."""
    return _signed(f"{abs(count):,d}", count)


def number(value: float) -> str:
    """A bare number in three significant figures."""
    return scaled(value, ((0, ""),)).number


def percent(ratio: float) -> str:
    """A share, 0 … 1, as whole percents; below one percent in words a person would use."""
    hundredths = Decimal(repr(float(ratio))).scaleb(2)
    if 0 < hundredths < 1:
        return f"<1{THIN_SPACE}%"
    rounded = hundredths.quantize(Decimal(1), ROUND_HALF_EVEN)
    if rounded == 100 and ratio < 1:
        return f">99{THIN_SPACE}%"
    return _signed(f"{abs(rounded):f}", rounded) + f"{THIN_SPACE}%"


def money(cost_usd: float) -> str:
    """US dollars: cents from ten cents on, three figures below."""
    value = Decimal(repr(float(cost_usd)))
    cents = value.quantize(Decimal("0.01"), ROUND_HALF_EVEN)
    if abs(value) >= Decimal("0.1") or not value:
        return _signed(f"${abs(cents):,f}", value)
    if abs(value) < Decimal("0.0001"):
        return "<$0.0001"
    return _signed(f"${abs(significant(value)):,f}", value)


def duration(duration_ms: float) -> str:
    """A duration in ms, s, min or h, three figures."""
    seconds = duration_ms / MS_PER_SECOND
    for unit_seconds, unit in ((SECONDS_PER_HOUR, "h"), (SECONDS_PER_MINUTE, "min"), (1, "s")):
        if seconds >= unit_seconds:
            return f"{number(seconds / unit_seconds)}{THIN_SPACE}{unit}"
    return f"{number(duration_ms)}{THIN_SPACE}ms"


def change(now: float, before: float) -> str | None:
    """How much more or less than `before`: +12 %, −8 %, ×14; None if `before` is nothing."""
    if before <= 0:
        return None
    ratio = now / before
    if ratio >= MULTIPLES_FROM:
        return f"×{number(ratio)}"
    percents = Decimal(repr(ratio - 1)).scaleb(2).quantize(Decimal(1), ROUND_HALF_EVEN)
    sign = "+" if percents > 0 else ""
    return f"{sign}{_signed(f'{abs(percents):f}', percents)}{THIN_SPACE}%"


def axis(values: Sequence[float], steps: Steps) -> list[str]:
    """Labels of an axis in one common unit, shortest digits; only the largest names the unit."""
    exponent, unit = next(
        (step for step in reversed(steps) if max(values) >= 10.0 ** step[0]), steps[0]
    )
    labels = [f"{Decimal(repr(float(v))).scaleb(-exponent).normalize():,f}" for v in values]
    top = values.index(max(values))
    labels[top] += f"{THIN_SPACE}{unit}"
    return labels


def day(moment: datetime) -> str:
    """A day as people write it, in UTC: 5 May."""
    utc = moment.astimezone(UTC)
    return f"{utc.day} {utc:%b}"


def clock(moment: datetime) -> str:
    """The time of day in UTC: 14:05:09."""
    return f"{moment.astimezone(UTC):%H:%M:%S}"


def scaled(value: float, steps: Steps) -> Figure:
    """`value`, in the unit whose exponent is 0, in the step that leaves one to three whole digits.

    Rounding comes before the choice of the step, so 999.6 Wh is 1.00 kWh. Below a thousandth of the
    smallest unit the answer is "<0.001"; beyond the largest it is grouped: 12,300 MWh.

    Raises:
        ValueError: `value` is not finite.

    """
    if not math.isfinite(value):
        raise ValueError(f"A figure must be finite to be shown, not {value}.")
    rounded = significant(Decimal(repr(float(value))))
    if not rounded:
        return Figure("0", dict(steps)[0])
    exponent, unit = next(
        (step for step in reversed(steps) if rounded.adjusted() >= step[0]), steps[0]
    )
    magnitude = abs(rounded).scaleb(-exponent)
    if magnitude < Decimal("0.001"):
        return Figure("<0.001" if value > 0 else f">{MINUS}0.001", unit)
    return Figure(_signed(f"{magnitude:,f}", rounded), unit)


def significant(value: Decimal, figures: int = SIGNIFICANT_FIGURES) -> Decimal:
    """`value` rounded half to even to so many significant figures, trailing zeros kept."""
    if not value:
        return Decimal(0)
    rounded = _quantized(value, value.adjusted() - figures + 1)
    if rounded.adjusted() > value.adjusted():  # 9.996 became 10.00: one figure too many
        rounded = _quantized(value, value.adjusted() - figures + 2)
    return rounded


def _quantized(value: Decimal, exponent: int) -> Decimal:
    return value.quantize(Decimal((0, (1,), exponent)), ROUND_HALF_EVEN)


def _signed(digits: str, value: Decimal | float) -> str:
    return f"{MINUS}{digits}" if value < 0 else digits
