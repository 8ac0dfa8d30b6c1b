"""What has arrived in the sink of a comparison: asked of the stand-in for ClickHouse itself.

The generator's ids are arithmetic, so a stored row gives back which span of which request it is,
in Ecomind's own table as in the one that OpenTelemetry's exporters share.
"""

from __future__ import annotations

from collections.abc import Set
from typing import Any, NamedTuple

import clickhouse_connect
from support.clickhouse_cluster import HOST
from support.clickhouse_server import DATABASE, PASSWORD, USER, ClickHouseServer

from ecomind_query.bench.workload import SPANS, index_sql

_OTEL_SPAN_ID = "reinterpretAsUInt64(reverse(unhex(SpanId)))"


class Table(NamedTuple):
    """Where a program stores spans, and how a question about them is asked."""

    rows: str
    """SELECT of each row's span index `i`, its `sign` and its `service`."""
    settled: str
    """SELECT of whether nothing is left to do once all rows are there."""


CALLS = Table(
    f"SELECT {index_sql('span_id')} AS i, sign, service FROM calls",
    "SELECT max(window_end) > (SELECT max(received_at) FROM calls) FROM reconciled",
)
OTEL_TRACES = Table(
    f"SELECT {index_sql(_OTEL_SPAN_ID)} AS i, 1 AS sign, ServiceName AS service FROM otel_traces",
    "SELECT true",
)


class Arrived(NamedTuple):
    """Spans in the sink, of all that were sent."""

    spans: int
    missing: int
    """Acknowledged, and not there."""
    repeated: int
    """Rows beyond the first of a span."""
    nameless: int
    """Rows without the service name that their resource had."""


class Arrivals:
    """One program's table in a running sink."""

    def __init__(self, sink: ClickHouseServer, table: Table) -> None:
        self._table = table
        self._client = clickhouse_connect.get_client(
            host=HOST, port=sink.port, username=USER, password=PASSWORD, database=DATABASE
        )

    def __enter__(self) -> Arrivals:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def rows(self) -> int:
        """Rows so far; a row that takes back another counts against it."""
        return int(self._ask(f"SELECT sum(sign) FROM ({self._table.rows})")[0][0])

    def settled(self) -> bool:
        """Whether the program has nothing left to do for the rows that are there."""
        return bool(self._ask(self._table.settled)[0][0])

    def arrived(self, acked: Set[int]) -> Arrived:
        """What is there of a run in which these requests were acknowledged."""
        found = {request: counts for request, *counts in self._ask(self._by_request)}
        spans, rows, nameless = (sum(counts[n] for counts in found.values()) for n in range(3))
        there = sum(counts[0] for request, counts in found.items() if request in acked)
        return Arrived(spans, len(acked) * SPANS - there, rows - spans, nameless)

    @property
    def _by_request(self) -> str:
        return (
            f"SELECT intDiv(i, {SPANS}) AS request, count(), sum(net), sum(nameless) FROM"
            " (SELECT i, sum(sign) AS net, sumIf(sign, service = '') AS nameless"
            f" FROM ({self._table.rows}) GROUP BY i HAVING net > 0) GROUP BY request"
        )

    def _ask(self, question: str) -> list[Any]:
        return list(self._client.query(question).result_rows)
