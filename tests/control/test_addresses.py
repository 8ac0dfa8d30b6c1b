"""Addresses of control stores, good, bad and away: every refusal is a sentence without secrets."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import event, text
from support.receiver import make_settings
from support.servers import PASSWORD

from ecomind_receiver.control.errors import ControlError
from ecomind_receiver.control.store import ControlStore, default_url


def test_the_address_is_the_one_set_or_a_file_in_the_data_directory(tmp_path: Path) -> None:
    assert default_url(make_settings(tmp_path)) == f"sqlite:///{tmp_path / 'data' / 'control.db'}"
    url = "postgresql://a:b@host/db"
    assert default_url(make_settings(tmp_path, control_url=url)) == url


SECRET = "pa@ss:w0rd"


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("nonsense", "can't be read. Set ECOMIND_CONTROL_URL to sqlite:///"),
        (f"postgresql://me:{SECRET}@host:port/db", "in per cent form"),
        ("mysql://me:w0rd@host/db", "no control store of the kind mysql"),
        ("sqlite://", "needs a file"),
        ("sqlite:///:memory:", "needs a file"),
    ],
)
def test_an_address_that_is_no_use_is_refused_without_repeating_it(url: str, sentence: str) -> None:
    with pytest.raises(ControlError) as refused:
        ControlStore(url)
    assert sentence in str(refused.value)
    assert "w0rd" not in str(refused.value)


def test_a_database_that_is_away_is_a_sentence_without_the_password() -> None:
    store = ControlStore("postgresql://me:hidden-word@127.0.0.1:1/db")
    with pytest.raises(
        ControlError, match=r"127\.0\.0\.1:1/db can't be used: .*[Cc]onnection"
    ) as e:
        store.changes()
    assert "hidden-word" not in str(e.value) + repr(store) + repr(vars(store)) + repr(e.value)
    assert e.value.__suppress_context__


def test_no_question_waits_for_a_database_that_gives_no_answer(postgres: str) -> None:
    store = ControlStore(postgres)
    started = time.monotonic()
    with pytest.raises(ControlError, match="statement timeout"), store.reading() as tx:
        tx.execute(text("SELECT pg_sleep(20)"))
    assert 2.5 < time.monotonic() - started < 6
    with store.reading() as tx:
        connection = tx.connection.driver_connection
        assert connection is not None
        given = connection.info.get_parameters()
    store.close()
    wanted = {"connect_timeout": "2", "tcp_user_timeout": "2000", "keepalives_idle": "1"}
    assert wanted.items() <= given.items()


def test_what_the_address_says_of_timeouts_holds() -> None:
    store = ControlStore("postgresql://127.0.0.1:1/db?connect_timeout=7&options=-csearch_path%3Dx")
    given: dict[str, object] = {}

    @event.listens_for(store._engine, "do_connect")
    def note(_dialect: object, _record: object, _args: object, parameters: dict[str, str]) -> None:
        given.update(parameters)

    with pytest.raises(ControlError):
        store.changes()
    assert (given["connect_timeout"], given["options"]) == ("7", "-csearch_path=x")
    assert given["tcp_user_timeout"] == 2000


def test_a_schema_that_is_missing_is_a_sentence(empty_url: str) -> None:
    store = ControlStore(empty_url)
    with pytest.raises(ControlError, match="changes") as refused:
        store.changes()
    assert PASSWORD not in str(refused.value)
    store.close()


def test_a_directory_that_is_a_file_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ControlError, match=r"can't be used: (Not a directory|File exists)"):
        ControlStore(f"sqlite:///{tmp_path / 'file' / 'control.db'}").migrate()


def test_a_file_that_cannot_be_made_is_a_sentence(tmp_path: Path) -> None:
    """As for a user who may not write there; a name of 256 characters fails for root too."""
    with pytest.raises(ControlError, match="can't be used: File name too long"):
        ControlStore(f"sqlite:///{tmp_path / ('c' * 256)}").migrate()


def test_a_file_that_is_no_database_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "control.db").write_text("This is a letter, not a database. " * 200)
    with pytest.raises(ControlError, match="file is not a database"):
        ControlStore(f"sqlite:///{tmp_path / 'control.db'}").migrate()


def test_without_psycopg_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(ControlError, match=r"pip install 'ecomind\[scaled\]'"):
        ControlStore("postgresql://host/db")
