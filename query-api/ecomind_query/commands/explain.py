"""`ecomind explain`: the footprint of a call that you describe, derived step by step."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from ecomind_processor.derivation import number
from ecomind_processor.hourly import Grids
from ecomind_processor.terms import NO_TERMS, Terms
from ecomind_query.commands import control, running, source
from ecomind_query.commands.common import (
    AsJson,
    DataDir,
    checked,
    load_settings,
    print_json,
    print_table,
)
from ecomind_query.explaining import explained
from ecomind_query.models import Derivation, Explained
from ecomind_query.parameters import ExplainQuery
from ecomind_receiver.settings import Settings

FIGURES = (
    ("energy", "energy_wh", "Wh"),
    ("CO2e, location-based", "co2e_g_location", "g"),
    ("CO2e, market-based", "co2e_g_market", "g"),
    ("CO2e, embodied", "co2e_g_embodied", "g"),
    ("water on site", "water_ml_onsite", "mL"),
    ("water at power plants", "water_ml_offsite", "mL"),
)


def _help(text: str) -> typer.models.OptionInfo:
    option: typer.models.OptionInfo = typer.Option(help=text, show_default=False)
    return option


def explain(
    model: Annotated[str, typer.Argument(help="The model's name, as calls write it.")],
    provider: Annotated[str | None, _help("Such as openai, anthropic or aws.bedrock.")] = None,
    region: Annotated[str | None, _help("Cloud region or endpoint host it ran in.")] = None,
    zone: Annotated[str | None, _help("Instead of --region: a grid zone: USA, US-CAISO.")] = None,
    input_tokens: Annotated[int | None, _help("All input, cached or not.")] = None,
    cache_read_tokens: Annotated[int | None, _help("Input read from a cache.")] = None,
    cache_write_tokens: Annotated[int | None, _help("Input written to a cache.")] = None,
    output_tokens: Annotated[int | None, _help("All output, reasoning included.")] = None,
    reasoning_tokens: Annotated[int | None, _help("Output spent on reasoning.")] = None,
    images: Annotated[int | None, _help("Images made.")] = None,
    audio_s: Annotated[float | None, _help("Seconds of audio made or read.")] = None,
    video_s: Annotated[float | None, _help("Seconds of video made.")] = None,
    spend_usd: Annotated[float | None, _help("US dollars paid, if that is all you know.")] = None,
    latency_s: Annotated[float | None, _help("Duration; bounds EcoLogits' method.")] = None,
    measured_energy_wh: Annotated[float | None, _help("IT energy that was measured.")] = None,
    service_tier: Annotated[str | None, _help("Such as batch.")] = None,
    method: Annotated[str | None, _help("Such as ecologits@0.11.3; the set's own.")] = None,
    factor_set: Annotated[str | None, _help("The one in use if left out.")] = None,
    day: Annotated[str | None, _help("UTC day of the call, as 2026-11-28; today.")] = None,
    hour: Annotated[int | None, _help("UTC hour: takes the grid's intensity in it.")] = None,
    org: Annotated[
        str | None, _help("Apply what this organisation has approved, from the control store.")
    ] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Derive the footprint of one call: each factor, its source, the arithmetic and the range."""
    given = {name: value for name, value in locals().items() if value is not None}
    for name in ("org", "data_dir", "as_json"):
        given.pop(name, None)
    settings = load_settings(data_dir=data_dir)
    terms = _terms(org, settings) if org else NO_TERMS
    with running.refusals(model="MODEL"):
        query = checked(ExplainQuery, given, model="MODEL")
        grids = Grids() if query.hour is None else source.grids(settings)
        answer = explained(query, datetime.now(UTC).date(), grids, terms)
    if as_json:
        print_json(answer)
    else:
        show(answer)


def _terms(org: str, settings: Settings) -> Terms:
    from ecomind_receiver.control.overrides import OrgOverrides

    with control.reading(settings) as tx:
        return OrgOverrides(tx, org).terms()


def show(answer: Explained) -> None:
    """Print the figures as a table and the steps below it."""
    rows = []
    for label, name, unit in FIGURES:
        figure = getattr(answer, name)
        cells = (
            ("", "not available", "")
            if figure is None
            else map(number, (figure.low, figure.mid, figure.high))
        )
        rows.append((label, *cells, unit))
    print_table(
        ("figure", "low", "mid", "high", "unit"),
        rows,
        right=("low", "mid", "high"),
        title=f"{answer.model} ({answer.model_match}), tier {answer.tier_energy}; "
        f"grid {answer.zone} ({answer.zone_match}), tier {answer.tier_grid}",
        caption=f"{answer.method}, {answer.factor_set}, {answer.day}. Ranges are judgement bands,"
        " not confidence intervals.",
    )
    console = Console(highlight=False, markup=False)
    for place, step in enumerate(answer.steps, 1):
        _show_step(console, place, step)


def _show_step(console: Console, place: int, step: Derivation) -> None:
    result = "not available" if step.value is None else f"{number(step.value)} {step.unit}"
    console.print(f"\n{place}. {step.name}", style="bold")
    for text, style in ((step.formula, ""), (f"= {result}", ""), (step.source, "dim")):
        console.print(Padding(Text(text, style=style), (0, 0, 0, 4)))
