"""`track()` on the real OpenTelemetry SDK: figures by hand, stamps, nesting, concurrency."""

from __future__ import annotations

import asyncio
import datetime
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from opentelemetry import context as otel
from opentelemetry.util.types import AttributeValue

import ecomind
from ecomind import meter
from ecomind.processor import OPEN_SPANS_MAX, EcomindSpanProcessor
from ecomind.tally import PENDING_MAX
from ecomind_processor.footprint import Coefficients, Range
from ecomind_processor.resolution import CallKey

if TYPE_CHECKING:
    from .conftest import App

CHAT: dict[str, AttributeValue] = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o",
}
START_NS = 1_795_000_000_000_000_000  # 2026-11-18 UTC


def call(app: App, usage: dict[str, AttributeValue], name: str = "chat gpt-4o") -> None:
    """One model call as an instrumentation reports it: who at the start, usage at the end."""
    span = app.tracer().start_span(name, attributes=CHAT, start_time=START_NS)
    span.set_attributes(usage)
    span.end()


def usage(
    input_tokens: int, output_tokens: int, **more: AttributeValue
) -> dict[str, AttributeValue]:
    return {
        "gen_ai.usage.input_tokens": input_tokens,
        "gen_ai.usage.output_tokens": output_tokens,
        **{key.replace("__", "."): value for key, value in more.items()},
    }


def approx(low: float, mid: float, high: float) -> object:
    return pytest.approx((low, mid, high), rel=1e-12)


def test_one_call_by_hand(app: App, keys: list[CallKey]) -> None:
    with ecomind.track(team="search", user="u-17", region="eu-west-3") as fp:
        call(app, usage(1000, 300, gen_ai__usage__cache_read__input_tokens=200))

    # IT: 800 × 0.001 + 200 × 0.0001 + 300 × 0.01 = 3.82 Wh; × PUE 1.2 = 4.584 Wh; band 2
    assert fp.energy_wh == approx(2.292, 4.584, 9.168)
    # 4.584 Wh × 500 g/kWh = 2.292 g; band 2 × 1.5 = 3
    assert fp.co2e_g == approx(0.764, 2.292, 6.876)
    # on site 3.82 Wh × 1 L/kWh + off site 4.584 Wh × 2 L/kWh = 12.988 mL; band 2 × 1.25 = 2.5
    assert fp.water_ml == approx(5.1952, 12.988, 32.47)
    assert fp.calls == 1
    assert set(keys) == {
        CallKey(
            provider="openai",
            request_model="gpt-4o",
            response_model="",
            place="eu-west-3",
            service_tier="",
            day=datetime.date(2026, 11, 18),
            measured=False,
        )
    }


def test_calls_add_up_while_the_block_runs(app: App, keys: list[CallKey]) -> None:
    with ecomind.track() as fp:
        assert (fp.calls, fp.energy_wh) == (0, Range(0.0, 0.0, 0.0))
        call(app, usage(0, 100))  # 1 Wh of IT, 1.2 Wh with overhead
        assert fp.energy_wh == approx(0.6, 1.2, 2.4)
        call(app, usage(0, 200))
        assert fp.energy_wh == approx(1.8, 3.6, 7.2)
    call(app, usage(0, 400))
    assert fp.energy_wh == approx(1.8, 3.6, 7.2)


def test_a_stamp_is_on_genai_spans_only_and_never_overwrites(app: App) -> None:
    with ecomind.track(team="search", user="u-17", region="FR"):
        call(app, {}, name="chat")
        app.tracer().start_span("own", attributes={"ecomind.team": "ads"}).end()
        app.tracer("opentelemetry.instrumentation.httpx").start_span("POST").end()
    call(app, {}, name="outside")
    stamps = {
        name: {key: value for key, value in (span.attributes or {}).items() if key not in CHAT}
        for name, span in app.exported().items()
    }
    assert stamps == {
        "chat": {
            "ecomind.team": "search",
            "user.id": "u-17",
            "ecomind.inference.region": "FR",
        },
        "own": {"ecomind.team": "ads", "user.id": "u-17", "ecomind.inference.region": "FR"},
        "POST": {},
        "outside": {},
    }


