"""Names of the attributes and metrics on the wire: generated, do not edit.

Made by `python semconv/generate.py` from semconv/model. Values of attributes are in joules, grams
and litres; no unit is part of a name.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from ecomind_semconv.metric import Metric

SCHEMA_URL: Final = "https://ecomind.dev/schemas/0.1.0"
"""Schema URL of the registry."""

ECOMIND_TEAM: Final = "ecomind.team"
"""string. The team that a call is attributed to."""
ECOMIND_ORG: Final = "ecomind.org"
"""string. Ignored; the organisation comes from the API key."""
ECOMIND_PROJECT: Final = "ecomind.project"
"""string. Ignored; the project comes from the API key."""
ECOMIND_INFERENCE_REGION: Final = "ecomind.inference.region"
"""string. Where the model runs, as a cloud region, an ISO country or a grid zone."""
ECOMIND_MEASURED_ENERGY: Final = "ecomind.measured.energy"
"""double. Energy of the call's IT equipment as measured by a meter or the provider, in joules."""
ECOMIND_USAGE_IMAGES: Final = "ecomind.usage.images"
"""int. Images that the call made."""
ECOMIND_USAGE_AUDIO: Final = "ecomind.usage.audio"
"""double. Audio that the call made or read, in seconds."""
ECOMIND_USAGE_VIDEO: Final = "ecomind.usage.video"
"""double. Video that the call made, in seconds."""
ECOMIND_SPEND_AMOUNT: Final = "ecomind.spend.amount"
"""double. What was paid for AI that reports no usage, in US dollars."""
ECOMIND_ENERGY: Final = "ecomind.energy"
"""double. Energy attributed to the call, facility overhead included, in joules; the mid value."""
ECOMIND_ENERGY_LOW: Final = "ecomind.energy_low"
"""double. Lower end of the band around `ecomind.energy`, in joules."""
ECOMIND_ENERGY_HIGH: Final = "ecomind.energy_high"
"""double. Upper end of the band around `ecomind.energy`, in joules."""
ECOMIND_CO2E_LOCATION: Final = "ecomind.co2e.location"
"""double. Operational emissions of the call, location-based, in grams of CO2e; the mid value."""
ECOMIND_CO2E_LOCATION_LOW: Final = "ecomind.co2e.location_low"
"""double. Lower end of the band around `ecomind.co2e.location`, in grams of CO2e."""
ECOMIND_CO2E_LOCATION_HIGH: Final = "ecomind.co2e.location_high"
"""double. Upper end of the band around `ecomind.co2e.location`, in grams of CO2e."""
ECOMIND_CO2E_MARKET: Final = "ecomind.co2e.market"
"""double. Operational emissions of the call, market-based, in grams of CO2e; the mid value."""
ECOMIND_CO2E_MARKET_LOW: Final = "ecomind.co2e.market_low"
"""double. Lower end of the band around `ecomind.co2e.market`, in grams of CO2e."""
ECOMIND_CO2E_MARKET_HIGH: Final = "ecomind.co2e.market_high"
"""double. Upper end of the band around `ecomind.co2e.market`, in grams of CO2e."""
ECOMIND_CO2E_EMBODIED: Final = "ecomind.co2e.embodied"
"""double. The call's share of making the hardware, in grams of CO2e; the mid value."""
ECOMIND_CO2E_EMBODIED_LOW: Final = "ecomind.co2e.embodied_low"
"""double. Lower end of the band around `ecomind.co2e.embodied`, in grams of CO2e."""
ECOMIND_CO2E_EMBODIED_HIGH: Final = "ecomind.co2e.embodied_high"
"""double. Upper end of the band around `ecomind.co2e.embodied`, in grams of CO2e."""
ECOMIND_WATER_ONSITE: Final = "ecomind.water.onsite"
"""double. Water that cools the data centre during the call, in litres; the mid value."""
ECOMIND_WATER_ONSITE_LOW: Final = "ecomind.water.onsite_low"
"""double. Lower end of the band around `ecomind.water.onsite`, in litres."""
ECOMIND_WATER_ONSITE_HIGH: Final = "ecomind.water.onsite_high"
"""double. Upper end of the band around `ecomind.water.onsite`, in litres."""
ECOMIND_WATER_OFFSITE: Final = "ecomind.water.offsite"
"""double. Water consumed to generate the call's electricity, in litres; the mid value."""
ECOMIND_WATER_OFFSITE_LOW: Final = "ecomind.water.offsite_low"
"""double. Lower end of the band around `ecomind.water.offsite`, in litres."""
ECOMIND_WATER_OFFSITE_HIGH: Final = "ecomind.water.offsite_high"
"""double. Upper end of the band around `ecomind.water.offsite`, in litres."""
ECOMIND_METHOD: Final = "ecomind.method"
"""string. The method that produced the footprint."""
ECOMIND_FACTOR_SET: Final = "ecomind.factor_set"
"""string. The dated, immutable set of factors that the footprint was computed with."""
ECOMIND_MODEL_TIER: Final = "ecomind.model.tier"
"""string. How good the evidence for the model's energy is."""
ECOMIND_GRID_TIER: Final = "ecomind.grid.tier"
"""string. How good the evidence for the grid's carbon and water is."""
ECOMIND_GRID_ZONE: Final = "ecomind.grid.zone"
"""string. The grid zone that the carbon and water factors belong to."""
ECOMIND_WATER_SOURCE: Final = "ecomind.water.source"
"""string. Where the water was consumed."""
ECOMIND_RECEIVER_TRANSPORT: Final = "ecomind.receiver.transport"
"""string. The transport that an OTLP request arrived on."""
ECOMIND_SIGNAL: Final = "ecomind.signal"
"""string. The signal of an OTLP request."""
ECOMIND_REQUEST_OUTCOME: Final = "ecomind.request.outcome"
"""string. What became of an OTLP request."""
ECOMIND_SPAN_OUTCOME: Final = "ecomind.span.outcome"
"""string. What became of a span at this step."""
ECOMIND_CLAIM_SOURCE: Final = "ecomind.claim.source"
"""string. Where another tenant than the key's was named."""
ECOMIND_KEY_REFUSAL: Final = "ecomind.key.refusal"
"""string. Why a request was not let in."""
ECOMIND_REFUSAL_CAUSE: Final = "ecomind.refusal.cause"
"""string. Why a request could not be taken now."""
ECOMIND_QUOTA_LEVEL: Final = "ecomind.quota.level"
"""string. Whose quota was used up."""

