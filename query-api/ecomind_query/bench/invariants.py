"""What must hold after any run, crash or re-send: read from the store, with nothing taken on trust.

The generator's ids are arithmetic, so each stored row gives back the number of the span it came
from; stored ⊆ sent is then a property of a row, and "once" a property of a group.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from ecomind_query.bench.workload import (
    Expected,
    Mode,
    expectations,
    expected_of,
    index_sql,
    spans_per_request,
    trace_hash_sql,
)
from ecomind_receiver.store import Store
from ecomind_receiver.tenants import LOCAL

_ROWS_PER_PASS = 2_000_000

DIMENSIONS = (
    "org_id, project_id, team, service, environment, provider, request_model, response_model,"
    " place, operation, service_tier, usage_quality, hour, coef_id"
)
_UNCACHED = "greatest(toInt64(input_tokens) - cache_read_tokens - cache_write_tokens{}, 0)"
QUANTITIES = {
    "calls": "1",
    "input_tokens": "toInt64(input_tokens)",
    "cache_read_tokens": "toInt64(cache_read_tokens)",
    "cache_write_tokens": "toInt64(cache_write_tokens)",
    "output_tokens": "toInt64(output_tokens)",
    "reasoning_tokens": "toInt64(reasoning_tokens)",
    "uncached_tokens": _UNCACHED.format(""),
    "input_tokens_over_8k": _UNCACHED.format(" - 8000"),
    "input_tokens_over_32k": _UNCACHED.format(" - 32000"),
    "input_tokens_over_128k": _UNCACHED.format(" - 128000"),
    "measured_energy_mj": "toInt64(measured_energy_mj)",
    "duration_ms": "toInt64(intDiv(duration_us, 1000))",
}
"""Integer columns of `usage_hourly`, and what one call adds to each."""


@dataclass(frozen=True)
class Sent:
    """What a generator did: numbers 0 … requests − 1 were sent, those in `acked` acknowledged.

    Its requests took turns between the keys of `orgs`; no other generator used one of them.
    """

    seed: int
    mode: Mode
    requests: int
    acked: frozenset[int]
    orgs: tuple[str, ...] = (LOCAL.org_id,)


@dataclass
class Verdict:
    """What was found; `failures` are sentences, and an empty list means that all holds."""

    stored_spans: int = 0
    stored_requests: int = 0
    rollup_calls: int = 0
    lost_requests: int = 0
    repeated_spans: int = 0
    differing_rollup_rows: int = 0
    failures: list[str] = field(default_factory=list)

    def expect(self, found: object, wanted: object, what: str) -> None:
        """Note a failure unless both are equal."""
        if found != wanted:
            self.failures.append(f"{what}: {found}, not {wanted}")


def read_report(path: Path) -> frozenset[int]:
    """The numbers that a generator's report holds."""
    data = path.read_bytes() if path.exists() else b""
    return frozenset(
        int.from_bytes(data[at : at + 8], "little") for at in range(0, len(data) // 8 * 8, 8)
    )


def verify(store: Store, *senders: Sent, exactly: bool = False) -> Verdict:
    """Check the invariants of one run on a store that holds nothing else.

    Without a crash the store holds `exactly` what was acknowledged. After one, also requests whose
    answer was lost.
    """
    verdict, expected = Verdict(), Expected()
    orgs = sorted({org for sent in senders for org in sent.orgs})
    others = store.query(
        "SELECT count() AS n FROM calls WHERE org_id NOT IN {orgs:Array(String)}", {"orgs": orgs}
    )[0]["n"]
    verdict.expect(others, 0, "stored rows of organisations that sent nothing")
    for sent in senders:
        stored = _stored_requests(store, sent, verdict)
        if exactly:
            unasked = len(stored - sent.acked)
            verdict.expect(unasked, 0, "stored requests that were not acknowledged")
        expected += expected_of(sent.mode, sorted(stored))
    _check_rollup(store, verdict)
    _check_counts(store, expected, verdict)
    return verdict


def _stored_requests(store: Store, sent: Sent, verdict: Verdict) -> set[int]:
    """Numbers of the requests that are stored: each span once, complete, and really sent."""
    size = spans_per_request(sent.mode)
    values = {"orgs": list(sent.orgs), "size": size, "period": len(expectations(sent.mode))}
    _check_rows(store, sent, values, verdict)
    stored: set[int] = set()
    rows = store.query(f"SELECT count() AS n FROM calls WHERE {_OWN}", values)[0]["n"]
    passes = rows // _ROWS_PER_PASS + 1
    spans = repeated = partial = 0
    for number in range(passes):
        for row in store.query(_REQUESTS, values | {"passes": passes, "number": number}):
            stored.add(row["request"])
            spans += row["spans"]
            repeated += row["repeated"]
            partial += row["spans"] != size
    verdict.stored_spans += spans
    verdict.stored_requests += len(stored)
    verdict.expect(repeated, 0, "spans not stored exactly once")
    verdict.expect(partial, 0, "requests stored in part")
    verdict.repeated_spans += repeated
    verdict.lost_requests += len(sent.acked - stored)
    verdict.expect(len(sent.acked - stored), 0, "acknowledged requests that are not stored")
    return stored


def _check_rows(store: Store, sent: Sent, values: Mapping[str, object], verdict: Verdict) -> None:
    """Each row is a span that was sent, and lies where the key of its request belongs."""
    size = spans_per_request(sent.mode)
    found = store.query(
        f"SELECT countIf(i >= {sent.requests * size}"
        f" OR trace_hash != {trace_hash_sql(sent.seed, 'i')}) AS strangers,"
        f" countIf(org_id != {_KEYS_ORG}) AS astray"
        f" FROM (SELECT {index_sql('span_id')} AS i, trace_hash, org_id FROM calls WHERE {_OWN})",
        values,
    )[0]
    verdict.expect(found["strangers"], 0, "stored rows that were never sent")
    verdict.expect(found["astray"], 0, "rows of another organisation than their key's")


_OWN = "org_id IN {orgs:Array(String)}"
_KEYS_ORG = (
    "{orgs:Array(String)}"
    "[intDiv(i, {size:UInt64}) % {period:UInt64} % length({orgs:Array(String)}) + 1]"
)

_REQUESTS = f"""
SELECT intDiv(i, {{size:UInt64}}) AS request, count() AS spans, countIf(net != 1) AS repeated
FROM
(
    SELECT {index_sql("span_id")} AS i, sum(sign) AS net
    FROM calls
    WHERE {_OWN} AND intDiv(i, {{size:UInt64}}) % {{passes:UInt64}} = {{number:UInt64}}
    GROUP BY i
)
GROUP BY request
"""


def _check_rollup(store: Store, verdict: Verdict) -> None:
    """`usage_hourly` equals what its columns give when summed over `calls` again."""
    names = ", ".join(QUANTITIES)
    again = ", ".join(f"sum(sign * {one}) AS total_{name}" for name, one in QUANTITIES.items())
    totals = ", ".join(f"sum(u.{name}) AS total_{name}" for name in QUANTITIES)
    not_empty = " OR ".join(f"total_{name} != 0" for name in QUANTITIES)
    hour = "toStartOfHour(toDateTime(start_time, 'UTC'))"
    from_calls = (
        f"SELECT {DIMENSIONS}, {again} FROM (SELECT *, {hour} AS hour FROM calls WHERE counted)"
        f" GROUP BY {DIMENSIONS} HAVING {not_empty}"
    )
    from_rollup = (
        f"SELECT {DIMENSIONS}, {totals} FROM usage_hourly AS u"
        f" GROUP BY {DIMENSIONS} HAVING {not_empty}"
    )
    differing = store.query(
        f"SELECT count() AS n FROM (({from_calls} EXCEPT {from_rollup})"
        f" UNION ALL ({from_rollup} EXCEPT {from_calls}))"
    )[0]["n"]
    verdict.differing_rollup_rows = differing
    verdict.expect(differing, 0, f"rollup rows that differ from the calls in one of {names}")
    verdict.rollup_calls = store.query("SELECT sum(calls) AS n FROM usage_hourly")[0]["n"]


def _check_counts(store: Store, expected: Expected, verdict: Verdict) -> None:
    """Every twin and container is found: counts and tokens are those of the requests stored."""
    found = store.query(
        "SELECT sum(sign) AS spans, sumIf(sign, reason = 'container') AS containers,"
        " sumIf(sign, reason = 'duplicate') AS twins, sumIf(sign, counted) AS calls,"
        " sumIf(toInt64(input_tokens) * sign, counted) AS input_tokens,"
        " sumIf(toInt64(cache_read_tokens) * sign, counted) AS cache_read_tokens,"
        " sumIf(toInt64(output_tokens) * sign, counted) AS output_tokens,"
        " sumIf(toInt64(reasoning_tokens) * sign, counted) AS reasoning_tokens FROM calls"
    )[0]
    for name, wanted in asdict(expected).items():
        verdict.expect(int(found[name]), wanted, name)
