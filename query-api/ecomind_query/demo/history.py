"""A month of calls as OTLP requests: the same for the same seed, whenever it is made.

Amounts are drawn from one stream of random numbers and ids from another, so totals depend on the
seed alone while no two runs share an id. Spans carry the attributes of the GenAI conventions under
a scope of our own: they are invented, and do not pretend that an instrumentation made them.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from ecomind_query.demo.workloads import Kind, Workload, load
from ecomind_semconv.units import NS_PER_SECOND, SECONDS_PER_DAY

SEED = "ecomind"
DAYS = 30
SPANS_PER_REQUEST = 512
"""Spans in one export, as the OpenTelemetry SDK's batch processor sends them by default."""
ENDS_BEFORE_NOW_SECONDS = 600
"""The history leaves the last minutes to the live app; a request of it takes less than this."""
LONGEST_CALL_SECONDS = 90
TOKEN_SIGMA = 0.6
"""Spread of tokens: two thirds lie within a factor e^0.6 = 1.8 of the median (a judgement)."""
DURATION_SIGMA = 0.4
ERRORS = ("429", "500", "timeout")
SCOPE = "ecomind.demo.history"


class Batch(NamedTuple):
    """One export: its protobuf bytes, and what it holds, named as in `scenes.LEDGER`."""

    body: bytes
    ledger: Mapping[str, int]


def batches(now_ns: int, days: int = DAYS, seed: str = SEED) -> Iterator[Batch]:
    """Exports of at most 512 spans whose times lie in [now − days, now], service by service."""
    start_ns = now_ns - days * SECONDS_PER_DAY * NS_PER_SECOND
    end_ns = now_ns - ENDS_BEFORE_NOW_SECONDS * NS_PER_SECOND
    for workload in load():
        amounts = random.Random(f"{seed}/{workload.service}")
        ids = random.Random(f"{seed}/{workload.service}/{now_ns}")
        times = workload.request_times_ns(start_ns, end_ns, days, amounts)
        yield from _Writer(workload, amounts, ids).write(times)


