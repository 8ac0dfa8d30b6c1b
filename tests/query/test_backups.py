"""Backups over the API and from the terminal: who may take one, and how one is brought back."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from support.otlp import CHAT, protobuf
from support.receiver import load, make_settings
from typer.testing import CliRunner, Result

from ecomind_query import cli
from ecomind_query.app import create_app
from ecomind_query.commands import running
from ecomind_receiver.api_keys import Peppers
from ecomind_receiver.backup.making import Backups
from ecomind_receiver.backup.manifest import NAME, BackupError
from ecomind_receiver.control.keys import OrgKeys
from ecomind_receiver.control.seed import seed
from ecomind_receiver.control.store import ControlStore, default_url
from ecomind_receiver.http_server import HttpServer
from ecomind_receiver.secrets import Secrets
from ecomind_receiver.server import Receiver
from ecomind_receiver.settings import Settings
from ecomind_receiver.telemetry import prometheus_text
from ecomind_receiver.tenants import Scope

HERE, ELSEWHERE = ("127.0.0.1", 50_000), ("192.0.2.7", 50_000)


class Server:
    """A started receiver with its API, and keys by what they may."""

    def __init__(self, settings: Settings, keys: dict[str, str]) -> None:
        self.settings, self.keys = settings, keys
        self.runner = asyncio.Runner()
        self.receiver = Receiver(settings)
        self.runner.run(self.receiver.start())
        self.app = create_app(self.receiver, settings)

    def post(
        self, directory: Path | str, key: str = "admin", client: tuple[str, int] = HERE
    ) -> Any:
        """What a POST is answered with."""
        asked = TestClient(self.app, base_url="http://localhost", client=client)
        headers = {"authorization": f"Bearer {self.keys[key]}"} if key in self.keys else {}
        return asked.post("/v1/backups", json={"directory": str(directory)}, headers=headers)

    def stop(self) -> None:
        self.app.state.desk.close()
        self.runner.run(self.receiver.stop())
        self.runner.close()


@pytest.fixture(params=["auto", "keys"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    """A server that asks for no key, and one that does."""
    settings = make_settings(tmp_path, auth=request.param)
    keys = make_keys(settings) if request.param == "keys" else {}
    server = Server(settings, keys)
    yield server
    server.stop()


def make_keys(settings: Settings) -> dict[str, str]:
    control = ControlStore(default_url(settings))
    control.migrate()
    peppers = Peppers(Secrets(settings).peppers)
    wanted = {"admin": Scope.ADMIN, "read": Scope.READ}
    with control.begin() as tx:
        seed(tx, peppers)
        keys = OrgKeys(tx, "org_demo", peppers)
        made = {
            name: keys.create(name, None, frozenset({scope}))[1] for name, scope in wanted.items()
        }
        made["admin of a project"] = keys.create("p", "default", frozenset({Scope.ADMIN}))[1]
    control.close()
    return made


def lines(answer: Any) -> list[dict[str, Any]]:
    return [json.loads(line) for line in answer.text.splitlines()]


def test_a_backup_is_taken_and_told_line_by_line(server: Server, tmp_path: Path) -> None:
    assert "ecomind_backup_time_seconds{" not in prometheus_text(server.receiver)
    answer = server.post(tmp_path / "b")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/x-ndjson"
    last = lines(answer)[-1]
    assert last["step"] == "done"
    taken = last["backup"]
    assert taken["directory"] == str(tmp_path / "b") and taken["calls"] == 0
    assert taken["size_bytes"] > 0 and taken["not_included"].keys() >= {"keys", "spool"}
    assert (tmp_path / "b" / NAME).exists()
    metrics = prometheus_text(server.receiver)
    until = re.search(r"^ecomind_backup_time_seconds{.*} (\S+)$", metrics, re.MULTILINE)
    assert until and float(until[1]) == datetime.fromisoformat(taken["as_of"]).timestamp()


def test_a_directory_that_can_not_be_used_is_refused_at_once(
    server: Server, tmp_path: Path
) -> None:
    for directory, says in (
        (tmp_path, "directory: "),
        ("relative", "beginning with /"),
        (server.settings.data_dir / "b", "lies inside the data directory"),
    ):
        answer = server.post(directory)
        assert answer.status_code == 422 and says in answer.json()["detail"]


def test_what_fails_later_is_the_last_line(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_given: object) -> None:
        raise BackupError("The disk is full.")

    monkeypatch.setattr(Backups, "_make", fail)
    last = lines(server.post(tmp_path / "b"))[-1]
    assert last == {"step": "failed", "detail": "The disk is full."}
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize("server", ["keys"], indirect=True)
@pytest.mark.parametrize(
    ("key", "client", "status", "says"),
    [
        ("none", HERE, 401, "API key"),
        ("read", HERE, 403, "admin"),
        ("admin of a project", HERE, 403, "whole organisation"),
        ("admin", ELSEWHERE, 403, "Only on the server's own machine"),
    ],
)
def test_who_may_not(
    server: Server, tmp_path: Path, key: str, client: tuple[str, int], status: int, says: str
) -> None:
    answer = server.post(tmp_path / "b", key, client)
    assert answer.status_code == status and says in answer.json()["detail"]
    assert not (tmp_path / "b").exists()


def command(settings: Settings, *words: str, **environment: str) -> Result:
    """A word of the terminal on the settings' directories."""
    given = {"ECOMIND_KEY_DIR": str(settings.key_dir), "COLUMNS": "140", **environment}
    return CliRunner().invoke(cli.app, [*words], env=given)


