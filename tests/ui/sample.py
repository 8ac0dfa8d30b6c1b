"""A month of one organisation as the page receives it: fixed clock, fixed seed, no store.

`SampleReader` answers what the real reader answers. Numbers are of a plausible size (a few kWh a
day), not worked out: the arithmetic is tested where it lives.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from ecomind_query.models import (
    CallDetail,
    CallRow,
    Calls,
    Count,
    Derivation,
    LiveCall,
    Overview,
    Range,
    TierShare,
    Totals,
    TrendPoint,
    UsageRow,
)
from ecomind_query.ui.equivalents import equivalents_for
from ecomind_receiver.tenants import Reach

NOW = datetime(2026, 11, 18, 14, 32, 7, tzinfo=UTC)
FACTOR_SET = "2026.11.0"

# model, provider, Wh per call, share of the calls, tier
MODELS = (
    ("gpt-4o", "openai", 0.81, 0.24, "D"),
    ("claude-sonnet-4-5", "anthropic", 0.97, 0.19, "D"),
    ("gemini-2.5-flash", "gcp.vertex_ai", 0.21, 0.18, "D"),
    ("llama-3.3-70b-instruct", "groq", 0.46, 0.13, "C"),
    ("gpt-4o-mini", "openai", 0.09, 0.12, "D"),
    ("mistral-large-latest", "mistral_ai", 1.12, 0.07, "E"),
    ("qwen3-235b-a22b", "aws.bedrock", 0.88, 0.05, "C"),
    ("acme-support-ft-v7", "openai", 0.74, 0.02, "F"),
)
TEAMS = (
    ("search", "ranker"),
    ("support", "helpdesk-bot"),
    ("platform", "code-review"),
    ("marketing", "copy-studio"),
    ("finance", "invoice-reader"),
    ("unattributed", "notebooks"),
)
TEAM_SHARES = (0.34, 0.26, 0.17, 0.12, 0.07, 0.04)


def band(mid: float, factor: float) -> Range:
    return Range(low=mid / factor, mid=mid, high=mid * factor)


def totals(energy_wh: float, calls: int) -> Totals:
    co2e_g = energy_wh * 0.352
    onsite_ml, offsite_ml = energy_wh * 0.42, energy_wh * 3.4
    return Totals(
        calls=calls,
        adjusted_calls=float(calls),
        coverage=1.0,
        usage_quality={"reported": calls, "partial": 0, "estimated": 0},
        input_tokens=calls * 1840,
        cache_read_tokens=calls * 620,
        cache_write_tokens=calls * 55,
        output_tokens=calls * 412,
        reasoning_tokens=calls * 96,
        energy_wh=band(energy_wh, 2.8),
        co2e_g_location=band(co2e_g, 3.3),
        co2e_g_market=None,
        co2e_g_embodied=band(energy_wh * 0.04, 2.8),
        water_ml_onsite=band(onsite_ml, 3.9),
        water_ml_offsite=band(offsite_ml, 3.9),
        water_ml=band(onsite_ml + offsite_ml, 3.9),
        cost_usd=calls * 0.0067,
        unpriced_calls=calls // 50,
    )


def trend(days: int) -> Iterator[TrendPoint]:
    start_of_today = NOW.replace(hour=0, minute=0, second=0)
    for age in range(days - 1, -1, -1):
        start = start_of_today - timedelta(days=age)
        noise = random.Random(f"day {start:%F}")
        volume = 21_000 * (1 + 0.012 * (30 - age)) * (0.42 if start.weekday() >= 5 else 1.0)
        volume *= noise.uniform(0.9, 1.1) * (0.62 if age == 0 else 1.0)
        for rank, (model, _, wh, share, _) in enumerate(MODELS):
            calls = int(volume * share * noise.uniform(0.8, 1.2) * _adoption(rank, age))
            energy_wh = calls * wh
            yield TrendPoint(
                start=start,
                series=model if rank < 6 else "other",
                calls=calls,
                energy_wh=energy_wh,
                co2e_g=energy_wh * 0.352,
                water_ml=energy_wh * 3.82,
            )


def _adoption(rank: int, age: int) -> float:
    """The second model is rolled out in the middle of the month and takes over from the first."""
    rollout = 1 / (1 + math.exp((age - 14) / 3))
    return {0: 1.5 - 0.8 * rollout, 1: 0.25 + rollout}.get(rank, 1.0)


def ranked(dimension: str, names: tuple[str, ...], shares: tuple[float, ...]) -> list[UsageRow]:
    rows = zip(names, shares, strict=True)
    return [
        UsageRow(group={dimension: name}, totals=totals(278_400 * share, int(512_700 * share)))
        for name, share in sorted(rows, key=lambda row: -row[1])
    ]


def call_row(index: int) -> CallRow:
    noise = random.Random(f"call {index}")
    model, provider, wh, _, tier = MODELS[noise.choices(range(8), [m[3] for m in MODELS])[0]]
    team, service = TEAMS[noise.choices(range(6), TEAM_SHARES)[0]]
    start = NOW - timedelta(seconds=index * 4.7 + noise.random())
    counted = index % 9 != 4
    energy_wh = wh * noise.uniform(0.3, 2.1)
    return CallRow(
        id=f"{noise.getrandbits(128):032x}",
        start_time=start,
        received_at=start + timedelta(seconds=3),
        duration_ms=noise.uniform(400, 9000),
        project="default",
        team=team,
        service=service,
        environment="production",
        provider=provider,
        request_model=model,
        response_model=f"{model}-2026-08-06" if noise.random() < 0.3 else model,
        place="us-east-1",
        operation="chat" if noise.random() < 0.86 else "embeddings",
        scope="opentelemetry.instrumentation.openai",
        signal="span",
        adjusted_calls=1.0,
        input_tokens=noise.randint(80, 6200),
        cache_read_tokens=noise.randint(0, 60),
        cache_write_tokens=0,
        output_tokens=noise.randint(12, 1400),
        reasoning_tokens=0,
        usage_quality="reported" if counted else "",
        counted=counted,
        reason="" if counted else ("container" if index % 2 else "duplicate"),
        energy_wh=energy_wh,
        co2e_g=energy_wh * 0.352,
        water_ml=energy_wh * 3.82,
        method="ecomind@v1",
        model_tier=tier,
    )


def live_call(row: CallRow) -> LiveCall:
    return LiveCall(
        id=row.id,
        start_time=row.start_time,
        team=row.team,
        service=row.service,
        provider=row.provider,
        model=row.request_model,
        operation=row.operation,
        output_tokens=row.output_tokens,
        energy_wh=row.energy_wh,
        co2e_g=row.co2e_g,
        counted=row.counted,
        reason=row.reason,
        provisional=True,
    )


def overview(trend_days: int = 30) -> Overview:
    today = totals(9_640, 14_902)
    noise = random.Random("minutes")
    return Overview(
        org_id="org_demo",
        now=NOW,
        today=today,
        yesterday_same_hours=totals(8_410, 13_377),
        trend_days=trend_days,
        trend=list(trend(trend_days)),
        top_teams=ranked("team", tuple(t[0] for t in TEAMS), TEAM_SHARES),
        top_services=ranked("service", tuple(t[1] for t in TEAMS), TEAM_SHARES),
        top_models=ranked(
            "model", tuple(m[0] for m in MODELS), (0.27, 0.31, 0.06, 0.10, 0.02, 0.13, 0.08, 0.03)
        ),
        tiers=[
            TierShare(tier="A", calls=410, energy_wh=289, share=0.03),
            TierShare(tier="C", calls=2_690, energy_wh=1_735, share=0.18),
            TierShare(tier="D", calls=10_460, energy_wh=6_073, share=0.63),
            TierShare(tier="E", calls=1_043, energy_wh=1_253, share=0.13),
            TierShare(tier="F", calls=299, energy_wh=289, share=0.03),
        ],
        live=[live_call(call_row(index)) for index in range(8)],
        calls_per_minute=[
            int(12 + 4 * math.sin(minute / 4) + noise.uniform(-3, 3)) for minute in range(30)
        ],
        provisional_from=NOW - timedelta(minutes=12),
        equivalents=equivalents_for(today),
        factor_set=FACTOR_SET,
    )


def empty_overview(trend_days: int = 30) -> Overview:
    """A fresh install: nothing has come in yet."""
    nothing = totals(0, 0)
    return overview(trend_days).model_copy(
        update={
            "today": nothing,
            "yesterday_same_hours": nothing,
            "trend": [],
            "top_teams": [],
            "top_services": [],
            "top_models": [],
            "tiers": [],
            "live": [],
            "calls_per_minute": [0] * 30,
            "provisional_from": None,
            "equivalents": equivalents_for(nothing),
        }
    )


def call_detail() -> CallDetail:
    """The worked example of the methodology: gpt-4o in the USA, 1,000 tokens in and 300 out."""
    row = call_row(0).model_copy(
        update={
            "request_model": "gpt-4o",
            "response_model": "gpt-4o-2024-08-06",
            "provider": "openai",
            "input_tokens": 1_000,
            "cache_read_tokens": 0,
            "output_tokens": 300,
            "energy_wh": 0.8129,
            "co2e_g": 0.3125,
            "water_ml": 2.9384,
            "model_tier": "D",
            "counted": True,
            "reason": "",
        }
    )
    ember = "Ember, Yearly Electricity Data, 2025: USA (CC BY 4.0) https://ember-energy.org/data/"
    return CallDetail(
        call=row,
        counts=[
            Count(name=name, quality="reported", low=mid, mid=mid, high=mid)
            for name, mid in (
                ("input", row.input_tokens),
                ("output", row.output_tokens),
                ("cache_read", row.cache_read_tokens),
                ("cache_write", row.cache_write_tokens),
                ("reasoning", row.reasoning_tokens),
            )
        ],
        energy_wh=band(0.8129, 3),
        co2e_g_location=band(0.3125, 3.75),
        co2e_g_market=None,
        co2e_g_embodied=band(0.0325, 3),
        water_ml_onsite=band(0.3854, 4.5),
        water_ml_offsite=band(2.5525, 4.5),
        coefficients={
            "method": "ecomind@v1",
            "factor_set": FACTOR_SET,
            "model": "gpt-4o",
            "model_match": "exact",
            "model_tier": "D",
            "zone": "USA",
            "grid_tier": "C",
            "wh_per_input_token": 0.000169356,
            "wh_per_output_token": 0.00169356,
            "pue": 1.2,
            "co2e_g_per_kwh_location": 384.4,
            "co2e_g_per_kwh_market": None,
            "band_energy": 3.0,
        },
        derivation=[
            Derivation(
                name="IT energy",
                formula="e_in · uncached input + e_out · output"
                " = 0.000169356 · 1,000 + 0.00169356 · 300",
                value=0.6774,
                unit="Wh",
                source="ecomind@v1: gpt-4o (exact name), tier D",
            ),
            Derivation(
                name="Energy",
                formula="IT energy · PUE = 0.6774 · 1.2",
                value=0.8129,
                unit="Wh",
                source="operator openai; EcoLogits 0.11.3, provider configuration",
            ),
            Derivation(
                name="CO2e, location-based",
                formula="energy · grid ÷ 1,000 = 0.8129 · 384.4 ÷ 1,000",
                value=0.3125,
                unit="g",
                source=ember,
            ),
            Derivation(
                name="CO2e, market-based",
                formula="no contractual evidence for this provider and year",
                value=None,
                unit="g",
                source="operator openai",
            ),
            Derivation(
                name="Energy, high",
                formula="mid · band = 0.8129 · 3 (tier D)",
                value=2.4388,
                unit="Wh",
                source="Ecomind methodology, bands: a judgement, no confidence interval",
            ),
        ],
        cancelled_by_reconcile=False,
    )


class SampleReader:
    """Answers like the real reader; remembers what it was asked."""

    def __init__(self, *, empty: bool = False) -> None:
        self.empty = empty
        self.asked: list[tuple[object, ...]] = []

    def overview(self, reach: Reach, trend_days: int) -> Overview:
        self.asked.append(("overview", reach, trend_days))
        return empty_overview(trend_days) if self.empty else overview(trend_days)

    def calls(
        self, reach: Reach, *, cursor: str | None, limit: int, filters: dict[str, str]
    ) -> Calls:
        self.asked.append(("calls", reach, cursor, limit, filters))
        if self.empty:
            return Calls(calls=[], next_cursor=None)
        detail = call_detail().call
        rows = [detail, *(call_row(index) for index in range(1, limit))]
        matching = [row for row in rows if filters.get("team", row.team) == row.team]
        return Calls(calls=matching, next_cursor=None if cursor else "older")

    def call(self, reach: Reach, id: str) -> CallDetail | None:
        self.asked.append(("call", reach, id))
        detail = call_detail()
        return detail if id == detail.call.id else None