def test_an_inner_block_inherits_and_counts_in_the_outer_one(app: App, keys: list[CallKey]) -> None:
    with ecomind.track(team="search", region="FR") as outer:
        call(app, usage(0, 100), name="first")
        with ecomind.track(team="ranking") as inner:
            call(app, usage(0, 300), name="second")
    attributes = app.exported()["second"].attributes or {}
    assert attributes["ecomind.team"] == "ranking"
    assert attributes["ecomind.inference.region"] == "FR"
    assert (inner.calls, outer.calls) == (1, 2)
    assert (inner.energy_wh.mid, outer.energy_wh.mid) == pytest.approx((3.6, 4.8))


@pytest.mark.parametrize("operation", ["invoke_agent", "execute_tool", "create_agent", "Chain"])
def test_containers_repeat_usage_and_are_left_out(
    app: App, keys: list[CallKey], operation: str
) -> None:
    tracer = app.tracer()
    with ecomind.track() as fp, tracer.start_as_current_span("agent", attributes=CHAT) as span:
        span.set_attributes({**usage(0, 100), "gen_ai.operation.name": operation})
        call(app, usage(0, 100))
    assert fp.calls == 1


def test_a_response_counts_once(app: App, keys: list[CallKey]) -> None:
    with ecomind.track() as fp:
        for _ in range(2):
            call(app, usage(0, 100, gen_ai__response__id="chatcmpl-1"))
        call(app, usage(0, 100, gen_ai__response__id="chatcmpl-2"))
    assert fp.calls == 2


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"gen_ai.usage.output_tokens": -1},
        {"gen_ai.usage.output_tokens": 1.5},
        {"gen_ai.usage.output_tokens": "many"},
        {"gen_ai.usage.output_tokens": True},
        {"gen_ai.usage.output_tokens": 10**12},
        {"gen_ai.usage.output_tokens": 5, "gen_ai.provider.name": "langchain"},
        {"gen_ai.usage.output_tokens": 5, "gen_ai.request.model": ""},
    ],
)
def test_what_is_no_call(
    app: App, keys: list[CallKey], attributes: dict[str, AttributeValue]
) -> None:
    with ecomind.track() as fp:
        call(app, attributes)
    assert (fp.calls, fp.energy_wh) == (0, Range(0.0, 0.0, 0.0))
    assert keys == []


def test_a_measured_call_is_resolved_as_measured(app: App, keys: list[CallKey]) -> None:
    with ecomind.track() as fp:
        call(app, {"ecomind.measured.energy": 812.5})
    assert (fp.calls, keys[0].measured) == (1, True)


def test_our_own_estimate_is_not_a_measurement(app: App, keys: list[CallKey]) -> None:
    with ecomind.track() as fp:
        call(app, {**usage(0, 100), "ecomind.energy": 9e9})
    assert fp.energy_wh.mid == pytest.approx(1.2)
    assert not keys[0].measured


def test_usage_that_is_exclusive_of_cache_is_made_inclusive(app: App, keys: list[CallKey]) -> None:
    attributes: dict[str, AttributeValue] = {
        "gen_ai.provider.name": "anthropic",
        "gen_ai.request.model": "claude-sonnet-4-5",
        "gen_ai.usage.input_tokens": 1500,
        "gen_ai.usage.cache_read.input_tokens": 1000,
    }
    with ecomind.track() as fp:
        app.tracer("openlit.instrumentation.anthropic").start_span("a", attributes=attributes).end()
        app.tracer("com.anthropic.sdk.python").start_span("b", attributes=attributes).end()
    # OpenLIT's 1,500 leave the cached 1,000 out: 1.5 + 0.1; the other's hold them: 0.5 + 0.1 Wh
    assert fp.energy_wh.mid == pytest.approx((1.6 + 0.6) * 1.2)


