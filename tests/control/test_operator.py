"""The operator's commands as a person types them, on a store of their own."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from control.conftest import Run, answer, live

from ecomind_query.commands.common import load_settings
from ecomind_receiver.api_keys import Peppers, parse
from ecomind_receiver.control.snapshot import read_snapshot
from ecomind_receiver.control.store import ControlStore
from ecomind_receiver.secrets import Secrets

CI = ("keys", "create", "ci", "--project", "default")


def test_seed_prints_a_key_once(run: Run, url: str) -> None:
    first = run("seed")
    key = parse(first.stdout.strip())
    assert key is not None
    assert live(url) == {key.id}
    assert "org_demo has the project default and the owner user_alice." in first.stderr
    assert "can't be shown again" in first.stderr
    again = run("seed")
    assert again.stdout == ""
    assert f"ecomind keys rotate {key.id}" in again.stderr
    assert first.stdout.strip()[18:] not in again.output
    assert answer(run, "seed")["key"] is None
    run("keys", "revoke", key.id)
    assert "is revoked or expired, and stays so" in run("seed").stderr
    assert live(url) == set()


def test_what_seed_stores_is_hashed_with_the_configured_pepper(run: Run, url: str) -> None:
    text = run("seed").stdout.strip()
    store = ControlStore(url)
    (record,) = read_snapshot(store, datetime.now(UTC), 10).keys.values()
    store.close()
    peppers = Peppers(Secrets(load_settings()).peppers)
    assert record.digest == peppers.digest(text, record.pepper_version)


def test_an_organisation_from_nothing_to_a_key(run: Run, url: str) -> None:
    assert "ecomind projects create PROJECT --org acme" in run("orgs", "create", "acme").stderr
    assert (
        "ecomind keys create NAME --org acme"
        in run("projects", "create", "web", "--name", "The web", "--org", "acme").stderr
    )
    run("users", "create", "user_ann", "--role", "owner", "--org", "acme", "--name", "Ann")
    made = answer(
        run, "keys", "create", "ci", "--org", "acme", "--project", "web", "--scope", "ingest",
        "--scope", "read", "--expires", "90d", "--rate", "50", "--test",
    )  # fmt: skip
    assert made["key"].startswith("eco_test_")
    assert made["scopes"] == ["ingest", "read"]
    assert (made["org_id"], made["project_id"], made["spans_per_second"]) == ("acme", "web", 50)
    ends_in = datetime.fromisoformat(made["expires_at"]) - datetime.now(UTC)
    assert timedelta(days=90, minutes=-1) < ends_in <= timedelta(days=90)
    assert live(url) == {made["id"]}
    (org,) = answer(run, "orgs", "list")
    assert (org["id"], org["projects"], org["live_keys"]) == ("acme", 1, 1)
    (project,) = answer(run, "projects", "list", "--org", "acme")
    assert (project["id"], project["name"]) == ("web", "The web")
    (member,) = answer(run, "users", "list", "--org", "acme")
    assert (member["user_id"], member["name"], member["role"]) == ("user_ann", "Ann", "owner")


def test_lists_show_what_is_there_and_no_secret(run: Run) -> None:
    text = run("seed").stdout.strip()
    key = parse(text)
    assert key is not None
    public = answer(
        run, "keys", "create", "page", "--project", "default", "--public",
        "--origin", "https://app.example.com", "--expires", "2099-01-01",
    )  # fmt: skip
    (_, listed) = answer(run, "keys", "list")
    assert listed == {n: v for n, v in public.items() if n != "key"} | {
        "live": True, "state": "live",
    }  # fmt: skip
    assert listed["expires_at"] == "2099-01-01T00:00:00+00:00"
    shown = run("keys", "list").stdout
    assert key.id in shown
    assert "from https://app.example.com" in shown
    assert f"{datetime.now(UTC):%Y-%m-%d}" in shown
    for secret in (text, public["key"]):
        assert secret[18:] not in shown + run("keys", "list", "--json").stdout
    assert "user_alice" in run("users", "list").stdout
    assert "default" in run("projects", "list").stdout
    assert "org_demo" in run("orgs", "list").stdout


def test_a_rotation_overlaps(run: Run, url: str) -> None:
    old = answer(run, "seed")
    rotated = run("keys", "rotate", old["id"], "--grace", "7d")
    new = parse(rotated.stdout.strip())
    assert new is not None
    assert f"The old key eco_live_{old['id']}… works until 20" in rotated.stderr
    assert live(url) == {old["id"], new.id}
    assert "is being rotated" in run("keys", "rotate", old["id"], code=1).stderr
    listed = run("keys", "list").stdout
    assert "live until 20" in listed
    assert f", then {new.id}" in listed
    run("keys", "revoke", new.id)
    ended = run("keys", "rotate", old["id"], "--grace", "0")
    assert f"The old key eco_live_{old['id']}… has ended." in ended.stderr
    states = run("keys", "list").stdout
    assert ("revoked" in states, "expired" in states) == (True, True)


def test_a_quota_is_shown_set_and_taken_away(run: Run) -> None:
    run("orgs", "create", "acme")
    quota = "orgs", "quota", "acme"
    assert answer(run, *quota)["spans_per_second"] is None
    assert "default (no limit)" in run(*quota).stdout
    assert answer(run, *quota, "--rate", "500", "--burst", "9000")["burst_spans"] == 9000
    assert "9000" in run(*quota).stdout
    assert answer(run, *quota, "--none")["spans_per_second"] is None
    assert "not both" in run(*quota, "--none", "--rate", "1", code=1).stderr


WRONG = [
    (["orgs", "create", "No"], "can't be the id of a new organisation"),
    (["orgs", "quota", "nobody"], "There is no organisation 'nobody'"),
    (["orgs", "quota", "org_demo", "--burst", "5"], "together with a rate"),
    (["projects", "create", "default"], "a project default in org_demo already"),
    (["users", "create", "user_alice"], "a member of org_demo already"),
    (["keys", "create", "ci"], "needs a project"),
    (["keys", "create", "ci", "--project", "other"], "no project 'other' in org_demo"),
    (
        ["keys", "create", "ci", "--project", "default", "--expires", "soon"],
        "--expires: 'soon' is not a length. Write it as 30m, 24h, 7d or 4w. A date such as",
    ),
    (["keys", "create", "ci", "--project", "default", "--scope", "ingest,all"], "no scope 'all'"),
    (["keys", "create", "ci\n", "--project", "default"], "none of them control"),
    (["keys", "create", "ci", "--project", "default", "--expires", "2020-01-01"], "lie ahead"),
    (["keys", "revoke", "12345678"], "There is no key 12345678 in org_demo"),
    (["keys", "rotate", "12345678", "--grace", "x"], "--grace: 'x'"),
    (["keys", "list", "--org", "nobody"], "There is no organisation 'nobody'"),
]


def test_what_is_wrong_is_said_in_a_sentence(run: Run) -> None:
    run("seed")
    for words, sentence in WRONG:
        result = run(*words, code=1)
        assert sentence in result.stderr
        assert result.stdout == ""


def test_a_store_that_can_t_be_used_ends_with_2(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ECOMIND_CONTROL_URL", "mysql://me:hidden@host/db")
    result = run("orgs", "list", code=2)
    assert "no control store of the kind mysql" in result.stderr
    assert "hidden" not in result.output


def test_the_id_of_a_key_says_its_organisation(run: Run) -> None:
    run("orgs", "create", "acme")
    run("projects", "create", "web", "--org", "acme")
    key = answer(run, "keys", "create", "a", "--org", "acme", "--project", "web")
    new = parse(run("keys", "rotate", key["id"], "--grace", "0").stdout.strip())
    assert new is not None
    assert "is revoked" in run("keys", "revoke", new.id).stderr
    run("seed")
    refused = run("keys", "revoke", new.id, "--org", "org_demo", code=1)
    assert f"There is no key {new.id} in org_demo" in refused.stderr


def test_scopes_stand_in_one_word_or_in_several(run: Run) -> None:
    run("seed")
    made = answer(run, *CI, "--scope", "ingest,read", "--scope", "admin")
    assert made["scopes"] == ["admin", "ingest", "read"]


def test_an_empty_list_says_what_to_run(run: Run) -> None:
    assert "Next: ecomind seed" in run("orgs", "list").stderr
    run("orgs", "create", "acme")
    assert "Next: ecomind users create USER --org acme" in (
        run("users", "list", "--org", "acme").stderr
    )


def test_a_new_key_comes_with_who_asks_for_it(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    run("seed")
    assert "asks for no key unless ECOMIND_AUTH=keys" in run(*CI).stderr
    monkeypatch.setenv("ECOMIND_AUTH", "keys")
    assert "asks for no key" not in run(*CI).stderr


def test_a_key_whose_pepper_is_gone_is_listed_so(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run("seed")
    monkeypatch.setenv("ECOMIND_KEY_DIR", str(tmp_path / "other"))
    monkeypatch.delenv("ECOMIND_KEY_PEPPER")
    listed = run("keys", "list")
    assert "pepper missing" in listed.stdout
    assert "set ECOMIND_KEY_PEPPER" in listed.stderr
    assert not (tmp_path / "other").exists()  # looking makes none
    monkeypatch.setenv("ECOMIND_KEY_PEPPER", secrets.token_hex(32))  # of the same version
    run(*CI)
    assert sorted(key["state"] for key in answer(run, "keys", "list")) == ["live", "pepper missing"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ((*CI, "--rate", "much"), "'--rate': it must be a valid number. See `"),
        (("users", "create", "bob", "--role", "x"), "'x' is not one of 'owner', 'admin'"),
        (("keys", "create"), "Missing argument 'NAME'"),
    ],
)
def test_a_value_that_can_t_be_used_is_named_in_one_line(
    run: Run, words: tuple[str, ...], sentence: str
) -> None:
    stderr = run(*words, code=2).stderr
    assert sentence in stderr
    assert len(stderr.splitlines()) == 1
