"""`ecomind whatif`: the same calls on another model, in another place or hour."""

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
from ecomind_query.commands.restate import changes, models_changed
from ecomind_query.models import WhatIf
from ecomind_query.parameters import WhatIfQuery
from ecomind_receiver.settings import Settings


def _text(help: str) -> Any:
    return typer.Option(help=help, show_default=False)


def whatif(
    to_model: Annotated[str, _text("Model that would have answered instead.")] = "",
    to_provider: Annotated[str, _text("Provider that would have run it.")] = "",
    to_region: Annotated[str, _text("Cloud region or grid zone it would have run in.")] = "",
    to_hour: Annotated[int | None, _text("UTC hour of the same day; needs hourly data.")] = None,
    model: Annotated[str | None, _text("Only calls of this model.")] = None,
    team: Annotated[str | None, _text("Only calls of this team.")] = None,
    provider: Annotated[str | None, _text("Only calls of this provider.")] = None,
    start: Annotated[str | None, typer.Option("--from", help="Start; 30 days ago.")] = None,
    end: Annotated[str | None, typer.Option("--to", help="End, exclusive; now.")] = None,
    server: ServerUrl = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show what the same calls would have cost on another model, in another place or hour."""
    asked = {
        "to_model": to_model, "to_provider": to_provider, "to_region": to_region,
        "to_hour": to_hour, "model": model, "team": team, "provider": provider, "from": start,
        "to": end,
    }  # fmt: skip
    with running.refusals():
        query = checked(WhatIfQuery, {k: v for k, v in asked.items() if v is not None})
        answer = _ask(load_settings(data_dir=data_dir, server=server), query)
    if as_json:
        print_json(answer)
    else:
        _show(answer)


def _ask(settings: Settings, query: WhatIfQuery) -> WhatIf:
    client = running.connect(settings)
    if client is not None:
        params = query.model_dump(mode="json", by_alias=True, exclude_none=True)
        answer = client.get("/v1/whatif", {k: v for k, v in params.items() if v != ""})
        return WhatIf(from_=answer.pop("from"), **answer)
    from ecomind_processor.terms import NO_TERMS

    with source.reader(settings) as reader:
        reach = source.reach(settings)
        terms = source.terms(settings).get(reach.org_id, NO_TERMS)
        return reader.whatif(reach, query, source.grids(settings), terms)


def _show(answer: WhatIf) -> None:
    named = {
        "model": answer.to_model,
        "provider": answer.to_provider,
        "region": answer.to_region,
        "hour": "" if answer.to_hour is None else f"{answer.to_hour:02d}:00 UTC",
    }
    change = ", ".join(f"{name} {value}" for name, value in named.items() if value)
    print_table(
        ("figure", "as it was", "what if", "change"),
        changes(answer.difference),
        right=("as it was", "what if", "change"),
        title=f"{answer.from_:%Y-%m-%d %H:%M} to {answer.to:%Y-%m-%d %H:%M} UTC,"
        f" {answer.difference.calls:,} calls: {change}",
        caption="\n".join((*answer.caveats, f"{answer.method}, {answer.factor_set}.")),
    )
    models_changed(answer.difference)
