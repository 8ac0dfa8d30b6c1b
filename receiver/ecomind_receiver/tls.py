"""TLS of every listener: checked when the process starts, renewed while it runs.

A certificate lives for weeks and a connection to a receiver as long as the process, so files that
were replaced are taken up at the next new connection, at most once a minute and all together. What
can't be used then is logged, and the old certificate goes on: a half-written file closes no port.

Where clients need a certificate, every connection over HTTP shows one: a session that could be
resumed would outlive the authority that signed it. TLS 1.2 has no way to say so, hence 1.3 there.
"""

from __future__ import annotations

import logging
import os
import ssl
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import grpc
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from ecomind_receiver.settings import Settings

CHECK_SECONDS = 60.0
_CERT, _KEY, _CA = "ECOMIND_TLS_CERT_FILE", "ECOMIND_TLS_KEY_FILE", "ECOMIND_TLS_CLIENT_CA_FILE"

log = logging.getLogger("ecomind.tls")


class TlsError(ValueError):
    """The TLS settings can't be used; the message names the setting and what to change."""


class Files(NamedTuple):
    """PEM files: the certificate with its chain, its key, and who must have signed a client's."""

    cert: Path
    key: Path
    client_ca: Path | None = None


class _Identity(NamedTuple):
    """What one reading of the files gave, in the form that each kind of listener takes."""

    context: ssl.SSLContext
    grpc: Any


def load(settings: Settings) -> Tls | None:
    """The TLS that the settings ask for; None if they ask for none. Raises TlsError."""
    given = {
        _CERT: settings.tls_cert_file,
        _KEY: settings.tls_key_file,
        _CA: settings.tls_client_ca_file,
    }
    present = [name for name, path in given.items() if path is not None]
    if not present:
        return None
    cert, key = given[_CERT], given[_KEY]
    if cert is None or key is None:
        missing = _KEY if cert is not None else _CERT
        raise TlsError(f"{present[0]} is set, but {missing} is not. Set both, or no TLS at all.")
    return Tls(Files(cert, key, given[_CA]))


class Tls:
    """A certificate for every listener of the process, with the clients that it accepts."""

    def __init__(self, files: Files, *, check_seconds: float = CHECK_SECONDS) -> None:
        """Read and check the files. Raises TlsError."""
        self._files = files
        self._check_seconds = check_seconds
        self._lock = threading.Lock()  # gRPC asks from threads of its own
        self._checked_at = time.monotonic()
        self._stamps = _stamps(files)
        self._identity = _identity(files)
        self._listening = self._identity.context
        self._listening.sni_callback = self._on_hello

    def ssl_context(self) -> ssl.SSLContext:
        """The context to listen with; it follows renewed files by itself.

        TLS 1.2 at least; 1.3 where clients need a certificate.
        """
        return self._listening

    def grpc_credentials(self) -> Any:
        """The gRPC server credentials of one port; they follow renewed files by themselves."""
        given = self._identity

        def renewed() -> Any:
            nonlocal given
            current = self._current()
            if current is given:
                return None
            given = current
            return current.grpc

        return grpc.dynamic_ssl_server_credentials(
            given.grpc,
            renewed,
            require_client_authentication=self._files.client_ca is not None,
        )

    def ends_at(self) -> datetime:
        """When the certificate in use expires."""
        return x509.load_pem_x509_certificates(self._files.cert.read_bytes())[0].not_valid_after_utc

    def _on_hello(self, connection: Any, server_name: str | None, context: ssl.SSLContext) -> None:
        connection.context = self._current().context

    def _current(self) -> _Identity:
        with self._lock:
            now = time.monotonic()
            if now - self._checked_at >= self._check_seconds:
                self._checked_at = now
                self._renew()
            return self._identity

    def _renew(self) -> None:
        try:
            stamps = _stamps(self._files)
            if stamps == self._stamps:
                return
            self._identity = _identity(self._files)
            self._stamps = stamps
        except (ValueError, UnsupportedAlgorithm) as error:  # no handshake may fail for it
            log.error("certificate not renewed", extra={"error": str(error)})
        else:
            log.info("certificate renewed")


