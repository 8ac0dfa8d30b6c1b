"""Sends OTLP exports over HTTP on one connection, waiting when the receiver asks for it.

Nothing is dropped and nothing is sent on after an error: the demo's totals must be the receiver's.
"""

from __future__ import annotations

import http.client
import time
import urllib.parse
from collections.abc import Iterable, Iterator, Mapping

from ecomind_query.demo.history import Batch

TRACES_PATH = "/v1/traces"
ATTEMPTS = 20
TIMEOUT_SECONDS = 60
RETRYABLE = (429, 502, 503, 504)
"""Statuses that OTLP/HTTP calls retryable: OTLP specification 1.11, "Retryable response codes"."""


class DeliveryError(Exception):
    """The receiver refused an export or could not be reached; the message is a sentence."""


def deliver(otlp_http_url: str, exports: Iterable[Batch]) -> Iterator[Mapping[str, int]]:
    """Send each export to a receiver (http://127.0.0.1:4318); yields its ledger once accepted."""
    address = urllib.parse.urlsplit(otlp_http_url).netloc
    connection = http.client.HTTPConnection(address, timeout=TIMEOUT_SECONDS)
    try:
        for export in exports:
            _post(connection, export.body)
            yield export.ledger
    except (OSError, http.client.HTTPException) as error:
        message = f"The receiver at {otlp_http_url} stopped answering: {error or type(error)}."
        raise DeliveryError(message) from error
    finally:
        connection.close()


def _post(connection: http.client.HTTPConnection, body: bytes) -> None:
    for _ in range(ATTEMPTS):
        connection.request("POST", TRACES_PATH, body, {"Content-Type": "application/x-protobuf"})
        response = connection.getresponse()
        answer = response.read()
        if response.status == http.HTTPStatus.OK:
            return
        if response.status not in RETRYABLE:
            break
        time.sleep(float(response.headers.get("Retry-After", 1)))
    text = answer.decode("utf-8", "replace")
    raise DeliveryError(f"The receiver refused a request with status {response.status}: {text}")