# Names of other registries that ours refer to.
GEN_AI_OPERATION_NAME: Final = "gen_ai.operation.name"
GEN_AI_PROVIDER_NAME: Final = "gen_ai.provider.name"
GEN_AI_REQUEST_MODEL: Final = "gen_ai.request.model"
GEN_AI_RESPONSE_MODEL: Final = "gen_ai.response.model"
USER_ID: Final = "user.id"


class EcomindMethod(StrEnum):
    """Values of `ecomind.method`. The method that produced the footprint."""

    MEASURED = "measured"
    """Energy was measured; carbon, water and overhead are computed."""
    ECOMIND_V1 = "ecomind@v1"
    """Ecomind's own method, version 1."""


class EcomindModelTier(StrEnum):
    """Values of `ecomind.model.tier`. How good the evidence for the model's energy is."""

    A = "A"
    """Measured on this call."""
    B = "B"
    """Disclosed by the provider for the same model and period, or set by the tenant."""
    C = "C"
    """Open weights with a measured benchmark."""
    D = "D"
    """Exact closed model whose size is estimated."""
    E = "E"
    """Family, or a size read from the name."""
    F = "F"
    """Default class for an unknown model."""


class EcomindGridTier(StrEnum):
    """Values of `ecomind.grid.tier`. How good the evidence for the grid's carbon and water is."""

    A = "A"
    """Hourly figures."""
    B = "B"
    """Yearly figures of a subregion of a country."""
    C = "C"
    """Yearly figures of a country."""
    D = "D"
    """Figures of a continent."""
    E = "E"
    """The world's average."""


class EcomindWaterSource(StrEnum):
    """Values of `ecomind.water.source`. Where the water was consumed."""

    ONSITE = "onsite"
    """Cooling of the data centre."""
    OFFSITE = "offsite"
    """Generation of the electricity."""


class EcomindReceiverTransport(StrEnum):
    """Values of `ecomind.receiver.transport`. The transport that an OTLP request arrived on."""

    GRPC = "grpc"
    """OTLP/gRPC."""
    HTTP = "http"
    """OTLP/HTTP."""


