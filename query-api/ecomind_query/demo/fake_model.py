"""What a model answers to a request and what it bills, without any network.

Usage follows from the requests alone: four characters a token, long prompts cached once they were
seen, lengths taken from a digest of the prompt. So whoever sent them can work out what they cost.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, NamedTuple

CHARACTERS_PER_TOKEN = 4
"""OpenAI's rule of thumb for English: help.openai.com, "What are tokens and how to count them?"."""
CACHE_MINIMUM_TOKENS = 1024
CACHE_STEP_TOKENS = 128
"""Prompts from 1,024 tokens on are cached in steps of 128: OpenAI, "Prompt caching" guide."""
REASONING_STEP_TOKENS = 64
TOOL_CALL_TOKENS = 24
SENTENCE = "The answer follows from the documents that were given. "


class Model(NamedTuple):
    """How a model answers: the dated name it reports and the spans its token counts lie in."""

    answers_as: str
    output_tokens: tuple[int, int]
    reasoning_tokens: tuple[int, int] = (0, 0)


CHAT_MODELS = {
    "gpt-4o": Model("gpt-4o-2024-08-06", (120, 480)),
    "gpt-4o-mini": Model("gpt-4o-mini-2024-07-18", (40, 220)),
    "gpt-4.1-mini": Model("gpt-4.1-mini-2025-04-14", (150, 600)),
    "gpt-5-mini": Model("gpt-5-mini-2025-08-07", (200, 500), (256, 1024)),
    "o4-mini": Model("o4-mini-2025-04-16", (180, 420), (384, 1536)),
}
EMBEDDING_DIMENSIONS = {"text-embedding-3-small": 1536, "text-embedding-3-large": 3072}


class Refusal(Exception):
    """A request that is refused, with the status and the OpenAI error type to answer."""

    def __init__(self, status: int, kind: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind


class Answer(NamedTuple):
    """One completion before it is put into a wire shape.

    Counts are tokens, as OpenAI counts them: input includes cached, output includes reasoning.
    `tool` names a function to call, or is empty.
    """

    model: str
    text: str
    tool: str
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    reasoning_tokens: int


class PromptCache:
    """The prompt prefixes seen so far."""

    def __init__(self) -> None:
        self._seen: set[tuple[str, str]] = set()

    def read_tokens(self, model: str, prefix: str) -> int:
        """Tokens of `prefix` read from the cache: none when it is short or new."""
        if count_tokens(prefix) < CACHE_MINIMUM_TOKENS:
            return 0
        if (model, prefix) not in self._seen:
            self._seen.add((model, prefix))
            return 0
        return count_tokens(prefix) // CACHE_STEP_TOKENS * CACHE_STEP_TOKENS


def count_tokens(text: str) -> int:
    """Tokens of a text, rounded up."""
    return -(-len(text) // CHARACTERS_PER_TOKEN)


def need(body: dict[str, Any], name: str) -> Any:
    """A required parameter of a request; raises `Refusal` when it is absent or empty."""
    if not body.get(name):
        raise Refusal(400, "invalid_request_error", f"Missing required parameter: '{name}'.")
    return body[name]


def answer(body: dict[str, Any], prompt: Any, cache: PromptCache) -> Answer:
    """The completion of a request whose messages (or one string) are `prompt`.

    Raises `Refusal`: 404 for an unknown model, 400 for a temperature on a reasoning model.
    """
    name = need(body, "model")
    model = _chat_model(name, body)
    messages = [{"content": prompt}] if isinstance(prompt, str) else prompt
    digest = hashlib.sha256(json.dumps([name, messages], sort_keys=True).encode()).digest()
    steps = _between(digest[0], model.reasoning_tokens) // REASONING_STEP_TOKENS
    reasoning = steps * REASONING_STEP_TOKENS
    tool = _wanted_tool(body, messages)
    visible = TOOL_CALL_TOKENS if tool else _between(digest[1], model.output_tokens)
    contents = [str(message.get("content") or "") for message in messages]
    return Answer(
        model=model.answers_as,
        text="" if tool else (SENTENCE * visible)[: visible * CHARACTERS_PER_TOKEN],
        tool=tool,
        input_tokens=sum(map(count_tokens, contents)),
        cached_tokens=cache.read_tokens(name, contents[0]),
        output_tokens=visible + reasoning,
        reasoning_tokens=reasoning,
    )


def embed(model: str, text: str) -> list[float]:
    """The vector of a text, in [−0.5, 0.5]; raises `Refusal` 404 for an unknown model."""
    if model not in EMBEDDING_DIMENSIONS:
        raise _unknown(model)
    digest = hashlib.sha256(text.encode()).digest()
    return [digest[i % len(digest)] / 255 - 0.5 for i in range(EMBEDDING_DIMENSIONS[model])]


def _chat_model(name: str, body: dict[str, Any]) -> Model:
    model = CHAT_MODELS.get(name)
    if model is None:
        raise _unknown(name)
    if model.reasoning_tokens[1] and body.get("temperature", 1) != 1:
        message = f"Unsupported value: 'temperature' must be 1 with {name}."
        raise Refusal(400, "invalid_request_error", message)
    return model


def _unknown(model: object) -> Refusal:
    return Refusal(404, "invalid_request_error", f"The model '{model}' does not exist.")


def _between(byte: int, span: tuple[int, int]) -> int:
    """A whole number in `span`, spread evenly over the values of one byte."""
    return span[0] + (span[1] - span[0]) * byte // 255


def _wanted_tool(body: dict[str, Any], messages: list[dict[str, Any]]) -> str:
    """The tool to call: the first one offered, until its result is the last message."""
    tools = body.get("tools") or []
    if not tools or messages[-1].get("role") == "tool":
        return ""
    return str(tools[0]["function"]["name"])
