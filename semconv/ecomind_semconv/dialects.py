"""What each instrumentation calls the same thing: the alias table of every dialect.

A field lists its attribute keys in order of trust; the first one that holds a value wins. A new
dialect is a new key in a line, never new code. `decode.sql` and `ecomind_processor/dialect.py` are
both built from it, docs/dialects.md is generated from it. How to read a count says `usage.py`.
"""

from __future__ import annotations

from typing import NamedTuple

FIELDS: dict[str, tuple[str, ...]] = {
    "provider": (
        "gen_ai.provider.name",
        "gen_ai.system",
        "llm.provider",
        "llm.system",
        "ai.model.provider",
    ),
    "request_model": (
        "gen_ai.request.model",
        "llm.model_name",
        "ai.model.id",
        "embedding.model_name",
        "model",
    ),
    "response_model": (
        "gen_ai.response.model",
        "llm.response.model_name",
        "ai.response.model",
    ),
    "operation": (
        "gen_ai.operation.name",
        "openinference.span.kind",
        "ai.operationId",
        "llm.request.type",
        "traceloop.span.kind",
    ),
    "input_tokens": (
        "gen_ai.usage.input_tokens",
        "llm.token_count.prompt",
        "ai.usage.inputTokens",
        "ai.usage.tokens",
        "gen_ai.usage.prompt_tokens",
        "llm.usage.prompt_tokens",
        "input_tokens",
        "input_token_count",
    ),
    "output_tokens": (
        "gen_ai.usage.output_tokens",
        "llm.token_count.completion",
        "ai.usage.outputTokens",
        "gen_ai.usage.completion_tokens",
        "llm.usage.completion_tokens",
        "output_tokens",
        "output_token_count",
    ),
    "cache_read_tokens": (
        "gen_ai.usage.cache_read.input_tokens",
        "gen_ai.usage.cache_read_input_tokens",
        "llm.token_count.prompt_details.cache_read",
        "ai.usage.inputTokenDetails.cacheReadTokens",
        "ai.usage.cachedInputTokens",
        "gen_ai.usage.details.cache_read_tokens",
        "cache_read_tokens",
        "cached_token_count",
        "cached_content_token_count",
    ),
    "cache_write_tokens": (
        "gen_ai.usage.cache_write.input_tokens",
        "gen_ai.usage.cache_creation.input_tokens",
        "gen_ai.usage.cache_creation_input_tokens",
        "llm.token_count.prompt_details.cache_write",
        "ai.usage.inputTokenDetails.cacheWriteTokens",
        "cache_creation_tokens",
        "cache_write_token_count",
    ),
    "reasoning_tokens": (
        "gen_ai.usage.reasoning.output_tokens",
        "gen_ai.usage.reasoning_tokens",
        "llm.token_count.completion_details.reasoning",
        "ai.usage.outputTokenDetails.reasoningTokens",
        "ai.usage.reasoningTokens",
        "gen_ai.usage.details.reasoning_tokens",
        "codex.usage.reasoning_output_tokens",
        "thoughts_token_count",
        "reasoning_token_count",
    ),
    "usage_blob": (
        "gen_ai.usage.raw",
        "langsmith.metadata.usage_metadata",
        "metadata.usage_object",
        "traceloop.entity.output",
    ),
    "stream": (
        "gen_ai.request.stream",
        "gen_ai.is_streaming",
        "llm.is_streaming",
        "gen_ai.request.is_stream",
    ),
    "measured_energy": ("ecomind.measured.energy",),
    "images": ("ecomind.usage.images",),
    "audio_s": ("ecomind.usage.audio",),
    "video_s": ("ecomind.usage.video",),
    "spend_usd": ("ecomind.spend.amount",),
    "time_to_first": ("gen_ai.response.time_to_first_chunk",),
    "response_id": ("gen_ai.response.id", "ai.response.id", "llm.response.id"),
    "user": ("user.id", "enduser.id", "app.installation.id", "installation.id"),
    "session": (
        "gen_ai.conversation.id",
        "session.id",
        "conversation.id",
        "langsmith.trace.session_id",
        "traceloop.association.properties.session_id",
        "ai.telemetry.metadata.sessionId",
    ),
    "region": ("ecomind.inference.region",),
    "host": ("server.address",),
    "service_tier": (
        "openai.response.service_tier",
        "openai.request.service_tier",
        "gen_ai.openai.response.service_tier",
        "gen_ai.openai.request.service_tier",
    ),
    "team": ("ecomind.team",),
    "error": ("error.type",),
    "event": ("event.name",),
    "event_kind": ("event.kind",),
    "duration_ms": ("duration_ms",),
    "claimed_org": ("ecomind.org",),
    "claimed_project": ("ecomind.project",),
}
"""Field → attribute keys of a span, most trusted first."""

RESOURCE_FIELDS: dict[str, tuple[str, ...]] = {
    "team": ("ecomind.team", "service.namespace"),
    "service": ("service.name",),
    "environment": ("deployment.environment.name", "deployment.environment"),
    "claimed_org": ("ecomind.org",),
    "claimed_project": ("ecomind.project",),
}
"""Field → attribute keys of a resource, most trusted first."""

