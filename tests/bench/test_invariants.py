"""The checks see what they are for: each kind of damage to a sound store is named."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ecomind_query.bench.invariants import Sent, verify
from ecomind_query.bench.workload import (
    SPANS,
    Kind,
    Mode,
    batch_calls,
    span_id,
    spans_per_request,
    trace_hash_sql,
)
from ecomind_receiver.settings import Settings
from ecomind_receiver.store import Store

SEED = 0xFEDC_BA98_7654_3210
SENT = Sent(SEED, Mode.BATCH, requests=4, acked=frozenset({0, 1}))
REASON = {Kind.CALL: "", Kind.CONTAINER: "container", Kind.TWIN: "duplicate"}
COLUMNS = [
    "org_id", "start_time", "duration_us", "trace_hash", "span_id", "input_tokens",
    "cache_read_tokens", "output_tokens", "reasoning_tokens", "counted", "reason", "sign",
    "segment_id", "retention_class",
]  # fmt: skip


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Store]:
    """A store that holds nothing."""
    opened = Store(
        Settings.model_validate({"data_dir": tmp_path / "data", "key_dir": tmp_path / "keys"})
    )
    yield opened
    opened.close()


@pytest.fixture
def store(empty: Store) -> Store:
    """A store that holds requests 0, 1 and 2 exactly as they should be."""
    for request in range(3):
        _insert(empty, request)
    return empty


def _insert(
    store: Store,
    request: int,
    segment: int = 1,
    spans: int = SPANS,
    *,
    org: str = "org_demo",
    seed: int = SEED,
    mode: Mode = Mode.BATCH,
) -> None:
    first = request * spans_per_request(mode)
    hashes = store.query(
        f"SELECT {trace_hash_sql(seed, 'number')} AS hash FROM numbers({first}, {spans})"
        " ORDER BY number"
    )
    rows: list[list[object]] = [
        [
            org, datetime(2026, 11, 23, 12, tzinfo=UTC), call.duration_us, row["hash"],
            span_id(first + number), call.input_tokens, call.cache_read_tokens, call.output_tokens,
            call.reasoning_tokens, int(call.kind is Kind.CALL), REASON[call.kind], 1, segment,
            "standard",
        ]
        for number, (call, row) in enumerate(zip(batch_calls(request, mode), hashes, strict=False))
    ]  # fmt: skip
    store.insert("calls", COLUMNS, rows, token=f"{request}-{segment}-{org}")


def test_a_sound_store_passes(store: Store) -> None:
    verdict = verify(store, SENT)
    assert verdict.failures == []
    assert (verdict.stored_spans, verdict.stored_requests) == (3 * 512, 3)
    assert verdict.rollup_calls == 3 * 410


def test_a_request_stored_though_it_was_refused_is_seen(store: Store) -> None:
    assert verify(store, SENT, exactly=True).failures == [
        "stored requests that were not acknowledged: 1, not 0"
    ]


def test_requests_belong_to_the_organisations_of_their_keys_in_turn(empty: Store) -> None:
    for request, org in enumerate(("org_a", "org_b", "org_c", "org_a")):
        _insert(empty, request, org=org)
    orgs = ("org_a", "org_b", "org_c")
    sent = Sent(SEED, Mode.BATCH, 4, frozenset(range(4)), orgs)
    verdict = verify(empty, sent, exactly=True)
    assert (verdict.failures, verdict.stored_requests) == ([], 4)
    in_another_order = Sent(SEED, Mode.BATCH, 4, frozenset(range(4)), ("org_b", "org_a", "org_c"))
    assert verify(empty, in_another_order).failures == [
        "rows of another organisation than their key's: 1536, not 0"
    ]


def test_two_senders_are_told_apart(empty: Store) -> None:
    for request in range(2):
        _insert(empty, request, org="org_a")
    _insert(empty, 0, spans=100, org="org_b", seed=SEED + 1, mode=Mode.SMALL)
    one = Sent(SEED, Mode.BATCH, 2, frozenset({0, 1}), ("org_a",))
    other = Sent(SEED + 1, Mode.SMALL, 1, frozenset({0}), ("org_b",))
    verdict = verify(empty, one, other, exactly=True)
    assert verdict.failures == []
    assert (verdict.stored_spans, verdict.stored_requests) == (2 * 512 + 100, 3)
    assert verdict.rollup_calls == 2 * 410 + 80
    assert verify(empty, one).failures[0] == (
        "stored rows of organisations that sent nothing: 100, not 0"
    )


def test_a_lost_request_is_seen(store: Store) -> None:
    sent = Sent(SEED, Mode.BATCH, 4, frozenset({0, 3}))
    assert verify(store, sent).failures == ["acknowledged requests that are not stored: 1, not 0"]


def test_a_request_stored_in_part_is_seen(store: Store) -> None:
    _insert(store, 3, spans=500)  # the last twelve are twins
    assert verify(store, SENT).failures == [
        "requests stored in part: 1, not 0",
        "spans: 2036, not 2048",
        "twins: 192, not 204",
    ]


def test_a_span_stored_twice_is_seen(store: Store) -> None:
    _insert(store, 1, segment=2, spans=1)
    failures = verify(store, SENT).failures
    assert failures[0] == "spans not stored exactly once: 1, not 0"
    assert "calls: 1231, not 1230" in failures


def test_rows_that_nobody_sent_are_seen(store: Store) -> None:
    sent = Sent(SEED, Mode.BATCH, 2, frozenset({0, 1}))
    assert verify(store, sent).failures == ["stored rows that were never sent: 512, not 0"]
    other_seed = Sent(SEED + 1, Mode.BATCH, 4, frozenset({0, 1}))
    assert verify(store, other_seed).failures == ["stored rows that were never sent: 1536, not 0"]


def test_a_rollup_that_differs_is_seen(store: Store) -> None:
    store.command(
        "INSERT INTO usage_hourly (org_id, hour, calls)"
        " VALUES ('org_demo', '2026-11-23 12:00:00', 1)"
    )
    [failure] = verify(store, SENT).failures
    assert failure.startswith("rollup rows that differ from the calls")
