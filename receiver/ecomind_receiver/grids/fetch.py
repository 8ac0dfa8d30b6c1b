"""One GET of a JSON document from a public service, and everything that may go wrong with it.

A service that is asked in the background for years will at some time hang, drip, redirect to a
sign-in page or answer with a gigabyte. Each of that ends here, with a word to count by and whether
it is worth trying again.
"""

from __future__ import annotations

import http.client
import json
import time
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import urlsplit

from ecomind_receiver.grids.errors import FetchError
from ecomind_receiver.settings import is_loopback

MAX_BYTES = 1024 * 1024
TIMEOUT_SECONDS = 10.0
"""For connecting, and for each time that nothing comes."""

DEADLINE_SECONDS = 30.0
"""For the whole answer, however it drips."""

_CHUNK_BYTES = 64 * 1024
_RETRYABLE = frozenset({408, 425, 429, *range(500, 600)})
_HEADERS = {"Accept": "application/json", "User-Agent": "ecomind"}


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A service that moved is looked up by a person; its answer may come from anybody."""

    def redirect_request(self, *_: Any) -> None:
        """Follow none."""


def get_json(url: str, *, timeout_seconds: float = TIMEOUT_SECONDS) -> Any:
    """The document at `url`. Raises FetchError."""
    handlers: list[urllib.request.BaseHandler] = [_NoRedirect()]
    if is_loopback(urlsplit(url).hostname or ""):
        handlers.append(urllib.request.ProxyHandler({}))
    opener = urllib.request.build_opener(*handlers)
    try:
        request = urllib.request.Request(url, headers=_HEADERS)
        with opener.open(request, timeout=timeout_seconds) as response:
            body = _body(response)
    except urllib.error.HTTPError as error:
        with error:
            raise _refused(error) from error
    except TimeoutError as error:
        raise FetchError("timeout", "it did not answer in time", retryable=True) from error
    except (OSError, http.client.HTTPException) as error:
        raise _unreachable(error) from error
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise FetchError("not_json", "its answer is not JSON", retryable=True) from error


def _body(response: http.client.HTTPResponse) -> bytes:
    """All of the answer, if it is neither too long nor too slow."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    body = bytearray()
    while chunk := response.read1(_CHUNK_BYTES):
        body += chunk
        if len(body) > MAX_BYTES:
            message = f"its answer is longer than {MAX_BYTES:,} bytes"
            raise FetchError("too_large", message, retryable=False)
        if time.monotonic() > deadline:
            raise TimeoutError
    if response.length:  # fewer bytes than were announced
        raise FetchError("cut_off", "its answer was cut off", retryable=True)
    return bytes(body)


def _refused(error: urllib.error.HTTPError) -> FetchError:
    if error.code in range(300, 400):
        message = f"it redirects ({error.code}) to another address, which is not followed"
        return FetchError("redirect", message, retryable=False)
    return FetchError(
        f"status_{error.code}",
        f"it answered {error.code}",
        retryable=error.code in _RETRYABLE,
        wait_seconds=_seconds(error.headers.get("Retry-After", "")),
    )


def _unreachable(error: Exception) -> FetchError:
    reason = getattr(error, "reason", error)
    if isinstance(reason, TimeoutError):
        return FetchError("timeout", "it did not answer in time", retryable=True)
    return FetchError("unreachable", f"it can't be reached ({reason})", retryable=True)


def _seconds(text: str) -> float:
    """What Retry-After asks for in seconds; a date, or nonsense, is as good as none."""
    return float(text) if text.isascii() and text.isdigit() else 0.0
