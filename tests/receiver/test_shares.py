"""One organisation can't fill the spool for the others."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ecomind_receiver.shares import Shares

MARK = 1000


def test_alone_one_may_take_four_fifths_and_another_finds_room() -> None:
    shares = Shares(MARK)
    shares.hold("noisy", 800)
    assert not shares.admits("noisy", 1, 800)  # it holds more than half, which one more could have
    assert shares.admits("quiet", 200, 800)  # up to the mark, which the spool itself keeps
    shares.hold("quiet", 100)
    assert not shares.admits("noisy", 1, 900)
    assert shares.admits("quiet", 50, 900)


def test_what_is_stored_makes_room_again() -> None:
    shares = Shares(MARK)
    shares.hold("noisy", 800)
    shares.release({"noisy": 500})
    assert shares.admits("noisy", 500, 300)
    shares.release({"noisy": 300, "never seen": 7})
    assert shares.admits("noisy", 500, 900)  # what others than we know of hold is not its fault


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 200)), max_size=80))
def test_a_newcomer_is_never_refused_for_others(asked: list[tuple[str, int]]) -> None:
    shares, held = Shares(MARK), dict.fromkeys("abc", 0)
    for org, size in asked:
        total = sum(held.values())
        if total + size <= MARK and shares.admits(org, size, total):
            shares.hold(org, size)
            held[org] += size
        assert shares.admits("newcomer", 1, sum(held.values()))
        assert max(held.values()) <= 0.8 * MARK
