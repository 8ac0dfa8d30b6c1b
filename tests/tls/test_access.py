"""How commands are let in: pinned TLS, client certificates, the key; and what they say if not."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import ssl
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from support.otlp import CHAT, protobuf
from support.receiver import make_settings
from typer.testing import CliRunner

from ecomind_query import cli
from ecomind_query.commands import running
from ecomind_query.commands.access import Access, AccessError
from ecomind_query.commands.otlp_files import Request
from ecomind_query.commands.running import Client, Server, ServerError
from ecomind_query.commands.sinks import HttpSink, Unreachable
from ecomind_receiver.settings import Settings
from ecomind_receiver.signals import TRACES
from ecomind_receiver.tls import Files, Tls

from .conftest import Application, Authority, Pair, Served

KEY = "eco_test_abcdefgh_a-key-that-is-shown-to-no-one-else"
SPAN = Request(protobuf([CHAT]), "application/x-protobuf", 1, TRACES)


def server_at(port: int, scheme: str = "https") -> Server:
    address = f"{scheme}://127.0.0.1:{port}"
    return Server(os.getpid(), address, address, address)


def with_pair(folder: Path, pair: Pair, client_ca: Path | None = None, **values: Any) -> Settings:
    return make_settings(
        folder,
        tls_cert_file=pair.cert,
        tls_key_file=pair.key,
        tls_client_ca_file=client_ca,
        **values,
    )


Asking = Callable[[Tls | None, Callable[[int], Any]], Any]


@pytest.fixture
def asking(application: Application, served: Served) -> Asking:
    """Serves the application while a blocking client asks it; gives what the client got."""

    def run(tls: Tls | None, ask: Callable[[int], Any]) -> Any:
        async def scenario() -> Any:
            async with served(application, tls) as port:
                return await asyncio.to_thread(ask, port)

        return asyncio.run(scenario())

    return run


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "")


def test_a_server_is_known_by_its_certificate_whatever_its_name(
    tmp_path: Path, authority: Authority, asking: Asking, application: Application
) -> None:
    pair = authority.issue("ecomind.example")
    settings = with_pair(tmp_path, pair, api_key=KEY)
    tls = Tls(Files(*pair))
    assert asking(tls, lambda port: Client(server_at(port), settings).get("/v1/usage")) == {}
    ((request, headers),) = application.requests
    assert request == "https GET /v1/usage"
    assert headers["authorization"] == f"Bearer {KEY}"


def test_a_certificate_of_the_same_authority_is_another_one(
    tmp_path: Path, authority: Authority, asking: Asking, application: Application
) -> None:
    """The chain in the file proves nothing: only its first certificate is the server's."""
    settings = with_pair(tmp_path, authority.issue(), api_key=KEY)
    chain = settings.tls_cert_file
    assert chain
    chain.write_bytes(chain.read_bytes() + authority.file.read_bytes())
    other = Tls(Files(*authority.issue()))
    with pytest.raises(ServerError, match="is not the one in ECOMIND_TLS_CERT_FILE"):
        asking(other, lambda port: Client(server_at(port), settings).get("/"))
    assert application.requests == []


def test_a_self_signed_certificate_is_known_too(
    tmp_path: Path, asking: Asking, authority: Authority
) -> None:
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(1))
    certificate = builder.sign(key, hashes.SHA256())
    pair = Pair(tmp_path / "self.pem", tmp_path / "self.key")
    pair.cert.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    pair.key.touch(0o600)
    pair.key.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    settings = with_pair(tmp_path, pair)
    tls = Tls(Files(*pair))
    assert asking(tls, lambda port: Client(server_at(port), settings).get("/")) == {}


def test_without_the_setting_the_sentence_names_it(
    tmp_path: Path, authority: Authority, asking: Asking, application: Application
) -> None:
    tls = Tls(Files(*authority.issue()))
    settings = make_settings(tmp_path)
    with pytest.raises(ServerError, match="set ECOMIND_TLS_CERT_FILE to that certificate"):
        asking(tls, lambda port: Client(server_at(port), settings).get("/"))
    assert application.requests == []


