"""A receiver that only answers: what the generator does is seen without a store behind it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NamedTuple


class Received(NamedTuple):
    """One request: its head in lower case, and its body."""

    head: bytes
    body: bytes


class Sink:
    """An HTTP server on a free port that answers what `answer(number)` says; b"" hangs up."""

    def __init__(self, answer: Callable[[int], bytes]) -> None:
        self.received: list[Received] = []
        self._answer = answer

    async def __aenter__(self) -> Sink:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
                self.received.append(Received(head, await reader.readexactly(length)))
                answer = self._answer(len(self.received) - 1)
                if not answer:
                    break
                writer.write(answer)
                await writer.drain()
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()


def reply(status: int, *headers: bytes, body: bytes = b"") -> bytes:
    """A response."""
    lines = (b"HTTP/1.1 %d x" % status, *headers, b"content-length: %d" % len(body), b"", body)
    return b"\r\n".join(lines)