class EcomindSignal(StrEnum):
    """Values of `ecomind.signal`. The signal of an OTLP request."""

    TRACES = "traces"
    """Spans."""
    LOGS = "logs"
    """Log records."""
    METRICS = "metrics"
    """Metrics; they are acknowledged and not kept."""


class EcomindRequestOutcome(StrEnum):
    """Values of `ecomind.request.outcome`. What became of an OTLP request."""

    SUCCESS = "success"
    """Acknowledged; what is kept of it is durable."""
    REFUSED = "refused"
    """Turned away for a reason of the request or of its quota; the sender was told which."""
    FAILURE = "failure"
    """The receiver could not make it durable; the sender was asked to retry."""


class EcomindSpanOutcome(StrEnum):
    """Values of `ecomind.span.outcome`. What became of a span at this step."""

    ACCEPTED = "accepted"
    """Acknowledged after it was durable."""
    REFUSED = "refused"
    """Told to be rejected; it is not kept."""
    IGNORED = "ignored"
    """Acknowledged and dropped, because its signal is not kept."""
    STORED = "stored"
    """A GenAI span; it is a row now."""
    NOT_GENAI = "not_genai"
    """Dropped because it is not a GenAI span."""
    RESENT = "resent"
    """Dropped because the same span was already in the segment."""
    BAD_ID = "bad_id"
    """Dropped because its trace or span id is not valid."""
    BAD_TIME = "bad_time"
    """Dropped because its time lies outside the retention or in the future."""
    QUARANTINED = "quarantined"
    """Set aside with its record, which the engine could not decode."""
    UNREAD = "unread"
    """Dropped because the engine did not see it, as behind a JSON key that is there twice."""


class EcomindClaimSource(StrEnum):
    """Values of `ecomind.claim.source`. Where another tenant than the key's was named."""

    HEADER = "header"
    """A header of the request."""
    BODY = "body"
    """The body of a JSON event."""
    SPAN = "span"
    """A span or its resource."""


class EcomindKeyRefusal(StrEnum):
    """Values of `ecomind.key.refusal`. Why a request was not let in."""

    MISSING = "missing"
    """No key was sent."""
    UNKNOWN = "unknown"
    """The key is unknown, revoked or expired."""
    UNREADABLE = "unreadable"
    """The key is not among those last read, and the control store can't be asked now."""
    SCOPE = "scope"
    """The key lacks the scope."""
    ORIGIN = "origin"
    """A public key was sent from an origin that it does not name."""


class EcomindRefusalCause(StrEnum):
    """Values of `ecomind.refusal.cause`. Why a request could not be taken now."""

    SPOOL_FULL = "spool_full"
    """The spool is above its high-water mark."""
    SPOOL_SHARE = "spool_share"
    """The spool is nearly full, and most of it is the organisation's."""
    IN_FLIGHT = "in_flight"
    """Requests in memory are at their limit."""
    DISK = "disk"
    """The disk under the spool refuses writes."""
    KAFKA = "kafka"
    """Kafka has not confirmed what it was sent."""
    STOPPING = "stopping"
    """The receiver is stopping."""


class EcomindQuotaLevel(StrEnum):
    """Values of `ecomind.quota.level`. Whose quota was used up."""

    ORG = "org"
    """The quota of the organisation."""
    KEY = "key"
    """The quota of the API key."""


ECOMIND_CONTEXT_ATTRIBUTES: Final = (
    ECOMIND_TEAM,
    ECOMIND_INFERENCE_REGION,
    ECOMIND_MEASURED_ENERGY,
    ECOMIND_USAGE_IMAGES,
    ECOMIND_USAGE_AUDIO,
    ECOMIND_USAGE_VIDEO,
    ECOMIND_SPEND_AMOUNT,
    USER_ID,
    ECOMIND_ORG,
    ECOMIND_PROJECT,
)
"""What an application may say about a GenAI call; read by Ecomind."""

