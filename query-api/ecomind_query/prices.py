"""What calls cost: list prices, or what was paid where an invoice is all that is known of them.

List prices are from the genai-prices library and the data it ships; nothing is fetched.

Sums over many calls are priced as the average call times their number: exact for prices per token
and per request, and for a price that rises with the length of a prompt it takes the step of the
average prompt, not of the sum. Batch, flex and negotiated prices are not known here: this is the
list price.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from functools import lru_cache

from genai_prices import Usage, calc_price

from ecomind_query.totals import Sums
from ecomind_semconv.units import MICROUSD_PER_USD

_PROVIDERS = {
    "azure.ai.inference": "azure",
    "azure.ai.openai": "azure",
    "gcp.gen_ai": "google",
    "x_ai": "x-ai",
}
"""Provider in the conventions → its id in genai-prices, where the library knows another name."""


def cost_usd(
    provider: str, models: tuple[str, ...], sums: Sums, priced_at: datetime
) -> float | None:
    """What was paid, else the list price by the first model that has one, or None; US dollars.

    Calls that were paid for share no sums with others: they have coefficients of their own.
    """
    if sums.spend_microusd:
        return sums.spend_microusd / MICROUSD_PER_USD
    provider_id = _PROVIDERS.get(provider, provider) or None
    for model in filter(None, models):
        if _is_listed(provider_id, model):
            price = calc_price(
                _average(sums), model, provider_id=provider_id, genai_request_timestamp=priced_at
            )
            return float(price.total_price * sums.calls)
    return None


@lru_cache(maxsize=10_000)
def _is_listed(provider_id: str | None, model: str) -> bool:
    """Whether there is a price; the library searches its whole list anew for an unknown name."""
    try:
        calc_price(Usage(), model, provider_id=provider_id)
    except LookupError:
        return False
    return True


def _average(sums: Sums) -> Usage:
    """The average call. Input is put together from its parts, so that they can't exceed it."""
    calls = Decimal(sums.calls)
    inclusive = sums.uncached_tokens + sums.cache_read_tokens + sums.cache_write_tokens
    return Usage(
        input_tokens=inclusive / calls,
        cache_read_tokens=sums.cache_read_tokens / calls,
        cache_write_tokens=sums.cache_write_tokens / calls,
        output_tokens=sums.output_tokens / calls,
    )
