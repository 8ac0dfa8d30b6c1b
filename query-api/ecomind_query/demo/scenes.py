"""What the demo's services do: each scene is one use of the OpenAI SDK as apps really have it.

Plain, streamed with and without usage, cached prompts, tools inside an agent, the Responses API,
embeddings, a rate limit that a retry gets over, one that it does not, and a refused request. A
caller keeps a ledger of what its SDK reported, which is what a provider would bill.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from openai import APIStatusError, OpenAI
from opentelemetry.trace import Tracer

from ecomind_query.demo.fake_provider import FAIL_ATTEMPTS_HEADER

MAX_RETRIES = 2
HANDBOOK = (
    "You are the assistant of an online shop. Be brief, friendly and exact. "
    "Orders can be changed until they are packed; returns are free for thirty days. "
) * 40
"""A long system prompt, about 1,500 tokens, which providers cache from the second call on."""
CONTRACT = (
    "The supplier shall deliver the goods within ten working days of the order and shall bear the "
    "risk of loss until they have been accepted in writing by the customer. "
) * 150
"""A document to review, about 6,200 tokens."""
ORDER_STATUS_TOOL: Any = {
    "type": "function",
    "function": {
        "name": "order_status",
        "description": "Where an order is now.",
        "parameters": {"type": "object", "properties": {"id": {"type": "string"}}},
    },
}


LEDGER = (
    "calls",
    "calls_without_usage",
    "errors",
    "wrapper_spans",
    "input_tokens",
    "cache_read_tokens",
    "output_tokens",
    "reasoning_tokens",
)
"""What a ledger counts: answered calls, refused ones, spans that only wrap others, and tokens."""


class Caller:
    """A client of the provider, and the ledger of what it answered (calls, tokens, errors)."""

    def __init__(self, provider_url: str, tracer: Tracer) -> None:
        self.client = OpenAI(base_url=provider_url, api_key="demo", max_retries=MAX_RETRIES)
        self.tracer = tracer
        self.ledger = dict.fromkeys(LEDGER, 0)

    def number(self) -> int:
        """A number for the next question, so that no two are alike."""
        return self.ledger["calls"] + self.ledger["errors"]

    def ask(self, model: str, question: str, system: str = "Answer briefly.", **more: Any) -> None:
        """One plain chat completion."""
        try:
            reply = self.client.chat.completions.create(
                model=model, messages=_messages(system, f"{question} ({self.number()})"), **more
            )
        except APIStatusError:
            self.ledger["errors"] += 1
        else:
            self.record_chat(reply.usage)

    def stream(self, model: str, question: str, with_usage: bool) -> None:
        """One streamed chat completion; without usage nobody but the provider knows the tokens."""
        more: Any = {"stream_options": {"include_usage": True}} if with_usage else {}
        messages = _messages(HANDBOOK, f"{question} ({self.number()})")
        usage = None
        for chunk in self.client.chat.completions.create(
            model=model, messages=messages, stream=True, **more
        ):
            usage = chunk.usage or usage
        self.record_chat(usage)

    def record_chat(self, usage: Any) -> None:
        """Add a chat completion's `usage`; None when the provider reported none."""
        if usage is None:
            self.record(calls_without_usage=1)
            return
        self.record(
            input_tokens=usage.prompt_tokens,
            cache_read_tokens=usage.prompt_tokens_details.cached_tokens,
            output_tokens=usage.completion_tokens,
            reasoning_tokens=usage.completion_tokens_details.reasoning_tokens,
        )

    def record(self, **amounts: int) -> None:
        """Add one answered call and its amounts to the ledger."""
        self.ledger["calls"] += 1
        for name, amount in amounts.items():
            self.ledger[name] += amount


Scene = Callable[[Caller], None]


def embed_documents(caller: Caller) -> None:
    """Embeddings of a batch of texts."""
    texts = [f"Product {caller.number()}, page {page}: {CONTRACT[:400]}" for page in range(6)]
    reply = caller.client.embeddings.create(model="text-embedding-3-small", input=texts)
    caller.record(input_tokens=reply.usage.prompt_tokens)


