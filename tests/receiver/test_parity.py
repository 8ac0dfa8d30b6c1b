"""The engine and pure Python compute the same footprint, to 1e-9, for any span."""

import asyncio
import datetime
import itertools
import math
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.otlp import protobuf
from support.receiver import make_settings

from ecomind_processor.factors import FactorSet
from ecomind_processor.footprint import Footprint, Quantities, footprint
from ecomind_processor.resolution import CallKey, resolve
from ecomind_receiver.ingest import PROTOBUF
from ecomind_receiver.server import Receiver
from ecomind_receiver.tenants import LOCAL

FACTORS = FactorSet.load()
FIGURES = tuple(Footprint.__dataclass_fields__)
NUMBERS = itertools.count(1)
TODAY = datetime.datetime.now(datetime.UTC).date()


class Engine(NamedTuple):
    """A receiver and the loop it lives in."""

    runner: asyncio.Runner
    receiver: Receiver

    def footprints(self, body: bytes, first: int) -> dict[int, dict[str, Any]]:
        """Load a request: span number → its row of calls_footprint."""

        async def load() -> None:
            await self.receiver.accept(LOCAL, body, PROTOBUF)
            await self.receiver.drain()

        self.runner.run(load())
        rows = self.receiver.store.query(
            "SELECT * FROM calls_footprint WHERE span_id >= {first:UInt64}", {"first": first}
        )
        return {row["span_id"]: row for row in rows}


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    directory = tmp_path_factory.mktemp("parity")
    with asyncio.Runner() as runner:
        receiver = Receiver(
            make_settings(directory, spool_segment_max_seconds=0.01), listeners=False
        )
        runner.run(receiver.start())
        yield Engine(runner, receiver)
        runner.run(receiver.stop())


models = st.sampled_from([*sorted(FACTORS.models)[::7], "nobody-knows-this", "acme-70b-chat", ""])
HOSTS = ["", "api.openai.com", "bedrock-runtime.eu-north-1.amazonaws.com"]
places = st.sampled_from([*HOSTS, "eu-west-3", "US-CAISO", "FRA"])
tokens = st.integers(min_value=0, max_value=300_000)


@st.composite
def calls(draw: st.DrawFn) -> tuple[CallKey, Quantities]:
    read, write, rest, output = draw(tokens), draw(tokens), draw(tokens), draw(tokens)
    measured = draw(st.none() | st.integers(min_value=0, max_value=10**9))
    key = CallKey(
        provider=draw(st.sampled_from(["openai", "anthropic", "aws.bedrock", "unheard_of"])),
        request_model=draw(models),
        response_model=draw(models),
        place=draw(places),
        service_tier=draw(st.sampled_from(["", "batch"])),
        day=TODAY - datetime.timedelta(draw(st.integers(0, 80))),
        measured=measured is not None,
    )
    reasoning = draw(st.integers(min_value=0, max_value=output))
    counts = Quantities(read + write + rest, read, write, output, reasoning, measured or 0)
    if draw(st.integers(0, 3)) == 0:
        counts = counts._replace(
            images=draw(st.integers(0, 20)),
            audio_ms=draw(st.integers(0, 86_400_000)),
            video_ms=draw(st.integers(0, 600_000)),
        )
        key = key._replace(units=bool(counts.images or counts.audio_ms or counts.video_ms))
    paid = draw(st.integers(0, 3)) == 0
    if paid and measured is None:  # nothing else is known; the amount is as fine as it is kept
        amount = draw(st.integers(1, 10**9) | st.integers(1, 10**15))
        counts = Quantities(spend_microusd=amount)
        key = key._replace(units=False, spend=True)
    return key, counts


def span(key: CallKey, q: Quantities) -> dict[str, Any]:
    noon = datetime.datetime.combine(key.day, datetime.time(), datetime.UTC).timestamp()
    start_ns = min(int(noon) * 10**9, time.time_ns())
    given = {
        "gen_ai.provider.name": key.provider,
        "gen_ai.request.model": key.request_model,
        "gen_ai.response.model": key.response_model,
        "ecomind.inference.region": key.place,
        "openai.response.service_tier": key.service_tier,
        "gen_ai.usage.input_tokens": q.input_tokens,
        "gen_ai.usage.output_tokens": q.output_tokens,
        "gen_ai.usage.cache_read.input_tokens": q.cache_read_tokens,
        "gen_ai.usage.cache_write.input_tokens": q.cache_write_tokens,
        "gen_ai.usage.reasoning.output_tokens": q.reasoning_tokens,
        "start_ns": start_ns,
    }
    if key.units:
        given["ecomind.usage.images"] = q.images
        given["ecomind.usage.audio"] = q.audio_ms / 1000
        given["ecomind.usage.video"] = q.video_ms / 1000
    if key.spend:
        given["ecomind.spend.amount"] = q.spend_microusd / 1e6
    if key.measured:
        given["ecomind.measured.energy"] = q.measured_energy_mj / 1000  # joules on the wire
    return given


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(calls(), min_size=1, max_size=40))
def test_the_engine_computes_what_python_computes(
    engine: Engine, given_calls: list[tuple[CallKey, Quantities]]
) -> None:
    first = next(NUMBERS) * 1000
    spans = [span(key, quantities) for key, quantities in given_calls]
    rows = engine.footprints(protobuf(spans, first_id=first), first)
    assert len(rows) == len(given_calls)
    for number, (key, quantities) in enumerate(given_calls):
        row = rows[first + number]
        expected = footprint(quantities, resolve(key, FACTORS))
        for figure in FIGURES:
            range_ = getattr(expected, figure)
            for bound in ("low", "mid", "high"):
                want = None if range_ is None else getattr(range_, bound)
                assert same(row[f"{figure}_{bound}"], want), (figure, bound, key, quantities)


def same(got: float | None, want: float | None) -> bool:
    if got is None or want is None:
        return got is want
    return math.isclose(got, want, rel_tol=1e-9, abs_tol=0)
