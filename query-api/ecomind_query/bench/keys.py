"""`ecomind bench keys`: what API keys and limits cost, measured on one machine in one run.

Three arms: without keys; with them and the very same rows; with the rows spread over organisations,
which costs the store something that keys have no part in. They alternate, and every second round
runs the other way round, so that a machine that gets slower or faster meanwhile does so for all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import mean
from typing import Annotated

import typer
from rich.console import Console

from ecomind_query.bench.command import ROWS, DataFolder, working_folder
from ecomind_query.bench.measure import Plan, Result, measure
from ecomind_query.bench.organisations import Organisation
from ecomind_query.bench.process import ServerError
from ecomind_query.bench.workload import TEAMS, Mode, Variant
from ecomind_query.commands.common import (
    FAILED,
    NOT_STARTED,
    AsJson,
    fail,
    print_json,
    print_table,
)
from ecomind_receiver.control.errors import ControlError
from ecomind_receiver.secrets import SecretError
from ecomind_receiver.tenants import LOCAL

WITHOUT, WITH, SEVERAL = "without_keys", "with_keys", "three_organisations"
NEVER_REACHED = 1_000_000_000.0
"""Spans a second: each request is charged to both levels, and none is refused."""


def _limited(org_id: str) -> Organisation:
    return Organisation(org_id, NEVER_REACHED, int(NEVER_REACHED), NEVER_REACHED)


ARMS: dict[str, tuple[Organisation, ...]] = {
    WITHOUT: (),
    WITH: (_limited(LOCAL.org_id),),
    SEVERAL: tuple(_limited(f"bench_{team}") for team in TEAMS),
}
COMPARED = (
    "spans_per_s_acked",
    "spans_per_s_stored",
    "spans_per_s_sustained",
    "cpu_us_per_span",
    "ack_ms_p50",
    "ack_ms_p99",
)
"""Figures whose ratio to those without keys is shown."""

Arms = dict[str, list[Result]]


def keys(
    seconds: Annotated[float, typer.Option(min=1, help="Measured seconds of each run.")] = 60,
    warmup: Annotated[float, typer.Option(min=0, help="Seconds before, not measured.")] = 10,
    connections: Annotated[int, typer.Option(min=1, help="Of the load generator.")] = 8,
    rounds: Annotated[int, typer.Option(min=1, help="Runs of each arm.")] = 1,
    data_dir: DataFolder = None,
    as_json: AsJson = False,
) -> None:
    """Measure ingest without keys, with keys and limits, and with three organisations."""
    plans = {
        arm: Plan(Mode.BATCH, Variant.PLAIN, seconds, warmup, connections, organisations)
        for arm, organisations in ARMS.items()
    }
    arms: Arms = {arm: [] for arm in ARMS}
    try:
        with working_folder(data_dir) as folder:
            for number, arm in enumerate(order(rounds)):
                if not as_json:
                    Console(stderr=True).print(f"{_words(arm)}, {warmup:g} + {seconds:g} s …")
                arms[arm].append(_run(plans[arm], folder / f"{number + 1}-{arm}"))
    except (ServerError, ControlError, SecretError, OSError) as error:
        fail(f"The benchmark could not run: {error}", NOT_STARTED)
    _show(arms, as_json)
    if not all(result.sound for results in arms.values() for result in results):
        raise typer.Exit(FAILED)


def order(rounds: int) -> list[str]:
    """The arm of each run: all in a round, every second round the other way round."""
    ways = (list(ARMS), list(reversed(ARMS)))
    return [arm for number in range(rounds) for arm in ways[number % 2]]


def _run(plan: Plan, folder: Path) -> Result:
    folder.mkdir()
    return measure(plan, folder)


def means(results: Sequence[Result]) -> dict[str, float]:
    """Each figure of `COMPARED`, over the runs of one arm."""
    return {name: round(mean(getattr(one, name) for one in results), 2) for name in COMPARED}


def ratios(arms: Arms, arm: str) -> dict[str, float]:
    """Each mean of an arm over that without keys; 1 where nothing was measured."""
    base, own = means(arms[WITHOUT]), means(arms[arm])
    return {name: round(own[name] / base[name], 4) if base[name] else 1.0 for name in COMPARED}


def _show(arms: Arms, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                arm: {
                    "means": means(results),
                    "ratios": ratios(arms, arm),
                    "runs": [asdict(one) for one in results],
                }
                for arm, results in arms.items()
            }
        )
        return
    columns = [_words(arm) for arm in arms]
    print_table(
        ["", *columns],
        [[label, *_cells(arms, name, form)] for name, label, form in ROWS if name in COMPARED],
        right=columns,
    )
    for arm, results in arms.items():
        failures = [sentence for one in results for sentence in one.invariants["failures"]]
        typer.echo(f"{_words(arm)}: {'; '.join(failures) or 'all invariants hold'}")


def _cells(arms: Arms, name: str, form: str) -> list[str]:
    base = form.format(means(arms[WITHOUT])[name])
    others = [arm for arm in arms if arm != WITHOUT]
    return [
        base,
        *(
            f"{form.format(means(arms[arm])[name])}  × {ratios(arms, arm)[name]:.3f}"
            for arm in others
        ),
    ]


def _words(arm: str) -> str:
    return arm.replace("_", " ")
