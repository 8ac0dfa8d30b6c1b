"""What the API answers and the page shows: one set of shapes for both.

Energy in Wh, carbon in grams of CO2e, water in millilitres, times in UTC. A `Range` is a judgement
band around the mid value, never a confidence interval. `None` means "not available", never zero.
"""

from __future__ import annotations

from datetime import date, datetime

from pydantic import BaseModel, ConfigDict, Field


class Model(BaseModel):
    """Base of every response: unknown fields are a programming error."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class Range(Model):
    """A figure with its band."""

    low: float
    mid: float
    high: float


class Totals(Model):
    """Sums over a set of calls."""

    calls: int
    adjusted_calls: float  # calls that these stand for: sampled ones stand for several
    coverage: float  # calls / adjusted calls: 1 unless traces were sampled
    usage_quality: dict[str, int]  # reported | partial | estimated → calls
    input_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    output_tokens: int
    reasoning_tokens: int
    energy_wh: Range
    co2e_g_location: Range
    co2e_g_market: Range | None  # None unless every call in the set has market evidence
    co2e_g_embodied: Range
    water_ml_onsite: Range
    water_ml_offsite: Range
    water_ml: Range  # on site + off site, lows added to lows
    cost_usd: float | None  # list prices and what invoices say was paid; None if none is known
    unpriced_calls: int


class UsageRow(Model):
    """One group of `GET /v1/usage`: the values of the dimensions asked for, then the totals."""

    group: dict[str, str]
    totals: Totals


class Usage(Model):
    """The answer of `GET /v1/usage`; the range is half-open, [from, to)."""

    from_: datetime = Field(serialization_alias="from")
    to: datetime
    group_by: list[str]
    rows: list[UsageRow]
    total: Totals
    provisional_from: datetime | None  # windows not yet reconciled start here
    restatement: str = ""  # the restatement that these figures are of; "": as they were stated


class Change(Model):
    """A figure as it was stated and as it is restated."""

    original: Range
    restated: Range
    percent: float | None  # of mid; None where the original is zero


class ModelChange(Model):
    """What a restatement does to one model of one provider."""

    provider: str
    model: str
    calls: int
    energy_wh: Change
    co2e_g_location: Change


class Difference(Model):
    """What a restatement changes."""

    calls: int
    energy_wh: Change
    co2e_g_location: Change
    co2e_g_market: Change | None  # None unless every call has market evidence, before and after
    co2e_g_embodied: Change
    water_ml_onsite: Change
    water_ml_offsite: Change
    by_model: list[ModelChange]  # the largest changes of CO2e first
    material: bool  # a mid value moves by at least the threshold
    threshold_percent: float


class WhatIf(Model):
    """Calls as they were (`original`) and as they might have been (`restated`)."""

    from_: datetime = Field(serialization_alias="from")
    to: datetime
    to_model: str
    to_provider: str
    to_region: str
    to_hour: int | None
    factor_set: str
    method: str
    difference: Difference
    caveats: list[str]


class Restatement(Model):
    """Closed days under another factor set or method, beside the originals."""

    id: str  # "" for one that was only tried
    from_: date = Field(serialization_alias="from")
    to: date  # exclusive
    original_sets: list[str]  # factor sets and methods that the days were stated with
    factor_set: str
    factor_set_sha256: str
    method: str
    basis: str  # closed | calls
    reason: str
    requested_by: str
    created_at: datetime | None
    closes_root: str  # over the closes of the days it rests on
    unknown_hours: int  # of grids known by the hour: hours with calls that took the year's figure
    difference: Difference


class Restatements(Model):
    """Restatements, newest first."""

    restatements: list[Restatement]


class Close(Model):
    """One generation of a closed day: SHA-256 of its rows of integers."""

    day: date
    generation: int
    closed_at: datetime
    rows: int
    calls: int
    root: str


class Closes(Model):
    """Closed days, every generation, oldest first."""

    closes: list[Close]


class TrendPoint(Model):
    """One bucket of a trend: mid CO2e, energy and calls of one series."""

    start: datetime
    series: str
    calls: int
    energy_wh: float
    co2e_g: float
    water_ml: float


class TierShare(Model):
    """How much of the energy rests on which tier of evidence (A measured … F default class)."""

    tier: str
    calls: int
    energy_wh: float
    share: float  # of energy, 0 … 1


class LiveCall(Model):
    """A line of "what is coming in now"."""

    id: str
    start_time: datetime
    team: str
    service: str
    provider: str
    model: str
    operation: str
    output_tokens: int
    energy_wh: float
    co2e_g: float
    counted: bool
    reason: str
    provisional: bool


class Equivalent(Model):
    """A figure a person can picture, with its source."""

    label: str  # "km by car"
    amount: float
    basis: str  # "CO2e" | "energy" | "water"
    source_title: str
    source_url: str


class Overview(Model):
    """Everything the front page shows."""

    org_id: str
    now: datetime
    today: Totals  # since 00:00 UTC
    yesterday_same_hours: Totals
    trend_days: int  # 7 or 30
    trend: list[TrendPoint]  # by day and model; the small ones are "other"
    top_teams: list[UsageRow]
    top_services: list[UsageRow]
    top_models: list[UsageRow]
    tiers: list[TierShare]
    live: list[LiveCall]
    calls_per_minute: list[int]  # the last 30 minutes, oldest first
    provisional_from: datetime | None
    equivalents: list[Equivalent]
    factor_set: str


class CallRow(Model):
    """One call as listed."""

    id: str  # 32 hex digits: trace hash and span id
    start_time: datetime
    received_at: datetime
    duration_ms: float
    project: str
    team: str
    service: str
    environment: str
    provider: str
    request_model: str
    response_model: str
    place: str
    operation: str
    scope: str
    signal: str  # span | log
    adjusted_calls: float  # how many calls this one stands for, by the sampling of its trace
    input_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    output_tokens: int
    reasoning_tokens: int
    usage_quality: str
    counted: bool
    reason: str
    energy_wh: float
    co2e_g: float
    water_ml: float
    method: str
    model_tier: str


class Calls(Model):
    """A page of calls, newest first; pass `next_cursor` on to continue."""

    calls: list[CallRow]
    next_cursor: str | None


class Derivation(Model):
    """One step of how a figure came about: the formula with its numbers put in, and the result."""

    name: str
    formula: str
    value: float | None  # None: not available
    unit: str
    source: str


class Explained(Model):
    """The footprint of a call that was described, and every step to it."""

    energy_wh: Range
    co2e_g_location: Range
    co2e_g_market: Range | None  # None without contractual evidence
    co2e_g_embodied: Range
    water_ml_onsite: Range
    water_ml_offsite: Range
    tier_energy: str  # A measured … F default class
    tier_grid: str  # A hourly … E world
    method: str
    factor_set: str
    factor_set_sha256: str
    model: str  # the catalogue's name for it, or the class
    model_match: str
    operator: str
    zone: str
    zone_match: str
    day: date
    steps: list[Derivation]


class Override(Model):
    """What an organisation states instead of the factor set; it holds once it is approved."""

    id: str
    kind: str  # energy | contract | region | method
    status: str  # proposed | approved | rejected | withdrawn
    says: str
    document: str  # title, year and reference; empty where none is asked for
    stated: dict[str, str | float | None]
    valid_from: date
    valid_to: date | None  # the first UTC day without it
    proposed_by: str
    proposed_at: datetime
    decided_by: str | None
    decided_at: datetime | None
    note: str


class Overrides(Model):
    """What an organisation has proposed and approved, in the order of proposal."""

    overrides: list[Override]


class Count(Model):
    """One count of a call: `mid` is what its figures rest on, between judged bounds."""

    name: str  # input | output | cache_read | cache_write | reasoning
    quality: str  # reported | partial | estimated
    low: int
    mid: int
    high: int


class CallDetail(Model):
    """One call with its ranges and its derivation."""

    call: CallRow
    counts: list[Count]
    energy_wh: Range
    co2e_g_location: Range
    co2e_g_market: Range | None
    co2e_g_embodied: Range
    water_ml_onsite: Range
    water_ml_offsite: Range
    coefficients: dict[str, str | float | None]
    derivation: list[Derivation]
    cancelled_by_reconcile: bool
