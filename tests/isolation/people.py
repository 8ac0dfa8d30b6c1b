"""What operators and clients do in a world: make organisations and keys, send, ask, and check.

Each act states what must come of it; an answer is looked through for what belongs to others before
anything else is done with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from grpc import StatusCode
from isolation import routes, spans, statements
from isolation.knocks import Knock
from isolation.model import Key, Org, Project, names_of
from isolation.routes import Access, Route
from isolation.world import World

from ecomind_receiver.control import orgs
from ecomind_receiver.control.keys import OrgKeys
from ecomind_receiver.control.own import Own
from ecomind_receiver.control.records import Role
from ecomind_receiver.ingest import PROTOBUF
from ecomind_receiver.tenants import Reach, Scope

ORIGIN = "https://app.example.com"
OTHER_ORIGIN = "https://app.example.com.evil.example"
_GRPC_STATUS = {
    StatusCode.OK: 200,
    StatusCode.UNAUTHENTICATED: 401,
    StatusCode.PERMISSION_DENIED: 403,
    StatusCode.RESOURCE_EXHAUSTED: 429,
}
_SCOPES = {Access.READ: Scope.READ, Access.INGEST: Scope.INGEST, Access.ADMIN: Scope.ADMIN}


class Operator:
    """Whoever has the control store: everything that `ecomind orgs, projects, keys` do."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._canaries = world.canaries

    def create_org(self, quota_spans: float | None) -> Org:
        """An organisation with a name, a user and perhaps a quota."""
        org = Org(self._canaries.org_id())
        name = self._canaries.label(org.id, None, "organisation's name")
        with self._world.control.begin() as tx:
            orgs.create_org(tx, org.id, name)
            orgs.ensure_user(tx, f"user_{name}", name)
            orgs.add_member(tx, org.id, f"user_{name}", Role.OWNER)
            self._limit(tx, org, quota_spans)
        self._world.keys_changed()
        return org

    def limit(self, org: Org, quota_spans: float | None) -> None:
        """Change an organisation's quota."""
        with self._world.control.begin() as tx:
            self._limit(tx, org, quota_spans)
        self._world.keys_changed()

    def create_project(self, org: Org) -> Project:
        """A project with words of its own."""
        project_id = self._canaries.project_id(org.id)
        project = Project(org, project_id, names_of(self._canaries, org.id, project_id))
        name = self._canaries.label(org.id, project_id, "project's name")
        with self._world.control.begin() as tx:
            Own(tx, org.id).create_project(project_id, name)
        org.projects.append(project)
        return project

    def create_key(
        self,
        org: Org,
        project: Project | None,
        scopes: frozenset[Scope],
        *,
        public: bool = False,
        lifetime: timedelta | None = None,
    ) -> Key:
        """A key; one whose lifetime is negative is over already."""
        now = datetime.now(UTC)
        expires_at = now + lifetime if lifetime is not None else None
        made_at = now - timedelta(days=1) if lifetime and lifetime < timedelta(0) else now
        name = self._canaries.label(org.id, project.id if project else None, "key's name")
        with self._world.control.begin() as tx:
            record, text = OrgKeys(tx, org.id, self._world.peppers, lambda: made_at).create(
                name,
                project.id if project else None,
                scopes,
                expires_at=expires_at,
                public=public,
                origins=(ORIGIN,) if public else (),
            )
        origin = ORIGIN if public else ""
        return self._announced(Key(org, project, record.id, text, scopes, origin, expires_at))

    def revoke(self, key: Key) -> None:
        """End a key."""
        with self._world.control.begin() as tx:
            OrgKeys(tx, key.org.id, self._world.peppers).revoke(key.id)
        key.over = True
        self._world.keys_changed()

    def end_all_keys(self, of: Iterable[Org]) -> None:
        """Revoke every key of some organisations at once."""
        with self._world.control.begin() as tx:
            for org in of:
                keys = OrgKeys(tx, org.id, self._world.peppers)
                for record in keys.list():
                    keys.revoke(record.id)

    def rotate(self, key: Key) -> Key:
        """A successor; the key itself ends at once."""
        with self._world.control.begin() as tx:
            keys = OrgKeys(tx, key.org.id, self._world.peppers)
            record, text = keys.rotate(key.id, timedelta(0))
        key.over = True
        return self._announced(
            Key(key.org, key.project, record.id, text, key.scopes, key.origin, record.expires_at)
        )

    def _announced(self, key: Key) -> Key:
        """A new key, once every receiver knows it."""
        self._canaries.api_key(key.text)
        self._world.keys_changed()
        client = Client(self._world)

        def known() -> bool:
            return not client.is_refused(key) or not key.live(datetime.now(UTC))

        assert self._world.soon(known), f"{key} is new and opens nothing"
        return key

    def _limit(self, tx: Any, org: Org, quota_spans: float | None) -> None:
        org.limited = org.limited or quota_spans is not None
        orgs.set_quota(tx, org.id, quota_spans, None if quota_spans is None else 3)


