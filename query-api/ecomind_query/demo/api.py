"""The one question that the demo asks the API."""

from __future__ import annotations

from typing import NamedTuple

from ecomind_query.commands.running import Server
from ecomind_query.models import Totals, UsageRow
from ecomind_query.periods import Period


class Answer(NamedTuple):
    """Totals of a period, and its groups with the largest CO2e first."""

    total: Totals
    groups: list[UsageRow]


def usage(server: Server, period: Period, *group_by: str) -> Answer:
    """Totals of the period, by dimensions if any are named. Raises `ServerError`."""
    times = {"from": period.start.isoformat(), "to": period.end.isoformat()}
    answer = server.get("/v1/usage", {**times, "group_by": list(group_by)})
    groups = [UsageRow.model_validate(row) for row in answer["rows"]]
    return Answer(Totals.model_validate(answer["total"]), groups)
