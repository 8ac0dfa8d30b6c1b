"""Millions of calls for a benchmark of reading, made by the engine itself.

They are as a large installation has them: ninety days, every hour of them, thirty models in four
places, eight teams, so that a hundred million calls are two million rows of the rollup. They go
through the table's own views, a day at a time, as calls do that are received; windows and days are
closed, so that a server which is started on them has nothing to catch up on.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from ecomind_processor.factors import FactorSet
from ecomind_processor.resolution import CallKey, resolve
from ecomind_query.bench.workload import MODELS
from ecomind_receiver.catalogue import Catalogue
from ecomind_receiver.closing import Closer
from ecomind_receiver.store import Store
from ecomind_receiver.tenants import LOCAL

DAYS = 90
TEAMS = 8
PLACES = ("USA", "eu-west-3", "us-central1", "")


def combinations() -> list[tuple[str, str, str]]:
    """Provider, model and place of every kind of call."""
    return [
        (provider, model, place or host)
        for provider, host, models in MODELS
        for model in models
        for place in PLACES
    ]


def fill(
    store: Store, calls: int, already: int = 0, told: Callable[[int], object] = lambda day: None
) -> None:
    """Bring the store from `already` filled calls to `calls`; `told` hears of each day."""
    factors = FactorSet.load()
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    resolved = [
        resolve(CallKey(provider, model, "", place, "", today.date(), False), factors)
        for provider, model, place in combinations()
    ]
    Catalogue(store, factors, 1000).store({each.coef_id: each for each in resolved})
    ids = [each.coef_id for each in resolved]
    for number in range(DAYS):
        first, last = (total * number // DAYS for total in (already, calls))
        next_first, next_last = (total * (number + 1) // DAYS for total in (already, calls))
        start = today - timedelta(days=DAYS - 1 - number)
        hours = datetime.now(UTC).hour + 1 if start == today else 24
        rows = (next_last - last) - (next_first - first)
        if rows > 0:
            store.command(_insert(start, hours, rows, ids, calls * DAYS + number))
        told(number + 1)
    window = 60
    store.insert(
        "reconciled", ["window_end", "corrections"], [[int(time.time()) // window * window, 0]]
    )
    Closer(store).close_days()


def _insert(day: datetime, hours: int, rows: int, ids: list[int], salt: int) -> str:
    kinds = combinations()
    columns = [[kind[n] for kind in kinds] for n in range(3)]
    provider, model, place = (f"arrayElement({column}, kind)" for column in columns)
    return f"""
        INSERT INTO calls (org_id, project_id, team, service, environment, provider, request_model,
            place, operation, scope, start_time, duration_us, trace_hash, span_id, response_hash,
            input_tokens, output_tokens, usage_quality, counted, sign, coef_id, energy_wh, co2e_g,
            water_ml, received_at, segment_id, retention_class)
        SELECT '{LOCAL.org_id}', '{LOCAL.project_id}', concat('team-', toString(team)), 'api',
            'production', {provider}, {model}, {place}, 'chat', 'bench', at, 200000 + id % 3000000,
            id, bitXor(id, 6148914691236517205), cityHash64(id), 200 + id % 2000, 50 + id % 500,
            'reported', 1, 1, arrayElement({ids}, kind), 0.1 + id % 100 / 100, 0.04, 0.3,
            least(toDateTime(at, 'UTC'), now('UTC') - 120), {salt}, 'standard'
        FROM (
            SELECT cityHash64(number, {salt}) AS id, number % {len(kinds)} + 1 AS kind,
                intDiv(number, {len(kinds)}) % {hours} AS hour,
                intDiv(number, {len(kinds) * hours}) % {TEAMS} AS team,
                toDateTime64('{day:%Y-%m-%d %H:%M:%S}', 6, 'UTC') + toIntervalHour(hour)
                    + toIntervalMicrosecond(id % 3500000000) AS at
            FROM numbers({rows})
        )
        SETTINGS max_threads = 1, max_insert_threads = 1, max_block_size = 1000000"""
