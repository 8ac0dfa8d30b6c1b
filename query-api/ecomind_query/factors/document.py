"""`ecomind factors document`: docs/methodology.md, written from the factor set and the method.

Owns the page's making. Its prose is a template; each number and table on it comes from the set that
new calls are counted with and from the code that counts them, and a test holds the committed page
to a fresh one. So the page can't say what the code doesn't do.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import jinja2
import typer

from ecomind_processor import compatible
from ecomind_processor.derivation import number
from ecomind_processor.explain import FIGURES, Explanation, explain
from ecomind_processor.factors import DEFAULT_SET, FactorSet, read_document
from ecomind_processor.footprint import LONG_INPUT_TOKENS, Range, footprint
from ecomind_processor.ledger import root
from ecomind_processor.resolution import METHODS
from ecomind_query.commands.common import fail
from ecomind_query.factors import sensitivity, tables
from ecomind_query.factors.compile import SOURCE_DIR
from ecomind_query.factors.published import UNITS, Call, comparisons, published
from ecomind_receiver.closing import CLOSES_AFTER, KEYS, LATER, SUMS, canonical
from ecomind_semconv.usage import BANDS

PAGE = Path("docs/methodology.md")
_OWN = ("Ecomind methodology, energy", "Ecomind methodology, default", "ecomind@v1")
"""How sources of steps begin that are this page itself and no judgement."""

EXAMPLES = (
    (
        "A closed model: gpt-4o, in the USA",
        "Its maker publishes no size. EcoLogits guesses one, as a span.",
        sensitivity.EXAMPLE,
    ),
    (
        "Open weights: Llama-3.1-70B-Instruct on AWS in Stockholm (`eu-north-1`)",
        "Its weights are public, and somebody measured them.",
        Call(
            model="meta-llama/Llama-3.1-70B-Instruct", provider="aws.bedrock", place="eu-north-1",
            input_tokens=1000, output_tokens=300,
        ),
    ),
    (
        "A name that nobody knows, at a provider that nobody knows",
        "Unknown is not nothing: the default class stands in, with the widest band.",
        Call(model="acme-chat-1", provider="acme", input_tokens=1000, output_tokens=300),
    ),
)  # fmt: skip
"""Heading, a sentence and the call of each worked example."""

ONE_DOLLAR = Call(model="any", provider="openai", place="USA", spend_usd=1.0)
"""The example of the method `spend`."""

COMPARED = (
    ("gpt-4o", "openai"), ("gpt-4o-mini", "openai"), ("claude-sonnet-4-5", "anthropic"),
    ("gemini-2.5-pro", "gcp.gemini"), ("mistral-large-latest", "mistral_ai"),
)  # fmt: skip
"""Models and providers that both methods are shown for, at 400 tokens out in the USA."""


class Example(NamedTuple):
    """A worked example: heading, sentence, the call and its derivation."""

    title: str
    sentence: str
    call: Call
    found: Explanation
    sources: tuple[str, ...]


class Side(NamedTuple):
    """A model's energy under EcoLogits' method and under ours, in Wh."""

    model: str
    theirs: Range
    ours: Range


def document(
    out: Annotated[Path, typer.Option(help="File to write.")] = PAGE,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; end with 1 if the file is stale.")
    ] = False,
) -> None:
    """Write the method page from the factor set and the code."""
    text = page()
    if not check:
        out.write_text(text, encoding="utf-8")
        typer.echo(f"wrote {out}")
    elif not out.is_file() or out.read_text(encoding="utf-8") != text:
        fail(
            f"{out} is not what the factor set and the code say now."
            f" Run `ecomind factors document --out {out}` and commit the result."
        )


def page(factors: FactorSet | None = None) -> str:
    """The text of docs/methodology.md for a set; without one, for the newest that ships."""
    factors = factors or FactorSet.load(DEFAULT_SET)
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("ecomind_query.factors", ""),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(_FILTERS)
    return environment.get_template("methodology.md.jinja").render(**_context(factors))


_FILTERS: dict[str, Callable[..., object]] = {
    "number": number,
    "fixed": lambda value: f"{value:,.4f}",
    "short": lambda value: f"{value:,.3g}",
    "cell": lambda text: " ".join(str(text).split()).replace("|", "\\|"),
    "secondary": tables.secondary,
}


def _context(factors: FactorSet) -> dict[str, Any]:
    return {
        "factors": factors,
        "c": factors.constant,
        "sets": [FactorSet.load(file.stem) for file in sorted(SOURCE_DIR.glob("*.json"))],
        "methods": METHODS,
        "usage_bands": BANDS,
        "long_input": LONG_INPUT_TOKENS,
        "figures": FIGURES,
        "figure_units": UNITS,
        "examples": [_example(*example, factors) for example in EXAMPLES],
        "components": list(sensitivity.components(factors)),
        "comparisons": list(comparisons(factors)),
        "evidence": published().evidence,
        "spend": footprint(ONE_DOLLAR.quantities, ONE_DOLLAR.coefficients(factors)),
        "sides": [_side(model, provider, factors) for model, provider in COMPARED],
        "library_models": sum(
            a.by.startswith("ecologits-0.11.3") for a in factors.architectures.values()
        ),
        "tables": tables,
        "date_sources": read_document(factors.id)["date_sources"],
        "close_days": CLOSES_AFTER.days,
        "close_keys": KEYS,
        "close_sums": SUMS,
        "close_later": LATER,
        "digest": _digest(factors),
    }


def _example(title: str, sentence: str, call: Call, factors: FactorSet) -> Example:
    found = explain(call.quantities, call.coefficients(factors))
    sources = dict.fromkeys(step.source.rpartition("; ")[2] for step in found.steps if step.value)
    known = tuple(source for source in sources if not source.startswith(_OWN))
    return Example(title, sentence, call, found, known)


def _side(model: str, provider: str, factors: FactorSet) -> Side:
    call = Call(model=model, provider=provider, place="USA", output_tokens=400)
    theirs, ours = (
        footprint(call.quantities, call.coefficients(factors, method)).energy_wh
        for method in (compatible.METHOD, factors.method)
    )
    return Side(model, theirs, ours)


class Digest(NamedTuple):
    """A day of two rows: its lines in order, the hash of each, and the root, in hex."""

    lines: tuple[str, ...]
    leaves: tuple[str, ...]
    root: str


def _digest(factors: FactorSet) -> Digest:
    """Two rows of a day, hashed by the code that closes days."""
    day = datetime(2026, 11, 18, 9, tzinfo=UTC)
    names = {
        "project_id": "default", "service": "ranker", "environment": "production",
        "provider": "openai", "request_model": "gpt-4o", "response_model": "gpt-4o-2024-08-06",
        "place": "USA", "operation": "chat", "usage_quality": "reported",
    }  # fmt: skip
    call = sensitivity.EXAMPLE
    counted = {
        "calls": 1, "adjusted_calls_milli": 1000, "input_tokens": call.input_tokens,
        "uncached_tokens": call.input_tokens, "output_tokens": call.output_tokens,
        "duration_ms": 1500,
    }  # fmt: skip
    blank = dict.fromkeys(KEYS, "") | dict.fromkeys(SUMS, 0)
    rows = [
        {**blank, **names, "hour": day, "coef_id": call.coefficients(factors).coef_id, **counted}
        | {"team": team}
        for team in ("search", "ads")
    ]
    lines = sorted(canonical("org_demo", day.date(), rows))
    leaves = tuple(hashlib.sha256(b"\x00" + each).hexdigest() for each in lines)
    return Digest(tuple(each.decode() for each in lines), leaves, root(lines))
