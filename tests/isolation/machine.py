"""The state machine: several organisations that send, read, and reach for each other's rows.

Every example makes organisations of its own, so that examples do not disturb each other on the one
server. What each was acknowledged is counted here; once everything is loaded, the server's totals
must say the same, per organisation and per project.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from itertools import product
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule
from isolation import leaks, routes, spans, statements
from isolation.knocks import KNOCKS, Knock
from isolation.leaks import LogLines
from isolation.model import Key, Org, Project, Sent
from isolation.people import Client, Operator
from isolation.routes import GUARDED, LISTS, ONE_CALL, PLAIN, Question, Route
from isolation.world import World

from ecomind_receiver.ingest import PROTOBUF
from ecomind_receiver.tenants import Reach, Scope

Step = Callable[..., None]
INGEST, READ, ADMIN = Scope.INGEST, Scope.READ, Scope.ADMIN
SETTLE_AFTER_STEPS = 20
"""Loading costs as much as many questions, so the machine does other things meanwhile."""
_ORGS_MAX, _PROJECTS_MAX = 4, 6
_SHARED_EVENTS = 3  # of an organisation; the ids are the same in each
_LIFETIME_SECONDS = {"for ever": None, "over": -60.0, "a moment": 0.05, "an hour": 3600.0}


def _of_machine(things: Callable[[Any], list[Any]]) -> st.SearchStrategy[Any]:
    return st.runner().flatmap(lambda machine: st.sampled_from(things(machine)))


def step(**arguments: st.SearchStrategy[Any]) -> Callable[[Step], Step]:
    """A rule that is counted each time it has run."""

    def decorate(function: Step) -> Step:
        @wraps(function)
        def counted(self: Isolation, **given: Any) -> None:
            self.world.steps += 1
            self.since_settled += 1
            function(self, **given)

        ruled: Step = rule(**arguments)(counted)  # type: ignore[call-overload]
        return ruled

    return decorate


_orgs = _of_machine(lambda machine: machine.orgs)
_projects = _of_machine(lambda machine: machine.projects)
_keys = _of_machine(lambda machine: machine.keys)
_kinds = st.lists(st.sampled_from(spans.KINDS), min_size=1, max_size=3)
_transports = st.sampled_from(("http", "http", "grpc"))
_questions = st.builds(
    Question,
    group_by=st.lists(st.sampled_from(routes.DIMENSIONS), unique=True, max_size=3).map(tuple),
    filter=st.sampled_from(("", "", *routes.FILTERS, "project")),
    limit=st.sampled_from((1, 2, routes.LIST_MAX)),
    counted=st.sampled_from(("", "true", "false")),
    days=st.sampled_from(("7", "30")),
    cursor=st.integers(-3, 3),
)


class Isolation(RuleBasedStateMachine):
    """One example: organisations made for it alone, on a server that many examples share."""

    def __init__(self, world: World, log: LogLines) -> None:
        """Begin with the smallest world that can leak: two organisations, one of two projects.

        Each has sent something: a rule that sends may be left out of an example.
        """
        super().__init__()
        self.world, self.log = world, log
        self.operator, self.client = Operator(world), Client(world)
        self.orgs: list[Org] = []
        self.keys: list[Key] = []
        self.cursors: list[tuple[Reach, str]] = []
        self.since_settled = 0
        world.examples += 1
        for projects in (2, 1):
            self._new_org(projects, quota_spans=None)
        for key in self.keys:
            self._send(key, self.projects[0], ["own names", "chat"], PROTOBUF, "", "http")
        self._settle(reconcile=False)

    @property
    def projects(self) -> list[Project]:
        """Every project of this example."""
        return [project for org in self.orgs for project in org.projects]

    # What operators do

    @precondition(lambda self: len(self.orgs) < _ORGS_MAX)
    @step(quota_spans=st.sampled_from((None, 1.0, 1000.0)))
    def new_org(self, quota_spans: float | None) -> None:
        """One more organisation, perhaps with a quota."""
        self._new_org(1, quota_spans)

    @precondition(lambda self: len(self.projects) < _PROJECTS_MAX)
    @step(org=_orgs)
    def new_project(self, org: Org) -> None:
        """One more project, with a key that sends and reads."""
        self._new_project(org)

    @step(
        project=_projects,
        scopes=st.frozensets(st.sampled_from((INGEST, READ, ADMIN)), min_size=1),
        kind=st.sampled_from(("project", "organisation", "public")),
        lifetime=st.sampled_from(tuple(_LIFETIME_SECONDS)),
    )
    def new_key(self, project: Project, scopes: frozenset[Scope], kind: str, lifetime: str) -> None:
        """A key of any sort: for one project, for a whole organisation, for a browser."""
        seconds = _LIFETIME_SECONDS[lifetime]
        if kind != "project":
            wanted = {INGEST} if kind == "public" else scopes - {INGEST} or {READ}
            scopes = frozenset(wanted)
        key = self.operator.create_key(
            project.org,
            None if kind == "organisation" else project,
            scopes,
            public=kind == "public",
            lifetime=None if seconds is None else timedelta(seconds=seconds),
        )
        self.keys.append(key)

    @step(key=_keys, rotate=st.booleans())
    def end_a_key(self, key: Key, rotate: bool) -> None:
        """Revoke or rotate a key: it is refused everywhere within a second."""
        if rotate and not key.over and key.expires_at is None:
            self.keys.append(self.operator.rotate(key))
        else:
            self.operator.revoke(key)
        assert self.world.soon(lambda: self.client.is_refused(key)), f"{key} still opens the door"

    @step(org=_orgs, quota_spans=st.sampled_from((None, 1.0, 1000.0)))
    def limit(self, org: Org, quota_spans: float | None) -> None:
        """Change a quota."""
        self.operator.limit(org, quota_spans)

    # What clients send

    @step(
        key=_keys,
        claimed=_projects,
        kinds=_kinds,
        media_type=st.sampled_from(spans.MEDIA_TYPES),
        encoding=st.sampled_from(tuple(spans.ENCODINGS)),
        transport=_transports,
        own_origin=st.booleans(),
    )
    def send(
        self,
        key: Key,
        claimed: Project,
        kinds: list[str],
        media_type: str,
        encoding: str,
        transport: str,
        own_origin: bool,
    ) -> None:
        """Send spans that say they are another project's; only the key decides."""
        self._send(key, claimed, kinds, media_type, encoding, transport, own_origin)

    def _send(
        self,
        key: Key,
        claimed: Project,
        kinds: list[str],
        media_type: str,
        encoding: str,
        transport: str,
        own_origin: bool = True,
    ) -> bool:
        made = spans.make(self.world.canaries, key.project or claimed, claimed, kinds)
        plain = spans.encoded(made.message, PROTOBUF)
        if transport == "grpc":
            taken = self.client.send(key, claimed, plain, over_grpc=True)
        else:
            body = spans.ENCODINGS[encoding](spans.encoded(made.message, media_type))
            taken = self.client.send(
                key, claimed, body, media_type, encoding, own_origin=own_origin
            )
        if taken:
            assert key.project, "a key without a project was let in to send"
            key.project.acknowledged(*made[1:])
            key.project.sent.append(Sent(plain, made.spans, made.calls))
        return taken

    @step(key=_keys, claimed=_projects, index=st.integers(0, 9))
    def send_again(self, key: Key, claimed: Project, index: int) -> None:
        """Send a request once more, as after a lost acknowledgement."""
        sent = key.project.sent if key.project else []
        if sent:
            again = sent[index % len(sent)]
            if self.client.send(key, claimed, again.body):
                assert key.project
                key.project.acknowledged_again(again)

    @step(key=_keys, claimed=_projects, index=st.integers(0, _SHARED_EVENTS - 1))
    def report(self, key: Key, claimed: Project, index: int) -> None:
        """Report an event whose id other organisations use too; a repeat is a duplicate."""
        self.client.report(key, claimed, index)

    # What clients ask

    @step(key=_keys, route=st.sampled_from(PLAIN), question=_questions, about=_projects)
    def ask(self, key: Key, route: Route, question: Question, about: Project) -> None:
        """Ask any route about anybody, going on from anybody's list."""
        cursors = self.cursors if route in LISTS and question.cursor >= 0 else []
        whose, cursor = cursors[question.cursor % len(cursors)] if cursors else (key.reach, "")
        query = routes.parameters(route, question, about, cursor)
        good = frozenset({200 if whose == key.reach else 422})
        response = self.client.ask(route, key, statuses=good, params=query)
        if response.status_code == 200 and route == ("GET", "/v1/calls"):
            self.client.check_list(key, query, response.json())
            if about not in key.projects and query.keys() & {*routes.FILTERS, "project"}:
                assert not response.json()["calls"]
            if response.json()["next_cursor"]:
                self.cursors.append((key.reach, response.json()["next_cursor"]))

    @step(key=_keys, route=st.sampled_from(ONE_CALL), about=_projects, index=st.integers(0, 99))
    def ask_for_a_call(self, key: Key, route: Route, about: Project, index: int) -> None:
        """Ask for a call by its id: anybody else's is not found."""
        known = sorted(about.call_ids)
        if known:
            self.client.check_call(key, route, known[index % len(known)])

    @step(key=_keys)
    def restate(self, key: Key) -> None:
        """Try to restate days: only for a key of the whole organisation with the scope admin."""
        self.client.restate(key)

    @step(key=_keys)
    def back_up(self, key: Key) -> None:
        """Try to have everybody's data written somewhere: only on the server's own machine."""
        self.client.back_up(key)

    @step(key=_keys)
    def totals(self, key: Key) -> None:
        """Ask for totals: they are what was acknowledged to whom the key belongs."""
        self.client.check_totals(key)

    @step(key=_keys, statement=st.sampled_from(statements.OWN_CALLS), about=_projects)
    def count(self, key: Key, statement: str, about: Project) -> None:
        """Count calls by SQL, with somebody else's names in the conditions."""
        self.client.check_count(key, statements.addressed(statement, about))

    @step(key=_keys, statement=st.sampled_from(statements.NONE_OF_OTHERS), about=_projects)
    def select_of_others(self, key: Key, statement: str, about: Project) -> None:
        """Select somebody else's rows by SQL: there are none."""
        self.client.check_none(key, statement, about)

    @step(
        key=_keys,
        statement=st.sampled_from(statements.ERRORS_OF_OTHERS),
        table=st.sampled_from(statements.OF_TENANTS),
        about=_projects,
    )
    def select_with_errors(self, key: Key, statement: str, table: str, about: Project) -> None:
        """A statement that fails on somebody else's rows never meets one."""
        self.client.check_errors(key, statement, table, about)

    @step(key=_keys, statement=statements.statements(), about=_projects)
    def select(self, key: Key, statement: str, about: Project) -> None:
        """Any SELECT of the grammar: possible or not, it holds nobody else's."""
        text = statements.addressed(statement, about)
        self.client.sql(key, text, statuses=frozenset({200, 400}))

    @step(key=_keys, statement=st.sampled_from(statements.REFUSED))
    def select_what_is_nobodys(self, key: Key, statement: str) -> None:
        """The engine's own tables, functions that read elsewhere, writes: all refused."""
        self.client.sql(key, statement, statuses=frozenset({400}))

    @step(
        key=_keys,
        claimed=_projects,
        knock=st.sampled_from(KNOCKS),
        route=st.sampled_from(GUARDED),
        transport=st.sampled_from(("api", "http", "grpc")),
    )
    def knock(self, key: Key, claimed: Project, knock: Knock, route: Route, transport: str) -> None:
        """Come with a credential that is none: refused, and nothing is stored."""
        self.client.knock(key, claimed, knock, route, transport)

    # What the server does by itself

    @precondition(lambda self: self.since_settled >= SETTLE_AFTER_STEPS)
    @step(reconcile=st.booleans(), key=_keys)
    def settle(self, reconcile: bool, key: Key) -> None:
        """What waits to be loaded lies there encrypted; once it is loaded, totals are exact."""
        found = leaks.in_files(self.world.settings.data_dir / "spool", self.world.canaries)
        assert not found, found
        self._settle(reconcile)
        self.client.check_totals(key)

    def walk(self) -> None:
        """One round that leaves nothing to chance: all send, then all ask everything."""
        for key in list(self.keys):
            for transport in ("http", "grpc"):
                kinds = [*spans.KINDS]
                self._send(key, self.projects[0], kinds, spans.MEDIA_TYPES[1], "gzip", transport)
        self.client.report(self.keys[0], self.projects[-1], 0)
        self._use_up_a_quota(self.keys[0])
        self._settle(reconcile=False)
        for key, about in zip(self.keys, reversed(self.projects), strict=True):
            self._ask_everything(key, about)
        self._pass_a_cursor_on()

    def teardown(self) -> None:
        """After an example that went well: exact totals, log lines, Redis."""
        if sys.exc_info()[0] is not None:
            return
        self._settle(reconcile=True)
        for org in self.orgs:
            self._check(org)
        found = self.log.leaks(self.world.canaries)
        if self.world.backend.redis_url:
            found += leaks.in_redis(self.world.backend.redis_url, self.world.canaries)
        assert not found, found
        self._check_pseudonyms()
        self.operator.end_all_keys(self.orgs)  # or a long run would have ever more to read again

    def _new_org(self, projects: int, quota_spans: float | None) -> None:
        org = self.operator.create_org(quota_spans)
        self.orgs.append(org)
        for _ in range(projects):
            self._new_project(org)

    def _new_project(self, org: Org) -> None:
        project = self.operator.create_project(org)
        key = self.operator.create_key(org, project, frozenset({INGEST, READ}))
        self.keys.append(key)

    def _settle(self, reconcile: bool) -> None:
        self.since_settled = 0
        if reconcile:
            self.world.reconcile()
        else:
            self.world.drain()
        for project in self.projects:
            project.drained(reconciled=reconcile)

    def _ask_everything(self, key: Key, about: Project) -> None:
        question = Question(("team", "model"), "team", routes.LIST_MAX, "", "7", -1)
        for route in PLAIN:
            query = routes.parameters(route, question, about, "")
            self.client.ask(route, key, params=query)
        for route, call_id in product(ONE_CALL, sorted(about.call_ids)[:2]):
            self.client.check_call(key, route, call_id)
        self.client.back_up(key)
        self.client.check_totals(key)
        self.client.check_minutes(key)
        for statement in statements.OWN_CALLS:
            self.client.check_count(key, statements.addressed(statement, about))
        for statement in statements.NONE_OF_OTHERS:
            self.client.check_none(key, statement, about)
        for statement, table in product(statements.ERRORS_OF_OTHERS, statements.OF_TENANTS):
            self.client.check_errors(key, statement, table, about)

    def _pass_a_cursor_on(self) -> None:
        """A cursor goes on where it was given, and is refused anywhere else."""
        first = self.keys[0]
        answer = self.client.ask(("GET", "/v1/calls"), first, params={"limit": 1}).json()
        query = {"cursor": answer["next_cursor"]}
        for key, route in product(self.keys, LISTS):
            good = frozenset({200 if key is first else 422})
            self.client.ask(route, key, statuses=good, params=query)

    def _use_up_a_quota(self, key: Key) -> None:
        """Send until the quota is used up; what counts in Redis is there to be looked at."""
        self.operator.limit(key.org, 1.0)
        refused = self.world.soon(
            lambda: not self._send(key, self.projects[0], ["chat"] * 3, PROTOBUF, "", "http")
        )
        assert refused, "a quota of 1 span a second lets everything in"
        redis_url = self.world.backend.redis_url
        assert not redis_url or leaks.redis_keys(redis_url)

    def _check(self, org: Org) -> None:
        """Whoever reads a project, or all of them, finds just what was acknowledged there."""
        for project in (org.projects[0], None):
            key = self.operator.create_key(org, project, frozenset({READ}))
            self.client.check_totals(key)
            self.client.check_outcomes(key)

    def _check_pseudonyms(self) -> None:
        """Somebody whom every organisation knows has another pseudonym in each."""
        seen: set[Any] = set()
        for org in self.orgs:
            key = self.operator.create_key(org, None, frozenset({READ}))
            text = "SELECT DISTINCT user_hash FROM calls WHERE user_hash != 0"
            own = {row[0] for row in self.client.sql(key, text)}
            assert not seen & own, f"{org} has a pseudonym of another organisation"
            seen |= own
