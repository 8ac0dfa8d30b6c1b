"""Spans of two organisations and two projects in one segment, from their bytes to the answers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from support.otlp import CHAT, protobuf
from support.receiver import make_settings

from ecomind_query.errors import QueryError
from ecomind_query.reader import Reader
from ecomind_receiver.ingest import PROTOBUF
from ecomind_receiver.server import Receiver
from ecomind_receiver.tenants import Reach, Tenant

NORTH, SOUTH = "org_north", "org_south"
SENT = {
    Tenant(NORTH, "alpha"): 1,
    Tenant(NORTH, "beta"): 2,
    Tenant(SOUTH, "alpha"): 4,
}
"""Tenant → spans it sends; every sum of some of them is another number."""


@pytest.fixture(scope="module")
def received(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    settings = make_settings(
        tmp_path_factory.mktemp("received"), spool_segment_max_seconds=60, loader_threads=1
    )
    with asyncio.Runner() as runner:
        receiver = Receiver(settings, listeners=False)
        runner.run(receiver.start())
        try:
            for tenant, spans in SENT.items():
                # the same ids from everybody, and names of a tenant that decide nothing
                said = {"service.name": f"{tenant.org_id}/{tenant.project_id}", "org_id": SOUTH}
                claims = {"ecomind.org": SOUTH, "org_id": SOUTH, "project_id": "alpha"}
                body = protobuf([CHAT | claims] * spans, resource=said, first_id=10 * spans)
                runner.run(receiver.accept(tenant, body, PROTOBUF))
            runner.run(receiver.drain())
            yield Reader(receiver.store, retention_days=settings.retention_days)
        finally:
            runner.run(receiver.stop())


@pytest.mark.parametrize(
    "reach",
    [
        Reach(NORTH), Reach(NORTH, "alpha"), Reach(NORTH, "beta"),
        Reach(SOUTH), Reach(SOUTH, "alpha"), Reach(SOUTH, "beta"),
    ],
    ids=str,
)  # fmt: skip
def test_each_project_has_its_own_spans(received: Reader, reach: Reach) -> None:
    senders = {
        tenant: spans
        for tenant, spans in SENT.items()
        if tenant.org_id == reach.org_id and reach.project_id in (None, tenant.project_id)
    }
    answer = received.received(reach, 50)
    assert len(answer.spans) == sum(senders.values())
    assert {span.service for span in answer.spans} == {
        f"{tenant.org_id}/{tenant.project_id}" for tenant in senders
    }
    assert answer.outcomes_24h == ({"stored": sum(senders.values())} if senders else {})
    assert received.daily(reach).total.calls == sum(senders.values())


def test_the_segment_was_one(received: Reader) -> None:
    """Otherwise the test above would not show that neighbours in a segment are kept apart."""
    segments = {
        tuple(row)
        for reach in (Reach(NORTH), Reach(SOUTH))
        for row in received.sql(reach, "SELECT DISTINCT toString(segment_id) FROM calls").rows
    }
    assert len(segments) == 1


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT 1 FROM {table} WHERE toInt64(if(project_id = 'alpha', '1', org_id)) > 0",
        "SELECT 1 FROM {table} WHERE intDiv(1, if(org_id != 'org_north', 0, 1)) > 0",
        "SELECT 1 FROM {table} AS a JOIN {table} AS b ON a.org_id = b.org_id"
        " WHERE intDiv(1, if(a.org_id != 'org_north' OR b.project_id != 'alpha', 0, 1)) > 0",
        "WITH x AS (SELECT * FROM {table}) SELECT 1 FROM x"
        " WHERE toInt64(if(project_id = 'alpha', '1', project_id)) > 0",
    ],
)
@pytest.mark.parametrize("table", ["calls", "calls_footprint", "usage_hourly", "span_outcomes"])
def test_no_condition_is_tried_on_a_row_of_others(
    received: Reader, table: str, statement: str
) -> None:
    """Else its failure would tell what that row holds, in its sentence or by failing at all."""
    try:
        refusal, rows = "", received.sql(Reach(NORTH, "alpha"), statement.format(table=table)).rows
    except QueryError as error:
        refusal, rows = error.detail, []
    assert (refusal, bool(rows)) == ("", True)
