"""The 47 cases: what each expects, in which ways of sending, and what it needs to be observed.

Rules: https://opentelemetry.io/docs/specs/otlp/ 1.11; where the specification leaves a choice, the
sentence here is the one that Ecomind promises.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ecomind_query.conformance import framing, operation, payloads
from ecomind_query.conformance.target import Target, Transport

Check = Callable[[Target, Transport], None]

_GRPC, _PROTOBUF, _JSON = Transport.GRPC, Transport.PROTOBUF, Transport.JSON
_ALL, _HTTP = (_GRPC, _PROTOBUF, _JSON), (_PROTOBUF, _JSON)

_LIMIT = "it needs a server whose limit is known to be small"
_BREAKS = "it makes the store of the server fail"
_STOPS = "it stops the server"
_READS = "it reads what the server stored"


class Case(NamedTuple):
    """One promise. `inside`: why it can't be observed from outside; empty if it can.

    `checks`: each with the configuration of the server of ours that it is made against.
    """

    number: int
    title: str
    expected: str
    transports: tuple[Transport, ...]
    checks: tuple[tuple[str, Check], ...]
    inside: str = ""


def _plain(check: Check) -> tuple[tuple[str, Check], ...]:
    return (("plain", check),)


CASES: tuple[Case, ...] = (
    Case(1, "gRPC Export, one span", "OK, partial_success unset, stored.",
         (_GRPC,), _plain(framing.one_span)),
    Case(2, "HTTP protobuf", "200, application/x-protobuf, an empty message, stored.",
         (_PROTOBUF,), _plain(framing.one_span)),
    Case(3, "HTTP JSON", "200, application/json, {}, stored.",
         (_JSON,), _plain(framing.one_span)),
    Case(4, "application/json; charset=utf-8", "Accepted, in capitals too.",
         (_JSON,), _plain(framing.json_with_parameters)),
    Case(5, "No or unknown Content-Type", "415.",
         _HTTP, _plain(framing.other_media_types)),
    Case(6, "GET, PUT, DELETE", "405.",
         _HTTP, _plain(framing.other_methods)),
    Case(7, "Unknown path or service", "404; gRPC UNIMPLEMENTED.",
         _ALL, _plain(framing.unknown_paths)),
    Case(8, "Protobuf and JSON on one port", "Both work, over one connection.",
         _HTTP, _plain(framing.both_on_one_port)),
    Case(9, "Empty request", "200 or OK, nothing stored.",
         _ALL, _plain(framing.nothing)),
    Case(10, "Resource without scopes, scope without spans", "200 or OK, ignored.",
         _ALL, _plain(framing.without_spans)),
    Case(11, "gzip over HTTP", "200, stored.",
         _HTTP, _plain(framing.gzipped)),
    Case(12, "gzip over gRPC", "OK, stored.",
         (_GRPC,), _plain(framing.gzipped)),
    Case(13, "zstd and deflate", "200, stored.",
         _HTTP, _plain(framing.zstd_and_deflate)),
    Case(14, "Unknown Content-Encoding; identity",
         "415 with a Status and the encodings that work; identity is accepted.",
         _HTTP, _plain(framing.unknown_encoding)),
    Case(15, "Corrupt gzip", "400 with a Status.",
         _HTTP, _plain(framing.corrupt_gzip)),
    Case(16, "Bomb: small packed, large unpacked",
         "413; gRPC RESOURCE_EXHAUSTED; the server grows by less than half of it.",
         _ALL, (("tiny", framing.bomb),), _LIMIT),
    Case(17, "Body over the limit", "413; gRPC RESOURCE_EXHAUSTED without RetryInfo.",
         _ALL, (("tiny", framing.too_large),), _LIMIT),
    Case(18, "Chunked body without a length", "200, stored.",
         _HTTP, _plain(framing.chunked)),
    Case(19, "Truncated protobuf, invalid JSON",
         "400 with a Status in the encoding of the request; gRPC INVALID_ARGUMENT.",
         _ALL, _plain(framing.broken)),
    Case(20, "Hexadecimal ids in either case", "The same bytes.",
         (_JSON,), _plain(payloads.hex_ids)),
    Case(21, "Base64 or wrong-length ids", "200 or OK with partial_success and their count.",
         _ALL, _plain(payloads.bad_ids)),
    Case(22, "intValue as text and as number", "1200 both times.",
         (_JSON,), _plain(payloads.int_values)),
    Case(23, "64-bit integer beyond 2⁵³", "Exact.",
         (_JSON,), _plain(payloads.exact_integers)),
    Case(24, "Times as text and as number", "Equal.",
         (_JSON,), _plain(payloads.times)),
    Case(25, "Enums as integers", "Accepted, and understood.",
         (_JSON,), _plain(payloads.enums)),
    Case(26, "Unknown JSON fields at every level", "Ignored.",
         (_JSON,), _plain(payloads.unknown_json_fields)),
    Case(27, "Unknown protobuf fields", "Ignored.",
         (_GRPC, _PROTOBUF), _plain(payloads.unknown_protobuf_fields)),
    Case(28, "snake_case keys", "Accepted leniently, stored.",
         (_JSON,), _plain(payloads.snake_case)),
    Case(29, "Doubles: NaN, Infinity, whole numbers", "Accepted; none becomes a wrong count.",
         _ALL, _plain(payloads.doubles)),
    Case(30, "Empty, bytes, map and list values", "Accepted.",
         _ALL, _plain(payloads.odd_values)),
    Case(31, "A key twice; a key of two types", "Read the same way each time.",
         _ALL, _plain(payloads.repeated_keys)),
    Case(32, "No resource, scope or name", "Accepted, stored.",
         _ALL, _plain(payloads.bare)),
    Case(33, "3 of 10 spans unacceptable",
         "200 or OK, rejected_spans = 3 with an error_message, 7 stored.",
         _ALL, _plain(payloads.three_of_ten)),
    Case(34, "Accepted with a warning", "200, rejected_spans = 0 with an error_message.",
         (_JSON,), _plain(payloads.warning)),
    Case(35, "Store down",
         "503 with Retry-After; gRPC UNAVAILABLE with RetryInfo; accepted again afterwards.",
         _ALL, (("breaking", operation.down),), _BREAKS),
    Case(36, "Queue full", "503 with Retry-After; gRPC UNAVAILABLE with RetryInfo.",
         _ALL, (("full", operation.full),), "it fills the server's queue"),
    Case(37, "Permanent failure", "A code that clients don't retry.",
         _ALL, _plain(framing.permanent)),
    Case(38, "Batch sent twice", "Stored once by organisation, trace id and span id.",
         _ALL, (("reconciling", operation.sent_twice),), _READS),
    Case(39, "CORS preflight", "204 with headers for an origin that is known, none for another.",
         _HTTP, (("keys", operation.preflight),), "it needs a key that names an origin"),
    Case(40, "TLS and mTLS", "A handshake; without TLS or the client's certificate nothing.",
         _ALL, (("tls", operation.over_tls), ("mtls", operation.over_mtls)),
         "it needs an authority that the server trusts"),
    Case(41, "Wrong key", "401; gRPC UNAUTHENTICATED; not to be retried.",
         _ALL, (("keys", operation.wrong_key),), "it needs a server that asks for keys"),
    Case(42, "100 sequential requests", "One connection; gRPC over HTTP/2.",
         _ALL, _plain(operation.kept_connection)),
    Case(43, "Keepalive pings, GOAWAY when it stops", "Nothing sent is lost or stored twice.",
         (_GRPC,), (("restarting", operation.pings_and_goaway),), _STOPS),
    Case(44, "SIGTERM with requests in flight", "They are answered, and stored.",
         _ALL, (("restarting", operation.drained),), _STOPS),
    Case(45, "Logs and metrics", "200 or OK at /v1/logs, /v1/metrics and the gRPC services.",
         _ALL, _plain(operation.other_signals)),
    Case(46, "SDK end to end, store down for 3 s", "Retried, nothing lost.",
         (_GRPC, _PROTOBUF), (("breaking", operation.sdk),), _BREAKS),
    Case(47, "Own metrics", "Accepted after case 1, unchanged after 9, refused after 35.",
         _ALL, (("breaking", operation.own_metrics),), _BREAKS),
)  # fmt: skip
BY_NUMBER = {case.number: case for case in CASES}
