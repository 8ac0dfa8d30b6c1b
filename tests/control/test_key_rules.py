"""What a key may be: scopes, project, origins, rate, expiry."""

from __future__ import annotations

from typing import Any

import pytest
from control.conftest import DAY, NOW, Clock, keys_of

from ecomind_receiver.control.errors import Invalid
from ecomind_receiver.control.key_rules import checked_origins
from ecomind_receiver.control.store import ControlStore
from ecomind_receiver.tenants import Scope

SITE = "https://app.example.com"

REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no scope": ({"scopes": []}, "needs a scope: ingest, read, admin"),
    "ingest without project": ({"project_id": None}, "ingest needs a project"),
    "no name": ({"name": " "}, "1 to 100 characters"),
    "rate zero": ({"spans_per_second": 0}, "from 0.001"),
    "rate next to nothing": ({"spans_per_second": 1e-300}, "from 0.001"),
    "rate infinite": ({"spans_per_second": float("inf")}, "from 0.001"),
    "expired": ({"expires_at": NOW}, "must lie ahead"),
    "expiry without zone": ({"expires_at": NOW.replace(tzinfo=None) + DAY}, "needs a time zone"),
    "origin of a secret key": ({"origins": [SITE]}, "Only a public key has origins"),
    "public without origin": ({"public": True}, "public key needs an origin"),
    "public that reads": (
        {"public": True, "origins": [SITE], "scopes": [Scope.INGEST, Scope.READ]},
        "ingest and no other",
    ),
    "public admin": (
        {"public": True, "origins": [SITE], "scopes": [Scope.ADMIN]},
        "ingest and no other",
    ),
}


def test_what_a_key_may_not_be(orgs: ControlStore, clock: Clock) -> None:
    plain = {"name": "ci", "project_id": "default", "scopes": [Scope.INGEST]}
    for change, sentence in REFUSED.values():
        with pytest.raises(Invalid, match=sentence), orgs.begin() as tx:
            keys_of(tx, clock).create(**{**plain, **change})
    with orgs.reading() as tx:
        assert keys_of(tx, clock).list() == ()
    assert orgs.changes() == 0


def test_a_key_without_project_reads_and_administers(orgs: ControlStore, clock: Clock) -> None:
    with orgs.begin() as tx:
        key, _ = keys_of(tx, clock).create("bi", None, [Scope.ADMIN, Scope.READ])
    assert key.project_id is None
    assert key.scopes == {Scope.READ, Scope.ADMIN}


ORIGINS = [
    "https://app.example.com",
    "http://localhost:3000",
    "http://127.0.0.1:8000",
    "http://[::1]:8000",
    "https://xn--bcher-kva.example:8443",
    "chrome-extension://abcdefghijklmnopabcdefghijklmnop",
    "moz-extension://1b2c3d4e-0000-4000-8000-123456789abc",
]


def test_a_public_key_sends_from_its_origins_at_a_rate(orgs: ControlStore, clock: Clock) -> None:
    with orgs.begin() as tx:
        keys = keys_of(tx, clock)
        key, _ = keys.create("page", "default", [Scope.INGEST], public=True, origins=ORIGINS * 2)
        assert (key.public, key.origins) == (True, tuple(sorted(ORIGINS)))
        assert key.spans_per_second == 20
        given: dict[str, Any] = {"public": True, "origins": [SITE], "spans_per_second": 2.5}
        assert keys.create("page", "default", [Scope.INGEST], **given)[0].spans_per_second == 2.5


@pytest.mark.parametrize(
    "origin",
    [
        "*", "null", "", "app.example.com", "https://app.example.com/", "https://*.example.com",
        "https://App.example.com", "https://a b.example", "https://me@example.com", "https://",
        "https://example.com:443", "http://example.com:80", "https://example.com:0",
        "https://example.com:65536", "https://example.com:08443", "file:///tmp", "https://a..b",
        "chrome-extension://", "chrome-extension://id/page", "https://-a.example",
        "https://example.com\n", "https://" + "a." * 130 + "example",
    ],
)  # fmt: skip
def test_what_no_browser_sends_is_no_origin(origin: str) -> None:
    with pytest.raises(Invalid, match=r"not an origin|Leave the port out"):
        checked_origins([SITE, origin], public=True)
