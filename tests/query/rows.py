"""Rows put into the store by hand, with coefficients simple enough for paper."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from ecomind_processor.footprint import COEFFICIENT_NAMES, Coefficients, Quantities, footprint
from ecomind_receiver.store import Store

PAPER = Coefficients(
    method="ecomind@v1",
    factor_set="paper-1",
    provider="openai",
    model="gpt-4o",
    model_match="exact name",
    model_tier="D",
    zone="USA",
    zone_match="provider default",
    grid_tier="C",
    wh_per_call=0.0,
    wh_per_input_token=0.001,
    wh_per_input_token_over_32k=0.001,
    wh_per_cache_read_token=0.0001,
    wh_per_cache_write_token=0.001,
    wh_per_output_token=0.01,
    wh_per_reasoning_token=0.0,
    wh_per_measured_mj=0.0,
    pue=1.5,
    co2e_g_per_kwh_location=400.0,
    co2e_g_per_kwh_market=None,
    co2e_g_per_kwh_embodied=40.0,
    water_l_per_kwh_onsite=0.5,
    water_l_per_kwh_offsite=2.0,
    band_usage=1.0,
    band_energy=2.0,
    band_grid=1.25,
    band_water=1.5,
)
"""1,000 input and 100 output tokens: IT 1 + 1 = 2 Wh; energy 3 Wh; 1.2 g; water 1 + 6 mL."""

NOW = datetime(2026, 11, 18, 14, 32, 7, 250_000, tzinfo=UTC)
MARKET = replace(PAPER, zone="SWE", co2e_g_per_kwh_location=40.0, co2e_g_per_kwh_market=10.0)

_CALL: dict[str, Any] = {
    "project_id": "default",
    "team": "search",
    "service": "ranker",
    "environment": "production",
    "provider": "openai",
    "request_model": "gpt-4o",
    "response_model": "gpt-4o-2024-08-06",
    "place": "us-east-1",
    "operation": "chat",
    "service_tier": "",
    "scope": "test",
    "start_time": datetime(2026, 11, 18, 9, 15, tzinfo=UTC),
    "duration_us": 1_500_000,
    "time_to_first_us": 0,
    "response_hash": 0,
    "user_hash": 0,
    "session_hash": 0,
    "input_tokens": 1000,
    "cache_read_tokens": 0,
    "cache_write_tokens": 0,
    "output_tokens": 100,
    "reasoning_tokens": 0,
    "measured_energy_mj": 0,
    "images": 0,
    "audio_ms": 0,
    "video_ms": 0,
    "spend_microusd": 0,
    "usage_quality": "reported",
    "counted": 1,
    "reason": "",
    "sign": 1,
    "segment_id": 1,
    "retention_class": "standard",
}


class Seed:
    """Writes calls of one organisation as the loader would, and corrections as reconcile would."""

    def __init__(self, store: Store, org_id: str) -> None:
        self.store = store
        self.org_id = org_id
        self._spans = itertools.count(1)
        self._tokens = itertools.count(1)

    def call(self, coefficients: Coefficients = PAPER, **given: Any) -> dict[str, Any]:
        """Store one call; the row as it was written."""
        return self.calls([given], coefficients)[0]

    def calls(
        self, given: list[dict[str, Any]], coefficients: Coefficients = PAPER
    ) -> list[dict[str, Any]]:
        """Store several calls in one block."""
        self._coefficients(coefficients)
        rows = [self._row(each, coefficients) for each in given]
        self._write(rows)
        return rows

    def mixed(self, given: list[tuple[Coefficients, dict[str, Any]]]) -> None:
        """Store calls of several coefficients in one block."""
        columns = ["coef_id", *COEFFICIENT_NAMES]
        different = {c.coef_id: c for c, _ in given}
        values: list[list[object]] = [
            [id, *(getattr(c, name) for name in COEFFICIENT_NAMES)] for id, c in different.items()
        ]
        self.store.insert("coefficients", columns, values, f"coefficients-{hash(tuple(different))}")
        self._write([self._row(each, coefficients) for coefficients, each in given])

    def cancel(self, row: dict[str, Any]) -> None:
        """Take a call back, as reconcile does for a span that came twice."""
        self._write([row | {"sign": -1}])

    def twin(self, row: dict[str, Any]) -> None:
        """Take a call back and keep it as a duplicate that does not count."""
        kept = {"counted": 0, "reason": "duplicate", "energy_wh": 0.0, "co2e_g": 0.0}
        self._write([row | {"sign": -1}, row | kept | {"water_ml": 0.0}])

    def _row(self, given: dict[str, Any], coefficients: Coefficients) -> dict[str, Any]:
        row = _CALL | {"org_id": self.org_id, "trace_hash": 7, "span_id": next(self._spans)} | given
        row.setdefault("received_at", row["start_time"].replace(microsecond=0))
        mid = footprint(Quantities(*(row[name] for name in Quantities._fields)), coefficients)
        counted = row["counted"]
        return row | {
            "coef_id": coefficients.coef_id,
            "energy_wh": counted * mid.energy_wh.mid,
            "co2e_g": counted * mid.co2e_g_location.mid,
            "water_ml": counted * (mid.water_ml_onsite.mid + mid.water_ml_offsite.mid),
        }

    def _write(self, rows: list[dict[str, Any]]) -> None:
        columns = list(rows[0])
        values: list[list[object]] = [[row[name] for name in columns] for row in rows]
        self.store.insert("calls", columns, values, f"{self.org_id}-{next(self._tokens)}")

    def _coefficients(self, c: Coefficients) -> None:
        values: list[object] = [c.coef_id, *(getattr(c, name) for name in COEFFICIENT_NAMES)]
        self.store.insert(
            "coefficients", ["coef_id", *COEFFICIENT_NAMES], [values], f"coefficients-{c.coef_id}"
        )
