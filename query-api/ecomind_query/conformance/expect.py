"""What a case demands of an answer, each demand one function; a broken one says what it saw."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

from ecomind_query.conformance.target import Answer, Target, Transport
from ecomind_receiver import messages
from ecomind_receiver.signals import TRACES, Signal

RETRYABLE = (429, 502, 503, 504, "UNAVAILABLE", "RESOURCE_EXHAUSTED", "ABORTED", "OUT_OF_RANGE")


class Unmet(Exception):
    """A receiver does not do what the case demands; the message says what it did."""


class PartialSuccess(NamedTuple):
    """What a partial success says."""

    rejected: int
    message: str


def equal(seen: Any, wanted: Any, what: str) -> None:
    """Raise Unmet unless both are the same."""
    if seen != wanted:
        raise Unmet(f"{what} should be {_short(wanted)} and is {_short(seen)}")


def true(holds: object, sentence: str) -> None:
    """Raise Unmet with the sentence unless it holds."""
    if not holds:
        raise Unmet(sentence)


def stored(target: Target, service: str, rows: list[list[Any]], columns: str = "") -> None:
    """Of a server of ours, what is stored for the service; by default its tokens."""
    if target.server:
        columns = columns or "input_tokens, output_tokens"
        equal(target.rows(service, columns), rows, f"what is stored ({columns})")


def success(transport: Transport, answer: Answer, signal: Signal = TRACES) -> None:
    """Whole success: nothing rejected and no message; cases 1 to 3 also want the field unset."""
    equal(partial_success(transport, answer, signal), None, "partial_success")


def partial_success(
    transport: Transport, answer: Answer, signal: Signal = TRACES
) -> PartialSuccess | None:
    """What a successful answer says besides. Raises Unmet if it is no success."""
    if transport is Transport.GRPC:
        equal(answer.status, "OK", f"the status ({_text(answer)})")
    else:
        equal(answer.status, 200, f"the status ({_text(answer)})")
        equal(media_type(answer), transport.media_type, "the media type of the answer")
    if transport is Transport.JSON:
        told = json.loads(answer.body).get("partialSuccess") or {}
        said = PartialSuccess(int(told.get(signal.rejected, 0)), told.get("errorMessage", ""))
    else:
        try:
            found = messages.Response.FromString(answer.body).partial_success
        except DecodeError as error:
            raise Unmet(f"the answer is no Export response: {answer.body[:80]!r}") from error
        said = PartialSuccess(int(found.rejected), str(found.error_message))
    return said if any(said) else None


def refusal(
    transport: Transport,
    answer: Answer,
    http_status: int,
    grpc_code: str,
    rpc_code: int,
    *,
    wait: bool = False,
) -> None:
    """A refusal with a Status and a sentence; `wait`: with a time to retry after, else without."""
    if transport is Transport.GRPC:
        equal(answer.status, grpc_code, "the gRPC code")
        true(answer.body, "the refusal has no message")
    else:
        equal(answer.status, http_status, "the status")
        equal(media_type(answer), transport.media_type, "the media type of the refusal")
        code, sentence = _status(transport, answer.body)
        equal(code, rpc_code, "the code of the Status")
        true(sentence, "the Status has no message")
    seconds = retry_seconds(transport, answer)
    true((seconds is not None) == wait, f"a time to retry after is {seconds}")


def retry_seconds(transport: Transport, answer: Answer) -> float | None:
    """How long a refused client is told to wait."""
    if transport is not Transport.GRPC:
        given = answer.headers.get("retry-after")
        return float(given) if given else None
    packed = answer.headers.get("grpc-status-details-bin")
    for detail in status_pb2.Status.FromString(packed).details if packed else ():
        info = error_details_pb2.RetryInfo()
        if detail.Unpack(info):
            return float(info.retry_delay.ToTimedelta().total_seconds())
    return None


def media_type(answer: Answer) -> str:
    """The media type without its parameters."""
    return answer.media_type.split(";")[0].strip().lower()


def _status(transport: Transport, body: bytes) -> tuple[int, str]:
    try:
        if transport is Transport.JSON:
            told = json.loads(body)
            return told["code"], told["message"]
        status = status_pb2.Status.FromString(body)
    except (DecodeError, ValueError, KeyError) as error:
        raise Unmet(f"the refusal is no google.rpc.Status: {body[:80]!r}") from error
    return status.code, status.message


def _text(answer: Answer) -> str:
    return answer.body[:100].decode(errors="replace")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}…"
