"""Figures that others published, each held at its own boundary against our low to high.

The figures stand in `published.yaml`, which the method page is made from as well; what a source
does not give, such as a count of tokens, is assumed there and said so.
"""

from collections import Counter
from collections.abc import Callable

import pytest
from pydantic import ValidationError

from ecomind_processor.factors import FactorSet
from ecomind_processor.footprint import Coefficients, footprint
from ecomind_query.factors.published import Call, Figure, compared, published

Resolver = Callable[..., Coefficients]
FIGURES = {figure.id: figure for figure in published().figures}
ASSERTED = [figure for figure in published().figures if figure.asserted]


@pytest.mark.parametrize("figure", ASSERTED, ids=lambda figure: str(figure.id))
def test_it_lies_in_our_band(figure: Figure, factors: FactorSet) -> None:
    found = compared(figure, factors)
    assert found.verdict in ("yes", "as rounded"), found
    if figure.quartiles:  # theirs and our range overlap
        assert found.ours.low <= figure.quartiles[1] and found.ours.mid >= figure.quartiles[0]


def test_only_one_needs_its_rounding(factors: FactorSet) -> None:
    """Epoch AI's short prompt, printed with one digit; the page says so."""
    verdicts = [compared(figure, factors).verdict for figure in ASSERTED]
    assert Counter(verdicts) == {"yes": len(ASSERTED) - 1, "as rounded": 1}
    assert compared(FIGURES["epoch-short"], factors).verdict == "as rounded"


def test_what_is_asserted_and_what_is_not() -> None:
    sources = {figure.source.split(",")[0]: figure.asserted for figure in FIGURES.values()}
    assert sources == {
        "Google": True,
        "Oviedo et al.": True,
        "Epoch AI": True,
        "ML.ENERGY v3": True,
        "Mistral AI": False,
        "S. Altman (OpenAI)": False,
        "US EPA": False,
    }
    assert all(figure.boundary for figure in FIGURES.values())


def test_ours_is_what_a_call_gets(factors: FactorSet, coefficients: Resolver) -> None:
    figure = FIGURES["joule-large"]
    c = coefficients(figure.call.model, figure.call.provider, figure.call.place)
    assert compared(figure, factors).ours == footprint(figure.call.quantities, c).energy_wh


def test_a_share_that_the_boundary_leaves_out_counts_as_one(factors: FactorSet) -> None:
    figure = FIGURES["epoch-10k"]
    whole = compared(figure.model_copy(update={"without": ()}), factors).ours
    part = compared(figure, factors).ours
    assert part == pytest.approx([side / factors.constant("idle_share") for side in whole])


@pytest.mark.parametrize("key", [figure.id for figure in ASSERTED if figure.benchmark])
def test_a_benchmark_is_put_at_the_facility(
    key: str, factors: FactorSet, coefficients: Resolver
) -> None:
    figure = FIGURES[key]
    c = coefficients(figure.call.model, figure.call.provider)
    assert (c.model, c.model_tier) == (figure.benchmark, "C")
    joules = factors.benchmarks[figure.benchmark].value * figure.call.output_tokens
    assert compared(figure, factors).theirs == pytest.approx(joules / 3600 * c.pue)


def test_a_figure_has_one_value() -> None:
    call = Call(model="gpt-4o", provider="openai")
    with pytest.raises(ValidationError, match="give a value or a benchmark"):
        Figure(
            id="x", source="x", what="x", boundary="x", figure="energy_wh", asserted=True, call=call
        )
