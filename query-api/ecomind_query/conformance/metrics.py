"""What a server of ours says of itself."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from ecomind_query.bench.process import Server
from ecomind_query.direct import DIRECT


def accepted_spans(server: Server) -> int:
    """Spans acknowledged since its start."""
    labels = {"ecomind_span_outcome": "accepted", "ecomind_signal": "traces"}
    return _sum(server, "ecomind_receiver_spans_total", labels)


def requests_of(server: Server, transport: str, outcome: str, signal: str = "traces") -> int:
    """Requests of a signal over `http` or `grpc` that ended so."""
    labels = {
        "ecomind_receiver_transport": transport,
        "ecomind_request_outcome": outcome,
        "ecomind_signal": signal,
    }
    return _sum(server, "ecomind_receiver_requests_total", labels)


def _sum(server: Server, name: str, labels: dict[str, str]) -> int:
    with DIRECT.open(f"{server.addresses['api']}/metrics", timeout=30) as response:
        families = text_string_to_metric_families(response.read().decode())
    return sum(
        int(sample.value)
        for family in families
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )
