"""Requests that are well formed and hold what nobody would send: strategies for Hypothesis."""

from __future__ import annotations

import json
import time
from typing import Any

from fuzz.bodies import Body, Mutator
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from ecomind_receiver.ingest import JSON, PROTOBUF
from ecomind_receiver.signals import LOGS, TRACES
from ecomind_receiver.spool import varint
from ecomind_semconv import dialects

NOW_NS = time.time_ns()
_KEYS = sorted({"service.name", "x", *(k for keys in dialects.FIELDS.values() for k in keys)})
_IDS = st.sampled_from([0, 1, 7, 8, 9, 15, 16, 17, 64]).flatmap(
    lambda size: st.binary(min_size=size, max_size=size)
)
_TIMES = st.one_of(
    st.sampled_from([0, 1, 10**9, 4_102_444_800 * 10**9, 2**63 - 1, 2**63, 2**64 - 1]),
    st.integers(NOW_NS - 10**15, NOW_NS + 10**15),
)
_NUMBERS = st.one_of(
    st.integers(-(2**63), 2**63 - 1),
    st.sampled_from([-1, 0, 1, 10**8, 10**8 + 1, 2**31, 2**32, 2**63 - 1, -(2**63)]),
)
_TEXTS = st.one_of(
    st.text(max_size=40),
    st.sampled_from(["", "0", "-5", "1e9", "NaN", "inf", "gpt-4o", "chat", "é" * 300, "\x00"]),
)
_STATES = st.one_of(
    st.sampled_from(["ot=th:0", "ot=th:fffffffffffffff", "ot=th:", "ot=rv:zz", "a=b,,=", "="]),
    st.text(max_size=60),
)


def _any_value(kind: str, value: Any) -> AnyValue:
    made = AnyValue()
    if kind == "array":
        made.array_value.values.extend(value)
    elif kind == "map":
        made.kvlist_value.values.extend(value)
    elif kind:
        setattr(made, f"{kind}_value", value)
    return made


_LEAVES = st.one_of(
    st.builds(_any_value, st.just("string"), _TEXTS),
    st.builds(_any_value, st.just("int"), _NUMBERS),
    st.builds(_any_value, st.just("double"), st.floats()),
    st.builds(_any_value, st.just("bool"), st.booleans()),
    st.builds(_any_value, st.just("bytes"), st.binary(max_size=20)),
    st.builds(_any_value, st.just(""), st.none()),
)


def _pairs(values: st.SearchStrategy[AnyValue]) -> st.SearchStrategy[KeyValue]:
    return st.builds(KeyValue, key=st.sampled_from(_KEYS), value=values)


_VALUES = st.recursive(
    _LEAVES,
    lambda inner: st.one_of(
        st.builds(_any_value, st.just("array"), st.lists(inner, max_size=3)),
        st.builds(_any_value, st.just("map"), st.lists(_pairs(inner), max_size=3)),
    ),
    max_leaves=6,
)
_ATTRIBUTES = st.lists(_pairs(_VALUES), max_size=8)  # the same key twice, of two kinds, is likely


@st.composite
def protobuf_bodies(draw: st.DrawFn) -> Body:
    """Spans with any ids, times, states and attributes, in protobuf."""
    request = ExportTraceServiceRequest()
    for _ in range(draw(st.integers(0, 2))):
        resource_spans = request.resource_spans.add()
        resource_spans.resource.attributes.extend(draw(_ATTRIBUTES))
        scope_spans = resource_spans.scope_spans.add()
        scope_spans.scope.name = draw(_TEXTS)
        for _ in range(draw(st.integers(0, 3))):
            span = scope_spans.spans.add(
                trace_id=draw(_IDS),
                span_id=draw(_IDS),
                parent_span_id=draw(_IDS),
                trace_state=draw(_STATES),
                start_time_unix_nano=draw(_TIMES),
                end_time_unix_nano=draw(_TIMES),
            )
            span.attributes.extend(draw(_ATTRIBUTES))
            span.status.MergeFromString(b"\x18" + varint(draw(st.integers(0, 99))))
    return Body(TRACES, PROTOBUF, "", request.SerializeToString())


_JSON_VALUES = st.recursive(
    st.one_of(
        st.none(), st.booleans(), _NUMBERS, st.floats(allow_nan=False, allow_infinity=False), _TEXTS
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(_TEXTS, inner, max_size=3)
    ),
    max_leaves=5,
)
_JSON_ATTRIBUTES = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "key": st.sampled_from(_KEYS) | _JSON_VALUES,
            "value": st.dictionaries(
                st.sampled_from(
                    ["stringValue", "intValue", "doubleValue", "boolValue", "arrayValue"]
                ),
                _JSON_VALUES,
                max_size=2,
            )
            | _JSON_VALUES,
        },
    ),
    max_size=6,
)
_HEX = _IDS.map(bytes.hex) | _TEXTS
_JSON_ITEMS = st.lists(
    st.fixed_dictionaries(
        {"traceId": _HEX, "spanId": _HEX},
        optional={
            "parentSpanId": _HEX,
            "traceState": _STATES,
            "startTimeUnixNano": _TIMES.map(str) | _JSON_VALUES,
            "endTimeUnixNano": _TIMES.map(str) | _JSON_VALUES,
            "timeUnixNano": _TIMES.map(str) | _JSON_VALUES,
            "attributes": _JSON_ATTRIBUTES | _JSON_VALUES,
            "status": _JSON_VALUES,
            "body": _JSON_VALUES,
        },
    ),
    max_size=3,
)


@st.composite
def json_bodies(draw: st.DrawFn) -> Body:
    """Spans or log records in JSON, with values of any type where one type is expected."""
    signal = draw(st.sampled_from([TRACES, LOGS]))
    outer, inner, items = signal.groups
    scoped = {inner: [{"scope": {"name": draw(_TEXTS)}, items: draw(_JSON_ITEMS)}]}
    groups = [{"resource": {"attributes": draw(_JSON_ATTRIBUTES)}, **scoped}]
    text = json.dumps({outer: groups, "x": draw(_JSON_VALUES)})
    twice = draw(st.sampled_from(["", f'"{outer}": [], ', f'"{outer}": null, ', '"x": 1, ']))
    return Body(signal, JSON, "", ("{" + twice + text[1:]).encode())


@st.composite
def damaged_captures(draw: st.DrawFn) -> Body:
    """A capture with a few changes."""
    _MUTATOR.restart(draw(st.integers(0, 2**32)))
    return _MUTATOR.body()


_MUTATOR = Mutator(0)
BODIES = st.lists(protobuf_bodies() | json_bodies() | damaged_captures(), min_size=1, max_size=30)
