"""The checks see what they are for: each kind of damage to a sound store is named."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ecomind_query.bench.invariants import Sent, verify
from ecomind_query.bench.workload import SPANS, Kind, Mode, batch_calls, span_id, trace_hash_sql
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
def store(tmp_path: Path) -> Iterator[Store]:
    """A store that holds requests 0, 1 and 2 exactly as they should be."""
    opened = Store(
        Settings.model_validate({"data_dir": tmp_path / "data", "key_dir": tmp_path / "keys"})
    )
    for request in range(3):
        _insert(opened, request)
    yield opened
    opened.close()


def _insert(store: Store, request: int, segment: int = 1, spans: int = SPANS) -> None:
    first = request * SPANS
    hashes = store.query(
        f"SELECT {trace_hash_sql(SEED, 'number')} AS hash FROM numbers({first}, {spans})"
        " ORDER BY number"
    )
    rows: list[list[object]] = [
        [
            "org_demo", datetime(2026, 11, 23, 12, tzinfo=UTC), call.duration_us, row["hash"],
            span_id(first + number), call.input_tokens, call.cache_read_tokens, call.output_tokens,
            call.reasoning_tokens, int(call.kind is Kind.CALL), REASON[call.kind], 1, segment,
            "standard",
        ]
        for number, (call, row) in enumerate(zip(batch_calls(request), hashes, strict=False))
    ]  # fmt: skip
    store.insert("calls", COLUMNS, rows, token=f"{request}-{segment}")


def test_a_sound_store_passes(store: Store) -> None:
    verdict = verify(store, SENT)
    assert verdict.failures == []
    assert (verdict.stored_spans, verdict.stored_requests) == (3 * 512, 3)
    assert verdict.rollup_calls == 3 * 410


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
