"""`ecomind factors restate` and `restatements`, `ecomind closes`: closed days and their figures."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ecomind_query.commands import running, source
from ecomind_query.commands.common import (
    AsJson,
    DataDir,
    ServerUrl,
    checked,
    load_settings,
    print_json,
    print_table,
)
from ecomind_query.models import Change, Closes, Difference, Restatement, Restatements
from ecomind_query.shapes import RestatementOrder
from ecomind_query.ui import format
from ecomind_receiver.settings import Settings

_FIGURES = (
    ("energy", "energy_wh", format.energy),
    ("CO2e, location-based", "co2e_g_location", format.mass),
    ("CO2e, market-based", "co2e_g_market", format.mass),
    ("CO2e, embodied", "co2e_g_embodied", format.mass),
    ("water on site", "water_ml_onsite", format.water),
    ("water at power plants", "water_ml_offsite", format.water),
)
_TYPED = {"factor_set": "--set", "requested_by": "--as"}
"""Fields of a restatement that are typed under another name."""


def restate(
    start: Annotated[str, typer.Option("--from", help="First UTC day, as 2025-11-01.")],
    end: Annotated[str, typer.Option("--to", help="UTC day after the last one.")],
    factor_set: Annotated[
        str, typer.Option("--set", help="Factor set; the one in use if left out.")
    ] = "",
    method: Annotated[str, typer.Option(help="Method; the set's own if left out.")] = "",
    reason: Annotated[str, typer.Option(help="Why; needed to keep it, reports print it.")] = "",
    requested_by: Annotated[str, typer.Option("--as", help="Who asks for it.")] = "",
    dry_run: Annotated[bool, typer.Option(help="Show the difference, keep nothing.")] = False,
    server: ServerUrl = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Restate closed days under another factor set or method, beside the originals."""
    asked = {
        "from": start, "to": end, "factor_set": factor_set, "method": method, "reason": reason,
        "requested_by": requested_by, "dry_run": dry_run,
    }  # fmt: skip
    with running.refusals(**_TYPED):
        order = checked(RestatementOrder, asked, **_TYPED)
        answer = _restate(load_settings(data_dir=data_dir, server=server), order)
    if as_json:
        print_json(answer)
    else:
        _show(answer)


def restatements(
    server: ServerUrl = None, data_dir: DataDir = None, as_json: AsJson = False
) -> None:
    """List restatements: what was restated, why, and what changed."""
    settings = load_settings(data_dir=data_dir, server=server)
    with running.refusals():
        client = running.connect(settings)
        if client is None:
            with source.reader(settings) as reader:
                found = reader.restatements(source.reach(settings))
        else:
            answer = client.get("/v1/restatements")["restatements"]
            found = Restatements(restatements=[_restatement(one) for one in answer])
    if as_json:
        print_json(found)
        return
    print_table(
        ("id", "from", "to", "set", "method", "energy", "CO2e", "material", "reason"),
        [
            (
                r.id, r.from_, r.to, r.factor_set, r.method,
                _percent(r.difference.energy_wh), _percent(r.difference.co2e_g_location),
                "yes" if r.difference.material else "no", r.reason,
            )
            for r in found.restatements
        ],
        right=("energy", "CO2e"),
    )  # fmt: skip


def closes(
    start: Annotated[str | None, typer.Option("--from", help="First UTC day.")] = None,
    end: Annotated[str | None, typer.Option("--to", help="UTC day after the last one.")] = None,
    server: ServerUrl = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """List closed days with the digest of their rows; the last 90 days."""
    from ecomind_query.parameters import ClosesQuery

    settings = load_settings(data_dir=data_dir, server=server)
    with running.refusals():
        asked = checked(ClosesQuery, {"from": start, "to": end})
        client = running.connect(settings)
        if client is None:
            with source.reader(settings) as reader:
                reach = source.reach(settings)
                found = reader.closes(reach, first=asked.from_, end=asked.to)
        else:
            found = Closes(**client.get("/v1/closes", {"from": start, "to": end}))
    if as_json:
        print_json(found)
        return
    print_table(
        ("day", "generation", "closed at", "rows", "calls", "root (SHA-256)"),
        [
            (c.day, c.generation, f"{c.closed_at:%Y-%m-%d %H:%M}", c.rows, c.calls, c.root)
            for c in found.closes
        ],
        right=("generation", "rows", "calls"),
    )


def _restate(settings: Settings, order: RestatementOrder) -> Restatement:
    client = running.connect(settings)
    if client is not None:
        body = order.model_dump(mode="json", by_alias=True)
        return _restatement(client.post("/v1/restatements", body))
    from ecomind_processor.factors import FactorSet
    from ecomind_query.reader import Reader
    from ecomind_receiver.catalogue import Catalogue
    from ecomind_receiver.restating import Restater

    with source.store(settings) as store:
        reach, terms = source.reach(settings), source.terms(settings)
        catalogue = Catalogue(
            store,
            FactorSet.load(),
            settings.resolver_cache_entries,
            lambda: terms,
            source.grids(settings),
        )
        reader = Reader(store, retention_days=settings.retention_days)
        return reader.restate(
            Restater(store, catalogue), reach, order, settings.materiality_percent
        )


def _restatement(answer: dict[str, Any]) -> Restatement:
    return Restatement(from_=answer.pop("from"), **answer)


def _show(answer: Restatement) -> None:
    difference = answer.difference
    kept = f"kept as {answer.id}" if answer.id else "tried; nothing is kept"
    material = "material" if difference.material else "not material"
    print_table(
        ("figure", "as stated", "restated", "change"),
        changes(difference),
        right=("as stated", "restated", "change"),
        title=f"{answer.from_} to {answer.to}, {difference.calls:,} calls: "
        f"{'; '.join(answer.original_sets) or 'no usage'} → {answer.factor_set}, {answer.method}",
        caption=f"{kept}; {material} (threshold {difference.threshold_percent:g} %);"
        f" worked out from {'closed days' if answer.basis == 'closed' else 'single calls'}."
        f"{_unknown(answer.unknown_hours)}",
    )
    models_changed(difference)


def _unknown(hours: int) -> str:
    if not hours:
        return ""
    return (
        f"\n{hours:,} hours of grids that are known by the hour were not known and took the year's"
        " figure. What a plug-in fetches comes in the background: ask again later."
    )


def changes(difference: Difference) -> list[tuple[str, ...]]:
    """A row for each figure: before and after with their ranges, and the change."""
    rows: list[tuple[str, ...]] = []
    for label, name, show in _FIGURES:
        found: Change | None = getattr(difference, name)
        if found is None:
            rows.append((label, "not available", "not available", ""))
            continue
        cells = [
            f"{show(figure.mid)}\n{show(figure.low)} – {show(figure.high)}"
            for figure in (found.original, found.restated)
        ]
        rows.append((label, *cells, _percent(found)))
    return rows


def models_changed(difference: Difference) -> None:
    """Print the models whose figures change most."""
    if difference.by_model:
        print_table(
            ("provider", "model", "calls", "energy", "CO2e"),
            [
                (m.provider, m.model, f"{m.calls:,}", _percent(m.energy_wh),
                 _percent(m.co2e_g_location))
                for m in difference.by_model[:10]
            ],
            right=("calls", "energy", "CO2e"),
            title="Largest changes by model",
        )  # fmt: skip


def _percent(found: Change) -> str:
    return "n/a" if found.percent is None else f"{found.percent:+.2f} %"
