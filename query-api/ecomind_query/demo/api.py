"""The few questions that the demo asks the API, past any proxy of the environment."""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from datetime import datetime
from typing import Any

from ecomind_query.demo.errors import DemoError
from ecomind_query.models import Totals, UsageRow

TIMEOUT_SECONDS = 30
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def is_ready(api_url: str) -> bool:
    """Whether a durable write is possible now."""
    try:
        with _OPENER.open(f"{api_url}/ready", timeout=TIMEOUT_SECONDS):
            return True
    except OSError:  # refused, or 503 with what is missing
        return False


def usage(
    api_url: str, start: datetime, end: datetime, group_by: str = ""
) -> tuple[Totals, list[UsageRow]]:
    """Totals of [start, end) in UTC, and by one dimension if asked. Raises `DemoError`."""
    question = {"from": start.isoformat(), "to": end.isoformat(), "group_by": group_by}
    answer = _get(f"{api_url}/v1/usage?" + urllib.parse.urlencode(question))
    rows = [UsageRow.model_validate(row) for row in answer["rows"]]
    return Totals.model_validate(answer["total"]), rows


def _get(url: str) -> Any:
    try:
        with _OPENER.open(url, timeout=TIMEOUT_SECONDS) as response:
            return json.load(response)
    except urllib.error.HTTPError as error:
        text = error.read().decode("utf-8", "replace")
        raise DemoError(f"The API answered {error.code} to {url}: {text}") from error
    except OSError as error:
        raise DemoError(f"The API at {url} did not answer: {error}.") from error