def doctor(settings: Settings) -> str:
    """What doctor says of backups."""
    told = command(settings, "doctor", "--data-dir", str(settings.data_dir), "--json").stdout
    return str(next(found["detail"] for found in json.loads(told) if found["name"] == "backup"))


def test_there_and_back_from_the_terminal(tmp_path: Path) -> None:
    settings = make_settings(tmp_path)
    data, backup, new = str(settings.data_dir), str(tmp_path / "b"), str(tmp_path / "new")
    nothing = command(settings, "backup", backup, "--data-dir", data)
    assert nothing.exit_code == 2 and "nothing to back up" in nothing.stderr
    assert "none was taken yet" in doctor(settings)
    with asyncio.Runner() as runner:
        receiver = Receiver(settings, listeners=False)
        runner.run(receiver.start())
        runner.run(load(receiver, protobuf([CHAT, CHAT])))
        runner.run(receiver.stop())
    taken = command(settings, "backup", backup, "--data-dir", data)
    assert taken.exit_code == 0, taken.output
    assert "All that was acknowledged before" in taken.stdout and "Not in it: keys." in taken.stdout
    assert re.fullmatch(rf"all until .* UTC, 0 hours ago, in {backup}", doctor(settings))
    again = command(settings, "backup", backup, "--data-dir", data)
    assert again.exit_code == 1 and "is not empty" in again.stderr

    tried = command(settings, "restore", backup, "--verify-only")
    assert tried.exit_code == 0 and "Nothing was kept." in tried.stdout
    restored = command(settings, "restore", backup, "--data-dir", new)
    assert restored.exit_code == 0 and "equal to the backup" in restored.stdout
    refused = command(settings, "restore", backup, "--data-dir", new)
    assert refused.exit_code == 1 and "a restore overwrites nothing" in refused.stderr
    figures = [
        json.loads(command(settings, "usage", "--json", "--data-dir", each).stdout)["total"]
        for each in (data, new)
    ]
    assert figures[0] == figures[1] and figures[0]["calls"] == 2

    described = json.loads(command(settings, "restore", backup, "--verify-only", "--json").stdout)
    assert described["data_dir"] is None and described["rows"] > 0


def test_a_running_server_takes_it(tmp_path: Path) -> None:
    settings = make_settings(tmp_path, auth="keys")
    keys = make_keys(settings)
    ready, stop = threading.Event(), threading.Event()

    async def serve() -> None:
        receiver = Receiver(settings)
        await receiver.start()
        app = create_app(receiver, settings)
        api = HttpServer(app, "127.0.0.1", 0)
        port = await api.start()
        url = f"http://127.0.0.1:{port}"
        running.announce(settings.data_dir, running.Server(own_pid(settings), url, "", ""))
        await load(receiver, protobuf([CHAT]))
        ready.set()
        await asyncio.to_thread(stop.wait)
        await api.stop()
        app.state.desk.close()
        await receiver.stop()

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    try:
        assert ready.wait(30)
        words = ("backup", str(tmp_path / "b"), "--data-dir", str(settings.data_dir), "--json")
        closed = command(settings, *words)
        assert closed.exit_code == 2 and "scope admin" in closed.stderr
        reader = command(settings, *words, ECOMIND_API_KEY=keys["read"])
        assert reader.exit_code == 2 and "admin" in reader.stderr
        asked = datetime.now(UTC)
        taken = command(settings, *words, ECOMIND_API_KEY=keys["admin"])
        assert taken.exit_code == 0, taken.output
        told = json.loads(taken.stdout)
        assert told["calls"] == 1 and datetime.fromisoformat(told["as_of"]) >= asked
        again = command(settings, *words, ECOMIND_API_KEY=keys["admin"])
        assert again.exit_code == 1 and "is not empty" in again.stderr
    finally:
        stop.set()
        thread.join()


def own_pid(settings: Settings) -> int:
    """The process that holds the store, which is this one."""
    owner = running.owner_of(settings.data_dir)
    assert owner is not None
    return owner
