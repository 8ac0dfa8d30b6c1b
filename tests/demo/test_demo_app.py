"""The app as its own processes: what its instrumentation exports, and what its ledgers say.

Token counts are worked out by hand from the lengths of the prompts in `scenes.py` (four characters
a token, each message rounded up); a handbook prompt is 1,500 tokens of which 1,408 are cached from
the second call on, a contract 6,150 of which 6,144.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter

import pytest
from demo.otlp_sink import OtlpSink
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

INSTRUMENTATION = "opentelemetry.instrumentation.genai.openai"
INPUT = "gen_ai.usage.input_tokens"
LEDGERS = {
    # rounds × (6 texts of 105 tokens; 4 + 758)
    "product-search": ("search", {"calls": 6, "input_tokens": 3 * (6 * 105 + 762)}),
    # rounds × (stream 1,506; tools 1,505 and 1,510; retried 1,506); the first call fills the cache
    "support-assistant": (
        "support",
        {
            "calls": 12,
            "wrapper_spans": 6,
            "input_tokens": 3 * (1506 + 1505 + 1510 + 1506),
            "cache_read_tokens": 11 * 1408,
        },
    ),
    # rounds × (review 6,154; two comparisons of 6,150 + 8, the first of which fills the cache)
    "contract-review": (
        "legal",
        {
            "calls": 9,
            "errors": 3,
            "input_tokens": 3 * (6154 + 2 * 6158),
            "cache_read_tokens": 5 * 6144,
        },
    ),
    # rounds × three headlines of 4 + 11; the streams report nothing
    "campaign-writer": (
        "growth",
        {"calls": 12, "calls_without_usage": 3, "errors": 3, "input_tokens": 3 * 3 * 15},
    ),
}


def values(attributes: list[KeyValue]) -> dict[str, AnyValue]:
    return {attribute.key: attribute.value for attribute in attributes}


@pytest.fixture
def once(provider_url: str, otlp_sink: OtlpSink) -> dict[str, dict[str, int | str]]:
    """Ledgers by service, after the app has run."""
    command = [sys.executable, "-m", "ecomind_query.demo.demo_app", "--once"]
    addresses = ["--provider-url", provider_url, "--otlp-endpoint", otlp_sink.url]
    done = subprocess.run([*command, *addresses], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    ledgers = map(json.loads, done.stdout.splitlines())
    return {ledger["service"]: ledger for ledger in ledgers}


def test_ledgers_and_exported_spans_agree(
    once: dict[str, dict[str, int | str]], otlp_sink: OtlpSink
) -> None:
    assert {name: ledger["team"] for name, ledger in once.items()} == {
        name: team for name, (team, _) in LEDGERS.items()
    }
    for name, (_, expected) in LEDGERS.items():
        stated = {key: once[name][key] for key in expected}
        assert stated == expected, name
        assert once[name]["errors"] == expected.get("errors", 0)

    seen: dict[str, Counter[str]] = {}
    ids: list[str] = []
    for request in otlp_sink.requests:
        for resource_spans in request.resource_spans:
            resource = values(list(resource_spans.resource.attributes))
            team = resource.get("ecomind.team") or resource["service.namespace"]
            name = resource["service.name"].string_value
            assert team.string_value == LEDGERS[name][0]
            for scope_spans in resource_spans.scope_spans:
                for span in scope_spans.spans:
                    counter = seen.setdefault(name, Counter())
                    tally(counter, ids, scope_spans.scope.name, span)
    for name, ledger in once.items():
        assert seen[name] == {
            key: amount for key, amount in ledger.items() if isinstance(amount, int) and amount
        }, name
    assert len(ids) == len(set(ids)) == 39 - 3  # every answered call but the embeddings has one


def tally(counter: Counter[str], ids: list[str], scope: str, span: Span) -> None:
    """Adds a span to the counter under the names of a ledger."""
    attributes = values(list(span.attributes))
    if attributes["gen_ai.operation.name"].string_value in ("invoke_agent", "execute_tool"):
        counter["wrapper_spans"] += 1
        return
    assert scope == INSTRUMENTATION
    if span.status.code == Status.STATUS_CODE_ERROR:
        assert INPUT not in attributes
        counter["errors"] += 1
        return
    counter["calls"] += 1
    counter["calls_without_usage"] += INPUT not in attributes
    if "gen_ai.response.id" in attributes:
        ids.append(attributes["gen_ai.response.id"].string_value)
    for name, key in (
        ("input_tokens", INPUT),
        ("cache_read_tokens", "gen_ai.usage.cache_read.input_tokens"),
        ("output_tokens", "gen_ai.usage.output_tokens"),
        ("reasoning_tokens", "gen_ai.usage.reasoning.output_tokens"),
    ):
        if key in attributes:
            counter[name] += attributes[key].int_value
    for name in [name for name, amount in counter.items() if not amount]:
        del counter[name]


def test_app_goes_on_until_it_is_told_to_stop(provider_url: str, otlp_sink: OtlpSink) -> None:
    """After its ledgers it is alive; SIGTERM ends it with status 0 and every span delivered."""
    command = [sys.executable, "-m", "ecomind_query.demo.demo_app"]
    addresses = ["--provider-url", provider_url, "--otlp-endpoint", otlp_sink.url]
    app = subprocess.Popen([*command, *addresses], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert app.stdout and app.stderr
    for _ in LEDGERS:
        assert app.stdout.readline()
    assert app.poll() is None
    app.terminate()
    assert app.wait(timeout=30) == 0
    assert app.stderr.read() == b""
    app.stdout.close()
    app.stderr.close()
    spans = [
        span
        for request in otlp_sink.requests
        for resource_spans in request.resource_spans
        for scope_spans in resource_spans.scope_spans
        for span in scope_spans.spans
    ]
    assert len(spans) >= 39 + 6 + 6  # answered, failed, wrappers
