"""Which address a server binds, where its own machine reaches it, and what it says of both."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support.receiver import make_settings

from ecomind_query.commands import up
from ecomind_receiver.http_server import bind
from ecomind_receiver.settings import own_address


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "0::0"])
def test_a_server_on_every_network_is_reached_on_loopback(host: str) -> None:
    assert own_address(host) == "127.0.0.1"
    assert own_address("192.0.2.7") == "192.0.2.7"


def test_up_says_where_this_machine_reaches_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = make_settings(tmp_path, host="0.0.0.0")
    settings.data_dir.mkdir()
    receiver: Any = SimpleNamespace(tls=None, http_port=4318, grpc_port=4317, door=None)
    up._announce(receiver, settings, 8080, as_json=False)
    written = json.loads((settings.data_dir / "server.json").read_text())
    assert written["api"] == "http://127.0.0.1:8080"
    said = capsys.readouterr().err
    assert "0.0.0.0" not in said
    assert "On other machines, write the name of this one in place of 127.0.0.1." in said


@pytest.mark.parametrize("host", ["no-such-host.invalid", "192.0.2.1"])
def test_a_host_that_is_not_ours_is_named(host: str) -> None:
    with pytest.raises(OSError, match=f"^{host} is no address of this machine. Set ECOMIND_HOST"):
        bind(host, 0)
