"""Attributes of the spans that the tests of dialects read."""

NAMED: dict[str, object] = {"gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-4o"}
INPUT, OUTPUT = "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"
READ, WRITE = "gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.cache_write.input_tokens"
REASONING = "gen_ai.usage.reasoning.output_tokens"
STREAM = {"gen_ai.request.stream": True}
BEDROCK = "opentelemetry.instrumentation.bedrock"
AGENTS = "opentelemetry.instrumentation.genai.openai_agents"
