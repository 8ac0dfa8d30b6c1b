"""The algorithm, in process and in Redis: worked by hand, and against exact token buckets."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations_with_replacement

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from limits.meters import Ask, LocalMeter, Meter
from limits.model import Model

from ecomind_receiver.limits import Quota, Refused

SLOW = Quota(0.5, 4)  # 2 s a span, 4 spans at once: full again 8 s after it was emptied
WIDE = Quota(1, 10)


def test_a_burst_then_the_rate(meter: Meter) -> None:
    assert meter.ask(Ask(3, SLOW)) is None  # owes 6 s
    assert meter.ask(Ask(1, SLOW)) is None  # owes 8 s, the whole burst
    assert meter.ask(Ask(1, SLOW)) == Refused(2.0, "org")  # 8 + 2 - 8
    meter.move(2)
    assert meter.ask(Ask(1, SLOW)) is None  # 6 + 2
    assert meter.ask(Ask(3, SLOW)) == Refused(6.0, "org")  # 8 + 6 - 8
    meter.move(100)  # full, and no fuller
    assert meter.ask(Ask(4, SLOW)) is None
    assert meter.ask(Ask(4, SLOW)) == Refused(8.0, "org")


def test_a_request_above_the_burst_passes_when_full_and_is_charged_in_full(meter: Meter) -> None:
    assert meter.ask(Ask(10, SLOW)) is None  # owes 20 s
    assert meter.ask(Ask(1, SLOW)) == Refused(14.0, "org")  # 20 + 2 - 8
    assert meter.ask(Ask(10, SLOW)) == Refused(20.0, "org")  # only when full
    meter.move(19.75)
    assert meter.ask(Ask(10, SLOW)) == Refused(0.25, "org")
    meter.move(0.25)
    assert meter.ask(Ask(10, SLOW)) is None


def test_what_the_key_refuses_is_not_charged_to_the_organisation(meter: Meter) -> None:
    assert meter.ask(Ask(4, WIDE, SLOW)) is None  # org owes 4 s, key1 8 s
    assert meter.ask(Ask(4, WIDE, SLOW)) == Refused(8.0, "key")
    assert meter.ask(Ask(6, WIDE, None, key_id="key2")) is None  # 4 + 6 = 10: the refusal was free
    assert meter.ask(Ask(1, WIDE, None, key_id="key2")) == Refused(1.0, "org")


def test_what_the_organisation_refuses_is_not_charged_to_the_key(meter: Meter) -> None:
    assert meter.ask(Ask(4, SLOW, None, key_id="key2")) is None
    assert meter.ask(Ask(3, SLOW, WIDE)) == Refused(6.0, "org")
    assert meter.ask(Ask(10, None, WIDE)) is None  # the key's bucket was still full


def test_the_longer_wait_of_two_is_told(meter: Meter) -> None:
    assert meter.ask(Ask(4, SLOW, Quota(0.25, 4))) is None  # 8 s and 16 s
    assert meter.ask(Ask(1, SLOW, Quota(0.25, 4))) == Refused(4.0, "key")
    assert meter.ask(Ask(4, Quota(0.25, 4), SLOW, "org_b")) is None
    assert meter.ask(Ask(1, Quota(0.25, 4), SLOW, "org_b")) == Refused(4.0, "org")
    assert meter.ask(Ask(4, SLOW, SLOW, "org_c")) is None
    assert meter.ask(Ask(1, SLOW, SLOW, "org_c")) == Refused(2.0, "org")


def test_organisations_and_their_keys_are_apart(meter: Meter) -> None:
    assert meter.ask(Ask(4, SLOW, SLOW, "org_a", "key1")) is None
    assert meter.ask(Ask(4, SLOW, SLOW, "org_b", "key1")) is None
    assert meter.ask(Ask(4, None, SLOW, "org_a", "key2")) is None


def test_without_quotas_everything_passes(meter: Meter) -> None:
    assert [meter.ask(Ask(1_000_000)) for _ in range(3)] == [None] * 3


# Times are even seconds and rates inverse powers of two, so that doubles are exact and any
# difference from the fractions is a fault; Redis expires buckets by its own clock, after minutes.
BINARY_QUOTAS = st.builds(
    Quota, st.sampled_from([1 / 128, 1 / 256, 1 / 1024]), st.integers(0, 12).map(float)
)
STEPS = st.lists(
    st.tuples(
        st.integers(0, 800).map(lambda n: 2 * n),
        st.integers(1, 16),
        st.sampled_from([("org_a", "key1"), ("org_a", "key2"), ("org_b", "key3")]),
    ),
    min_size=1,
    max_size=25,
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    org_quota=st.none() | BINARY_QUOTAS,
    key_quota=st.none() | BINARY_QUOTAS,
    steps=STEPS,
    wait_out=st.booleans(),
)
def test_decides_and_waits_as_exact_token_buckets_do(
    new_meter: Callable[[], Meter],
    org_quota: Quota | None,
    key_quota: Quota | None,
    steps: list[tuple[int, int, tuple[str, str]]],
    wait_out: bool,
) -> None:
    meter, model = new_meter(), Model()

    def move(seconds: float) -> None:
        meter.move(seconds)
        model.move(seconds)

    def agreed(asked: Ask) -> Refused | None:
        refused = meter.ask(asked)
        waits = model.waits(asked)
        longest = max(waits.values(), default=0)
        assert (refused is None) is (longest <= 0)
        if refused is None:
            model.charge(asked)
        else:
            assert refused.wait_seconds == longest == waits[refused.level]
        return refused

    for pause_seconds, cost, (org_id, key_id) in steps:
        move(pause_seconds)
        asked = Ask(cost, org_quota, key_quota, org_id, key_id)
        refused = agreed(asked)
        if refused and wait_out:
            move(refused.wait_seconds * 127 / 128)  # a moment before: less than 1 %
            assert agreed(asked) is not None
            move(refused.wait_seconds / 128)
            assert agreed(asked) is None
    meter.close()


@settings(max_examples=200, deadline=None)
@given(
    quota=st.builds(Quota, st.floats(1e-2, 1e7), st.floats(0, 1e7)),
    steps=st.lists(st.tuples(st.floats(0, 3), st.integers(1, 1_000_000)), min_size=1, max_size=40),
)
def test_any_rate_waits_right_and_keeps_the_mean(
    quota: Quota, steps: list[tuple[float, int]]
) -> None:
    meter, model = LocalMeter(), Model()
    now, passed = 0.0, [(0.0, 0)]
    for share_of_wait, cost in steps:
        asked = Ask(cost, quota)
        refused = meter.ask(asked)
        wait_seconds = float(model.waits(asked)["org"])
        told = refused.wait_seconds if refused else min(wait_seconds, 0.0)
        assert told == pytest.approx(wait_seconds, rel=1e-6, abs=1e-5)
        if refused is None:
            model.charge(asked)
            passed.append((now, cost))
        pause_seconds = told * share_of_wait if refused else share_of_wait / 10
        meter.move(pause_seconds)
        model.move(pause_seconds)
        now += pause_seconds
    assert_mean(quota, passed)


def assert_mean(quota: Quota, passed: list[tuple[float, int]]) -> None:
    """Between any two moments no more than the rate, and one burst or the last request alone."""
    for first, last in combinations_with_replacement(range(len(passed)), 2):
        seconds = passed[last][0] - passed[first][0]
        total = sum(cost for _, cost in passed[first : last + 1])
        at_once = max(quota.burst_spans, passed[last][1])
        assert total <= (quota.spans_per_second * (seconds + 1e-5) + at_once) * (1 + 1e-9)


@given(st.floats(1e-3, 1e6), st.integers(1, 5000), st.floats(0, 1e6))
def test_passes_after_the_wait_and_not_a_hundredth_before(
    spans_per_second: float, cost: int, uptime_seconds: float
) -> None:
    quota = Quota(spans_per_second, 10)
    meter = LocalMeter()
    meter.move(uptime_seconds)
    assert meter.ask(Ask(5000, quota)) is None
    refused = meter.ask(Ask(cost, quota))
    assert refused is not None
    meter.move(refused.wait_seconds * 0.99)
    assert meter.ask(Ask(cost, quota)) is not None
    meter.move(refused.wait_seconds * 0.01)
    assert meter.ask(Ask(cost, quota)) is None


def test_a_receivers_share_is_of_rate_and_burst() -> None:
    meter = LocalMeter(share=0.25)
    assert meter.ask(Ask(2, Quota(4, 8))) is None  # as if 1 span/s, 2 at once
    assert meter.ask(Ask(1, Quota(4, 8))) == Refused(1.0, "org")


def test_full_buckets_are_forgotten() -> None:
    meter = LocalMeter()
    for number in range(50_000):
        assert meter.ask(Ask(1, Quota(1, 10), None, f"org_{number}")) is None
        meter.move(0.01)  # so that a bucket is full again after 100 others
    assert len(meter.limits._full_at) <= 1025
