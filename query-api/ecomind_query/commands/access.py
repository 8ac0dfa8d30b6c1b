"""How a command is let in by a server: the key that it shows, the certificate it knows it by.

A server of this machine is asked at an address that no public certificate names, so it is known by
the very certificate that its settings hold, and by nothing else. Any other server is known as
usual: by its name and the authorities that this machine trusts.
"""

from __future__ import annotations

import re
import ssl
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ecomind_receiver.settings import Settings

_CERTIFICATE = re.compile("-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)

_HUNG_UP = {
    True: "where it asks for client certificates, set ECOMIND_TLS_CLIENT_CA_FILE as it is set"
    " there, and let one of those authorities sign the certificate in ECOMIND_TLS_CERT_FILE",
    False: "where it speaks TLS, its address begins with https:",
}
"""What to change when a server says nothing, with TLS and without: it gives no reason."""


class AccessError(Exception):
    """The settings can't be used to reach a server; the message says what to change."""


class Access:
    """Opens requests to one server."""

    def __init__(self, url: str, settings: Settings | None = None, *, own: bool = True) -> None:
        """`own`: it is known by our certificate, and reached without proxies. Raises AccessError.

        Without settings no key is shown and no certificate is ours.
        """
        self._settings = settings
        self._own = own
        self._key = _key(settings)
        handlers: list[Any] = [urllib.request.ProxyHandler({})] if own else []
        self._tls = urlsplit(url).scheme == "https"
        if self._tls:
            handlers.append(urllib.request.HTTPSHandler(context=self._context()))
        self._opener = urllib.request.build_opener(*handlers)

    def open(self, request: urllib.request.Request, timeout_seconds: float) -> Any:
        """The response. The key goes to this server only, wherever it redirects to."""
        if self._key:
            request.add_unredirected_header("Authorization", f"Bearer {self._key}")
        return self._opener.open(request, timeout=timeout_seconds)

    def refused(self, scope: str) -> str:
        """The sentence for an answer of 401."""
        wanted = f"Set ECOMIND_API_KEY to a live key with the scope {scope}."
        if self._key:
            return f"The server does not accept the key in ECOMIND_API_KEY. {wanted}"
        return f"The server asks for an API key. {wanted}"

    def explain(self, error: Exception) -> str:
        """Why there was no answer, without a full stop, and what to change if TLS is the reason."""
        reason = getattr(error, "reason", None)
        cause = reason if isinstance(reason, Exception) else error
        if isinstance(cause, ssl.SSLCertVerificationError):
            return self._explain_certificate(cause)
        if isinstance(cause, (ssl.SSLEOFError, ConnectionResetError)):
            return f"it closed the connection; {_HUNG_UP[self._tls]}"
        return str(cause)

    def _explain_certificate(self, error: ssl.SSLCertVerificationError) -> str:
        if self._own and self._settings and self._settings.tls_cert_file:
            return (
                "its certificate is not the one in ECOMIND_TLS_CERT_FILE; where that was renewed,"
                " the server takes it up within a minute"
            )
        return (
            f"its certificate is not trusted ({error.verify_message}); set ECOMIND_TLS_CERT_FILE to"
            " that certificate if the server is yours"
        )

    def _context(self) -> ssl.SSLContext:
        settings = self._settings
        try:
            if settings is None or settings.tls_cert_file is None:
                return ssl.create_default_context()
            context = _pin(settings.tls_cert_file) if self._own else ssl.create_default_context()
            if settings.tls_client_ca_file is not None:
                context.load_cert_chain(settings.tls_cert_file, settings.tls_key_file, password="")
        except (OSError, ValueError) as error:
            raise AccessError(
                "The certificate in ECOMIND_TLS_CERT_FILE, or its key in ECOMIND_TLS_KEY_FILE,"
                f" can't be used to reach the server: {error}."
            ) from error
        return context


def _pin(path: Path) -> ssl.SSLContext:
    """A context that knows the first certificate of a file, under whatever name, and no other."""
    first = _CERTIFICATE.findall(path.read_text("ascii", "replace"))[:1]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = False  # the address is this machine's; the certificate is the proof
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # it need not be an authority
    context.load_verify_locations(cadata="".join(first))
    return context


def _key(settings: Settings | None) -> str:
    given = settings.api_key if settings else None
    text = given.get_secret_value().strip() if given else ""
    if not re.fullmatch(r"[!-~]*", text):
        raise AccessError("ECOMIND_API_KEY holds characters that no key has. Set it to one key.")
    return text
