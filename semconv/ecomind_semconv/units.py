"""The only conversion factors in the product.

Tables, the API, the CLI and the page speak Wh, grams, millilitres, seconds and bytes; the wire
speaks joules, grams and litres; integer columns hold millijoules, micro- and milliseconds. What
crosses one of these borders goes through a name of this module; no other module divides by 1000.

Every factor is exact. Sources: BIPM, The International System of Units, 9th edition (prefixes;
1 h = 3,600 s and 1 L = 10⁻³ m³, table 8), with 1 W = 1 J/s; IEC 80000-13 for bytes.
"""

from __future__ import annotations

from typing import Final

# Energy
JOULES_PER_WH: Final = 3600.0
"""Joules in a watt-hour: 3,600 s × 1 J/s."""
MILLIJOULES_PER_JOULE: Final = 1000.0
"""Millijoules in a joule."""
MILLIJOULES_PER_WH: Final = 3_600_000.0
"""Millijoules in a watt-hour."""
MWH_PER_WH: Final = 1000.0
"""Milliwatt-hours (mWh, not megawatt-hours) in a watt-hour."""
WH_PER_KWH: Final = 1000.0
"""Watt-hours in a kilowatt-hour."""
WH_PER_MILLIJOULE: Final = 1 / MILLIJOULES_PER_WH
"""Watt-hours in a millijoule; the coefficient of measured energy."""

# Mass
G_PER_KG: Final = 1000.0
"""Grams in a kilogram."""
KG_PER_T: Final = 1000.0
"""Kilograms in a tonne."""

# Volume
ML_PER_L: Final = 1000.0
"""Millilitres in a litre."""
L_PER_M3: Final = 1000.0
"""Litres in a cubic metre."""

# Time
NS_PER_US: Final = 1000
"""Nanoseconds in a microsecond."""
NS_PER_MS: Final = 1_000_000
"""Nanoseconds in a millisecond."""
NS_PER_SECOND: Final = 1_000_000_000
"""Nanoseconds in a second."""
US_PER_MS: Final = 1000
"""Microseconds in a millisecond."""
US_PER_SECOND: Final = 1_000_000
"""Microseconds in a second."""
MS_PER_SECOND: Final = 1000
"""Milliseconds in a second."""
SECONDS_PER_MINUTE: Final = 60
"""Seconds in a minute."""
SECONDS_PER_HOUR: Final = 3600
"""Seconds in an hour."""
SECONDS_PER_DAY: Final = 86_400
"""Seconds in a UTC day; leap seconds are not counted, as in POSIX time."""

# Money
MICROUSD_PER_USD: Final = 1_000_000.0
"""Millionths of a US dollar in a dollar."""

TOKENS_PER_MILLION: Final = 1_000_000.0
"""Tokens in the million that prices are stated for."""

# Data
BYTES_PER_KIB: Final = 1024
"""Bytes in a kibibyte."""
BYTES_PER_MIB: Final = 1024 * 1024
"""Bytes in a mebibyte."""


def joules_to_wh(energy_j: float) -> float:
    """Watt-hours of an energy in joules."""
    return energy_j / JOULES_PER_WH


def wh_to_joules(energy_wh: float) -> float:
    """Joules of an energy in watt-hours."""
    return energy_wh * JOULES_PER_WH


def joules_to_millijoules(energy_j: float) -> int:
    """Whole millijoules of an energy in joules, rounded half to even."""
    return round(energy_j * MILLIJOULES_PER_JOULE)


def millijoules_to_wh(energy_mj: float) -> float:
    """Watt-hours of an energy in millijoules."""
    return energy_mj / MILLIJOULES_PER_WH


def wh_to_mwh(energy_wh: float) -> float:
    """Milliwatt-hours of an energy in watt-hours."""
    return energy_wh * MWH_PER_WH


def mwh_to_wh(energy_mwh: float) -> float:
    """Watt-hours of an energy in milliwatt-hours."""
    return energy_mwh / MWH_PER_WH


def wh_to_kwh(energy_wh: float) -> float:
    """Kilowatt-hours of an energy in watt-hours."""
    return energy_wh / WH_PER_KWH


def kwh_to_wh(energy_kwh: float) -> float:
    """Watt-hours of an energy in kilowatt-hours."""
    return energy_kwh * WH_PER_KWH


def grams_to_kg(mass_g: float) -> float:
    """Kilograms of a mass in grams."""
    return mass_g / G_PER_KG


def kg_to_grams(mass_kg: float) -> float:
    """Grams of a mass in kilograms."""
    return mass_kg * G_PER_KG


def litres_to_ml(volume_l: float) -> float:
    """Millilitres of a volume in litres."""
    return volume_l * ML_PER_L


def ml_to_litres(volume_ml: float) -> float:
    """Litres of a volume in millilitres."""
    return volume_ml / ML_PER_L


def ns_to_seconds(duration_ns: int) -> float:
    """Seconds of a duration in nanoseconds."""
    return duration_ns / NS_PER_SECOND


def seconds_to_ns(duration_seconds: float) -> int:
    """Whole nanoseconds of a duration in seconds, rounded half to even."""
    return round(duration_seconds * NS_PER_SECOND)
