"""Invoices: what a file may hold, and the way of its lines into the totals."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from query.rows import Seed
from typer.testing import CliRunner

from ecomind_processor.factors import FactorSet
from ecomind_processor.footprint import Coefficients
from ecomind_processor.hourly import Grids
from ecomind_processor.resolution import CallKey, resolve
from ecomind_query import cli, invoices
from ecomind_query.invoices import InvoiceError, Line
from ecomind_query.parameters import WhatIfQuery
from ecomind_query.reader import Reader
from ecomind_receiver.tenants import Reach
from ecomind_semconv.dialects import LOG_EVENTS

TODAY = date(2026, 11, 29)
HEAD = "date,provider,amount_usd"


def parsed(path: Path, text: str) -> list[Line]:
    file = path / "invoice.csv"
    file.write_text(text, encoding="utf-8")
    return invoices.read(file, TODAY, 90)


def test_a_file_with_every_column(tmp_path: Path) -> None:
    text = (
        "\ufeffdocument,team,date,amount_usd,currency,provider,model,service,environment,place\r\n"
        '"INV, 1", search ,2026-11-29,1234.50,USD,openai,gpt-4o,shop,production,USA\r\n'
        ",,2026-09-01,0.000001,,anthropic,,,,\r\n"
    )
    assert parsed(tmp_path, text) == [
        Line(
            TODAY, "openai", 1_234_500_000, "gpt-4o", "search", "shop", "production", "USA",
            "INV, 1",
        ),
        Line(date(2026, 9, 1), "anthropic", 1),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("day,provider,amount_usd\n", "line 1: there is no column 'day'; name them date, provider"),
        ("date;provider;amount_usd\n", "with commas between"),
        ("date,provider\n", "line 1: the column 'amount_usd' is missing"),
        (f"{HEAD},date\n", "line 1: a column is there twice"),
        (f"{HEAD}\n", "holds no line"),
        ("", "line 1: the column 'date' is missing"),
        (f"{HEAD}\n28.11.2026,openai,1\n", "line 2: the date '28.11.2026' is no day; write it as"),
        (f"{HEAD}\n20261128,openai,1\n", "is no day"),
        (f"{HEAD}\n2026-11-30,openai,1\n", "line 2: 2026-11-30 lies in the future"),
        (f"{HEAD}\n2026-08-31,openai,1\n", "line 2: 2026-08-31 is older than the 90 days"),
        (f"{HEAD}\n2026-11-28,,1\n", "line 2: it names no provider"),
        (f"{HEAD}\n2026-11-28,openai,1,2\n", "line 2: it has more values than columns"),
        (f"{HEAD},currency\n2026-11-28,openai,1,EUR\n", "line 2: its currency is not USD; convert"),
        *(
            (f'{HEAD}\n2026-11-28,openai,"{amount}"\n', f"line 2: the amount '{amount}' can't be")
            for amount in ("", "0", "-5", "nan", "inf", "$5", "1,234.50", "1e10", "0.0000001")
        ),
    ],
)
def test_what_is_refused_says_line_and_fix(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(InvoiceError) as refused:
        parsed(tmp_path, text)
    assert "invoice.csv" in str(refused.value) and says in str(refused.value)


def test_every_line_at_fault_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvoiceError) as refused:
        parsed(tmp_path, f"{HEAD}\n" + "x,openai,1\n" * 25)
    told = str(refused.value).splitlines()
    assert (len(told), told[-1]) == (21, "… and 5 lines more.")
    assert told[0].startswith("invoice.csv, line 2:")


def records(*lines: Line) -> list[dict[str, Any]]:
    bodies = [json.loads(request.body) for request in invoices.requests(lines)]
    groups = [group for body in bodies for group in body["resourceLogs"]]
    return [each for group in groups for each in group["scopeLogs"][0]["logRecords"]]


def test_a_line_has_the_same_id_again_and_equal_lines_have_two() -> None:
    line = Line(TODAY, "openai", 5_000_000, document="INV-1")
    ids = [each["traceId"] for each in records(line, line, line._replace(service="shop"))]
    assert len(set(ids)) == 3
    assert ids[:2] == [each["traceId"] for each in records(line, line)]
    assert "INV-1" not in json.dumps(records(line))
    assert invoices.EVENT in {event.name for event in LOG_EVENTS}


def test_large_files_are_sent_in_parts() -> None:
    lines = [Line(TODAY, "openai", n + 1, service="ab"[n % 2]) for n in range(2500)]
    sizes = [request.records for request in invoices.requests(lines)]
    assert sizes == [1000, 250, 1000, 250]


def spend(day: date) -> Coefficients:
    key = CallKey("openai", "", "", "USA", "", day, measured=False, spend=True)
    return resolve(key, FactorSet.load())


def test_what_was_paid_is_a_cost_beside_list_prices(
    seed: Seed, reader: Reader, reach: Reach
) -> None:
    none = {"input_tokens": 0, "output_tokens": 0, "request_model": "gpt-4o"}
    seed.call(spend(date(2026, 11, 18)), spend_microusd=12_500_000, **none)
    seed.call()  # 1,000 tokens in and 100 out of gpt-4o: 0.0035 USD
    total = reader.usage(reach, start="2026-11-18", end="2026-11-19").total
    assert total.cost_usd == pytest.approx(12.5 + 0.0035)
    assert (total.calls, total.unpriced_calls) == (2, 0)


def test_elsewhere_it_has_another_grid_and_no_other_model(
    seed: Seed, reader: Reader, reach: Reach
) -> None:
    c = spend(date(2026, 11, 18))
    none = {"input_tokens": 0, "output_tokens": 0, "response_model": "", "place": "USA"}
    seed.call(c, spend_microusd=100_000_000, **none)
    period = {"from": "2026-11-18", "to": "2026-11-19"}

    def ask(**given: str) -> Any:
        query = WhatIfQuery.model_validate(period | given)
        return reader.whatif(reach, query, Grids()).difference

    assert ask(to_model="gpt-4o-mini").energy_wh.percent == 0.0
    moved = ask(to_region="SWE")
    assert moved.energy_wh.original.mid == pytest.approx(16_206, abs=1)
    assert moved.co2e_g_location.percent == pytest.approx((35.3 / 384.4 - 1) * 100, abs=0.1)


def test_explain_takes_money_alone() -> None:
    runner = CliRunner()
    done = runner.invoke(cli.app, ["explain", "any", "--provider", "openai", "--zone", "USA",
                                   "--spend-usd", "100", "--json"])  # fmt: skip
    found = json.loads(done.stdout)
    assert (found["method"], found["tier_energy"]) == ("spend", "F")
    assert found["energy_wh"]["mid"] == pytest.approx(16_206, abs=1)
    both = runner.invoke(cli.app, ["explain", "any", "--spend-usd", "1", "--output-tokens", "5"])
    assert both.exit_code == 1 and "nothing is used that can be counted" in both.stderr


def run(home: Path, *words: str) -> Any:
    given = {
        "ECOMIND_DATA_DIR": str(home / "data"),
        "ECOMIND_KEY_DIR": str(home / "keys"),
        "ECOMIND_SPOOL_SEGMENT_MAX_SECONDS": "0.05",
    }
    done = subprocess.run(
        [sys.executable, "-m", "ecomind_query", *words, "--json"],
        env={**os.environ, **given}, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_an_invoice_from_the_file_to_the_totals(tmp_path: Path) -> None:
    yesterday = (datetime.now(UTC) - timedelta(days=1)).date()
    file = tmp_path / "invoice.csv"
    lines = [f"{yesterday},openai,{usd},search,USA,INV-1" for usd in (60, 20, 20)]
    file.write_text("\n".join((f"{HEAD},team,place,document", *lines)))
    tried = run(tmp_path, "spend", "import", str(file), "--dry-run")
    assert (tried["sent"], tried["counted"], tried["usd"]) == (False, None, 100.0)
    first, again = (run(tmp_path, "spend", "import", str(file)) for _ in range(2))
    assert first["by_provider"] == {"openai": {"lines": 3, "usd": 100.0}}
    assert first["counted"]["calls"] == {"counted": 3, "not_counted": {}}
    assert again["counted"]["calls"] == {"counted": 0, "not_counted": {"resent": 3}}
    (row,) = run(tmp_path, "usage", "--last", "7d", "--group-by", "team")["rows"]
    assert row["group"] == {"team": "search"}
    total = row["totals"]
    assert (total["calls"], total["cost_usd"], total["input_tokens"]) == (3, 100.0, 0)
    assert total["energy_wh"]["mid"] == pytest.approx(16_206, abs=1)
    assert total["co2e_g_location"]["mid"] == pytest.approx(6_230, abs=1)
    (used,) = run(
        tmp_path, "sql",
        "SELECT method, model_tier, operation, sum(sign * spend_microusd) AS spend"
        " FROM calls_footprint WHERE counted GROUP BY method, model_tier, operation",
    )["rows"]  # fmt: skip
    assert used == ["spend", "F", "invoice", 100_000_000]