ECOMIND_FOOTPRINT_ATTRIBUTES: Final = (
    ECOMIND_ENERGY,
    ECOMIND_ENERGY_LOW,
    ECOMIND_ENERGY_HIGH,
    ECOMIND_CO2E_LOCATION,
    ECOMIND_CO2E_LOCATION_LOW,
    ECOMIND_CO2E_LOCATION_HIGH,
    ECOMIND_CO2E_MARKET,
    ECOMIND_CO2E_MARKET_LOW,
    ECOMIND_CO2E_MARKET_HIGH,
    ECOMIND_CO2E_EMBODIED,
    ECOMIND_CO2E_EMBODIED_LOW,
    ECOMIND_CO2E_EMBODIED_HIGH,
    ECOMIND_WATER_ONSITE,
    ECOMIND_WATER_ONSITE_LOW,
    ECOMIND_WATER_ONSITE_HIGH,
    ECOMIND_WATER_OFFSITE,
    ECOMIND_WATER_OFFSITE_LOW,
    ECOMIND_WATER_OFFSITE_HIGH,
    ECOMIND_METHOD,
    ECOMIND_FACTOR_SET,
    ECOMIND_MODEL_TIER,
    ECOMIND_GRID_TIER,
    ECOMIND_GRID_ZONE,
)
"""The footprint of a GenAI call and what it rests on; written by Ecomind, ignored on input."""

ECOMIND_ENERGY_USAGE: Final = Metric(
    name="ecomind.energy.usage",
    instrument="counter",
    unit="J",
    value_type="double",
    brief="Energy attributed to GenAI calls, facility overhead included.",
    attributes=(
        GEN_AI_PROVIDER_NAME,
        GEN_AI_OPERATION_NAME,
        GEN_AI_REQUEST_MODEL,
        GEN_AI_RESPONSE_MODEL,
        ECOMIND_TEAM,
        ECOMIND_GRID_ZONE,
        ECOMIND_MODEL_TIER,
    ),
)
"""Energy attributed to GenAI calls, facility overhead included. Unit: J."""

ECOMIND_CO2E_EMISSION: Final = Metric(
    name="ecomind.co2e.emission",
    instrument="counter",
    unit="g",
    value_type="double",
    brief="Operational, location-based CO2e of GenAI calls.",
    attributes=(
        GEN_AI_PROVIDER_NAME,
        GEN_AI_OPERATION_NAME,
        GEN_AI_REQUEST_MODEL,
        GEN_AI_RESPONSE_MODEL,
        ECOMIND_TEAM,
        ECOMIND_GRID_ZONE,
        ECOMIND_MODEL_TIER,
    ),
)
"""Operational, location-based CO2e of GenAI calls. Unit: g."""

ECOMIND_WATER_USAGE: Final = Metric(
    name="ecomind.water.usage",
    instrument="counter",
    unit="L",
    value_type="double",
    brief="Water consumed for GenAI calls.",
    attributes=(
        GEN_AI_PROVIDER_NAME,
        GEN_AI_OPERATION_NAME,
        GEN_AI_REQUEST_MODEL,
        GEN_AI_RESPONSE_MODEL,
        ECOMIND_TEAM,
        ECOMIND_GRID_ZONE,
        ECOMIND_MODEL_TIER,
        ECOMIND_WATER_SOURCE,
    ),
)
"""Water consumed for GenAI calls. Unit: L."""

ECOMIND_RECEIVER_REQUESTS: Final = Metric(
    name="ecomind.receiver.requests",
    instrument="counter",
    unit="{request}",
    value_type="int",
    brief="OTLP requests received.",
    attributes=(
        ECOMIND_RECEIVER_TRANSPORT,
        ECOMIND_REQUEST_OUTCOME,
        ECOMIND_SIGNAL,
    ),
)
"""OTLP requests received. Unit: {request}."""

ECOMIND_RECEIVER_SPANS: Final = Metric(
    name="ecomind.receiver.spans",
    instrument="counter",
    unit="{span}",
    value_type="int",
    brief="Spans received; likewise log records and metrics, each under its signal.",
    attributes=(
        ECOMIND_SPAN_OUTCOME,
        ECOMIND_SIGNAL,
    ),
)
"""Spans received; likewise log records and metrics, each under its signal. Unit: {span}."""

ECOMIND_SPOOL_SIZE: Final = Metric(
    name="ecomind.spool.size",
    instrument="updowncounter",
    unit="By",
    value_type="int",
    brief="Bytes in the spool that are not yet stored.",
    attributes=(),
)
"""Bytes in the spool that are not yet stored. Unit: By."""

