"""A model provider on loopback that speaks the OpenAI API, so the demo needs no key and no network.

It owns the wire: routes, server-sent events, error bodies and the time an answer takes; what is
answered and billed is `fake_model.py`. Response ids are random because Ecomind counts an id once,
and two demos must never share one.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import socket
import struct
import threading
import uuid
from collections.abc import AsyncIterator, Iterator
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from ecomind_query.demo.fake_model import (
    Answer,
    PromptCache,
    Refusal,
    answer,
    count_tokens,
    embed,
    need,
)

FAIL_ATTEMPTS_HEADER = "x-demo-fail-attempts"
"""Request header: 429 to this many attempts at the request before it is answered."""
ATTEMPT_HEADER = "x-stainless-retry-count"
"""Request header of the OpenAI SDK: how many attempts went before this one."""
RETRY_AFTER_MS = "150"
STREAM_CHUNKS = 8
SECONDS_PER_TOKEN = 0.0003


class Provider:
    """The endpoints, and the prompts seen so far. `seconds_per_token` paces every answer."""

    def __init__(self, seconds_per_token: float = SECONDS_PER_TOKEN) -> None:
        self._seconds_per_token = seconds_per_token
        self._cache = PromptCache()

    def app(self) -> Starlette:
        """The ASGI application with every route under /v1."""
        routes = [
            Route("/v1/chat/completions", self.chat, methods=["POST"]),
            Route("/v1/responses", self.responses, methods=["POST"]),
            Route("/v1/embeddings", self.embeddings, methods=["POST"]),
        ]
        return Starlette(routes=routes, exception_handlers={Refusal: _refuse})

    async def chat(self, request: Request) -> Response:
        """POST /v1/chat/completions: plain or as server-sent events, with or without tools."""
        body = await _body(request)
        given = answer(body, need(body, "messages"), self._cache)
        if not body.get("stream"):
            await self._take_time(given.output_tokens)
            return JSONResponse(_completion(given))
        options = body.get("stream_options") or {}
        events = self._events(given, bool(options.get("include_usage")))
        return StreamingResponse(events, media_type="text/event-stream")

    async def responses(self, request: Request) -> Response:
        """POST /v1/responses: plain answers only."""
        body = await _body(request)
        if body.get("stream"):
            raise Refusal(400, "invalid_request_error", "This provider does not stream responses.")
        given = answer(body, need(body, "input"), self._cache)
        await self._take_time(given.output_tokens)
        return JSONResponse(_response(given))

    async def embeddings(self, request: Request) -> Response:
        """POST /v1/embeddings: one vector per input, as floats or base64 as asked."""
        body = await _body(request)
        model, texts = need(body, "model"), need(body, "input")
        texts = [texts] if isinstance(texts, str) else texts
        encode = _base64 if body.get("encoding_format") == "base64" else list
        data = [
            {"object": "embedding", "index": index, "embedding": encode(embed(model, text))}
            for index, text in enumerate(texts)
        ]
        tokens = sum(map(count_tokens, texts))
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        await self._take_time(tokens / 10)
        return JSONResponse({"object": "list", "model": model, "data": data, "usage": usage})

    async def _events(self, given: Answer, with_usage: bool) -> AsyncIterator[str]:
        """The chunks of a streamed completion; usage comes last, and only when it was asked for."""
        base = _envelope(given, "chatcmpl-", "chat.completion.chunk")
        for delta in _deltas(given):
            await self._take_time(given.output_tokens / STREAM_CHUNKS)
            yield _event(base | {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
        yield _event(
            base | {"choices": [{"index": 0, "delta": {}, "finish_reason": _finish(given)}]}
        )
        if with_usage:
            yield _event(base | {"choices": [], "usage": _chat_usage(given)})
        yield "data: [DONE]\n\n"

    async def _take_time(self, tokens: float) -> None:
        await asyncio.sleep(tokens * self._seconds_per_token)


async def _body(request: Request) -> dict[str, Any]:
    """The parsed body, once the attempts that are to fail have failed."""
    attempt = int(request.headers.get(ATTEMPT_HEADER, 0))
    if attempt < int(request.headers.get(FAIL_ATTEMPTS_HEADER, 0)):
        raise Refusal(429, "rate_limit_error", "Rate limit reached, please try again.")
    try:
        body = await request.json()
    except ValueError as error:
        raise Refusal(400, "invalid_request_error", f"The body is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise Refusal(400, "invalid_request_error", "The body must be a JSON object.")
    return body


def _refuse(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)  # registered for nothing else
    body = {"message": str(error), "type": error.kind, "param": None, "code": None}
    headers = {"retry-after-ms": RETRY_AFTER_MS} if error.status == 429 else {}
    return JSONResponse({"error": body}, error.status, headers)


def _base64(vector: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


def _envelope(given: Answer, prefix: str, kind: str) -> dict[str, Any]:
    return {
        "id": prefix + uuid.uuid4().hex,
        "object": kind,
        "created": 0,
        "model": given.model,
        "service_tier": "default",
    }


def _finish(given: Answer) -> str:
    return "tool_calls" if given.tool else "stop"


def _tool_calls(given: Answer) -> list[dict[str, Any]]:
    function = {"name": given.tool, "arguments": '{"id": "A-1042"}'}
    call = {"index": 0, "id": f"call_{uuid.uuid4().hex[:12]}", "type": "function"}
    return [call | {"function": function}]


def _deltas(given: Answer) -> Iterator[dict[str, Any]]:
    if given.tool:
        yield {"role": "assistant", "tool_calls": _tool_calls(given)}
        return
    size = -(-len(given.text) // STREAM_CHUNKS)
    for start in range(0, len(given.text), size):
        yield {"role": "assistant", "content": given.text[start : start + size]}


def _completion(given: Answer) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": given.text or None}
    if given.tool:
        message["tool_calls"] = _tool_calls(given)
    choice = {"index": 0, "message": message, "finish_reason": _finish(given)}
    envelope = _envelope(given, "chatcmpl-", "chat.completion")
    return envelope | {"choices": [choice], "usage": _chat_usage(given)}


def _response(given: Answer) -> dict[str, Any]:
    content = [{"type": "output_text", "text": given.text, "annotations": []}]
    message = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed"}
    usage = {
        "input_tokens": given.input_tokens,
        "input_tokens_details": {"cached_tokens": given.cached_tokens},
        "output_tokens": given.output_tokens,
        "output_tokens_details": {"reasoning_tokens": given.reasoning_tokens},
        "total_tokens": given.input_tokens + given.output_tokens,
    }
    envelope = _envelope(given, "resp_", "response") | {"created_at": 0, "status": "completed"}
    return envelope | {"output": [message | {"content": content}], "usage": usage}


def _chat_usage(given: Answer) -> dict[str, Any]:
    return {
        "prompt_tokens": given.input_tokens,
        "completion_tokens": given.output_tokens,
        "total_tokens": given.input_tokens + given.output_tokens,
        "prompt_tokens_details": {"cached_tokens": given.cached_tokens},
        "completion_tokens_details": {"reasoning_tokens": given.reasoning_tokens},
    }


def _event(chunk: dict[str, Any]) -> str:
    return f"data: {json.dumps(chunk)}\n\n"


@contextlib.contextmanager
def serve(seconds_per_token: float = SECONDS_PER_TOKEN) -> Iterator[str]:
    """Run the provider in a thread on a free loopback port; yields its base URL, ending in /v1."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(
            Provider(seconds_per_token).app(),
            log_level="critical",
            lifespan="off",
            ws="none",
            timeout_graceful_shutdown=1,
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        finally:
            server.should_exit = True
            thread.join()
