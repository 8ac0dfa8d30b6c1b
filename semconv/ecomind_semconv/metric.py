"""What a metric is: the shape of the definitions in `names.py`.

Kept apart from the generated file so that types are written by hand and names are not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Instrument = Literal["counter", "updowncounter", "gauge", "histogram"]
ValueType = Literal["int", "double"]


@dataclass(frozen=True)
class Metric:
    """One instrument as the registry defines it. `unit` is UCUM; `attributes` are its keys."""

    name: str
    instrument: Instrument
    unit: str
    value_type: ValueType
    brief: str
    attributes: tuple[str, ...]