GENAI_FIELDS = (
    "provider",
    "request_model",
    "response_model",
    "operation",
    "input_tokens",
    "output_tokens",
    "measured_energy",
    "images",
    "audio_s",
    "video_s",
    "spend_usd",
)
"""A span with a value in one of these is a GenAI span; any other is counted and dropped."""

PROVIDERS: dict[str, str] = {
    "az.ai.inference": "azure.ai.inference",
    "az.ai.openai": "azure.ai.openai",
    "azure": "azure.ai.openai",
    "vertex_ai": "gcp.vertex_ai",
    "google": "gcp.gemini",
    "gemini": "gcp.gemini",
    "google.generative-ai": "gcp.gemini",
    "google.vertex": "gcp.vertex_ai",
    "xai": "x_ai",
    "openai.chat": "openai",
    "openai.responses": "openai",
    "openai.embedding": "openai",
    "anthropic.messages": "anthropic",
    "bedrock": "aws.bedrock",
    "amazon-bedrock": "aws.bedrock",
    "aws": "aws.bedrock",
    "mistral": "mistral_ai",
    "mistralai": "mistral_ai",
    "moonshot": "moonshot_ai",
    "langchain": "",
    "langgraph": "",
}
"""Provider as emitted (lower case) → its name in the conventions; a framework is no provider."""

HOST_PROVIDERS: dict[str, str] = {
    "api.openai.com": "openai",
    "openai.azure.com": "azure.ai.openai",
    "api.anthropic.com": "anthropic",
    "generativelanguage.googleapis.com": "gcp.gemini",
    "aiplatform.googleapis.com": "gcp.vertex_ai",
    "amazonaws.com": "aws.bedrock",
    "api.mistral.ai": "mistral_ai",
    "api.cohere.com": "cohere",
    "api.deepseek.com": "deepseek",
    "api.groq.com": "groq",
    "api.x.ai": "x_ai",
    "api.perplexity.ai": "perplexity",
}
"""End of an endpoint's host → provider, for spans that name none."""

OPERATIONS: dict[str, str] = {
    "chat": "chat",
    "llm": "chat",
    "llm_call": "chat",
    "completion": "text_completion",
    "text_completion": "text_completion",
    "generate_content": "generate_content",
    "embedding": "embeddings",
    "embeddings": "embeddings",
    "ai.generatetext.dogenerate": "chat",
    "ai.streamtext.dostream": "chat",
    "ai.generateobject.dogenerate": "chat",
    "ai.streamobject.dostream": "chat",
    "ai.embed.doembed": "embeddings",
    "ai.embedmany.doembed": "embeddings",
}
"""Operation as emitted (lower case) → its name in the conventions, for the billable ones."""

CONTAINERS = (
    "invoke_agent",
    "create_agent",
    "invoke_workflow",
    "agent_step",
    "execute_tool",
    "execute_task",
    "execute_workflow",
    "fetch_response",
    "plan",
    "retrieval",
    "chain",
    "agent",
    "tool",
    "workflow",
    "task",
    "retriever",
    "reranker",
    "guardrail",
    "evaluator",
    "ai.generatetext",
    "ai.streamtext",
    "ai.generateobject",
    "ai.streamobject",
    "ai.embed",
    "ai.embedmany",
    "ai.toolcall",
)
"""Operations (lower case) that wrap billable calls and repeat their usage: never counted."""


BLOB_COUNTS: dict[str, tuple[str, ...]] = {
    "cache_read_tokens": ("cached_tokens", "cache_read_input_tokens", "cache_read"),
    "cache_write_tokens": ("cache_creation_input_tokens", "cache_write_tokens", "cache_creation"),
    "reasoning_tokens": ("reasoning_tokens", "reasoning"),
}
"""Field → names under which `usage_blob`, JSON or the repr of a Python dict, holds the count. Only
digits are read of it, and none in a text (blobs.py). A container's blob is that of the one call
below it."""


class LogEvent(NamedTuple):
    """A log record that is a call: event name, what must stand beside it, whose call it is."""

    name: str
    scope: str  # its scope begins with this
    kind: str  # its `event.kind`; "" means any
    provider: str
    paid: bool = False  # it says what was paid, and is nothing without that


LOG_EVENTS = (
    LogEvent("api_request", "com.anthropic.claude_code", "", "anthropic"),
    LogEvent("claude_code.api_request", "", "", "anthropic"),
    LogEvent("codex.sse_event", "", "response.completed", "openai"),
    LogEvent("gemini_cli.api_response", "", "", "gcp.gemini"),
    LogEvent("ecomind.spend", "", "", "", paid=True),
)
"""Events that are calls, of the coding CLIs and for invoices; any other log record is counted and
dropped."""

MAX_TOKENS = 100_000_000
"""A count above this is not a count: it is treated as absent."""

MAX_IMAGES, MAX_MEDIA_S = 10_000, 86_400
"""More images, or seconds of audio or video, than one call can have: treated as absent."""

MAX_SPEND_USD = 1_000_000_000
"""More US dollars than one record can have cost: treated as absent."""

MAX_NAME_LENGTH = 128
"""Longer names are cut: a name is a label, never a place to carry content."""
