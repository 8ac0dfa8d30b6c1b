"""One span as its instrumentation wrote it → what was called, how many tokens, how sure that is.

The twin of the receiver's `decode.sql` for one span, for SDKs and auditors: both are built from the
tables of `ecomind_semconv`, and a property test holds them equal. What takes more than one span
(twins, retries, an agent that stands for calls its trace does hold) is the receiver's work.
"""

from __future__ import annotations

import json
import re
import string
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from ecomind_processor.footprint import Quantities
from ecomind_semconv import blobs, dialects, usage
from ecomind_semconv.units import MICROUSD_PER_USD, MS_PER_SECOND

Value = str | int | float
Given = Mapping[str, int | None]
Limits = tuple[float, float]
MAX_MEASURED_J = 1e12
"""A measured energy above this many joules is no measurement: it is treated as absent."""


class Reading(NamedTuple):
    """One span, read. `counts` holds estimates where `states` says that nothing was reported.

    `states` packs the state of each of `usage.COUNTS`, the first in the lowest two bits. `reason`
    says why this is no call (container, error, no_model); it is "" for a call. `usage_quality` is
    reported, partial or estimated, and "" for what is no call. Unless `genai`, the span is none of
    ours. A `stand_in` counts only where its trace holds no call. An unknown name is "", and so is a
    response id that the instrumentation made up.
    """

    provider: str
    request_model: str
    response_model: str
    operation: str
    place: str
    service_tier: str
    response_id: str
    counts: Quantities
    states: int
    usage_quality: str
    reason: str
    genai: bool
    stand_in: bool


def read(scope: str, attributes: Mapping[str, object], *, failed: bool = False) -> Reading:
    """Read one span. `scope` names its instrumentation; `failed`: its status is ERROR.

    Counts are in tokens; measured energy comes in joules and leaves in millijoules, spend in US
    dollars and millionths of them. Never raises: a bad value spoils its field, and no other
    attribute is looked at. Rules: docs/dialects.md.
    """
    found = dict(_found(attributes))
    scope = scope[: dialects.MAX_NAME_LENGTH]
    emitted = _name(found, "operation").translate(_LOWER)
    operation = dialects.OPERATIONS.get(emitted, emitted)
    stream = str(found.get("stream")).translate(_LOWER) == "true"
    span = _Span(scope, _provider(scope, found), operation, stream)
    models = _name(found, "request_model"), _name(found, "response_model")
    given = {count: _given(count, found) for count in usage.COUNTS}
    measured_mj = _measured_mj(found.get("measured_energy"))
    units = _units(found)
    used = any(given.values()) or measured_mj is not None or any(units.values())
    spend_microusd = 0 if used else _spend_microusd(found.get("spend_usd"))

    stand_in = operation == "invoke_agent" and span.is_one_of(usage.STAND_INS)
    unused = given["input"] is None and given["output"] is None
    reason = ""
    if operation in dialects.CONTAINERS and not stand_in:
        reason = "container"
    elif unused and (failed or _text(found.get("error"))):
        reason = "error"
    elif (
        unused
        and measured_mj is None
        and not (span.provider or any(models) or stand_in or any(units.values()) or spend_microusd)
    ):
        reason = "no_model"

    infers = not (reason or measured_mj is not None or any(units.values()) or spend_microusd)
    counts, states = _counted(span, given, infers=infers)
    quality = "estimated" if states & _NO_WHOLE else "partial" if states else "reported"
    return Reading(
        span.provider,
        *models,
        operation,
        place=_name(found, "region") or _host(found),
        service_tier=_name(found, "service_tier"),
        response_id="" if span.is_one_of(usage.REWRITTEN_IDS) else _text(found.get("response_id")),
        counts=counts._replace(
            measured_energy_mj=measured_mj or 0, spend_microusd=spend_microusd, **units
        ),
        states=states,
        usage_quality="" if reason else quality,
        reason=reason,
        genai=any(field in found for field in dialects.GENAI_FIELDS),
        stand_in=stand_in,
    )


