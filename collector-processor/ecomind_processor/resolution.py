"""From the names on a call to its coefficients: the first hit wins, and the tier is kept.

Owns the order of the rules only; which model a name means is `models.py`, which grid a place means is
`placement.py`, and every number is in a factor set (`factors.py`).
"""

from __future__ import annotations

import datetime
from typing import NamedTuple

from ecomind_processor.factors import FactorSet
from ecomind_processor.footprint import Coefficients


class CallKey(NamedTuple):
    """What decides a call's coefficients. Strings are as received, empty when absent."""

    provider: str          # normalised: openai, anthropic, aws.bedrock, gcp.vertex_ai …
    request_model: str
    response_model: str
    place: str             # stated inference region (cloud region, ISO country, grid code) or endpoint host
    service_tier: str      # default | batch | flex | priority …
    day: datetime.date     # UTC day of the call: aliases and factors are resolved at that date
    measured: bool         # the span carried ecomind.measured.energy


def resolve(key: CallKey, factors: FactorSet) -> Coefficients:
    """The coefficients of a call. Never fails: an unknown model gets the class default, tier F."""
    raise NotImplementedError
