"""`ecomind bench ingest` as a user runs it, for a second a phase."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from ecomind_query.bench.command import ROWS
from ecomind_query.bench.process import Counters, parse_counters


def _bench(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ecomind_query", "bench", "ingest", *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=150, check=False)


def test_it_measures_both_phases_and_the_invariants_hold(tmp_path: Path) -> None:
    done = _bench("--json", "--seconds", "1", "--warmup", "0.5", "--data-dir", str(tmp_path / "b"))
    assert done.returncode == 0, done.stderr
    batch: dict[str, Any] = json.loads(done.stdout)
    single: dict[str, Any] = batch.pop("single_span")
    for phase, result in (("batch", batch), ("single", single)):
        assert set(result) == {"mode", "variant", "invariants", *(name for name, _, _ in ROWS)}
        assert result["mode"] == phase
        assert result["invariants"]["failures"] == []
        assert result["acked_spans"] == result["stored_spans"] > 0
        assert result["dropped_spans"] == 0
    assert batch["rollup_spans"] == batch["stored_spans"] // 512 * 410
    assert single["rollup_spans"] == single["stored_spans"]
    assert sorted(path.name for path in (tmp_path / "b").iterdir()) == ["batch", "single"]


def test_a_folder_that_holds_something_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = _bench("--data-dir", str(tmp_path))
    assert done.returncode == 2
    assert "is not empty" in done.stderr


def test_counters_are_read_from_the_metrics() -> None:
    text = """\
# TYPE ecomind_receiver_spans counter
ecomind_receiver_spans_total{ecomind_span_outcome="accepted"} 10.0
# TYPE ecomind_spool_segments gauge
ecomind_spool_segments 1.0
# TYPE ecomind_loader_spans counter
ecomind_loader_spans_total{ecomind_span_outcome="stored"} 6.0
ecomind_loader_spans_total{ecomind_span_outcome="not_genai"} 3.0
"""
    counters = parse_counters(text)
    assert counters == Counters(acked_spans=10, stored_spans=6, dropped_spans=3, spool_segments=1)
    assert not counters.drained
    assert counters._replace(stored_spans=7, spool_segments=0).drained
