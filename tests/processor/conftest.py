import datetime
from collections.abc import Callable

import pytest

from ecomind_processor.factors import FactorSet
from ecomind_processor.footprint import Coefficients
from ecomind_processor.resolution import CallKey, resolve


@pytest.fixture(scope="session")
def factors() -> FactorSet:
    return FactorSet.load()


@pytest.fixture(scope="session")
def coefficients(factors: FactorSet) -> Callable[..., Coefficients]:
    """Coefficients of a call, with a key that has something in every place."""

    def resolved(
        model: str = "",
        provider: str = "openai",
        place: str = "",
        day: str = "2026-11-23",
        request_model: str = "",
        service_tier: str = "default",
        measured: bool = False,
    ) -> Coefficients:
        date = datetime.date.fromisoformat(day)
        key = CallKey(provider, request_model, model, place, service_tier, date, measured)
        return resolve(key, factors)

    return resolved