def _named(files: Files) -> dict[str, Path]:
    """The files that are in use, by the setting that names each."""
    named = {_CERT: files.cert, _KEY: files.key}
    return named | ({_CA: files.client_ca} if files.client_ca else {})


def _stamps(files: Files) -> list[tuple[int, int, int]]:
    """What changes when a file does, or a link that leads to it."""
    stamps = []
    for setting, path in _named(files).items():
        try:
            status = path.stat()
        except OSError as error:
            raise _unreadable(setting, path, error) from error
        stamps.append((status.st_ino, status.st_mtime_ns, status.st_size))
    return stamps


def _identity(files: Files) -> _Identity:
    _refuse_open_key(files.key)
    pem = {setting: _read(setting, path) for setting, path in _named(files).items()}
    chain = _certificates(_CERT, files.cert, pem[_CERT])
    if files.client_ca:
        _certificates(_CA, files.client_ca, pem[_CA])
    _check_dates(chain[0], files.cert)
    _check_key(chain[0], pem[_KEY], files)
    configuration = grpc.ssl_server_certificate_configuration(
        [(pem[_KEY], pem[_CERT])], root_certificates=pem.get(_CA)
    )
    return _Identity(_context(files), configuration)


def _context(files: Files) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    try:
        context.load_cert_chain(files.cert, files.key, password="")  # never ask a terminal
        if files.client_ca:
            context.load_verify_locations(cafile=files.client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
            context.minimum_version = ssl.TLSVersion.TLSv1_3
            context.num_tickets = 0
    except OSError as error:
        raise TlsError(
            f"The certificate in {files.cert} ({_CERT}) can't be used for TLS: {error}."
        ) from error
    return context


def _check_dates(certificate: x509.Certificate, path: Path) -> None:
    begin, end, now = (
        certificate.not_valid_before_utc,
        certificate.not_valid_after_utc,
        datetime.now(UTC),
    )
    if now > end:
        raise TlsError(
            f"The certificate in {path} ({_CERT}) expired on {end:%Y-%m-%d %H:%M} UTC. Renew it."
        )
    if now < begin:
        raise TlsError(
            f"The certificate in {path} ({_CERT}) is valid only from {begin:%Y-%m-%d %H:%M} UTC on."
            " Set the clock, or use another certificate."
        )


def _check_key(certificate: x509.Certificate, pem: bytes, files: Files) -> None:
    try:
        key = load_pem_private_key(pem, password=None)
    except TypeError:  # so the library says that a password is needed
        raise TlsError(
            f"The private key in {files.key} ({_KEY}) has a passphrase. Store it without one, in a"
            " file that only this user may read."
        ) from None
    except (ValueError, UnsupportedAlgorithm):  # the cause might quote the key
        raise TlsError(
            f"{_KEY} names {files.key}, which holds no private key in PEM form."
        ) from None
    if key.public_key() != certificate.public_key():
        raise TlsError(
            f"The private key in {files.key} ({_KEY}) does not belong to the first certificate in"
            f" {files.cert} ({_CERT}). Name the pair that was issued together."
        )


def _refuse_open_key(path: Path) -> None:
    """Another user's, such as root's, may be readable by its group: how else would we read it."""
    try:
        status = path.stat()
    except OSError as error:
        raise _unreadable(_KEY, path, error) from error
    forbidden = 0o077 if status.st_uid == os.geteuid() else 0o027
    if status.st_mode & forbidden:
        raise TlsError(f"The key file {path} ({_KEY}) is open to others. Run: chmod 600 {path}")


def _certificates(setting: str, path: Path, pem: bytes) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError as error:
        raise TlsError(
            f"{setting} names {path}, which holds no certificate in PEM form."
        ) from error


def _read(setting: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise _unreadable(setting, path, error) from error


def _unreadable(setting: str, path: Path, error: OSError) -> TlsError:
    return TlsError(f"{setting} names {path}, which can't be read: {error.strerror}.")