def test_openinference_and_a_url_as_address(app: App, keys: list[CallKey]) -> None:
    attributes: dict[str, AttributeValue] = {
        "openinference.span.kind": "LLM",
        "llm.model_name": "gpt-4o-mini",
        "llm.token_count.prompt": "1200",
        "llm.token_count.completion": 345,
        "server.address": "https://api.openai.com/v1",
    }
    with ecomind.track() as fp:
        app.tracer("openinference.instrumentation.openai").start_span(
            "x", attributes=attributes
        ).end()
    assert fp.calls == 1
    assert keys[0][:4] == ("openai", "gpt-4o-mini", "", "api.openai.com")


def test_a_stream_that_ends_after_the_block_still_counts(app: App, keys: list[CallKey]) -> None:
    with ecomind.track() as fp:
        span = app.tracer().start_span("stream", attributes=CHAT)
    span.set_attributes(usage(0, 100))
    span.end()
    assert fp.calls == 1


def test_tasks_have_a_tally_each(app: App, keys: list[CallKey]) -> None:
    block = ecomind.track(team="shared")

    async def answer(output_tokens: int) -> float:
        with block as fp:
            span = app.tracer().start_span("chat", attributes=CHAT)
            await asyncio.sleep(0)
            span.set_attributes(usage(0, output_tokens))
            span.end()
        return fp.energy_wh.mid

    async def three() -> tuple[float, ...]:
        return await asyncio.gather(answer(100), answer(200), answer(300))

    assert asyncio.run(three()) == pytest.approx((1.2, 2.4, 3.6))


def test_threads_inside_one_block_lose_no_call(app: App, keys: list[CallKey]) -> None:
    with ecomind.track() as fp:
        running = otel.get_current()

        def work() -> None:
            otel.attach(running)
            for _ in range(PENDING_MAX):
                call(app, usage(0, 100))

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert fp.calls == 4 * PENDING_MAX


def test_a_generator_closed_elsewhere_leaves_no_trace(
    app: App, keys: list[CallKey], caplog: pytest.LogCaptureFixture
) -> None:
    def stream() -> Iterator[int]:
        with ecomind.track():
            yield 1

    async def abandon() -> None:
        parts = stream()

        async def first() -> int:
            return next(parts)

        await asyncio.create_task(first())
        parts.close()  # type: ignore[attr-defined]

    asyncio.run(abandon())
    assert caplog.records == []


def test_spans_that_never_end_are_let_go(app: App) -> None:
    processor = EcomindSpanProcessor()
    with ecomind.track():
        for _ in range(OPEN_SPANS_MAX + 5):
            span = app.tracer().start_span("open")
            processor.on_start(span)  # type: ignore[arg-type]
    assert len(processor._open) == OPEN_SPANS_MAX


def test_an_error_in_the_block_passes_through(app: App) -> None:
    with pytest.raises(ZeroDivisionError), ecomind.track():
        _ = 1 / 0
    with ecomind.track(team="next") as fp:
        assert fp.calls == 0


def test_a_call_that_cannot_be_priced_costs_only_itself(
    app: App,
    keys: list[CallKey],
    monkeypatch: pytest.MonkeyPatch,
    swallowed: dict[str, int],
    caplog: pytest.LogCaptureFixture,
) -> None:
    coefficients = meter.coefficients

    def broken(key: CallKey) -> Coefficients:
        if key.request_model == "gpt-4o":
            raise RuntimeError("no factors")
        return coefficients(key)

    monkeypatch.setattr(meter, "coefficients", broken)
    with ecomind.track() as fp:
        call(app, usage(0, 100))
        call(app, {**usage(0, 100), "gen_ai.request.model": "gpt-4o-mini"})
        call(app, usage(0, 100))
    assert fp.calls == 1
    assert swallowed == {"Meter.add": 2}
    assert [record.getMessage() for record in caplog.records] == [
        "Meter.add failed; the app is not affected, some footprints are missing"
    ]