class _Writer:
    """Turns the requests of one service into spans and the spans into exports."""

    def __init__(self, workload: Workload, amounts: random.Random, ids: random.Random) -> None:
        self._workload = workload
        self._amounts = amounts
        self._ids = ids
        self._shares = [kind.share for kind in workload.calls]
        self._start_export()

    def write(self, times_ns: list[int]) -> Iterator[Batch]:
        for start_ns in times_ns:
            kind = self._amounts.choices(self._workload.calls, self._shares)[0]
            self._ledger["requests"] += 1
            for span in self._request(kind, start_ns):
                self._spans.append(span)
                if len(self._spans) == SPANS_PER_REQUEST:
                    yield self._finish_export()
        if self._spans:
            yield self._finish_export()

    def _start_export(self) -> None:
        self._export = ExportTraceServiceRequest()
        self._ledger: Counter[str] = Counter()
        resource_spans = self._export.resource_spans.add()
        resource = {
            "service.name": self._workload.service,
            "service.namespace": self._workload.team,
            "deployment.environment.name": self._workload.environment,
        }
        resource_spans.resource.attributes.extend(map(_attribute, resource, resource.values()))
        scope_spans = resource_spans.scope_spans.add()
        scope_spans.scope.name = SCOPE
        self._spans = scope_spans.spans

    def _finish_export(self) -> Batch:
        batch = Batch(self._export.SerializeToString(), self._ledger)
        self._start_export()
        return batch

    def _request(self, kind: Kind, start_ns: int) -> Iterator[Span]:
        """The spans of one request: one call, or an agent's calls and the span that wraps them."""
        trace_id = self._ids.randbytes(16)
        user = (
            f"user_{self._amounts.randrange(self._workload.users):04}"
            if self._workload.users
            else ""
        )
        if kind.steps == 1:
            yield self._call(kind, trace_id, b"", start_ns, user)
            return
        agent_id, at_ns = self._ids.randbytes(8), start_ns
        totals: Counter[str] = Counter()
        for _ in range(kind.steps):
            span = self._call(kind, trace_id, agent_id, at_ns, user)
            totals.update({a.key: a.value.int_value for a in span.attributes if a.value.int_value})
            at_ns = span.end_time_unix_nano
            yield span
        yield self._agent(trace_id, agent_id, start_ns, at_ns, totals)

    def _agent(
        self, trace_id: bytes, span_id: bytes, start_ns: int, end_ns: int, totals: Mapping[str, int]
    ) -> Span:
        """The wrapper of an agent's calls; like many frameworks it repeats their usage."""
        self._ledger["wrapper_spans"] += 1
        name = f"{self._workload.service}-agent"
        attributes = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": name, **totals}
        return Span(
            trace_id=trace_id,
            span_id=span_id,
            name=f"invoke_agent {name}",
            kind=Span.SPAN_KIND_INTERNAL,
            start_time_unix_nano=start_ns,
            end_time_unix_nano=end_ns,
            attributes=map(_attribute, attributes, attributes.values()),
        )

    def _call(self, kind: Kind, trace_id: bytes, parent: bytes, start_ns: int, user: str) -> Span:
        failed = self._amounts.random() < self._workload.error_rate
        attributes: dict[str, str | int] = {
            "gen_ai.operation.name": kind.operation,
            "gen_ai.provider.name": kind.provider,
            "gen_ai.request.model": kind.model,
            "server.address": kind.host,
        }
        optional = {"ecomind.inference.region": kind.region, "user.id": user}
        attributes |= {name: value for name, value in optional.items() if value}
        attributes |= self._error() if failed else self._answer(kind)
        seconds = min(self._around(kind.seconds, DURATION_SIGMA), LONGEST_CALL_SECONDS)
        return Span(
            trace_id=trace_id,
            span_id=self._ids.randbytes(8),
            parent_span_id=parent,
            name=f"{kind.operation} {kind.model}",
            kind=Span.SPAN_KIND_CLIENT,
            start_time_unix_nano=start_ns,
            end_time_unix_nano=start_ns + int(seconds * NS_PER_SECOND),
            attributes=map(_attribute, attributes, attributes.values()),
            status=Status(code=Status.STATUS_CODE_ERROR) if failed else None,
        )

    def _error(self) -> dict[str, str | int]:
        self._ledger["errors"] += 1
        return {"error.type": self._amounts.choice(ERRORS)}

    def _answer(self, kind: Kind) -> dict[str, str | int]:
        """Attributes of a call that was answered; usage is drawn even where it is not reported."""
        self._ledger["calls"] += 1
        answer: dict[str, str | int] = {"gen_ai.response.model": kind.answers_as or kind.model}
        if kind.operation != "embeddings":
            answer["gen_ai.response.id"] = self._ids.randbytes(12).hex()
        if kind.tier:
            answer["openai.response.service_tier"] = kind.tier
        usage = self._usage(kind)
        if not kind.usage:
            self._ledger["calls_without_usage"] += 1
            return answer
        self._ledger.update(usage)
        return answer | {USAGE[name]: amount for name, amount in usage.items()}

    def _usage(self, kind: Kind) -> dict[str, int]:
        input_tokens = int(self._around(kind.input, TOKEN_SIGMA))
        output_tokens = int(self._around(kind.output, TOKEN_SIGMA)) if kind.output else 0
        usage = {
            "input_tokens": input_tokens,
            "output_tokens": output_tokens,
            "cache_read_tokens": int(input_tokens * kind.cached),
            "cache_write_tokens": int(input_tokens * kind.written),
            "reasoning_tokens": int(output_tokens * kind.reasoning),
        }
        return {name: amount for name, amount in usage.items() if amount}

    def _around(self, median: float, sigma: float) -> float:
        return median * self._amounts.lognormvariate(0, sigma)


USAGE = {
    "input_tokens": "gen_ai.usage.input_tokens",
    "output_tokens": "gen_ai.usage.output_tokens",
    "cache_read_tokens": "gen_ai.usage.cache_read.input_tokens",
    "cache_write_tokens": "gen_ai.usage.cache_write.input_tokens",
    "reasoning_tokens": "gen_ai.usage.reasoning.output_tokens",
}
"""Name in a ledger → attribute of the GenAI conventions."""


def _attribute(key: str, value: object) -> KeyValue:
    attribute = KeyValue(key=key)
    if isinstance(value, int):
        attribute.value.int_value = value
    else:
        attribute.value.string_value = str(value)
    return attribute
