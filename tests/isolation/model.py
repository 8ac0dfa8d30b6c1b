"""What the test knows on its own: organisations, projects, keys, and what each was acknowledged.

Nothing here asks the server. A tally is kept from acknowledgements alone, so that the server's
totals can be held against it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from isolation.canaries import Canaries

from ecomind_receiver.tenants import Reach, Scope, Tenant


class _Named:
    """Shows itself in a failing example by its name alone, also where fields would be shown."""

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self))


class Names(NamedTuple):
    """The words by which a project's calls may be grouped, filtered and listed."""

    team: str
    service: str
    environment: str
    provider: str
    model: str
    answering_model: str
    place: str
    operation: str
    tier: str
    instrumentation: str


@dataclass(eq=False)
class Tally:
    """What was acknowledged; `stored` and `again` count what is sure to be loaded."""

    spans: int = 0
    calls: int = 0
    input_tokens: int = 0
    again: int = 0  # calls sent a second time and not yet taken back
    stored_spans: int = 0
    stored_calls: int = 0
    stored_input_tokens: int = 0

    def drained(self, *, reconciled: bool) -> None:
        """Everything acknowledged until now is stored; what came twice perhaps taken back."""
        self.again = 0 if reconciled else self.again
        self.stored_spans, self.stored_calls = self.spans, self.calls
        self.stored_input_tokens = self.input_tokens

    def fits(self, calls: int, input_tokens: int) -> bool:
        """Whether totals say what was acknowledged: no less than is stored, no more than sent."""
        if not self.again:
            tokens_fit = self.stored_input_tokens <= input_tokens <= self.input_tokens
        else:
            tokens_fit = self.stored_input_tokens <= input_tokens
        return tokens_fit and self.stored_calls <= calls <= self.calls + self.again

    def __add__(self, other: Tally) -> Tally:
        both = zip(vars(self).values(), vars(other).values(), strict=True)
        return Tally(*(one + two for one, two in both))


@dataclass(eq=False)
class Org(_Named):
    """An organisation. Ids of its spans are counted from 1, so they are equal across all."""

    id: str
    projects: list[Project] = field(default_factory=list)
    limited: bool = False  # had a quota at some time
    spans_made: int = 0

    def __repr__(self) -> str:
        return self.id


@dataclass(eq=False)
class Sent:
    """A request that was acknowledged, to be sent once more."""

    body: bytes
    spans: int
    calls: int


@dataclass(eq=False)
class Project(_Named):
    """A project, the words that are its own, and what came of what it sent."""

    org: Org
    id: str
    names: Names
    tally: Tally = field(default_factory=Tally)
    call_ids: set[str] = field(default_factory=set)
    stored_call_ids: set[str] = field(default_factory=set)
    sent: list[Sent] = field(default_factory=list)
    events: set[int] = field(default_factory=set)

    @property
    def tenant(self) -> Tenant:
        """Where its calls are stored."""
        return Tenant(self.org.id, self.id)

    def acknowledged(
        self, spans: int, calls: int, input_tokens: int, call_ids: frozenset[str]
    ) -> None:
        """Note what was accepted for the first time."""
        self.tally.spans += spans
        self.tally.calls += calls
        self.tally.input_tokens += input_tokens
        self.call_ids |= call_ids

    def acknowledged_again(self, sent: Sent) -> None:
        """Note a re-send: its calls count twice until they are taken back."""
        self.tally.spans += sent.spans
        self.tally.again += sent.calls

    def drained(self, *, reconciled: bool) -> None:
        """Everything acknowledged until now is stored."""
        self.tally.drained(reconciled=reconciled)
        self.stored_call_ids = set(self.call_ids)

    def __repr__(self) -> str:
        return f"{self.org}/{self.id}"


@dataclass(eq=False)
class Key(_Named):
    """A key's text and what it should be good for."""

    org: Org
    project: Project | None
    id: str
    text: str = field(repr=False)
    scopes: frozenset[Scope]
    origin: str = ""  # of a public key: the one page that may send with it
    expires_at: datetime | None = None
    over: bool = False

    @property
    def reach(self) -> Reach:
        """What it may read."""
        return Reach(self.org.id, self.project.id if self.project else None)

    @property
    def projects(self) -> list[Project]:
        """The projects that it may read."""
        return [self.project] if self.project else self.org.projects

    def tally(self) -> Tally:
        """What was acknowledged within its reach."""
        return sum((project.tally for project in self.projects), Tally())

    def call_ids(self) -> set[str]:
        """The calls within its reach."""
        return set().union(*(project.call_ids for project in self.projects))

    def live(self, now: datetime) -> bool:
        """Whether it opens anything at this moment."""
        return not self.over and (self.expires_at is None or now < self.expires_at)

    def __repr__(self) -> str:
        scopes = "+".join(sorted(self.scopes))
        return f"<{scopes} of {self.project or self.org}{' public' if self.origin else ''}>"


def names_of(canaries: Canaries, org_id: str, project_id: str) -> Names:
    """Words of a new project's own, one for each name that a call carries."""
    return Names(*(canaries.label(org_id, project_id, what) for what in Names._fields))
