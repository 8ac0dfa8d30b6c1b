"""The provider, asked by the real OpenAI SDK. Four characters are a token."""

from __future__ import annotations

from typing import Any

import openai
import pytest
from openai import OpenAI

from ecomind_query.demo.fake_provider import FAIL_ATTEMPTS_HEADER

TOOL = {"type": "function", "function": {"name": "order_status", "parameters": {}}}


@pytest.fixture
def client(provider_url: str) -> OpenAI:
    return OpenAI(base_url=provider_url, api_key="none", max_retries=0)


def ask(client: OpenAI, prompt: str | list[dict[str, str]], **more: Any) -> Any:
    """A completion, or its stream; gpt-4o unless a model is given."""
    messages = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
    create: Any = client.chat.completions.create
    return create(**{"model": "gpt-4o", "messages": messages, **more})


def test_plain_answer_bills_what_was_sent_and_what_it_says(client: OpenAI) -> None:
    reply = ask(client, "x" * 401)  # 100.25 tokens, rounded up
    assert reply.model == "gpt-4o-2024-08-06"
    assert reply.usage and reply.usage.prompt_tokens == 101
    assert 120 <= reply.usage.completion_tokens <= 480
    assert len(reply.choices[0].message.content or "") == 4 * reply.usage.completion_tokens


def test_same_question_same_usage_but_never_the_same_id(client: OpenAI) -> None:
    first, second = ask(client, "Where is it?"), ask(client, "Where is it?")
    assert first.usage == second.usage
    assert first.id != second.id


def test_long_prompts_are_read_from_the_cache_in_steps_of_128(client: OpenAI) -> None:
    cached = [
        reply.usage.prompt_tokens_details.cached_tokens
        for reply in (ask(client, "y" * 6000), ask(client, "y" * 6000), ask(client, "y" * 4092))
        if reply.usage and reply.usage.prompt_tokens_details
    ]
    assert cached == [0, 1408, 0]  # 1,500 tokens = 11 × 128 + 92; 1,023 tokens are too few


def test_reasoning_is_part_of_the_output(client: OpenAI) -> None:
    usage = ask(client, "Think.", model="o4-mini").usage
    assert usage and usage.completion_tokens_details
    reasoning = usage.completion_tokens_details.reasoning_tokens or 0
    assert reasoning % 64 == 0
    assert 384 <= reasoning <= 1536
    assert 180 <= usage.completion_tokens - reasoning <= 420


@pytest.mark.parametrize("include_usage", [True, False])
def test_stream_says_the_same_as_a_plain_answer(client: OpenAI, include_usage: bool) -> None:
    plain = ask(client, "Tell me.")
    options = {"stream_options": {"include_usage": True}} if include_usage else {}
    chunks = list(ask(client, "Tell me.", stream=True, **options))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == plain.choices[0].message.content
    assert len({chunk.id for chunk in chunks}) == 1
    usages = [chunk.usage for chunk in chunks if chunk.usage]
    assert usages == ([plain.usage] if include_usage else [])


QUESTION = {"role": "user", "content": "Where is order 7?"}
RESULT = {"role": "tool", "tool_call_id": "call_1", "content": "packed"}


def test_tool_is_called_once_and_its_result_is_answered(client: OpenAI) -> None:
    call = ask(client, [QUESTION], tools=[TOOL]).choices[0]
    assert call.finish_reason == "tool_calls"
    assert [tool.function.name for tool in call.message.tool_calls] == ["order_status"]
    answer = ask(client, [QUESTION, RESULT], tools=[TOOL]).choices[0]
    assert (answer.finish_reason, answer.message.tool_calls) == ("stop", None)


def test_tool_call_can_be_streamed(client: OpenAI) -> None:
    first, last = (c.choices[0] for c in ask(client, [QUESTION], tools=[TOOL], stream=True))
    assert first.delta.tool_calls[0].function.name == "order_status"
    assert last.finish_reason == "tool_calls"


def test_rate_limit_passes_after_as_many_attempts_as_asked(provider_url: str) -> None:
    headers = {FAIL_ATTEMPTS_HEADER: "1"}
    patient = OpenAI(base_url=provider_url, api_key="none", max_retries=1)
    assert ask(patient, "Hello", extra_headers=headers).usage
    hasty = OpenAI(base_url=provider_url, api_key="none", max_retries=0)
    with pytest.raises(openai.RateLimitError):
        ask(hasty, "Hello", extra_headers=headers)


def test_refusals_name_the_reason(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="'temperature' must be 1 with o4-mini"):
        ask(client, "Hello", model="o4-mini", temperature=0.2)
    with pytest.raises(openai.NotFoundError, match="'gpt-1' does not exist"):
        ask(client, "Hello", model="gpt-1")
    with pytest.raises(openai.BadRequestError, match="Missing required parameter: 'messages'"):
        client.chat.completions.create(model="gpt-4o", messages=[])
    with pytest.raises(openai.BadRequestError, match="does not stream responses"):
        client.responses.create(model="gpt-4o", input="Hello", stream=True)


def test_body_that_is_not_an_object_is_refused(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="must be a JSON object"):
        client.post("/chat/completions", body=[1], cast_to=object)
    with pytest.raises(openai.BadRequestError, match="is not JSON"):
        client.post("/chat/completions", content=b"{", cast_to=object)


def test_responses_api(client: OpenAI) -> None:
    reply = client.responses.create(model="gpt-5-mini", input="z" * 40)
    assert reply.usage and reply.usage.input_tokens == 10
    reasoning = reply.usage.output_tokens_details.reasoning_tokens
    assert len(reply.output_text) == 4 * (reply.usage.output_tokens - reasoning)


def test_embeddings_as_base64_and_as_floats(client: OpenAI) -> None:
    model, texts = "text-embedding-3-small", ["a" * 32, "b" * 64]
    coded = client.embeddings.create(model=model, input=texts)  # the SDK asks for base64
    floats = client.embeddings.create(model=model, input=texts, encoding_format="float")
    assert coded.usage.prompt_tokens == floats.usage.prompt_tokens == 8 + 16
    assert [len(item.embedding) for item in coded.data] == [1536, 1536]
    assert coded.data[1].embedding == pytest.approx(floats.data[1].embedding, abs=1e-7)
