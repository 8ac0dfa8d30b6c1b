"""Which spans are calls of their own: the rules, in order, over rows of a segment or a window.

A rule marks losers, the rows that must not count, with the reason; it sees what those before it
left. Most segments hold nothing that a rule is about, which one look finds out. The same rules run
in the reconcile job over rows of several segments, and so does what a call learns from its parent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ecomind_receiver.connections import Connections
from ecomind_receiver.migrations import render
from ecomind_semconv.usage import USAGE_ON_ITS_OWN_SPAN

VERSION = ("usage_states", "request_model", "response_model")
"""Columns that tell a call's row from the one that replaced it, where it was lent something."""


class Rule(NamedTuple):
    """A statement that marks losers, and what must be found for it to have any."""

    template: str
    needs: str


RULES = (
    Rule("resent.sql", "several"),  # a client sent it again
    Rule("other_signal.sql", "from_logs"),
    Rule("twins.sql", "with_id"),
    Rule("alike.sql", "without_id"),
    Rule("apart.sql", "without_id"),
    Rule("stand_ins.sql", "stand_ins"),
    Rule("retried.sql", "failed"),
)


def mark_losers(engine: Connections, tables: Mapping[str, str], settled: str = "") -> None:
    """Fill the table of losers. `settled`: an expression and a comma; it puts first what stays."""
    found = engine.query(render("findings.sql", **tables))[0]
    values = {"settled": settled, "apart_scopes": USAGE_ON_ITS_OWN_SPAN, **tables}
    for rule in RULES:
        if found[rule.needs]:
            engine.command(render(rule.template, **values))


def lend(
    engine: Connections, tables: Mapping[str, str], terms: Mapping[str, int], by_hour: bool
) -> bool:
    """Give calls what only the span above them knows; whether any lacked it.

    If so, the table `changed` holds all rows of staging as they now are, with new keys; `terms` is
    what distinguishes those of organisations with terms of their own, and `by_hour` tells hours of
    a day apart.
    """
    lendable = bool(engine.query(render("lendable.sql", **tables))[0]["n"])
    if lendable:
        engine.command(render("lent.sql", terms=terms, by_hour=by_hour, **tables))
    return lendable