def rerank(caller: Caller) -> None:
    """A short plain call to a small model."""
    caller.ask("gpt-4o-mini", f"Which of these fits best? {CONTRACT[:3000]}")


def answer_customer(caller: Caller) -> None:
    """A stream with usage, over a cached prompt."""
    caller.stream("gpt-4o", "Where is my parcel?", with_usage=True)


def answer_after_rate_limit(caller: Caller) -> None:
    """Two attempts meet a rate limit and the third one is answered: one call."""
    headers = {FAIL_ATTEMPTS_HEADER: str(MAX_RETRIES)}
    caller.ask("gpt-4o", "May I return this?", HANDBOOK, extra_headers=headers)


def give_up_after_rate_limits(caller: Caller) -> None:
    """Every attempt meets a rate limit: an error that costs nothing."""
    headers = {FAIL_ATTEMPTS_HEADER: str(MAX_RETRIES + 1)}
    caller.ask("gpt-4o-mini", "Write ten headlines.", extra_headers=headers)


def look_up_order(caller: Caller) -> None:
    """An agent that calls a tool: two model calls inside two spans that only wrap them."""
    agent = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "order-agent"}
    tool = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "order_status"}
    messages = _messages(HANDBOOK, f"Is order A-{caller.number()} packed?")
    caller.ledger["wrapper_spans"] += 2
    with caller.tracer.start_as_current_span("invoke_agent order-agent", attributes=agent):
        reply = _with_tool(caller, messages)
        with caller.tracer.start_as_current_span("execute_tool order_status", attributes=tool):
            result = "packed, leaves today"
        call = reply.choices[0].message
        messages += [
            call.model_dump(exclude_none=True),
            {"role": "tool", "tool_call_id": call.tool_calls[0].id, "content": result},
        ]
        _with_tool(caller, messages)


def _with_tool(caller: Caller, messages: Any) -> Any:
    reply = caller.client.chat.completions.create(
        model="gpt-4o", messages=messages, tools=[ORDER_STATUS_TOOL]
    )
    caller.record_chat(reply.usage)
    return reply


def review_contract(caller: Caller) -> None:
    """A reasoning model over a long document, through the Responses API."""
    reply = caller.client.responses.create(
        model="gpt-5-mini", input=f"Review, case {caller.number()}: {CONTRACT}"
    )
    assert reply.usage is not None  # the provider always reports it
    caller.record(
        input_tokens=reply.usage.input_tokens,
        cache_read_tokens=reply.usage.input_tokens_details.cached_tokens,
        output_tokens=reply.usage.output_tokens,
        reasoning_tokens=reply.usage.output_tokens_details.reasoning_tokens,
    )


def compare_clauses(caller: Caller) -> None:
    """A reasoning model, plain."""
    caller.ask("o4-mini", "Which clause is stricter?", CONTRACT)


def refused_review(caller: Caller) -> None:
    """A parameter the model does not take: status 400, an error that costs nothing."""
    caller.ask("o4-mini", "Summarise the liabilities.", temperature=0.2)


def write_campaign(caller: Caller) -> None:
    """A stream without usage: the tokens are unknown, which must stay visible."""
    caller.stream("gpt-4.1-mini", "Write the spring newsletter.", with_usage=False)


def write_headline(caller: Caller) -> None:
    """A short plain call."""
    caller.ask("gpt-4.1-mini", "Write a headline for the summer sale.")


SCENES: dict[str, tuple[Scene, ...]] = {
    "product-search": (embed_documents, rerank),
    "support-assistant": (answer_customer, look_up_order, answer_after_rate_limit),
    "contract-review": (review_contract, compare_clauses, compare_clauses, refused_review),
    "campaign-writer": (
        write_headline,
        write_campaign,
        write_headline,
        write_headline,
        give_up_after_rate_limits,
    ),
}
"""Service → what it does in one round."""


def _messages(system: str, question: str) -> Any:
    return [{"role": "system", "content": system}, {"role": "user", "content": question}]
