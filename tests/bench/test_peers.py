"""The comparison with a Collector and Rotel: what it counts, what it shows, and short runs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import clickhouse_connect
import pytest
from bench.arrivals import OTEL_TRACES, Arrivals, Arrived
from bench.peer_programs import ECOMIND, missing
from bench.peers import COMPARED, ROWS, Figures, run, show
from support.clickhouse_cluster import HOST
from support.clickhouse_server import DATABASE, PASSWORD, USER, clickhouse_server

from ecomind_query.bench.workload import SPANS, span_id

SCRIPT = Path(__file__).with_name("peers.py")


@pytest.mark.soak
@pytest.mark.skipif(bool(missing()), reason=missing() or "the peers are built")
def test_a_short_run_compares_all_three() -> None:
    done = subprocess.run(
        [sys.executable, SCRIPT, "--seconds", "2", "--json"],
        capture_output=True,
        text=True,
        timeout=170,
    )
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    divided = result.pop("ratios")
    assert list(result) == ["ecomind", "collector", "rotel"]
    for figures in result.values():
        assert list(figures) == [name for name, _, _ in ROWS]
        assert figures["arrived_spans"] > 0
    ecomind = result.pop("ecomind")
    assert ecomind["missing_spans"] == ecomind["repeated_spans"] == ecomind["nameless_spans"] == 0
    assert ecomind["arrived_spans"] == ecomind["acked_spans"]
    for peer, figures in result.items():
        assert divided[peer] == {name: round(ecomind[name] / figures[name], 3) for name in COMPARED}


@pytest.mark.soak
def test_all_that_ecomind_acknowledges_arrives(tmp_path: Path) -> None:
    figures = run(ECOMIND, tmp_path / "ecomind", seconds=1, connections=2)
    assert figures.arrived_spans == figures.acked_spans > 0
    assert (figures.missing_spans, figures.repeated_spans, figures.nameless_spans) == (0, 0, 0)
    assert figures.cpu_us_per_span > 0 and figures.sink_cpu_us_per_span > 0


def test_what_is_missing_and_what_is_there_twice_is_counted() -> None:
    first, second = (range(n * SPANS, (n + 1) * SPANS) for n in (0, 1))
    stored = [*((i, "api") for i in first), (7, "api"), *((i, "") for i in second[:500])]
    with clickhouse_server() as sink:
        client = clickhouse_connect.get_client(
            host=HOST, port=sink.port, username=USER, password=PASSWORD, database=DATABASE
        )
        columns = "SpanId String, ServiceName String"
        client.command(f"CREATE TABLE otel_traces ({columns}) ENGINE = MergeTree ORDER BY SpanId")
        client.insert("otel_traces", [[f"{span_id(i):016x}", name] for i, name in stored])
        client.close()
        with Arrivals(sink, OTEL_TRACES) as arrivals:
            assert arrivals.rows() == 1013
            assert arrivals.arrived({0, 1}) == Arrived(1012, missing=12, repeated=1, nameless=500)
            assert arrivals.arrived({0}).missing == 0  # the answer to the second was lost
            assert arrivals.arrived({0, 1, 2}).missing == 12 + SPANS


def test_the_table_has_the_ratios(capsys: pytest.CaptureFixture[str]) -> None:
    def figures(spans_per_s: float, cpu: float, sink_cpu: float) -> Figures:
        return Figures(1024, 1024, 0, 0, 0, spans_per_s, cpu, sink_cpu, 0.5, 0)

    results = {
        "ecomind": figures(90_000, 6.0, 9.0),
        "collector": figures(30_000, 16.0, 36.0),
        "rotel": figures(60_000, 5.0, 18.0),
    }
    show(results, as_json=False)
    lines = capsys.readouterr().out.splitlines()
    rows = {cells[0]: cells[1:] for cells in map(_cells, lines) if len(cells) == 6}
    assert rows[""] == ["ecomind", "collector", "rotel", "/ collector", "/ rotel"]
    assert rows["spans/s"] == ["90,000", "30,000", "60,000", "3.0", "1.5"]
    assert rows["CPU, µs/span"] == ["6.00", "16.00", "5.00", "0.375", "1.2"]
    assert rows["sink's CPU, µs/span"] == ["9.00", "36.00", "18.00", "0.25", "0.5"]
    assert rows["in the sink"] == ["1,024", "1,024", "1,024", "", ""]
    show(results, as_json=True)
    assert json.loads(capsys.readouterr().out)["ratios"] == {
        "collector": {"spans_per_s": 3.0, "cpu_us_per_span": 0.375, "sink_cpu_us_per_span": 0.25},
        "rotel": {"spans_per_s": 1.5, "cpu_us_per_span": 1.2, "sink_cpu_us_per_span": 0.5},
    }


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.replace("┃", "│").strip("│").split("│")]