ECOMIND_SPOOL_SEGMENTS: Final = Metric(
    name="ecomind.spool.segments",
    instrument="updowncounter",
    unit="{segment}",
    value_type="int",
    brief="Segments in the spool that are not yet stored.",
    attributes=(),
)
"""Segments in the spool that are not yet stored. Unit: {segment}."""

ECOMIND_KAFKA_WAITING: Final = Metric(
    name="ecomind.kafka.waiting",
    instrument="updowncounter",
    unit="{record}",
    value_type="int",
    brief="Records in Kafka that are not stored yet, over all partitions; absent without Kafka.",
    attributes=(),
)
"""Records in Kafka that are not stored yet, over all partitions; absent without Kafka. Unit: {record}."""

ECOMIND_KAFKA_LOST: Final = Metric(
    name="ecomind.kafka.lost",
    instrument="counter",
    unit="{record}",
    value_type="int",
    brief="Records that Kafka deleted before they were stored; absent without Kafka.",
    attributes=(),
)
"""Records that Kafka deleted before they were stored; absent without Kafka. Unit: {record}."""

ECOMIND_SPOOL_LIMIT: Final = Metric(
    name="ecomind.spool.limit",
    instrument="gauge",
    unit="By",
    value_type="int",
    brief="High-water mark of the spool; above it requests are to be sent again later.",
    attributes=(),
)
"""High-water mark of the spool; above it requests are to be sent again later. Unit: By."""

ECOMIND_SPOOL_WRITABLE: Final = Metric(
    name="ecomind.spool.writable",
    instrument="gauge",
    unit="1",
    value_type="int",
    brief="1 while the disk under the spool takes writes; 0 since the last one failed.",
    attributes=(),
)
"""1 while the disk under the spool takes writes; 0 since the last one failed. Unit: 1."""

ECOMIND_RECEIVER_POSTPONED: Final = Metric(
    name="ecomind.receiver.postponed",
    instrument="counter",
    unit="{request}",
    value_type="int",
    brief="Requests that are to be sent again later, because the receiver could not take them.",
    attributes=(ECOMIND_REFUSAL_CAUSE,),
)
"""Requests that are to be sent again later, because the receiver could not take them. Unit: {request}."""

ECOMIND_RECEIVER_IN_FLIGHT: Final = Metric(
    name="ecomind.receiver.in_flight",
    instrument="updowncounter",
    unit="By",
    value_type="int",
    brief="Bytes of requests in memory that are not answered yet.",
    attributes=(),
)
"""Bytes of requests in memory that are not answered yet. Unit: By."""

ECOMIND_LOADER_FAILURES: Final = Metric(
    name="ecomind.loader.failures",
    instrument="counter",
    unit="{attempt}",
    value_type="int",
    brief="Attempts to load a segment that failed; the segment waits and is tried again.",
    attributes=(),
)
"""Attempts to load a segment that failed; the segment waits and is tried again. Unit: {attempt}."""

ECOMIND_CLOCK_JUMPS: Final = Metric(
    name="ecomind.clock.jumps",
    instrument="counter",
    unit="{jump}",
    value_type="int",
    brief="Times that the clock was set by more than two seconds.",
    attributes=(),
)
"""Times that the clock was set by more than two seconds. Unit: {jump}."""

ECOMIND_CLOCK_BEHIND: Final = Metric(
    name="ecomind.clock.behind",
    instrument="gauge",
    unit="s",
    value_type="double",
    brief="How far the clock is before the end of the last closed window; 0 as a rule.",
    attributes=(),
)
"""How far the clock is before the end of the last closed window; 0 as a rule. Unit: s."""

ECOMIND_BACKUP_TIME: Final = Metric(
    name="ecomind.backup.time",
    instrument="gauge",
    unit="s",
    value_type="double",
    brief="Until when the last backup holds all that was acknowledged, since 1970; absent while none was taken.",
    attributes=(),
)
"""Until when the last backup holds all that was acknowledged, since 1970; absent while none was taken. Unit: s."""

ECOMIND_LOADER_SPANS: Final = Metric(
    name="ecomind.loader.spans",
    instrument="counter",
    unit="{span}",
    value_type="int",
    brief="Acknowledged spans and what became of them.",
    attributes=(ECOMIND_SPAN_OUTCOME,),
)
"""Acknowledged spans and what became of them. Unit: {span}."""

