"""ECOMIND_STORE_URL: what it says, and what is refused without a word of its password."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError
from support.receiver import make_settings

from ecomind_receiver.store_url import parse_store_url


def test_a_whole_address() -> None:
    url = parse_store_url(
        "clickhouses://meter:p%40ss@ch.example:9440/telemetry"
        "?cluster=eu-1&insert_quorum=2&verify=false&send_receive_timeout=60"
    )
    assert url.arguments() == {
        "host": "ch.example", "port": 9440, "username": "meter", "password": "p@ss",
        "database": "telemetry", "secure": True, "verify": "false", "send_receive_timeout": "60",
    }  # fmt: skip
    assert url.arguments("ch-2.example")["host"] == "ch-2.example"
    assert (url.cluster, url.insert_quorum) == ("eu-1", "2")
    assert url.where == "clickhouses://ch.example:9440/telemetry (cluster eu-1)"
    assert "p@ss" not in repr(url)


@pytest.mark.parametrize(
    ("text", "port", "secure"),
    [
        ("clickhouse://h/d", 8123, False),
        ("clickhouse://h/d?secure=true", 8443, True),
        ("clickhouses://h/d", 8443, True),
        ("clickhouse://h:8443/d?secure=0", 8443, False),
    ],
)
def test_the_port_follows_from_tls(text: str, port: int, secure: bool) -> None:
    url = parse_store_url(text)
    assert (url.port, url.secure, url.username, url.password) == (port, secure, "default", "")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("postgresql://u:hidden@h/d", "must begin with clickhouse:// or clickhouses://"),
        ("chdb:///var/lib", "must begin with"),
        ("clickhouse:///d", "names no host"),
        ("clickhouse://u:hidden@h:port/d", "host or port can't be read"),
        ("clickhouse://u:hidden@h:99999/d", "host or port can't be read"),
        ("clickhouse://u:hidden@h", "must name the database"),
        ("clickhouse://u:hidden@h/a/b", "must name the database"),
        ("clickhouse://h/d?colour=red", "the option 'colour', which is none of secure, cluster"),
        ("clickhouse://h/d?cluster=a&cluster=b", "the option cluster twice"),
        ("clickhouse://h/d?cluster=a'b", "its option cluster must be a cluster's name"),
        ("clickhouse://h/d?secure=perhaps", "its option secure must be true or false"),
        ("clickhouse://h/d?insert_quorum=2", "insert_quorum is for a cluster only"),
        (
            "clickhouse://h/d?cluster=c&insert_quorum=most",
            "option insert_quorum must be auto or a number",
        ),
    ],
)
def test_what_is_refused(text: str, said: str) -> None:
    with pytest.raises(ValidationError) as refused:
        make_settings(Path("unused"), store_url=text)
    message = refused.value.errors()[0]["msg"]
    assert said in message
    assert "hidden" not in message
