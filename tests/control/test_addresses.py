"""Addresses of control stores, good, bad and away: every refusal is a sentence without secrets."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
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
        store.check()
    assert "hidden-word" not in str(e.value) + repr(store) + repr(vars(store)) + repr(e.value)
    assert e.value.__suppress_context__


def test_a_schema_that_is_missing_is_a_sentence(empty_url: str) -> None:
    store = ControlStore(empty_url)
    with pytest.raises(ControlError, match="changes") as refused:
        store.check()
    assert PASSWORD not in str(refused.value)
    store.close()


def test_a_directory_that_is_a_file_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ControlError, match=r"can't be used: (Not a directory|File exists)"):
        ControlStore(f"sqlite:///{tmp_path / 'file' / 'control.db'}").migrate()


def test_a_file_that_is_no_database_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "control.db").write_text("This is a letter, not a database. " * 200)
    with pytest.raises(ControlError, match="file is not a database"):
        ControlStore(f"sqlite:///{tmp_path / 'control.db'}").migrate()


def test_without_psycopg_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(ControlError, match=r"pip install 'ecomind\[scaled\]'"):
        ControlStore("postgresql://host/db")