ECOMIND_LOADER_LAG: Final = Metric(
    name="ecomind.loader.lag",
    instrument="gauge",
    unit="s",
    value_type="double",
    brief="Age of the oldest acknowledged span that is not yet stored.",
    attributes=(),
)
"""Age of the oldest acknowledged span that is not yet stored. Unit: s."""

ECOMIND_LOADER_DURATION: Final = Metric(
    name="ecomind.loader.duration",
    instrument="histogram",
    unit="s",
    value_type="double",
    brief="Time to load one segment, from sealed to stored and rolled up.",
    attributes=(),
)
"""Time to load one segment, from sealed to stored and rolled up. Unit: s."""

ECOMIND_RECONCILE_CORRECTIONS: Final = Metric(
    name="ecomind.reconcile.corrections",
    instrument="counter",
    unit="{call}",
    value_type="int",
    brief="Calls cancelled because a twin or an earlier copy already counted.",
    attributes=(),
)
"""Calls cancelled because a twin or an earlier copy already counted. Unit: {call}."""

ECOMIND_QUARANTINE_RECORDS: Final = Metric(
    name="ecomind.quarantine.records",
    instrument="counter",
    unit="{record}",
    value_type="int",
    brief="Records set aside because the engine could not decode them.",
    attributes=(),
)
"""Records set aside because the engine could not decode them. Unit: {record}."""

ECOMIND_TENANT_CLAIMS: Final = Metric(
    name="ecomind.tenant.claims",
    instrument="counter",
    unit="{claim}",
    value_type="int",
    brief="Organisations and projects named otherwise than by the API key; all ignored.",
    attributes=(ECOMIND_CLAIM_SOURCE,),
)
"""Organisations and projects named otherwise than by the API key; all ignored. Unit: {claim}."""

ECOMIND_KEY_REFUSALS: Final = Metric(
    name="ecomind.key.refusals",
    instrument="counter",
    unit="{request}",
    value_type="int",
    brief="Requests that were not let in.",
    attributes=(ECOMIND_KEY_REFUSAL,),
)
"""Requests that were not let in. Unit: {request}."""

ECOMIND_QUOTA_REFUSALS: Final = Metric(
    name="ecomind.quota.refusals",
    instrument="counter",
    unit="{request}",
    value_type="int",
    brief="Requests turned away because a quota was used up.",
    attributes=(ECOMIND_QUOTA_LEVEL,),
)
"""Requests turned away because a quota was used up. Unit: {request}."""

ECOMIND_QUOTA_DEGRADED: Final = Metric(
    name="ecomind.quota.degraded",
    instrument="gauge",
    unit="1",
    value_type="int",
    brief="1 while Redis is away and this receiver takes only its own share of every quota; else 0.",
    attributes=(),
)
"""1 while Redis is away and this receiver takes only its own share of every quota; else 0. Unit: 1."""

METRICS: Final = (
    ECOMIND_ENERGY_USAGE,
    ECOMIND_CO2E_EMISSION,
    ECOMIND_WATER_USAGE,
    ECOMIND_RECEIVER_REQUESTS,
    ECOMIND_RECEIVER_SPANS,
    ECOMIND_SPOOL_SIZE,
    ECOMIND_SPOOL_SEGMENTS,
    ECOMIND_KAFKA_WAITING,
    ECOMIND_KAFKA_LOST,
    ECOMIND_SPOOL_LIMIT,
    ECOMIND_SPOOL_WRITABLE,
    ECOMIND_RECEIVER_POSTPONED,
    ECOMIND_RECEIVER_IN_FLIGHT,
    ECOMIND_LOADER_FAILURES,
    ECOMIND_CLOCK_JUMPS,
    ECOMIND_CLOCK_BEHIND,
    ECOMIND_BACKUP_TIME,
    ECOMIND_LOADER_SPANS,
    ECOMIND_LOADER_LAG,
    ECOMIND_LOADER_DURATION,
    ECOMIND_RECONCILE_CORRECTIONS,
    ECOMIND_QUARANTINE_RECORDS,
    ECOMIND_TENANT_CLAIMS,
    ECOMIND_KEY_REFUSALS,
    ECOMIND_QUOTA_REFUSALS,
    ECOMIND_QUOTA_DEGRADED,
)
"""Every metric of the registry."""
