"""A real server with keys: how a capture gets in, and the three ways in which its result is read.

The rollup, the single calls and the page are different paths to the same figures, so each is read
from outside as a client would, and a difference between two of them is a fault in itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import grpc
import httpx
from captures.otlp import Document, as_json, as_protobuf
from captures.truth import Call, Counted
from sqlalchemy import Connection

from ecomind_query.bench.process import Server
from ecomind_query.ui.format import compact
from ecomind_receiver.api_keys import Peppers
from ecomind_receiver.control.keys import OrgKeys
from ecomind_receiver.control.orgs import create_org
from ecomind_receiver.control.own import Own
from ecomind_receiver.control.store import ControlStore
from ecomind_receiver.secrets import Secrets
from ecomind_receiver.settings import Settings
from ecomind_receiver.tenants import LOCAL, Scope
from ecomind_semconv.usage import COUNTS, STATE_BITS, STATES

_EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
TIMEOUT_SECONDS = 60.0
_ON_PAGE = {
    "Tokens in": "input",
    "Tokens out": "output",
    "of which read from cache": "cache_read",
    "of which written to cache": "cache_write",
    "of which reasoning": "reasoning",
}
_COUNT = re.compile(r"([\d,]+)(?: \((partial|estimated): ([\d,]+) to ([\d,]+)\))?")


def keyed_server(folder: Path, org_ids: list[str]) -> tuple[Server, dict[str, str]]:
    """A server that is not started yet, and a key of each organisation. There are no quotas."""
    server = Server(folder)
    url = f"sqlite:///{server.data_dir.absolute() / 'control.db'}"
    server.settings |= {"ECOMIND_AUTH": "keys", "ECOMIND_CONTROL_URL": url}
    settings = Settings.model_validate({**server.folders, "control_url": url})
    peppers = Peppers(Secrets(settings).peppers)
    store = ControlStore(url)
    try:
        store.migrate()
        with store.begin() as tx:
            return server, {org_id: _organisation(tx, org_id, peppers) for org_id in org_ids}
    finally:
        store.close()


def _organisation(tx: Connection, org_id: str, peppers: Peppers) -> str:
    create_org(tx, org_id)
    Own(tx, org_id).create_project(LOCAL.project_id)
    scopes = (Scope.INGEST, Scope.READ)
    return OrgKeys(tx, org_id, peppers).create("captures", LOCAL.project_id, scopes)[1]


class Client:
    """One organisation at the server; many share the connections."""

    def __init__(self, server: Server, http: httpx.Client, key: str) -> None:
        self._server = server
        self._http = http
        self._headers = {"authorization": f"Bearer {key}"}

    def post(self, document: Document) -> None:
        """Send it as OTLP/JSON over HTTP."""
        headers = {**self._headers, "content-type": "application/json"}
        url = f"{self._server.addresses['otlp_http']}/v1/traces"
        assert self._http.post(url, content=as_json(document), headers=headers).json() == {}

    def export(self, document: Document) -> None:
        """Send it as protobuf over gRPC."""
        metadata = list(self._headers.items())
        with grpc.insecure_channel(urlsplit(self._server.addresses["otlp_grpc"]).netloc) as channel:
            answer = channel.unary_unary(_EXPORT)(
                as_protobuf(document), metadata=metadata, timeout=TIMEOUT_SECONDS
            )
        assert answer == b""

    def rollup(self) -> Sums:
        """Whole hours around the captures: these are answered from `usage_hourly` alone."""
        hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
        ends = {"from": hour - timedelta(hours=2), "to": hour + timedelta(hours=2)}
        total = self._json("/v1/usage", {name: end.isoformat() for name, end in ends.items()})
        return _sums_of(total["total"])

    def listed(self) -> list[dict[str, Any]]:
        """Every counted call."""
        answer = self._json("/v1/calls", {"counted": "true", "limit": "500"})
        assert answer["next_cursor"] is None
        calls: list[dict[str, Any]] = answer["calls"]
        return calls

    def detail(self, call_id: str) -> Call:
        """One call with what is said of its counts; the bounds must be those of the processor."""
        counts = self._json(f"/v1/calls/{call_id}", {})["counts"]
        found = _call({one["name"]: (one["mid"], one["quality"]) for one in counts})
        assert {one["name"]: (one["low"], one["mid"], one["high"]) for one in counts} == (
            found.bounds
        )
        return found

    def front_page(self) -> tuple[str, str]:
        """Calls and tokens as the front page shows them today."""
        page = _read(self._text("/"))
        calls, tokens = page.lead or ("0", "0")
        return calls, tokens

    def page_of_calls(self) -> list[tuple[str, list[str]]]:
        """Id of each call on the page of counted calls, and its tokens in and out."""
        page = _read(self._text("/calls", {"counted": "true"}))
        return page.rows

    def page_of(self, call_id: str) -> tuple[Call, dict[str, tuple[int, int]]]:
        """One call as its page shows it, and the bounds shown there."""
        facts = _read(self._text(f"/calls/{call_id}")).facts
        shown = {name: _COUNT.fullmatch(facts[label]) for label, name in _ON_PAGE.items()}
        found, bounds = {}, {}
        for name, match in shown.items():
            assert match, facts
            mid, quality, low, high = match.groups()
            found[name] = (_integer(mid), quality or "reported")
            if quality:
                bounds[name] = (_integer(low), _integer(high))
        return _call(found), bounds

    def _json(self, path: str, query: dict[str, str]) -> dict[str, Any]:
        answer: dict[str, Any] = self._get(path, query).json()
        return answer

    def _text(self, path: str, query: dict[str, str] | None = None) -> str:
        return self._get(path, query or {}).text

    def _get(self, path: str, query: dict[str, str]) -> httpx.Response:
        url = f"{self._server.addresses['api']}{path}"
        response = self._http.get(url, params=query, headers=self._headers)
        assert response.status_code == 200, response.text
        return response


class Sums(NamedTuple):
    """Calls and tokens of a set."""

    calls: int
    tokens: dict[str, int]


def read(client: Client, *, front_page: bool = True) -> Counted:
    """What an organisation was counted as; all three ways must agree.

    The front page costs as much as all the rest, so it can be left out.
    """
    calls = client.listed()
    counted = Counted.of(
        client.detail(call["id"]) if call["usage_quality"] != "reported" else _as_reported(call)
        for call in calls
    )
    sums = Sums(counted.calls, counted.tokens)
    assert [call.tokens for call in counted.rows] == [_as_reported(call).tokens for call in calls]
    assert client.rollup() == sums
    _demand_that_pages_agree(client, calls, counted)
    if front_page:
        tokens = counted.tokens["input"] + counted.tokens["output"]
        assert client.front_page() == (f"{counted.calls:,}", compact(tokens))
    return counted


def _demand_that_pages_agree(
    client: Client, calls: Sequence[Mapping[str, Any]], counted: Counted
) -> None:
    said = {"reported": "", "partial": " partial", "estimated": " estimated"}
    ids = [call["id"] for call in calls]
    assert client.page_of_calls() == [
        (one["id"], [f"{call.tokens[0]:,}", f"{call.tokens[1]:,}{said[one['usage_quality']]}"])
        for one, call in zip(calls, counted.rows, strict=True)
    ]
    for call_id, call in zip(ids, counted.rows, strict=True):
        bounds = {name: call.bounds[name][::2] for name in call.flagged}
        assert client.page_of(call_id) == (call, bounds)


def _as_reported(call: dict[str, Any]) -> Call:
    return Call(tuple(call[f"{name}_tokens"] for name in COUNTS), 0)


def _sums_of(answer: dict[str, Any]) -> Sums:
    return Sums(answer["calls"], {name: answer[f"{name}_tokens"] for name in COUNTS})


def _call(counts: dict[str, tuple[int, str]]) -> Call:
    states = sum(
        STATES.index(counts[name][1]) << STATE_BITS * place for place, name in enumerate(COUNTS)
    )
    return Call(tuple(counts[name][0] for name in COUNTS), states)


def _integer(text: str) -> int:
    return int(text.replace(",", ""))


class _Page(HTMLParser):
    """What is read of a page: the lead's figures, rows of calls, pairs of name and value."""

    def __init__(self) -> None:
        super().__init__()
        self.lead: list[str] = []
        self.rows: list[tuple[str, list[str]]] = []
        self.facts: dict[str, str] = {}
        self._at = ""
        self._text = ""
        self._name = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "span" and given.get("class") == "lead-figures":
            self._at = "lead"
        elif tag == "th" and given.get("scope") == "row":
            self._at = "row"
        elif tag == "a" and self._at == "row":
            self.rows.append(((given["href"] or "").rpartition("/")[2], []))
            self._at = ""
        elif tag == "td" and given.get("data-label") in ("in", "out"):
            self._at = "tokens"
        if tag in ("strong", "td", "dt", "dd"):
            self._text = ""

    def handle_data(self, data: str) -> None:
        self._text += data

    def handle_endtag(self, tag: str) -> None:
        text = self._text.strip()
        if tag == "strong" and self._at == "lead":
            self.lead.append(text)
        elif tag == "td" and self._at == "tokens":
            self.rows[-1][1].append(text)
        elif tag == "dt":
            self._name = text
        elif tag == "dd":
            self.facts[self._name] = text
        if tag == "td" or (tag == "span" and self._at == "lead"):
            self._at = ""


def _read(text: str) -> _Page:
    page = _Page()
    page.feed(text)
    page.close()
    return page
