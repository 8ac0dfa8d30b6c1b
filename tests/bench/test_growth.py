"""`ecomind bench all` as a user runs it, on a few calls; the filler; the plot."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from support.receiver import make_settings

from ecomind_query.bench.filling import DAYS, fill
from ecomind_query.bench.plot import plot
from ecomind_query.bench.sources import source
from ecomind_query.bench.workload import Mode, Variant
from ecomind_receiver.store import Store


def test_the_filler_makes_so_many_calls_and_tops_them_up(tmp_path: Path) -> None:
    store = Store(make_settings(tmp_path, retention_days=DAYS + 10))
    try:
        days: list[int] = []
        fill(store, 9_000, told=days.append)
        fill(store, 20_000, already=9_000)
        assert days == list(range(1, DAYS + 1))
        [calls] = store.query(
            "SELECT count() AS n, uniqExact(trace_hash) AS traces, sum(input_tokens) AS tokens,"
            " uniqExact(toDate(start_time, 'UTC')) AS days, uniqExact(request_model) AS models,"
            " countIf(coef_id NOT IN (SELECT coef_id FROM coefficients)) AS unknown FROM calls"
        )
        assert (calls["n"], calls["traces"], calls["days"]) == (20_000, 20_000, DAYS)
        assert (calls["models"], calls["unknown"]) == (30, 0)
        [rollup] = store.query("SELECT sum(calls) AS n, sum(input_tokens) AS tokens"
                               " FROM usage_hourly")  # fmt: skip
        assert (rollup["n"], rollup["tokens"]) == (20_000, calls["tokens"])
        [waiting] = store.query(
            "SELECT count() AS n FROM calls WHERE received_at >="
            " (SELECT max(window_end) FROM reconciled)"
        )
        [closed] = store.query(
            "SELECT count() AS days, sum(calls) AS calls FROM"
            " (SELECT day, argMax(calls, generation) AS calls FROM day_closes GROUP BY day)"
        )
        assert waiting["n"] == 0
        assert closed["days"] in (DAYS - 3, DAYS - 2)
        assert closed["calls"] == closed["days"] * 9_000 / DAYS  # what came later is not of today
    finally:
        store.close()


def test_every_tenth_mixed_request_carries_content() -> None:
    requests = source(Mode.BATCH, Variant.MIXED, 1, "127.0.0.1:1", [])
    sizes = [sum(map(len, requests.take().parts)) for _ in range(30)]
    heavy = [number for number, size in enumerate(sizes) if size > 512 * 2000]
    assert heavy == [9, 19, 29]
    assert max(size for size in sizes if size < 512 * 2000) < 512 * 700


def test_the_plot_is_an_image_with_a_point_for_each_size() -> None:
    growth = {
        1_000_000: {"cpu_us_per_span": 5.0, "page_ms_p95": 20.0},
        100_000_000: {"cpu_us_per_span": 5.5, "page_ms_p95": 80.0},
    }
    root = ElementTree.fromstring(plot(growth))
    circles = list(root.iter("{http://www.w3.org/2000/svg}circle"))
    assert len(circles) == 4
    assert "100 M" in "".join(root.itertext())


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_all_of_it_writes_the_page(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("above\n<!-- bench all: begin -->\nold\n<!-- bench all: end -->\nbelow\n")
    options = ["--seconds", "1", "--warmup", "0.2", "--calls", "9000", "--calls", "90000"]
    done = subprocess.run(
        [sys.executable, "-m", "ecomind_query", "bench", "all", "--json", "--write", str(page),
         *options],
        capture_output=True, text=True, timeout=800,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert list(figures["ingest"]) == [*Variant, "single"]
    assert {r["calls"] for r in figures["growth"].values()} == {9_000, 90_000} | {
        figures["growth"]["90000"]["calls"]
    }
    text = page.read_text()
    assert text.startswith("above\n")
    assert text.endswith("below\n")
    assert "old" not in text
    assert "| CPU per span received, µs |" in text
    assert (tmp_path / "images/benchmarks.svg").exists()
