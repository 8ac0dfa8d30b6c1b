"""`ecomind bench restate`: a year of closed days, restated and digested.

The rows are made by the engine itself and are as a large installation has them: every hour of a
year, thirty models, eight teams. What is timed is what the command does: resolve every distinct
key, add up before and after, write the restated rows and sync them.
"""

from __future__ import annotations

import tempfile
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from ecomind_processor.factors import FactorSet
from ecomind_processor.resolution import CallKey, resolve
from ecomind_query.bench.filling import TEAMS, combinations
from ecomind_query.coefficients import CoefficientBook
from ecomind_query.commands.common import AsJson, load_settings, print_json, print_table
from ecomind_query.queries import Queries
from ecomind_query.restatements import compare
from ecomind_receiver.catalogue import Catalogue
from ecomind_receiver.closing import KEYS, SUMS, digest
from ecomind_receiver.restating import Request, Restater, coef_ids
from ecomind_receiver.store import Store
from ecomind_receiver.tenants import LOCAL, Reach

FROM, DAYS = date(2024, 7, 1), 365
HOURS = DAYS * 24
CALLS_PER_ROW = 50


def restate(
    rows: Annotated[int, typer.Option(min=1000, help="Rows of the rollup.")] = 2_100_000,
    data_dir: Annotated[
        Path | None, typer.Option(help="Where to make the store, which is removed afterwards.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Time a restatement of a year of closed days, and the digest of a day on 1 and 2 threads."""
    older, newer = FactorSet.load("ecomind-2026.1"), FactorSet.load()
    with tempfile.TemporaryDirectory(prefix="ecomind-bench-", dir=data_dir) as folder:
        settings = load_settings(data_dir=Path(folder) / "data", key_dir=Path(folder) / "keys")
        store = Store(settings)
        try:
            catalogue = Catalogue(store, older, settings.resolver_cache_entries)
            _fill(store, catalogue, older, rows)
            figures = _measure(store, catalogue, newer)
        finally:
            store.close()
    if as_json:
        print_json(figures)
    else:
        print_table(("what", "measured"), [(k.replace("_", " "), v) for k, v in figures.items()])


def _measure(store: Store, catalogue: Catalogue, newer: FactorSet) -> dict[str, object]:
    restater = Restater(store, catalogue)
    asked = Request(LOCAL.org_id, FROM, FROM + timedelta(days=DAYS), newer, newer.method)
    began = time.perf_counter()
    plan = restater.plan(asked)
    queries = Queries(store, Reach(LOCAL.org_id))
    known = CoefficientBook().entries(queries, coef_ids(plan.moved))
    difference = compare(plan.moved, known, 5.0)
    tried = time.perf_counter()
    restater.keep(plan, "bench", "bench", "{}")
    kept = time.perf_counter()
    kept_rows = store.query("SELECT count() AS n, sum(calls) AS calls FROM restated_usage")[0]
    day = FROM + timedelta(days=100)
    one, two = (digest(store, LOCAL.org_id, day, threads) for threads in (1, 2))
    return {
        "rows": kept_rows["n"],
        "calls": kept_rows["calls"],
        "coefficients": len(coef_ids(plan.moved)),
        "dry_run_s": round(tried - began, 2),
        "restated_s": round(kept - began, 2),
        "co2e_change_percent": round(difference.co2e_g_location.percent or 0.0, 3),
        "day_rows": one[0],
        "digest_1_thread": one[2],
        "digest_2_threads": two[2],
        "digests_equal": one == two,
    }


def _fill(store: Store, catalogue: Catalogue, factors: FactorSet, rows: int) -> None:
    """A year of closed rows, each with the coefficients that its day and names resolve to."""
    kinds = combinations()
    known = {
        number: resolve(CallKey(provider, model, "", place, "", FROM, False), factors)
        for number, (provider, model, place) in enumerate(kinds)
    }
    catalogue.store({c.coef_id: c for c in known.values()})
    index = list(known)
    columns = zip(*kinds, strict=True)
    names = dict(zip(("provider", "request_model", "place"), map(list, columns), strict=True))
    chosen = {
        column: f"transform(which, {index}, {values}, '')" for column, values in names.items()
    }
    ids = f"transform(which, {index}, {[c.coef_id for c in known.values()]}, toUInt64(0))"
    values = {
        "project_id": "'default'",
        "team": f"concat('team-', toString(intDiv(n, {HOURS}) % {TEAMS}))",
        "service": "'api'", "environment": "'production'", "response_model": "''",
        "operation": "'chat'", "service_tier": "''", "usage_quality": "'reported'",
        "hour": f"toDateTime('{FROM}', 'UTC') + INTERVAL n % {HOURS} HOUR", "coef_id": ids,
        **chosen,
    }  # fmt: skip
    sums = dict.fromkeys(SUMS, "0") | {
        "calls": str(CALLS_PER_ROW),
        "adjusted_calls_milli": str(CALLS_PER_ROW * 1000),
        "input_tokens": f"{CALLS_PER_ROW} * (500 + n % 1000)",
        "uncached_tokens": f"{CALLS_PER_ROW} * (500 + n % 1000)",
        "output_tokens": f"{CALLS_PER_ROW} * (100 + n % 300)",
        "duration_ms": f"{CALLS_PER_ROW} * 900",
    }
    inserted = ", ".join((*KEYS, *SUMS))
    made = ", ".join(values[name] for name in KEYS) + ", " + ", ".join(sums.values())
    store.command(
        f"INSERT INTO closed_usage (org_id, day, generation, {inserted})"
        f" SELECT '{LOCAL.org_id}', toDate(hour_, 'UTC'), 1, {made} FROM (SELECT number AS n,"
        f" toDateTime('{FROM}', 'UTC') + INTERVAL number % {HOURS} HOUR AS hour_,"
        f" (intDiv(number, {HOURS} * {TEAMS}) + number % {HOURS}) % {len(kinds)} AS which"
        f" FROM numbers({rows})) SETTINGS max_partitions_per_insert_block = 1000"
    )
    now = datetime.now(UTC)
    days: list[list[object]] = [[FROM + timedelta(days=n), now] for n in range(DAYS)]
    store.insert("closed_days", ["day", "closed_at"], days)