def bands(counts: Quantities, states: int) -> dict[str, tuple[int, int, int]]:
    """Count → (low, mid, high) in tokens, of a call as `read` returns it. Mid is its count.

    All three are equal for a count that was reported. The width of any other is a judgement, no
    confidence interval: `ecomind_semconv.usage` holds its figures and their sources.
    """
    state = {count: states >> usage.STATE_BITS * n & 3 for n, count in enumerate(usage.COUNTS)}
    made: dict[str, tuple[int, int, int]] = {}

    def band(count: str, mid: int, partial: Limits, estimated: Limits) -> None:
        low, high = ((mid, mid), partial, estimated)[state[count]]
        made[count] = min(round(low), mid), mid, max(round(high), mid)

    caches = {"cache_read": counts.cache_read_tokens, "cache_write": counts.cache_write_tokens}
    uncached = max(counts.input_tokens - sum(caches.values()), 0)
    known = sum(number for count, number in caches.items() if state[count] == usage.REPORTED)
    cached = uncached + known, uncached / (1 - usage.CACHED_MOST)
    band("input", counts.input_tokens, cached, usage.ESTIMATES["input"][::2])
    mid, answer = counts.output_tokens, counts.output_tokens - counts.reasoning_tokens
    inexact = mid / usage.INEXACT_BAND, mid * usage.INEXACT_BAND
    reasoned = answer, answer * usage.BANDS["estimated"]
    unsure = reasoned if state["reasoning"] == usage.ESTIMATED else inexact
    band("output", mid, unsure, usage.ESTIMATES["output"][::2])
    for count, number in caches.items():
        band(count, number, (0, 0), (0, usage.CACHED_MOST * made["input"][2]))
    band("reasoning", counts.reasoning_tokens, (0, 0), (0, made["output"][2]))
    return made


def _found(attributes: Mapping[str, object]) -> Iterable[tuple[str, Value]]:
    """Each field with the value of its most trusted key that holds one; "" and False are none."""
    for field, keys in dialects.FIELDS.items():
        for key in keys:
            value = attributes.get(key)
            if isinstance(value, (str, int, float)) and value is not False and value != "":
                yield field, value
                break


_NO_WHOLE = usage.ESTIMATED | usage.ESTIMATED << usage.STATE_BITS  # state of input, of output
_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)  # as the engine does it
_URL = re.compile(r"\A[a-z]+://([^/:]+).*", re.DOTALL)
_INTEGER = re.compile(r"[+-]?0{0,99}[0-9]{1,19}")
_DECIMAL = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")


def _text(value: Value | None) -> str:
    return value if isinstance(value, str) else ""


def _name(found: Mapping[str, Value], field: str) -> str:
    return _text(found.get(field))[: dialects.MAX_NAME_LENGTH]


def _integer(value: Value | None) -> int | None:
    """An int, a double with an integral value or a decimal text, if 64 bits hold it."""
    if isinstance(value, str):
        value = int(value) if _INTEGER.fullmatch(value) else None
    elif isinstance(value, float):
        value = int(value) if value.is_integer() else None
    if value is None or value is True or not -(2**63) <= value < 2**63:
        return None
    return value


def _float(value: Value | None, most: float) -> float | None:
    """A number or a decimal text from 0 to `most`."""
    if isinstance(value, str):
        value = float(value) if _DECIMAL.fullmatch(value) else None
    if value is None or value is True or not 0 <= value <= most:
        return None
    return float(value)


def _measured_mj(value: Value | None) -> int | None:
    """Joules → millijoules."""
    joules = _float(value, MAX_MEASURED_J)
    return None if joules is None else round(joules * 1000)


def _units(found: Mapping[str, Value]) -> dict[str, int]:
    """Images, and milliseconds of audio and video; 0 where there is none or it can't be."""
    images = _integer(found.get("images")) or 0
    seconds = {n: _float(found.get(f"{n}_s"), dialects.MAX_MEDIA_S) for n in ("audio", "video")}
    milliseconds = {f"{n}_ms": round((s or 0.0) * MS_PER_SECOND) for n, s in seconds.items()}
    return {"images": images if 0 <= images <= dialects.MAX_IMAGES else 0, **milliseconds}


def _spend_microusd(value: Value | None) -> int:
    """US dollars → millionths of them; 0 where there is none or it can't be."""
    return round((_float(value, dialects.MAX_SPEND_USD) or 0.0) * MICROUSD_PER_USD)


def _given(count: str, found: Mapping[str, Value]) -> int | None:
    """A count as it stands; None where there is none, or nothing that can be one."""
    field = f"{count}_tokens"
    number, blob = _integer(found.get(field)), _text(found.get("usage_blob"))
    if number is None and blob and field in dialects.BLOB_COUNTS:
        number = _in_blob(field, blob)
    return number if number is not None and 0 <= number <= dialects.MAX_TOKENS else None


