"""Retry-After is what the loader needs, worked out from how fast it was."""

from __future__ import annotations

from ecomind_receiver.draining import Draining

MB = 1_000_000


class Hands:
    """A clock that a test moves."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def loading(hands: Hands, segments: int, seconds_each: float) -> Draining:
    """A loader that has stored so many segments of 10 MB one after the other, and has more."""
    draining = Draining(hands)
    draining.began()
    for _ in range(segments):
        hands.now += seconds_each
        draining.loaded(10 * MB, still_busy=True)
    return draining


def test_before_anything_was_measured_five_seconds_are_said() -> None:
    assert Draining(Hands()).wait_seconds(10 * MB) == 5.0


def test_the_wait_is_size_over_speed() -> None:
    draining = loading(Hands(), segments=3, seconds_each=2.0)  # 5 MB a second
    assert round(draining.wait_seconds(40 * MB), 6) == 8.0


def test_what_is_nearly_loaded_is_waited_for_less() -> None:
    hands = Hands()
    draining = loading(hands, segments=3, seconds_each=4.0)
    hands.now += 3.0
    assert round(draining.wait_seconds(20 * MB), 6) == 5.0  # 8 s for both, 3 of them over


def test_a_load_that_takes_longer_than_it_should_is_believed() -> None:
    hands = Hands()
    draining = loading(hands, segments=1, seconds_each=2.0)
    hands.now += 10.0  # 10 MB in 2 s, and nothing for 10 s: a speed of 10 MB in 12 s
    assert round(draining.wait_seconds(20 * MB), 6) == 14.0  # 24 s for both, 10 of them over


def test_idle_time_is_no_slowness() -> None:
    hands = Hands()
    draining = Draining(hands)
    draining.began()
    hands.now += 2.0
    draining.loaded(10 * MB, still_busy=False)
    hands.now += 3600.0
    draining.began()
    assert round(draining.wait_seconds(10 * MB), 6) == 2.0


def test_a_speed_of_before_is_forgotten_by_halves_each_ten_seconds() -> None:
    hands = Hands()
    draining = loading(hands, segments=1, seconds_each=1.0)
    hands.now += 10.0
    draining.loaded(10 * MB, still_busy=True)  # 5 + 10 MB in 0.5 + 10 s
    assert round(draining.wait_seconds(10 * MB), 6) == 7.0


def test_while_the_store_is_down_the_next_try_is_said() -> None:
    hands = Hands()
    draining = loading(hands, segments=3, seconds_each=2.0)
    draining.postponed(30.0)
    hands.now += 12.0
    assert draining.wait_seconds(1000 * MB) == 18.0
    draining.loaded(10 * MB, still_busy=True)
    assert draining.wait_seconds(10 * MB) != 18.0


def test_it_is_never_under_a_second_nor_over_a_minute() -> None:
    draining = loading(Hands(), segments=3, seconds_each=2.0)
    assert draining.wait_seconds(0) == 1.0
    assert draining.wait_seconds(10_000 * MB) == 60.0
