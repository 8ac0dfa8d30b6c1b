"""Requests that an application of a project might send, or one that means harm.

Every span carries what must never be stored (text of prompts and answers as the dialects name it,
errors, raw ids) and says that it belongs to another organisation. Trace, span, response and event
ids are counted alike in every organisation, so that the same ids stand for different calls.
"""

from __future__ import annotations

import gzip
import json
import time
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

from google.protobuf import json_format
from isolation.canaries import Canaries
from isolation.model import Names, Project
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Status
from support.otlp import CHAT, key_value, request

from ecomind_query.cursors import call_id
from ecomind_query.siphash import siphash64
from ecomind_receiver.ingest import JSON, PROTOBUF

KINDS = ("chat", "chat", "own names", "container", "error", "plain")
"""What becomes of a span: `chat` and `own names` count, a container and an error do not, and a
plain span is none of ours."""
COUNTED = ("chat", "own names")

CONTENT = (
    "gen_ai.input.messages",
    "gen_ai.output.messages",
    "gen_ai.system_instructions",
    "gen_ai.prompt",
    "gen_ai.completion",
    "gen_ai.prompt.0.content",
    "gen_ai.completion.0.content",
    "gen_ai.tool.call.arguments",
    "gen_ai.tool.call.result",
    "llm.input_messages.0.message.content",
    "llm.output_messages.0.message.content",
    "llm.prompts",
    "input.value",
    "output.value",
    "ai.prompt",
    "ai.prompt.messages",
    "ai.response.text",
    "traceloop.entity.input",
    "traceloop.entity.output",
    "request_data",
    "exception.message",
    "error.type",
    "http.request.header.authorization",
    "url.full",
)
"""Attributes in which dialects, and careless applications, put what people wrote."""
RAW_IDS = ("user.id", "enduser.id", "app.installation.id", "session.id", "gen_ai.conversation.id")
_EARLIER_NS = 3 * 3600 * 1_000_000_000  # in an hour that is over: totals come from the rollup
SHARED_USER = "somebody-in-every-organisation"

MEDIA_TYPES = (PROTOBUF, JSON)
ENCODINGS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    "gzip": gzip.compress,
    "deflate": zlib.compress,
}


class Made(NamedTuple):
    """A request and what an acknowledgement of it means."""

    message: ExportTraceServiceRequest
    spans: int
    calls: int
    input_tokens: int
    call_ids: frozenset[str]


def make(canaries: Canaries, project: Project, claimed: Project, kinds: list[str]) -> Made:
    """A request of one span of each kind; every span claims to be another project's."""
    org = project.org
    first = org.spans_made + 1
    org.spans_made += len(kinds)
    given = [
        _attributes(canaries, project, claimed, kind, first + n) for n, kind in enumerate(kinds)
    ]
    message = request(given, resource=_resource(canaries, project, claimed), first_id=first)
    _fill_in(canaries, project, message)
    counted = [given[n] for n, kind in enumerate(kinds) if kind in COUNTED]
    stored = [first + n for n, kind in enumerate(kinds) if kind != "plain"]
    return Made(
        message,
        len(kinds),
        len(counted),
        sum(each["gen_ai.usage.input_tokens"] for each in counted),
        frozenset(call_id(siphash64(n.to_bytes(16, "big")), n) for n in stored),
    )


def encoded(message: ExportTraceServiceRequest, media_type: str) -> bytes:
    """The request as protobuf, or as the JSON of OTLP: ids in hexadecimal."""
    if media_type == PROTOBUF:
        return message.SerializeToString()
    document = json_format.MessageToDict(message, use_integers_for_enums=True)
    for resource_spans in document["resourceSpans"]:
        for scope_spans in resource_spans["scopeSpans"]:
            sources = message.resource_spans[0].scope_spans[0].spans
            for span, source in zip(scope_spans["spans"], sources, strict=True):
                span["traceId"], span["spanId"] = source.trace_id.hex(), source.span_id.hex()
    return json.dumps(document).encode()


def event(canaries: Canaries, project: Project, claimed: Project, number: int) -> dict[str, Any]:
    """A body of POST /v1/ingest; its id is also one of an event of other organisations."""
    own, names = project.tenant, project.names
    return {
        "event_id": f"order-{project.org.projects.index(project)}-{number}",
        "org_id": claimed.org.id,
        "project": claimed.id,
        "user_id": canaries.content(*own, "user id"),
        "provider": names.provider,
        "model": names.model,
        "team": names.team,
        "service": names.service,
        "environment": names.environment,
        "tokens_in": 100 + number,
        "tokens_out": 10,
        "region": "FR",
    }


def foreign_headers(claimed: Project) -> dict[str, str]:
    """Headers by which other systems name a tenant."""
    return {
        "x-scope-orgid": claimed.org.id,
        "x-ecomind-org": claimed.org.id,
        "x-ecomind-project": claimed.id,
    }


def _attributes(
    canaries: Canaries, project: Project, claimed: Project, kind: str, number: int
) -> dict[str, Any]:
    own = project.tenant
    attributes: dict[str, Any] = {name: canaries.content(*own, name) for name in CONTENT}
    attributes |= {name: canaries.content(*own, name) for name in RAW_IDS}
    if number % 2:
        attributes["user.id"] = SHARED_USER
    attributes |= {"ecomind.org": claimed.org.id, "ecomind.project": claimed.id}
    if kind == "plain":
        return attributes
    tokens = {"gen_ai.usage.input_tokens": 1000 + number, "gen_ai.usage.output_tokens": 300}
    attributes |= CHAT | tokens | {"gen_ai.response.id": f"resp-{number}"}
    if kind == "own names":
        attributes |= _own_names(project.names)
        attributes["start_ns"] = attributes["end_ns"] = time.time_ns() - _EARLIER_NS
    if kind == "container":
        attributes["gen_ai.operation.name"] = "invoke_agent"
    if kind == "error":
        attributes |= {"status": Status.STATUS_CODE_ERROR}
        for name in tokens:
            del attributes[name]
    return attributes


def _own_names(names: Names) -> dict[str, str]:
    return {
        "ecomind.team": names.team,
        "gen_ai.provider.name": names.provider,
        "gen_ai.request.model": names.model,
        "gen_ai.response.model": names.answering_model,
        "gen_ai.operation.name": names.operation,
        "openai.request.service_tier": names.tier,
        "ecomind.inference.region": names.place,
    }


def _resource(canaries: Canaries, project: Project, claimed: Project) -> dict[str, Any]:
    content = canaries.content(*project.tenant, "resource attribute")
    return {
        "service.name": project.names.service,
        "deployment.environment.name": project.names.environment,
        "host.name": content,
        "process.command_line": f"app --token {content}",
        "ecomind.org": claimed.org.id,
        "ecomind.project": claimed.id,
    }


def _fill_in(canaries: Canaries, project: Project, message: ExportTraceServiceRequest) -> None:
    """What a span holds beyond attributes: its name, events, links, state, status."""
    own = project.tenant
    scope_spans = message.resource_spans[0].scope_spans[0]
    scope_spans.scope.name = project.names.instrumentation
    scope_spans.scope.attributes.append(key_value("note", canaries.content(*own, "scope")))
    for span in scope_spans.spans:
        content = canaries.content(*own, "span name, event, link, state or status")
        span.name = f"chat {content}"
        span.trace_state = f"vendor={content}"
        span.status.message = content
        happened = span.events.add(name="gen_ai.user.message")
        happened.attributes.append(key_value("content", content))
        span.links.add(trace_id=span.trace_id, span_id=span.span_id).attributes.append(
            key_value("note", content)
        )