def _in_blob(field: str, blob: str) -> int | None:
    try:
        json.loads(blob)
        told = re.search(blobs.IN_JSON[field], blob, re.ASCII)
    except ValueError:
        short = blob if len(blob) <= blobs.MAX_REPR_LENGTH else ""
        told = re.search(blobs.IN_REPR[field], short, re.ASCII)
    return int(told[1]) if told else None


def _host(found: Mapping[str, Value]) -> str:
    return _URL.sub(r"\1", _name(found, "host").translate(_LOWER))


def _provider(scope: str, found: Mapping[str, Value]) -> str:
    """As emitted, with aliases folded; else the one that the scope calls; else the host's."""
    emitted, host = _name(found, "provider").translate(_LOWER), _host(found)
    called = (fact.provider for fact in usage.STAND_INS if scope.startswith(fact.scope))
    hosted = (name for end, name in dialects.HOST_PROVIDERS.items() if host.endswith(end))
    return dialects.PROVIDERS.get(emitted, emitted) or next(called, "") or next(hosted, "")


class _Span(NamedTuple):
    """What decides how counts are to be read."""

    scope: str
    provider: str
    operation: str
    stream: bool

    def is_one_of(self, facts: Iterable[usage.ScopeFact]) -> bool:
        return any(self.is_of(f.scope) and f.provider in ("", self.provider) for f in facts)

    def is_of(self, scope: str, stream: bool = False) -> bool:
        return self.scope.startswith(scope) and (self.stream or not stream)


def _left_out(count: str, span: _Span, given: Given) -> bool:
    """Whether the scope leaves this count out, or puts there what is no report."""
    return any(
        given[fact.unless or count] is None
        or (fact.made_up and not fact.unless and given[count] == 0)
        for fact in usage.UNREPORTED
        if count in fact.counts and span.is_of(fact.scope, fact.stream)
    )


def _counted(span: _Span, given: Given, *, infers: bool) -> tuple[Quantities, int]:
    """Input with its caches, output with its reasoning, estimates in the gaps; and the states."""
    chat = infers and span.operation != "embeddings"  # which have neither caches nor output
    guessed = chat and _left_out("input", span, given)
    lacks = {
        "input": infers and (guessed or given["input"] is None),
        "output": chat and (guessed or given["output"] is None),
    }
    for part, whole in zip(usage.COUNTS[2:], ("input", "input", "output"), strict=True):
        gone = lacks[whole] and given[part] is None
        lacks[part] = chat and (gone or _left_out(part, span, given))

    n = {count: number or 0 for count, number in given.items()}
    exclusive = not lacks["input"] and (
        n["cache_read"] + n["cache_write"] > n["input"] or span.is_one_of(usage.EXCLUSIVE_INPUT)
    )
    exclusive_output = not lacks["output"] and span.is_one_of(usage.EXCLUSIVE_OUTPUT)
    n |= {whole: middle for whole, (_, middle, _) in usage.ESTIMATES.items() if lacks[whole]}
    # One in so many of the whole is one in so many less one of the rest. No write is estimated.
    if lacks["cache_read"]:
        written = 0 if lacks["input"] or exclusive else n["cache_write"]
        n["cache_read"] = (n["input"] - written) // (usage.CACHED_PER_INPUT - exclusive)
    if lacks["reasoning"]:
        n["reasoning"] = n["output"] // (usage.REASONING_PER_OUTPUT - exclusive_output)
    caches = n["cache_read"] + n["cache_write"]
    input_ = max(n["input"], caches) if lacks["input"] else n["input"] + caches * exclusive
    output = n["output"] + n["reasoning"] * exclusive_output
    if lacks["output"]:
        output = max(n["output"], n["reasoning"])
    inexact = chat and span.stream and span.is_one_of(usage.INEXACT_OUTPUT)
    unsure = {
        "input": exclusive and (lacks["cache_read"] or lacks["cache_write"]),
        "output": inexact or (exclusive_output and lacks["reasoning"]),
    }
    states = 0
    for place, count in enumerate(usage.COUNTS):
        state = usage.PARTIAL * unsure.get(count, False)
        states |= (usage.ESTIMATED if lacks[count] else state) << usage.STATE_BITS * place
    reasoning = min(n["reasoning"], output)
    return Quantities(input_, n["cache_read"], n["cache_write"], output, reasoning), states
