"""What the operator's commands need, what they tell receivers, what they load, what is shipped."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from control.conftest import Run, answer, live

from ecomind_receiver.api_keys import parse

ROOT = Path(__file__).resolve().parents[2]
CI = ("keys", "create", "ci", "--project", "default")


def test_keys_are_not_made_without_a_usable_pepper_but_are_revoked(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = answer(run, "seed")
    monkeypatch.setenv("ECOMIND_KEY_PEPPER", "short")
    assert "ECOMIND_KEY_PEPPER" in run(*CI, code=2).stderr
    run("keys", "list")
    run("keys", "revoke", key["id"])


def test_receivers_are_told_of_keys_and_quotas(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr("ecomind_receiver.notices.publish", told.append)
    monkeypatch.setenv("ECOMIND_REDIS_URL", "redis://127.0.0.1:1/0")
    counts = []
    key = answer(run, "seed")["id"]
    for words in (
        ["seed"],
        [*CI],
        ["keys", "rotate", key],
        ["keys", "revoke", key],
        ["keys", "list"],
        ["orgs", "quota", "org_demo", "--rate", "5"],
        ["orgs", "quota", "org_demo"],
        ["projects", "create", "web"],
    ):
        counts.append(len(told))
        run(*words)
    assert [*counts, len(told)] == [1, 1, 2, 3, 4, 4, 5, 5, 5]
    assert set(told) == {"redis://127.0.0.1:1/0"}


def test_a_notice_that_fails_is_a_warning_and_the_change_is_made(
    run: Run, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ECOMIND_REDIS_URL", "redis://:hidden-word@127.0.0.1:1/0")
    result = run("seed")
    key = parse(result.stdout.strip())
    assert key is not None
    assert "within 60 s (ECOMIND_KEY_REFRESH_SECONDS)" in result.stderr
    assert "hidden-word" not in result.output
    assert live(url) == {key.id}


def test_help_loads_no_database() -> None:
    code = (
        "import sys; from typer.testing import CliRunner; from ecomind_query.cli import app;"
        "runner = CliRunner(); results = [runner.invoke(app, [*words, '--help']) for words in"
        " ([], ['seed'], ['orgs', 'quota'], ['projects', 'list'], ['users', 'create'], ['keys'])];"
        "print([r.exit_code for r in results], sorted({'sqlalchemy', 'alembic', 'psycopg', 'redis',"
        " 'chdb'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[0, 0, 0, 0, 0, 0] []\n"


def test_the_wheel_carries_every_migration(tmp_path: Path) -> None:
    """What hatch would put into it; tests/sdk builds the whole one."""
    from hatchling.builders.wheel import WheelBuilder

    files = {file.distribution_path for file in WheelBuilder(str(ROOT)).recurse_included_files()}
    folder = ROOT / "receiver" / "ecomind_receiver" / "control" / "migrations"
    steps = sorted(file.name for file in (folder / "versions").glob("*.py"))
    assert steps[0] == "0001_tenancy.py"
    wanted = {f"ecomind_receiver/control/migrations/versions/{step}" for step in steps}
    assert wanted | {"ecomind_receiver/control/migrations/env.py"} <= files
