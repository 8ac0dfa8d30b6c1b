"""What the TLS settings may name; the rest is refused at start, in a sentence that names one."""

from __future__ import annotations

import asyncio
import re
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from support.receiver import make_settings

from ecomind_receiver.server import Receiver
from ecomind_receiver.tls import Files, Tls, TlsError, load

from .conftest import Authority, Pair

DAY = timedelta(days=1)


def refusal(folder: Path, pair: Pair, client_ca: Path | None = None) -> str:
    settings = make_settings(
        folder, tls_cert_file=pair.cert, tls_key_file=pair.key, tls_client_ca_file=client_ca
    )
    with pytest.raises(TlsError) as raised:
        load(settings)
    sentence = str(raised.value)
    assert "BEGIN" not in sentence and sentence.endswith(".")
    return sentence


def test_no_settings_no_tls(tmp_path: Path) -> None:
    assert load(make_settings(tmp_path)) is None


def test_a_pair(tmp_path: Path, authority: Authority) -> None:
    cert, key = authority.issue()
    tls = load(make_settings(tmp_path, tls_cert_file=cert, tls_key_file=key))
    assert tls is not None
    context = tls.ssl_context()
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert context.verify_mode == ssl.CERT_NONE


def test_where_clients_need_a_certificate_none_resumes(authority: Authority) -> None:
    context = Tls(Files(*authority.issue(), authority.file)).ssl_context()
    assert (context.minimum_version, context.num_tickets) == (ssl.TLSVersion.TLSv1_3, 0)


def test_one_file_with_key_and_certificate(tmp_path: Path, authority: Authority) -> None:
    cert, key = authority.issue()
    both = tmp_path / "both.pem"
    both.touch(0o600)
    both.write_bytes(key.read_bytes() + cert.read_bytes())
    assert load(make_settings(tmp_path, tls_cert_file=both, tls_key_file=both)) is not None


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (["cert"], "ECOMIND_TLS_CERT_FILE is set, but ECOMIND_TLS_KEY_FILE is not."),
        (["key"], "ECOMIND_TLS_KEY_FILE is set, but ECOMIND_TLS_CERT_FILE is not."),
        (["client_ca"], "ECOMIND_TLS_CLIENT_CA_FILE is set, but ECOMIND_TLS_CERT_FILE is not."),
        (["cert", "client_ca"], "ECOMIND_TLS_CERT_FILE is set, but ECOMIND_TLS_KEY_FILE is not."),
        (["key", "client_ca"], "ECOMIND_TLS_KEY_FILE is set, but ECOMIND_TLS_CERT_FILE is not."),
    ],
)
def test_half_a_configuration(
    tmp_path: Path, authority: Authority, given: list[str], sentence: str
) -> None:
    cert, key = authority.issue()
    files = {"cert": cert, "key": key, "client_ca": authority.file}
    settings = make_settings(tmp_path, **{f"tls_{name}_file": files[name] for name in given})
    with pytest.raises(TlsError) as raised:
        load(settings)
    assert str(raised.value) == f"{sentence} Set both, or no TLS at all."


def test_files_that_cannot_be_read(tmp_path: Path, authority: Authority) -> None:
    cert, key = authority.issue()
    none = tmp_path / "none"
    missing = f"names {none}, which can't be read: No such file or directory."
    assert refusal(tmp_path, Pair(none, key)) == f"ECOMIND_TLS_CERT_FILE {missing}"
    assert refusal(tmp_path, Pair(cert, none)) == f"ECOMIND_TLS_KEY_FILE {missing}"
    assert refusal(tmp_path, Pair(cert, key), none) == f"ECOMIND_TLS_CLIENT_CA_FILE {missing}"
    assert "Is a directory" in refusal(tmp_path, Pair(tmp_path, key))


def test_files_that_hold_something_else(tmp_path: Path, authority: Authority) -> None:
    cert, key = authority.issue()
    assert "no certificate in PEM form" in refusal(tmp_path, Pair(key, key))
    assert "no private key in PEM form" in refusal(tmp_path, Pair(cert, cert))
    sentence = refusal(tmp_path, Pair(cert, key), key)
    assert re.match("ECOMIND_TLS_CLIENT_CA_FILE names .* no certificate in PEM form", sentence)
    broken = tmp_path / "broken.pem"
    broken.write_bytes(cert.read_bytes()[:-200])
    assert "no certificate in PEM form" in refusal(tmp_path, Pair(broken, key))


def test_a_key_of_another_certificate(tmp_path: Path, authority: Authority) -> None:
    one, other = authority.issue(), authority.issue()
    sentence = refusal(tmp_path, Pair(one.cert, other.key))
    assert f"{other.key} (ECOMIND_TLS_KEY_FILE) does not belong" in sentence
    assert f"{one.cert} (ECOMIND_TLS_CERT_FILE)" in sentence


def test_a_key_with_a_passphrase_asks_nobody(tmp_path: Path, authority: Authority) -> None:
    cert, key = authority.issue()
    private = serialization.load_pem_private_key(key.read_bytes(), None)
    for form in (
        serialization.PrivateFormat.PKCS8,
        serialization.PrivateFormat.TraditionalOpenSSL,
    ):
        locked = serialization.BestAvailableEncryption(b"open sesame")
        key.write_bytes(private.private_bytes(serialization.Encoding.PEM, form, locked))
        assert "has a passphrase" in refusal(tmp_path, Pair(cert, key))


def test_an_expired_certificate(tmp_path: Path, authority: Authority) -> None:
    end = datetime(2026, 1, 31, 12, 30, tzinfo=UTC)
    pair = authority.issue(not_before=end - 90 * DAY, not_after=end)
    assert "(ECOMIND_TLS_CERT_FILE) expired on 2026-01-31 12:30 UTC" in refusal(tmp_path, pair)


def test_a_certificate_of_the_future(tmp_path: Path, authority: Authority) -> None:
    begin = datetime.now(UTC) + DAY
    pair = authority.issue(not_before=begin, not_after=begin + 90 * DAY)
    assert f"valid only from {begin:%Y-%m-%d %H:%M} UTC" in refusal(tmp_path, pair)


def test_a_receiver_does_not_start_with_half_of_it(tmp_path: Path, authority: Authority) -> None:
    settings = make_settings(tmp_path, tls_cert_file=authority.issue().cert)
    with pytest.raises(TlsError, match="ECOMIND_TLS_KEY_FILE is not"):
        asyncio.run(Receiver(settings).start())


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_key_that_others_can_read_is_refused(
    tmp_path: Path, authority: Authority, mode: int
) -> None:
    pair = authority.issue()
    pair.key.chmod(mode)
    with pytest.raises(TlsError, match=f"is open to others. Run: chmod 600 {pair.key}"):
        Tls(Files(pair.cert, pair.key))
