"""What is known of instrumentations beyond their keys: what their counts mean, what they leave out.

`dialects.py` says where a count is written; this says how to read it. Each fact names the scope it
holds for, and `decode.sql` and `ecomind_processor/dialect.py` are both built from these tables.
A count that was not reported gets an estimate and a band, never a silent zero: the estimates below
are judgements, and are marked as such wherever a figure rests on them.
"""

from __future__ import annotations

from typing import NamedTuple

COUNTS = ("input", "output", "cache_read", "cache_write", "reasoning")
"""The counts of a call. Input includes both caches, output includes reasoning."""

REPORTED, PARTIAL, ESTIMATED = 0, 1, 2
"""State of one count: as reported; part of it reported; nothing reported."""

STATES = ("reported", "partial", "estimated")
STATE_BITS = 2
"""`usage_states` packs the states of COUNTS, the first in the lowest two bits."""


class ScopeFact(NamedTuple):
    """A fact of the scopes that begin with `scope`, for one provider ("" means any)."""

    scope: str
    provider: str = ""


EXCLUSIVE_INPUT = (
    ScopeFact("openlit", "anthropic"),
    ScopeFact("opentelemetry.instrumentation.bedrock", "aws.bedrock"),
    ScopeFact("opentelemetry.instrumentation.botocore", "aws.bedrock"),
    ScopeFact("opentelemetry.instrumentation.genai.bedrock", "aws.bedrock"),
    ScopeFact("com.anthropic.claude_code"),
)
"""Where input means uncached input; everywhere else it includes cache reads and writes."""

EXCLUSIVE_OUTPUT = (ScopeFact("gemini", "gcp.gemini"),)
"""Where output leaves reasoning out; everywhere else it includes it."""

REWRITTEN_IDS = (ScopeFact("litellm", "anthropic"),)
"""Where the response id is not the provider's: it can't tell twins."""


class Unreported(NamedTuple):
    """Counts that the scopes beginning with `scope` leave out.

    `stream`: only of streamed calls. `made_up`: what is there instead is not a report, a zero for
    the caches, a guess for input and output (told by the absence of `unless`'s count).
    """

    scope: str
    counts: tuple[str, ...]
    stream: bool = False
    made_up: bool = False
    unless: str = ""


UNREPORTED = (
    Unreported("opentelemetry.instrumentation.openai_v2", ("cache_read", "reasoning")),
    Unreported("opentelemetry.util.genai.handler", ("cache_read", "reasoning")),
    Unreported("semantic_kernel", ("cache_read", "reasoning")),
    Unreported("opentelemetry.instrumentation.openai.", ("reasoning",), stream=True),
    Unreported("opentelemetry.instrumentation.langchain", ("reasoning",)),
    Unreported("openlit.instrumentation.openai", ("reasoning",)),
    Unreported(
        "openlit.instrumentation.openai",
        ("input", "output"),
        stream=True,
        made_up=True,
        unless="cache_read",
    ),
    Unreported(
        "openlit.instrumentation.anthropic",
        ("cache_read", "cache_write"),
        stream=True,
        made_up=True,
    ),
    Unreported("opentelemetry.instrumentation.bedrock", ("cache_read", "cache_write")),
    Unreported("opentelemetry.instrumentation.botocore", ("cache_read", "cache_write")),
    Unreported("gemini", ("reasoning",)),
)
"""Seen in captures; anywhere else an absent cache or reasoning count means that there was none."""


INEXACT_OUTPUT = (ScopeFact("opentelemetry.instrumentation.anthropic"),)
"""Where the output of a stream is close to the truth but not it: OpenLLMetry adds what Anthropic's
first event announces to the final count."""

STAND_INS = (ScopeFact("opentelemetry.instrumentation.genai.openai_agents", "openai"),)
"""Scopes that report agents but not their calls: an `invoke_agent` stands for one call, estimated,
where its trace holds no call. The provider is the one they call by default."""

USAGE_ON_ITS_OWN_SPAN = (ScopeFact("logfire"),)
"""Scopes that report a stream's usage on a second span, without a response id. The two need not
share a trace."""

ESTIMATES: dict[str, tuple[int, int, int]] = {
    "input": (75, 1_500, 30_000),
    "output": (25, 250, 2_500),
}
"""Count → low, mid and high of a call that reports none. Judgement. Production traffic seen in
public: 1,020 and 1,500 median prompt tokens with 129 and 13 generated (conversation and coding,
Splitwise, arXiv 2311.18677, 2023)."""

CACHED_PER_INPUT = 4
"""Where a cache count is missing: one in so many input tokens is taken to be a cache read, and
none a write. Judgement; the band reaches from none to CACHED_MOST."""

REASONING_PER_OUTPUT = 4
"""Where the reasoning count is missing: one in so many output tokens. Judgement; the band reaches
from none to all."""

CACHED_MOST = 0.99
"""Largest share of the input that is taken to come from a cache."""

INEXACT_BAND = 1.5
"""Low and high of an output count that is close to the truth: ÷ and × this. Judgement."""

BANDS = {"reported": 1.0, "partial": 1.5, "estimated": 10.0}
"""Usage quality of a call → factor on the energy's band. Judgement: input and output of calls
without usage vary tenfold; caches and reasoning move the energy of a call by less than half."""