def test_commands_show_the_servers_own_certificate_under_mtls(
    tmp_path: Path, authority: Authority, asking: Asking
) -> None:
    pair = authority.issue()
    tls = Tls(Files(*pair, authority.file))
    settings = with_pair(tmp_path, pair, authority.file)
    assert asking(tls, lambda port: Client(server_at(port), settings).get("/")) == {}


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_certificate_that_the_clients_authority_did_not_sign(
    tmp_path: Path,
    authority: Authority,
    foreign: Authority,
    asking: Asking,
    version: ssl.TLSVersion,
) -> None:
    pair = authority.issue()
    tls = Tls(Files(*pair, foreign.file))
    tls.ssl_context().maximum_version = version
    settings = with_pair(tmp_path, pair, foreign.file)
    with pytest.raises(ServerError, match="authorities sign the certificate in ECOMIND_TLS_CERT_"):
        asking(tls, lambda port: Client(server_at(port), settings).get("/"))


def test_plain_text_to_a_server_with_tls(
    tmp_path: Path, authority: Authority, asking: Asking
) -> None:
    tls, settings = Tls(Files(*authority.issue())), make_settings(tmp_path)
    with pytest.raises(ServerError, match="where it speaks TLS, its address begins with https:"):
        asking(tls, lambda port: Client(server_at(port, "http"), settings).get("/"))


@pytest.mark.parametrize(
    ("key", "sentence"),
    [
        (None, "The server asks for an API key. Set ECOMIND_API_KEY"),
        (KEY, "The server does not accept the key in ECOMIND_API_KEY. Set ECOMIND_API_KEY"),
    ],
)
def test_401_names_the_setting(
    tmp_path: Path, asking: Asking, application: Application, key: str | None, sentence: str
) -> None:
    application.status = 401
    settings = make_settings(tmp_path, api_key=key)
    with pytest.raises(ServerError) as raised:
        asking(None, lambda port: Client(server_at(port, "http"), settings).get("/"))
    assert str(raised.value) == f"{sentence} to a live key with the scope read."
    with pytest.raises(Unreachable) as refused:
        asking(None, lambda port: HttpSink(f"http://127.0.0.1:{port}", settings).send(SPAN))
    assert str(refused.value) == f"{sentence} to a live key with the scope ingest."


def test_403_is_the_servers_own_sentence(
    tmp_path: Path, asking: Asking, application: Application
) -> None:
    application.status = 403
    application.body = lambda path: json.dumps(
        {"detail": "The key x lacks the scope read."}
        if path == "/"
        else {"code": 7, "message": "The key x lacks the scope ingest."}
    ).encode()
    settings = make_settings(tmp_path, api_key=KEY)
    with pytest.raises(ServerError, match=r"^The key x lacks the scope read\.$"):
        asking(None, lambda port: Client(server_at(port, "http"), settings).get("/"))
    with pytest.raises(Unreachable, match=r"403 Forbidden: The key x lacks the scope ingest\."):
        asking(None, lambda port: HttpSink(f"http://127.0.0.1:{port}", settings).send(SPAN))


def test_the_key_follows_no_redirection(
    tmp_path: Path, asking: Asking, application: Application
) -> None:
    settings = make_settings(tmp_path, api_key=KEY)

    def ask(port: int) -> Any:
        elsewhere = f"http://localhost:{port}/elsewhere".encode()
        application.headers = [(b"location", elsewhere)]
        application.status = 302
        application.body = lambda path: b"{}"
        with contextlib.suppress(ServerError):  # it leads round in circles
            Client(server_at(port, "http"), settings).get("/")

    asking(None, ask)
    (first, shown), *others = application.requests
    assert first.endswith("GET /") and shown["authorization"] == f"Bearer {KEY}"
    assert others and all("authorization" not in headers for _, headers in others)


@pytest.mark.parametrize("key", ["two\nlines", "two words", "clé"])
def test_a_key_that_no_header_can_carry_is_not_quoted(tmp_path: Path, key: str) -> None:
    settings = make_settings(tmp_path, api_key=key)
    with pytest.raises(AccessError, match=r"^ECOMIND_API_KEY holds characters"):
        Access("http://127.0.0.1:1", settings)
    with pytest.raises(ServerError, match=r"^ECOMIND_API_KEY holds characters"):
        Client(server_at(1, "http"), settings)
    with pytest.raises(Unreachable, match=r"^ECOMIND_API_KEY holds characters"):
        HttpSink("http://127.0.0.1:1", settings)


