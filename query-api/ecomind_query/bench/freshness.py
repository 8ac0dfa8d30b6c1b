"""How long after its acknowledgement a call can be read, while others are being received.

Other spans arrive by a timetable, so that the server is busy and not full. A probe is a request of
one span; from the moment of its answer the API is asked for that call until it is there.
"""

from __future__ import annotations

import json
import secrets
import threading
import time
import urllib.error
import urllib.request
from typing import Any

from ecomind_query.bench.generator import quantiles
from ecomind_query.bench.measure import await_event, child, new_seed
from ecomind_query.bench.open_loop import DONE, READY, Slice
from ecomind_query.bench.process import Server, ServerError
from ecomind_query.bench.workload import SPANS, Mode
from ecomind_query.cursors import call_id
from ecomind_query.direct import DIRECT
from ecomind_query.siphash import siphash64

_NOT_YET = (404, 429)
"""Not there, or too many ask already: the probes before this one."""

REQUESTS_PER_S = 100
"""Of 512 spans: a sixth of what two cores can store."""
PROBE_SECONDS, POLL_SECONDS = 0.5, 0.02
_WAIT_SECONDS = 30.0


def freshness(server: Server, seconds: float) -> dict[str, float]:
    """Milliseconds from ack to visible, as quantiles over two probes a second."""
    options = {
        "--url": server.addresses["otlp_http"],
        "--rate": REQUESTS_PER_S,
        "--mode": Mode.BATCH,
        "--seed": new_seed(),
    }
    with child("ecomind_query.bench.open_loop", options) as sender:
        try:
            assert sender.stdout is not None and sender.stdin is not None
            await_event(sender.stdout, READY)
            begins_at = time.monotonic() + 0.2
            sender.stdin.write(json.dumps([Slice(begins_at, begins_at + seconds)]) + "\n")
            sender.stdin.flush()
            waited_ms = _probe(server, begins_at + seconds)
            told = await_event(sender.stdout, DONE)
        except BaseException:
            sender.kill()
            raise
    acked = sum(outcome[3] == 200 for outcome in told["outcomes"])
    figures = {f"fresh_ms_{name}": value for name, value in quantiles(waited_ms).items()}
    return {
        "probes": len(waited_ms),
        "spans_per_s_meanwhile": round(acked * SPANS / seconds, 1),
        **figures,
    }


def _probe(server: Server, until: float) -> list[float]:
    waited_ms: list[float] = []
    threads = []
    while time.monotonic() < until:
        thread = threading.Thread(target=lambda: waited_ms.append(_visible_after_ms(server)))
        thread.start()
        threads.append(thread)
        time.sleep(PROBE_SECONDS)
    for thread in threads:
        thread.join()
    if len(waited_ms) != len(threads):
        raise ServerError("a probe was not answered; its error is above")
    return waited_ms


def _visible_after_ms(server: Server) -> float:
    trace_id, span_id = secrets.token_bytes(16), secrets.token_bytes(8)
    request = urllib.request.Request(
        f"{server.addresses['otlp_http']}/v1/traces",
        json.dumps(_one_span(trace_id, span_id)).encode(),
        {"Content-Type": "application/json"},
    )
    DIRECT.open(request, timeout=_WAIT_SECONDS).close()
    acked_at = time.monotonic()
    call = call_id(siphash64(trace_id), int.from_bytes(span_id, "big"))
    while time.monotonic() < acked_at + _WAIT_SECONDS:
        try:
            DIRECT.open(f"{server.addresses['api']}/v1/calls/{call}", timeout=_WAIT_SECONDS).close()
            return (time.monotonic() - acked_at) * 1000
        except urllib.error.HTTPError as error:
            if error.code not in _NOT_YET:
                raise
            error.close()
        time.sleep(POLL_SECONDS)
    raise ServerError(f"a call can't be read {_WAIT_SECONDS:.0f} s after its acknowledgement")


def _one_span(trace_id: bytes, span_id: bytes) -> dict[str, Any]:
    now_ns = time.time_ns()
    return {
        "resourceSpans": [
            {
                "resource": {"attributes": [_attribute("service.name", "probe")]},
                "scopeSpans": [
                    {
                        "spans": [
                            {
                                "traceId": trace_id.hex(),
                                "spanId": span_id.hex(),
                                "startTimeUnixNano": str(now_ns - 10**9),
                                "endTimeUnixNano": str(now_ns),
                                "attributes": [
                                    _attribute("gen_ai.provider.name", "openai"),
                                    _attribute("gen_ai.request.model", "gpt-4o"),
                                    _attribute("gen_ai.operation.name", "chat"),
                                ],
                            }
                        ]
                    }
                ],
            }
        ]
    }


def _attribute(key: str, value: str) -> dict[str, Any]:
    return {"key": key, "value": {"stringValue": value}}
