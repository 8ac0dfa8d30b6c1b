"""`ecomind overrides propose | list | show | approve | reject | withdraw`: an organisation's word.

Each option of `propose` is a field of the statement's body; which kind takes which is decided where
statements are checked, so that there is one list of them.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ecomind_query.commands import control
from ecomind_query.commands.common import (
    AsJson,
    DataDir,
    fail,
    load_settings,
    print_json,
    print_table,
)

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from ecomind_receiver.control.overrides import OrgOverrides
    from ecomind_receiver.control.records import OverrideRecord

COLUMNS = ("id", "kind", "status", "says", "from", "to", "proposed by", "decided by")
_DOCUMENT = {"document": "title", "reference": "reference", "year": "year"}
"""Option → its field of the document."""
_NO_FIELDS = frozenset(
    {"kind", "ends", "start", "end", "as_user", "note", "org", "data_dir", "as_json", *_DOCUMENT}
)
"""Options of `propose` that are no fields of the body itself."""

Id = Annotated[str, typer.Argument(help="The override's id, such as ov_0123456789ab.")]
As = Annotated[str, typer.Option("--as", help="The member of the organisation who does it.")]
Note = Annotated[str, typer.Option(help="One line on why.")]
_NEEDED = ...
"""In place of a value if left out: the option must be given."""


def _help(text: str) -> typer.models.OptionInfo:
    option: typer.models.OptionInfo = typer.Option(help=text, show_default=False)
    return option


def propose(
    kind: Annotated[str, typer.Argument(help="energy, contract, region or method.")],
    as_user: As,
    start: Annotated[str, typer.Option("--from", help="The first UTC day with it.")],
    end: Annotated[
        str | None, typer.Option("--to", help="The first UTC day without it; none if left out.")
    ] = None,
    model: Annotated[str | None, _help("energy: the model, as calls or the set name it.")] = None,
    provider: Annotated[
        str | None, _help("The provider, such as openai; unknown: any other.")
    ] = None,
    zone: Annotated[str | None, _help("contract, region: a grid zone such as USA.")] = None,
    place: Annotated[str | None, _help("region: the region or host that calls state.")] = None,
    wh_per_output_token: Annotated[float | None, _help("energy: Wh of IT energy.")] = None,
    wh_per_input_token: Annotated[float | None, _help("energy: by ratio if left out.")] = None,
    wh_per_cache_read_token: Annotated[float | None, _help("energy: the same.")] = None,
    wh_per_cache_write_token: Annotated[float | None, _help("energy: the same.")] = None,
    basis: Annotated[str | None, _help("energy: override, or disclosed by the provider.")] = None,
    co2e_g_per_kwh: Annotated[float | None, _help("contract: grams, market-based.")] = None,
    instrument: Annotated[
        str | None, _help("contract: ppa, certificate, tariff or residual_mix.")
    ] = None,
    method: Annotated[str | None, _help("method: such as ecologits@0.11.3.")] = None,
    document: Annotated[str | None, _help("energy, contract: title of the evidence.")] = None,
    reference: Annotated[str | None, _help("Its address, or where the file lies.")] = None,
    year: Annotated[int | None, _help("Its year.")] = None,
    ends: Annotated[str | None, _help("Id of an approved one that ends before --from.")] = None,
    note: Note = "",
    org: control.Org = control.DEFAULT_ORG,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Propose what holds instead of the factor set. It holds once another member approves it."""
    given = {name: value for name, value in locals().items() if value is not None}
    first, last = _day("--from", start), _day("--to", end) if end else None
    body = {name: value for name, value in given.items() if name not in _NO_FIELDS}
    paper = {field: given[name] for name, field in _DOCUMENT.items() if name in given}
    body |= {"document": paper} if paper else {}
    if ends and (body or last):
        fail("--ends stands alone: give the id, --from and --as.")
    with control.changing(load_settings(data_dir=data_dir)) as tx:
        own = _own(tx, org)
        if ends:
            found = own.propose_end(ends, first, as_user, note, kind)
        else:
            found = own.propose(kind, body, first, last, as_user, note)
    _show(found, as_json)
    control.say(
        f"Next, as another member: ecomind overrides approve {found.id} --org {org} --as USER"
    )


def list_(
    org: control.Org = control.DEFAULT_ORG,
    status: Annotated[
        str, typer.Option(help="proposed, approved, rejected or withdrawn; all if left out.")
    ] = "",
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """List what an organisation has stated, the oldest first."""
    from ecomind_query.overrides import listed
    from ecomind_receiver.control.records import Status

    if status and status not in list(Status):
        fail(f"There is no status {status[:40]!r}. Use one of: {', '.join(Status)}.")
    with control.reading(load_settings(data_dir=data_dir)) as tx:
        found = _own(tx, org).list([Status(status)] if status else tuple(Status))
    if as_json:
        print_json(listed(found).model_dump(mode="json")["overrides"])
        return
    print_table(COLUMNS, map(_row, found))
    if not found:
        control.say(f"Next: ecomind overrides propose KIND --org {org} --as USER --from DAY")


def show(
    id: Id,
    org: control.Org = control.DEFAULT_ORG,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show one statement with its evidence and who decided on it."""
    with control.reading(load_settings(data_dir=data_dir)) as tx:
        found = _own(tx, org).get(id)
    _show(found, as_json)


def _decision(word: str, help: str, note_if_left_out: Any = "") -> Callable[..., None]:
    """The command that decides on a proposal by the method of this name."""

    def decide(
        id: Id,
        as_user: As,
        note: Note = note_if_left_out,
        org: control.Org = control.DEFAULT_ORG,
        data_dir: DataDir = None,
        as_json: AsJson = False,
    ) -> None:
        with control.changing(load_settings(data_dir=data_dir)) as tx:
            found = getattr(_own(tx, org), word)(id, as_user, note)
        _show(found, as_json)

    decide.__doc__ = help
    return decide


approve = _decision(
    "approve",
    "Let a proposal hold; not for who proposed it. A running server takes it up in seconds.",
)
reject = _decision("reject", "Refuse a proposal and say why; not for who proposed it.", _NEEDED)
withdraw = _decision("withdraw", "Take a proposal of one's own back.")


def _own(tx: Connection, org: str) -> OrgOverrides:
    from ecomind_receiver.control.overrides import OrgOverrides

    return OrgOverrides(tx, org)


def _day(option: str, text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        fail(f"{option}: {text[:40]!r} is not a day such as 2026-01-31.")


def _show(found: OverrideRecord, as_json: bool) -> None:
    from ecomind_query.overrides import shown

    one: dict[str, Any] = shown(found).model_dump(mode="json")
    if as_json:
        print_json(one)
        return
    stated = one.pop("stated")
    rows = [(name.replace("_", " "), value) for name, value in (one | stated).items()]
    print_table(("field", "value"), [row for row in rows if row[1] not in (None, "")])


def _row(found: OverrideRecord) -> tuple[object, ...]:
    from ecomind_query.overrides import says

    return (
        found.id, found.kind, found.status, says(found.kind, found.body), found.valid_from,
        found.valid_to, found.proposed_by, found.decided_by,
    )  # fmt: skip