@pytest.mark.parametrize("content", [None, "not a certificate"])
def test_a_certificate_file_that_cannot_be_used(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "cert.pem"
    if content:
        path.write_text(content)
    settings = make_settings(tmp_path, tls_cert_file=path)
    with pytest.raises(ServerError, match="The certificate in ECOMIND_TLS_CERT_FILE"):
        Client(server_at(1), settings)
    assert Client(server_at(1, "http"), settings).server.pid == os.getpid()


@pytest.mark.parametrize("own", [False, True], ids=["endpoint", "found"])
def test_files_of_traces_go_over_tls_with_the_key(
    tmp_path: Path, authority: Authority, asking: Asking, application: Application, own: bool
) -> None:
    """A loopback endpoint is this machine's server, whether it was found or named."""
    pair = authority.issue("ecomind.example")
    settings = with_pair(tmp_path, pair, authority.file, api_key=KEY)

    def send(port: int) -> None:
        HttpSink(f"https://127.0.0.1:{port}", settings, own=own).send(SPAN)

    asking(Tls(Files(*pair, authority.file)), send)
    ((request, headers),) = application.requests
    assert request == "https POST /v1/traces"
    assert headers["authorization"] == f"Bearer {KEY}"


def test_files_of_traces_do_not_go_to_a_stranger(
    tmp_path: Path, authority: Authority, asking: Asking, application: Application
) -> None:
    settings = with_pair(tmp_path, authority.issue(), api_key=KEY)
    with pytest.raises(Unreachable, match="is not the one in ECOMIND_TLS_CERT_FILE"):
        asking(
            Tls(Files(*authority.issue())),
            lambda port: HttpSink(f"https://127.0.0.1:{port}", settings).send(SPAN),
        )
    assert application.requests == []


@pytest.mark.parametrize("name", ["127.0.0.1", "ecomind.example"])
def test_a_server_elsewhere_is_known_by_name_and_authority(
    tmp_path: Path,
    authority: Authority,
    asking: Asking,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    """Another certificate than ours will do; another name will not, even with ours."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    for variable in ("http_proxy", "https_proxy", "no_proxy"):
        monkeypatch.delenv(variable)
    pair = authority.issue(name)
    ours = pair if name == "ecomind.example" else authority.issue()

    def ask(port: int) -> int:
        url = f"https://127.0.0.1:{port}"
        access = Access(url, with_pair(tmp_path, ours), own=False)
        try:
            with access.open(urllib.request.Request(url), 20) as response:
                return int(response.status)
        except OSError as error:
            assert "its certificate is not trusted" in access.explain(error)
            return 0

    assert asking(Tls(Files(*pair)), ask) == (200 if name == "127.0.0.1" else 0)


@pytest.fixture
def announced(tmp_path: Path) -> Iterator[Callable[[Server], None]]:
    """Says that this process is an `up` on the test's data directory."""
    folder = tmp_path / "data"
    folder.mkdir()
    with (folder / "lock").open("w") as lock:
        lock.write(str(os.getpid()))
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield lambda server: running.announce(folder, server)


def test_a_command_finds_the_server_and_is_let_in(
    tmp_path: Path,
    authority: Authority,
    asking: Asking,
    application: Application,
    announced: Callable[[Server], None],
) -> None:
    pair = authority.issue("ecomind.example")
    result = {"columns": ["one"], "rows": [[1]], "truncated": False}
    application.body = lambda path: json.dumps(result).encode()
    environment = {
        "ECOMIND_DATA_DIR": str(tmp_path / "data"),
        "ECOMIND_TLS_CERT_FILE": str(pair.cert),
        "ECOMIND_TLS_KEY_FILE": str(pair.key),
        "ECOMIND_API_KEY": KEY,
    }

    def ask(port: int) -> Any:
        announced(server_at(port))
        return CliRunner().invoke(cli.app, ["sql", "SELECT 1", "--json"], env=environment)

    done = asking(Tls(Files(*pair)), ask)
    assert done.exit_code == 0, done.output
    assert json.loads(done.output)["rows"] == [[1]]
    ((request, headers),) = application.requests
    assert (request, headers["authorization"]) == ("https POST /v1/sql", f"Bearer {KEY}")


def test_settings_show_no_secret() -> None:
    secrets = {
        "ECOMIND_API_KEY": KEY,
        "ECOMIND_CONTROL_URL": "postgresql://ecomind:a-password@db/ecomind",
        "ECOMIND_SPOOL_KEY": "5" * 64,
    }
    for options in ([], ["--json"]):
        done = CliRunner().invoke(cli.app, ["settings", *options], env=secrets)
        assert done.exit_code == 0
        assert not any(secret in done.output.replace("\n", "") for secret in secrets.values())
    values = {row["variable"]: row["value"] for row in json.loads(done.output)}
    assert {values[name] for name in secrets} == {"set"}
    assert values["ECOMIND_KEY_PEPPER"] == values["ECOMIND_REDIS_URL"] == "not set"
    assert values["ECOMIND_TLS_CERT_FILE"] == ""
