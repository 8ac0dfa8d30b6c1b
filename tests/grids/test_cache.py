"""The hours that a service has told: bounded, durable, and what was measured stays."""

from __future__ import annotations

import logging
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecomind_receiver.grids.cache import Hour, HourCache

HOUR = 500_000  # 2027-01-15T08:00Z


def test_it_survives_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "grids" / "uk.csv"
    cache = HourCache(path, "GBR")
    cache.save()
    assert not path.exists()
    cache.put(HOUR, Hour(123.25, False))
    cache.put(HOUR + 1, Hour(0.1 + 0.2, True))
    cache.save()
    assert path.read_text("utf-8").splitlines()[:2] == [
        "zone,hour,g_per_kwh,source,estimated",
        "GBR,2027-01-15T08:00Z,123.25,,false",
    ]
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    again = HourCache(path, "GBR")
    assert [again.get(HOUR + n) for n in range(3)] == [
        Hour(123.25, False),
        Hour(0.1 + 0.2, True),
        None,
    ]
    assert [p.name for p in path.parent.iterdir()] == ["uk.csv"]


def test_nothing_is_written_when_nothing_has_changed(tmp_path: Path) -> None:
    path = tmp_path / "uk.csv"
    cache = HourCache(path, "GBR")
    cache.put(HOUR, Hour(1, False))
    cache.save()
    path.unlink()
    cache.put(HOUR, Hour(1, False))
    cache.put(HOUR, Hour(2, False))
    cache.save()
    assert not path.exists()


def test_the_oldest_go_first(tmp_path: Path) -> None:
    cache = HourCache(tmp_path / "uk.csv", "GBR", hours_max=3)
    for hour in (5, 1, 4, 2, 3):
        cache.put(HOUR + hour, Hour(hour, False))
    assert len(cache) == 3
    assert [hour for hour in range(1, 6) if cache.get(HOUR + hour)] == [3, 4, 5]


figures = st.tuples(st.integers(0, 5), st.floats(0, 2000), st.booleans())


@given(st.lists(figures))
def test_measured_hours_never_change_and_forecasts_do(told: list[tuple[int, float, bool]]) -> None:
    cache = HourCache(Path("/nonexistent/uk.csv"), "GBR")
    expected: dict[int, Hour] = {}
    for hour, g_per_kwh, estimated in told:
        cache.put(hour, Hour(g_per_kwh, estimated))
        if hour not in expected or expected[hour].estimated:
            expected[hour] = Hour(g_per_kwh, estimated)
    assert {hour: cache.get(hour) for hour in expected} == expected


@pytest.mark.parametrize("damage", [b"zone,hour,g_per_kwh\nGBR,2027-01-", b"\xff\xfe\x00", b""])
def test_a_damaged_file_is_put_aside(
    tmp_path: Path, damage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "uk.csv"
    path.write_bytes(damage)
    cache = HourCache(path, "GBR")
    assert len(cache) == 0
    assert (tmp_path / "uk.damaged").read_bytes() == damage
    assert caplog.records[0].levelno == logging.ERROR
    cache.put(HOUR, Hour(1, False))
    cache.save()
    assert len(HourCache(path, "GBR")) == 1