class Client:
    """Whoever has a key, or none, and reaches the ports."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._canaries = world.canaries

    def ask(
        self,
        route: Route,
        key: Key | None,
        *,
        call_id: str = "0" * 32,
        credential: Mapping[str, str] | None = None,
        statuses: frozenset[int] = frozenset({200}),
        **options: Any,
    ) -> httpx.Response:
        """Ask a route; check what is told, and that whoever may not ask is refused.

        `statuses` are the good answers to a key that may ask; `credential` stands in for a key.
        """
        access, path = routes.ROUTES[route], routes.address(route[1], call_id)
        headers = routes.headers(route, key.text if key else "") | dict(credential or {})
        headers |= {"origin": key.origin} if key and key.origin else {}
        before = datetime.now(UTC)
        response = self._world.api(route[0], path, headers, **options)
        self._world.asked[route] += 1
        refused, stranger = response.status_code >= 400, response.status_code in (401, 403)
        self.see(
            f"{response.text}\n{response.headers}",
            key.reach if key and access is not Access.OPEN and not stranger else None,
            # A refusal names what it refuses, and the form of a list shows what it filters by.
            repr(options) if refused or route == ("GET", "/calls") else "",
        )
        if access is not Access.OPEN:
            statuses = allowed(key, _SCOPES[access], before, statuses)
        assert response.status_code in statuses, (
            f"{route} answers {key} {response.status_code}, not {set(statuses)}: {response.text}"
            f"\n{''.join(self._world.failures.texts[-1:])}"
        )
        return response

    def restate(self, key: Key) -> None:
        """Try a restatement: a key of a whole organisation is told that no day is closed yet."""
        body = {"from": "2026-01-01", "to": "2026-01-02", "dry_run": True}
        good = frozenset({422 if key.reach.project_id is None else 403})
        self.ask(("POST", "/v1/restatements"), key, statuses=good, json=body)

    def back_up(self, key: Key) -> None:
        """Try a backup: from another machine it is refused, whatever the key."""
        body = {"directory": "/a-directory-that-nobody-makes"}
        self.ask(("POST", "/v1/backups"), key, statuses=frozenset({403}), json=body)

    def see(self, told: str, reach: Reach | None, given: str = "") -> None:
        """Look through what was told to somebody with this reach."""
        found = self._canaries.foreign(told, reach, given)
        found += self._canaries.never_stored(told.encode())
        assert not found, f"{reach or 'everybody'} is told {found}"

    def send(
        self,
        key: Key | None,
        claimed: Project,
        body: bytes,
        media_type: str = PROTOBUF,
        encoding: str = "",
        *,
        over_grpc: bool = False,
        own_origin: bool = True,
        credential: Mapping[str, str] | None = None,
    ) -> bool:
        """Send a request under somebody else's name: whether it was acknowledged."""
        headers = spans.foreign_headers(claimed) | dict(credential or {})
        headers |= {"authorization": f"Bearer {key.text}"} if key else {}
        before, origin = datetime.now(UTC), ""
        if over_grpc:
            code, told = self._world.grpc(body, headers)
            status = _GRPC_STATUS.get(code, 500)
        else:
            if key and key.origin:
                headers["origin"] = origin = key.origin if own_origin else OTHER_ORIGIN
            headers |= {"content-type": media_type, "content-encoding": encoding}
            response = self._world.otlp(body, headers)
            status, told = response.status_code, f"{response.text}\n{response.headers}"
            assert (status == 429) == ("retry-after" in response.headers)
        self.see(told, None)
        statuses = allowed(key, Scope.INGEST, before, _taken(key, 200), origin)
        assert status in statuses, f"sending as {key} gives {status}, not {set(statuses)}: {told}"
        return status == 200

    def report(self, key: Key, claimed: Project, index: int) -> None:
        """Report an event under somebody else's name; the key's own project gets it, once."""
        project = key.project or claimed
        body = spans.event(self._canaries, project, claimed, index)
        response = self.ask(("POST", "/v1/ingest"), key, statuses=_taken(key, 202), json=body)
        if response.status_code != 202:
            return
        answer, own = response.json(), project.tenant
        named = (("org_id", own.org_id), ("project", own.project_id))
        assert answer["ignored"] == [name for name, value in named if body[name] != value]
        assert answer["duplicate"] == (index in project.events)
        if not answer["duplicate"]:
            project.events.add(index)
            project.acknowledged(1, 1, body["tokens_in"], frozenset({answer["id"]}))

    def knock(self, key: Key, claimed: Project, knock: Knock, route: Route, transport: str) -> None:
        """Come with what a knock makes of the key: refused everywhere, and nothing is stored."""
        credential = knock[1](key.text)
        if transport == "api":
            self.ask(route, None, credential=credential, json={"sql": "SELECT 1"})
        else:
            project = key.project or claimed
            made = spans.make(self._canaries, project, claimed, ["chat"])
            body, over_grpc = spans.encoded(made.message, PROTOBUF), transport == "grpc"
            assert not self.send(None, claimed, body, over_grpc=over_grpc, credential=credential)

    def is_refused(self, key: Key) -> bool:
        """Whether the key opens nothing now; asks for what takes no query."""
        headers = {"authorization": f"Bearer {key.text}"}
        return self._world.api("GET", "/v1/calls/none", headers).status_code == 401

    def sql(
        self, key: Key, statement: str, statuses: frozenset[int] = frozenset({200})
    ) -> list[list[Any]]:
        """The rows of a statement; none for who may not ask."""
        body = {"sql": statement}
        response = self.ask(("POST", "/v1/sql"), key, statuses=statuses, json=body)
        rows: list[list[Any]] = response.json()["rows"] if response.status_code == 200 else []
        return rows

    def check_none(self, key: Key, statement: str, about: Project) -> None:
        """A statement for rows of others gives none."""
        rows = self.sql(key, statements.addressed(statement, about))
        assert not rows or about.org is key.org, f"{statement} gives {key} {rows[:1]}"

    def check_minutes(self, key: Key) -> None:
        """The calls of each minute are no more than were sent."""
        response = self.ask(("GET", "/v1/overview"), key)
        if response.status_code == 200:
            minutes, tally = response.json()["calls_per_minute"], key.tally()
            assert sum(minutes) <= tally.calls + tally.again, minutes

    def check_errors(self, key: Key, statement: str, table: str, about: Project) -> None:
        """A statement that fails on rows of others succeeds, because it never meets one."""
        if "team" in statement and table == "span_outcomes":
            return  # it has no teams
        own = about in key.projects and "{project}" in statement
        text = statements.erring(statement, table, key, about)
        self.sql(key, text, statuses=frozenset({200, 400} if own else {200}))

    def check_count(self, key: Key, statement: str) -> None:
        """A statement that counts calls counts those of the key's reach."""
        tally = key.tally()
        for row in self.sql(key, statement):
            fits = tally.stored_calls <= (row[0] or 0) <= tally.calls + tally.again
            assert fits, f"{statement} gives {key} {row[0]}, not {tally}"

    def check_totals(self, key: Key) -> None:
        """Totals say what was acknowledged within the key's reach, project by project."""
        query = {"group_by": "project"}
        response = self.ask(("GET", "/v1/usage"), key, params=query)
        if response.status_code != 200:
            return
        answer, tally = response.json(), key.tally()
        by_project = {row["group"]["project"]: row["totals"] for row in answer["rows"]}
        assert by_project.keys() <= {project.id for project in key.projects}
        for project in key.projects:
            found = by_project.get(project.id, {"calls": 0, "input_tokens": 0})
            assert project.tally.fits(found["calls"], found["input_tokens"]), (found, project.tally)
        assert tally.fits(answer["total"]["calls"], answer["total"]["input_tokens"]), answer

    def check_outcomes(self, key: Key) -> None:
        """Every span that was acknowledged within the key's reach is accounted for."""
        answer = self.ask(("GET", "/v1/diagnostics/spans"), key).json()
        assert sum(answer["outcomes_24h"].values()) == key.tally().stored_spans
        assert self.sql(key, "SELECT sum(spans) FROM span_outcomes") == [[key.tally().spans]]

    def check_list(self, key: Key, query: Mapping[str, Any], answer: Mapping[str, Any]) -> None:
        """A list holds calls of the key's reach; a whole one holds all that are stored."""
        listed = {call["id"] for call in answer["calls"]}
        assert listed <= key.call_ids()
        assert {call["project"] for call in answer["calls"]} <= {p.id for p in key.projects}
        if query == {"limit": routes.LIST_MAX} and not answer["next_cursor"]:
            stored: set[str] = set().union(*(p.stored_call_ids for p in key.projects))
            assert stored <= listed

    def check_call(self, key: Key, route: Route, call_id: str) -> None:
        """A call of the key's reach is found once it is stored; another's never is."""
        found, missing = frozenset({200}), frozenset({404})
        stored = any(call_id in project.stored_call_ids for project in key.projects)
        perhaps = found if stored else found | missing
        statuses = perhaps if call_id in key.call_ids() else missing
        self.ask(route, key, call_id=call_id, statuses=statuses)


def allowed(
    key: Key | None,
    scope: Scope,
    before: datetime,
    statuses: frozenset[int],
    origin: str | None = None,
) -> frozenset[int]:
    """The statuses that a key must get on what needs the scope; `before` is when it was asked."""
    if key is None or not key.live(before):
        return frozenset({401})
    if scope not in key.scopes or (key.origin and origin not in (None, key.origin)):
        statuses = frozenset({403})
    return statuses if key.live(datetime.now(UTC)) else statuses | {401}


def _taken(key: Key | None, status: int) -> frozenset[int]:
    """The good answers to sending; a quota may be used up."""
    limited = key is not None and (key.org.limited or bool(key.origin))
    return frozenset({status, 429} if limited else {status})
