"""The query parameters of the API.

A name that is not here is refused, so that a typing mistake is never ignored.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated, ClassVar

from pydantic import Field, StringConstraints, field_validator

from ecomind_processor.dialect import MAX_MEASURED_J
from ecomind_query.models import Model
from ecomind_semconv.dialects import MAX_SPEND_USD
from ecomind_semconv.units import joules_to_wh

Text = Annotated[str, StringConstraints(max_length=128)]
Time = Annotated[str, StringConstraints(max_length=40)]


class Filters(Model):
    """What totals and lists may be filtered by. A value must match exactly."""

    not_filters: ClassVar[frozenset[str]] = frozenset()

    model: Text | None = Field(None, description="The requested or the answering model.")
    provider: Text | None = Field(None, description="Such as `openai` or `aws.bedrock`.")
    team: Text | None = Field(None, description="`unattributed` finds calls without a team.")
    project: Text | None = Field(None, description="The project of the key that was used.")
    service: Text | None = Field(None, description="`service.name` of the application.")
    environment: Text | None = Field(None, description="Such as `production`.")
    region: Text | None = Field(None, description="Where the model ran, as it was stated.")

    def filters(self) -> dict[str, str]:
        """The filters that are set, by name."""
        return self.model_dump(by_alias=True, exclude_none=True, exclude=set(self.not_filters))


class Days(Model):
    """Query of `GET /v1/aggregate/daily`."""

    from_: Time | None = Field(
        None,
        alias="from",
        description="Start, inclusive: a time with a zone, or a date for its UTC midnight.",
        examples=["2026-11-01"],
    )
    to: Time | None = Field(
        None, description="End, exclusive; now if left out.", examples=["2026-12-01T00:00:00Z"]
    )


class UsageQuery(Filters, Days):
    """Query of `GET /v1/usage`; without `from` it covers seven days."""

    not_filters = frozenset({"from_", "to", "group_by", "restatement"})

    restatement: Text = Field(
        "", description="A restatement's id: its figures instead of those first stated."
    )
    group_by: list[Text] = Field(
        default_factory=list,
        description="Dimensions, repeated or with commas between: model, provider, team, project,"
        " service, environment, region, hour, day, month.",
        examples=[["model", "day"]],
    )

    @field_validator("group_by")
    @classmethod
    def _split(cls, values: list[str]) -> list[str]:
        return [name.strip() for value in values for name in value.split(",") if name.strip()]


class WhatIfQuery(Filters, Days):
    """Query of `GET /v1/whatif`; without `from` it covers the last 30 days, in whole hours."""

    not_filters = frozenset({"from_", "to", "to_model", "to_provider", "to_region", "to_hour"})

    to_model: Text = Field("", description="Model that would have answered instead.")
    to_provider: Text = Field("", description="Provider that would have run it.")
    to_region: Text = Field("", description="Cloud region or grid zone it would have run in.")
    to_hour: Annotated[int, Field(ge=0, le=23)] | None = Field(
        None, description="UTC hour of the same day; needs an hourly source for the grid."
    )


class ClosesQuery(Model):
    """Query of `GET /v1/closes`; without `from` it covers the last 90 days."""

    from_: date | None = Field(None, alias="from", description="First UTC day.")
    to: date | None = Field(None, description="UTC day after the last one; today if left out.")


class CallsQuery(Filters, Days):
    """Query of `GET /v1/calls`."""

    not_filters = frozenset({"cursor", "limit"})

    counted: Text | None = Field(None, description="`true` or `false`.", examples=["true"])
    reason: Text | None = Field(
        None, description="Why a call is not counted.", examples=["duplicate"]
    )
    cursor: str | None = Field(
        None, max_length=200, description="`next_cursor` of the answer before, as it is."
    )
    limit: int = Field(50, ge=1, le=500, description="Calls in one answer.")


Tokens = Annotated[int, Field(ge=0, le=100_000_000)]
Seconds = Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)]
MeasuredWh = Annotated[float, Field(ge=0, le=joules_to_wh(MAX_MEASURED_J), allow_inf_nan=False)]


class ExplainQuery(Model):
    """Query of `GET /v1/explain`: a call to be explained; what is left out it did not have."""

    model: Text = Field(description="The model's name, as calls write it.", examples=["gpt-4o"])
    provider: Text = Field("", description="Such as `openai` or `aws.bedrock`.")
    region: Text = Field("", description="Cloud region or endpoint host that the model ran in.")
    zone: Text = Field("", description="Instead of `region`: a grid zone, such as `USA`.")
    input_tokens: Tokens = Field(0, description="All input, from a cache or not.")
    cache_read_tokens: Tokens = Field(0, description="Input tokens read from a cache.")
    cache_write_tokens: Tokens = Field(0, description="Input tokens written to a cache.")
    output_tokens: Tokens = Field(0, description="All output, reasoning included.")
    reasoning_tokens: Tokens = Field(0, description="Output tokens spent on reasoning.")
    images: Annotated[int, Field(ge=0, le=10_000)] = Field(0, description="Images made.")
    audio_s: Seconds = Field(0, description="Seconds of audio made or read.")
    video_s: Seconds = Field(0, description="Seconds of video made.")
    spend_usd: Annotated[float, Field(ge=0, le=MAX_SPEND_USD, allow_inf_nan=False)] = Field(
        0, description="US dollars paid, where nothing else is known of the usage."
    )
    latency_s: Seconds = Field(0, description="Duration; bounds the method of EcoLogits.")
    measured_energy_wh: MeasuredWh | None = Field(
        None, description="IT energy that the caller measured; it goes before any method."
    )
    service_tier: Text = Field("", description="Such as `batch`.")
    method: Text = Field("", description="Method; the organisation's or the set's own if left out.")
    factor_set: Text = Field("", description="Factor set; the one in use if left out.")
    day: date | None = Field(None, description="UTC day of the call; today if left out.")
    hour: int | None = Field(
        None,
        ge=0,
        le=23,
        description="UTC hour of that day: takes the grid's intensity in it, where one is known.",
    )


class OverviewQuery(Model):
    """Query of `GET /v1/overview`."""

    trend_days: int = Field(30, description="7 or 30.", examples=[7])


class SpansQuery(Model):
    """Query of `GET /v1/diagnostics/spans`."""

    limit: int = Field(100, ge=1, le=1000, description="Spans in the answer.")
