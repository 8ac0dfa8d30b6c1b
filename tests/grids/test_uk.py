"""Great Britain: what the service tells becomes hours, and what it does wrong hurts no caller.

`data/uk_documented.json` is the example response of the API's documentation for `/intensity` and
`/intensity/{from}/{to}`: https://carbon-intensity.github.io/api-definitions/ (docs/index.html of
github.com/carbon-intensity/api-definitions, CC BY 4.0). Longer answers are made in its shape.
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from grids.service import Answer, Service, as_json, half, halves, running, whole

from ecomind_receiver.grids import agenda, cache, fetch, uk
from ecomind_receiver.grids.agenda import COMING_HOURS, Agenda
from ecomind_receiver.grids.cache import Hour, HourCache
from ecomind_receiver.grids.errors import FetchError
from ecomind_receiver.grids.half_hours import read_hours
from ecomind_receiver.grids.rows import hour_of
from ecomind_receiver.grids.uk import UkGrid
from ecomind_receiver.grids.worker import Rest

DOCUMENTED = json.loads((Path(__file__).parent / "data" / "uk_documented.json").read_text("utf-8"))
NOON = datetime(2018, 1, 20, 12, tzinfo=UTC)
NOW = datetime(2026, 11, 18, 14, 20, tzinfo=UTC)
HOUR = timedelta(hours=1)
THIS_HOUR = NOW.replace(minute=0)


def hours_of(document: Any, start: datetime = NOON, count: int = 1) -> dict[int, Hour]:
    first = hour_of(start)
    return read_hours(document, range(first, first + count), NOW, Counter())


def test_the_documented_answer_is_half_an_hour_and_so_no_hour_yet() -> None:
    assert hours_of(DOCUMENTED) == {}


def test_an_hour_is_the_mean_of_its_halves() -> None:
    other = half(NOON + timedelta(minutes=30), 258)
    answer = {"data": [*DOCUMENTED["data"], other]}
    # (263 + 258) / 2, the documented actual and ours; the documented forecast, 266, is not used.
    assert hours_of(answer) == {hour_of(NOON): Hour(260.5, False)}


@pytest.mark.parametrize(
    ("figures", "hour"),
    [
        ([(None, 180), (None, 190)], Hour(185.0, True)),
        ([(200, 180), (None, 190)], Hour(195.0, True)),
        ([(0, 180), (0, 190)], Hour(0.0, False)),
    ],
)
def test_what_is_forecast_says_so(figures: list[tuple[Any, Any]], hour: Hour) -> None:
    assert hours_of(halves(NOON, *figures)) == {hour_of(NOON): hour}


def test_an_hour_that_still_runs_is_not_measured() -> None:
    answer = halves(THIS_HOUR - HOUR, (200, 1), (210, 1), (220, 1), (230, 1))
    found = hours_of(answer, THIS_HOUR - HOUR, 2)
    assert found == {hour_of(NOW) - 1: Hour(205.0, False), hour_of(NOW): Hour(225.0, True)}


def test_hours_are_utc_when_clocks_change() -> None:
    # London: 25 October 2026, 02:00 summer time is 01:00 again; 4 hours stay 4 hours.
    start = datetime(2026, 10, 25, 0, tzinfo=UTC)
    found = hours_of(halves(start, *[(n, 1) for n in range(8)]), start, 4)
    assert [found[hour_of(start) + n].g_per_kwh for n in range(4)] == [0.5, 2.5, 4.5, 6.5]


@pytest.mark.parametrize("odd", [-1, 2001, float("nan"), float("inf"), "200", True, [], 10**400])
def test_a_figure_that_none_can_be_is_refused_and_counted(odd: Any) -> None:
    counts: Counter[str] = Counter()
    answer = halves(NOON, (odd, 100), (200, 100), (200, 100), (200, 100))
    first = hour_of(NOON)
    found = read_hours(answer, range(first, first + 2), NOW, counts)
    assert found == {first + 1: Hour(200.0, False)}
    assert counts == {"refused_values": 1}


@pytest.mark.parametrize(
    "change",
    [
        {"from": "2018-01-20T12:05Z", "to": "2018-01-20T12:35Z"},
        {"to": "2018-01-20T13:00Z"},
        {"from": "2018-01-20T12:00", "to": "2018-01-20T12:30"},
        {"from": "2018-01-20T13:00+01:00", "to": "2018-01-20T13:30+01:00"},
        {"from": 12, "to": 13},
        {"intensity": None},
        {"intensity": {}},
    ],
)
def test_a_half_hour_of_another_shape_is_refused_and_counted(change: dict[str, Any]) -> None:
    counts: Counter[str] = Counter()
    odd = DOCUMENTED["data"][0] | change
    first = hour_of(NOON)
    assert read_hours({"data": [odd, 1, None]}, range(first, first + 1), NOW, counts) == {}
    assert counts == {"refused_values": 3}


@pytest.mark.parametrize("document", [None, [], {}, {"data": {}}, {"error": {"code": "400"}}, 7])
def test_what_is_no_answer_is_told(document: Any) -> None:
    with pytest.raises(FetchError, match="no list of half-hours"):
        hours_of(document)


def test_hours_that_were_not_asked_for_are_not_taken() -> None:
    answer = halves(NOON - HOUR, *[(200, 1)] * 6)
    assert list(hours_of(answer)) == [hour_of(NOON)]


Make = Callable[..., UkGrid]


@pytest.fixture
def make(service: Service, tmp_path: Path) -> Make:
    """A plug-in of the service that thinks it is NOW, or what `clock` says."""

    def made(clock: Callable[[], datetime] = lambda: NOW, **more: Any) -> UkGrid:
        path = tmp_path / "grids" / "uk.csv"
        return UkGrid(HourCache(path, uk.ZONE), service.url, clock=clock, **more)

    return made


def test_one_round_knows_the_hours_around_now(service: Service, make: Make) -> None:
    service.answer = lambda path: whole(path, NOW)
    grid = make()
    assert grid.factor("GBR", THIS_HOUR) is None
    rest = grid.refresh()
    assert (rest.at_least_seconds, rest.at_most_seconds) == (uk.PAUSE_SECONDS, uk.REFRESH_SECONDS)
    assert service.asked == ["/intensity/2026-11-17T14:00Z/2026-11-18T20:00Z"]
    known = grid.factor("GBR", THIS_HOUR - HOUR)
    assert known == (200.0, uk.SOURCE, THIS_HOUR - HOUR, "average", False)
    running_now = grid.factor("GBR", THIS_HOUR)
    assert running_now is not None and running_now.estimated
    assert grid.factor("GBR", THIS_HOUR + COMING_HOURS * HOUR) is None
    assert grid.factor("FRA", THIS_HOUR) is None
    assert grid.status()[:4] == ("uk-carbon-intensity", "average", ("GBR",), 30)
    assert grid.counts == {"requests": 1}


def test_a_forecast_gives_way_to_the_measurement_which_stays(service: Service, make: Make) -> None:
    moments = iter([NOW, NOW + HOUR, NOW + 2 * HOUR])
    now = next(moments)
    service.answer = lambda path: whole(path, now, actual=200.0, forecast=150.0)
    grid = make(clock=lambda: now)
    grid.refresh()
    first = grid.factor("GBR", THIS_HOUR)
    assert first is not None and (first.g_per_kwh, first.estimated) == (150.0, True)
    now = next(moments)
    grid.refresh()
    second = grid.factor("GBR", THIS_HOUR)
    assert second is not None and (second.g_per_kwh, second.estimated) == (200.0, False)
    now = next(moments)
    service.answer = lambda path: whole(path, now, actual=999.0)
    grid.refresh()
    assert grid.factor("GBR", THIS_HOUR) == second
    assert make().factor("GBR", THIS_HOUR) == second  # from the file, as after a restart


def test_an_old_hour_is_fetched_for_the_next_who_asks(service: Service, make: Make) -> None:
    service.answer = lambda path: whole(path, NOW)
    grid, old = make(), THIS_HOUR - 200 * 24 * HOUR
    grid.refresh()
    assert grid.factor("GBR", old) is None
    grid.refresh()
    assert service.asked[1:] == [
        "/intensity/2026-11-18T14:00Z/2026-11-18T20:00Z",  # what is not measured yet
        "/intensity/2026-05-02T14:00Z/2026-05-02T15:00Z",
    ]
    found = grid.factor("GBR", old)
    assert found is not None and not found.estimated


def test_a_long_time_is_fetched_in_ranges_of_less_than_14_days_the_newest_first(
    service: Service, make: Make
) -> None:
    service.answer = lambda path: whole(path, NOW)
    grid = make()
    for n in range(100 * 24):
        grid.factor("GBR", THIS_HOUR - n * HOUR)
    rests: list[Rest] = []
    while not rests or rests[-1].at_most_seconds == uk.PAUSE_SECONDS:
        rests.append(grid.refresh())
    asked = [path.split("/")[2:] for path in service.asked]
    spans = [datetime.fromisoformat(last) - datetime.fromisoformat(first) for first, last in asked]
    assert max(spans) == timedelta(days=13)
    assert [first for first, _ in asked[:4]] == sorted((f for f, _ in asked[:4]), reverse=True)
    assert len(rests) == 3  # 100 days in 8 ranges of at most 13, and 4 ranges a round
    assert all(grid.factor("GBR", THIS_HOUR - n * HOUR) for n in range(100 * 24))


def test_hours_beyond_the_cache_are_neither_wanted_nor_kept(service: Service, make: Make) -> None:
    service.answer = lambda path: whole(path, NOW)
    grid = make()
    for moment in (NOW - (cache.HOURS_MAX + 1) * HOUR, NOW + (COMING_HOURS + 1) * HOUR):
        assert grid.factor("GBR", moment.replace(minute=0)) is None
    grid.refresh()
    assert len(service.asked) == 1


def test_a_gap_is_left_alone_for_a_while(service: Service, make: Make) -> None:
    now = NOW
    service.answer = lambda path: as_json({"data": []})
    grid, old = make(clock=lambda: now), THIS_HOUR - 200 * 24 * HOUR
    grid.factor("GBR", old)
    grid.refresh()
    assert len(service.asked) == 2
    grid.refresh()
    assert len(service.asked) == 3  # only the hours around now
    assert grid.error == ""
    now += agenda.LEAVE_ALONE + HOUR
    grid.refresh()
    assert len(service.asked) == 5
    assert grid.factor("GBR", old) is None


FAILURES: dict[str, tuple[Answer, str]] = {
    "failed_status_500": (Answer(b"oops", 500), "it answered 500"),
    "failed_status_429": (Answer(b"", 429), "it answered 429"),
    "failed_not_json": (
        Answer(b"<!doctype html><p>Sign in", headers={"Content-Type": "text/html"}),
        "its answer is not JSON",
    ),
    "failed_not_an_answer": (as_json({"message": "hello"}), "no list of half-hours"),
    "failed_cut_off": (Answer(b'{"data": []}', headers={"Content-Length": "99"}), "cut off"),
}


@pytest.mark.parametrize("count", FAILURES)
def test_a_passing_failure_is_backed_off_from_and_counted(
    service: Service, make: Make, count: str
) -> None:
    answer, reason = FAILURES[count]
    service.answer = lambda path: answer
    grid = make()
    rests = [grid.refresh() for _ in range(12)]
    for failure, rest in enumerate(rests):
        backoff = min(uk.FIRST_BACKOFF_SECONDS * 2**failure, uk.LAST_BACKOFF_SECONDS)
        assert backoff <= rest.at_least_seconds <= 1.25 * backoff
        assert rest.at_most_seconds == rest.at_least_seconds
    assert grid.counts == {"requests": 12, count: 12}
    assert reason in grid.error and grid.error.startswith(service.url)
    assert grid.factor("GBR", THIS_HOUR) is None
    service.answer = lambda path: whole(path, NOW)
    assert grid.refresh().at_least_seconds == uk.PAUSE_SECONDS
    assert (grid.error, grid.factor("GBR", THIS_HOUR) is None) == ("", False)


@pytest.mark.parametrize(
    ("text", "seconds"), [("600", 600), ("999999", 3600), ("soon", 30), ("-5", 30), ("²", 30)]
)
def test_a_service_that_wants_to_be_left_alone_is(
    service: Service, make: Make, text: str, seconds: int
) -> None:
    headers = {"Retry-After": text.encode("utf-8").decode("latin-1")}
    service.answer = lambda path: Answer(b"", 429, headers)
    rest = make().refresh()
    assert seconds <= rest.at_least_seconds <= 1.25 * seconds


@pytest.mark.parametrize(
    ("answer", "count", "reason"),
    [
        (Answer(b"", 400), "failed_status_400", "it answered 400"),
        (Answer(b" " * (fetch.MAX_BYTES + 1)), "failed_too_large", "longer than 1,048,576 bytes"),
    ],
)
def test_what_is_refused_for_good_is_left_alone_and_other_ranges_go_on(
    service: Service, make: Make, answer: Answer, count: str, reason: str
) -> None:
    old = THIS_HOUR - 200 * 24 * HOUR
    service.answer = lambda path: answer if "2026-11" in path else whole(path, NOW)
    grid = make()
    grid.factor("GBR", old)
    rest = grid.refresh()
    assert rest.at_least_seconds == uk.PAUSE_SECONDS
    assert grid.factor("GBR", old) is not None
    assert grid.counts[count] == 1 and reason in grid.error
    grid.refresh()
    assert len(service.asked) == 2


def test_a_redirect_is_not_followed(service: Service, make: Make) -> None:
    with running() as elsewhere:
        elsewhere.answer = lambda path: whole(path, NOW)
        service.answer = lambda path: Answer(b"", 302, {"Location": elsewhere.url + path})
        grid = make()
        grid.refresh()
        assert elsewhere.asked == []
    assert "redirects (302) to another address, which is not followed" in grid.error
    assert grid.counts["failed_redirect"] == 1


def test_a_service_that_hangs_is_given_up(service: Service, make: Make) -> None:
    hang = threading.Event()
    service.answer = lambda path: Answer(lead=hang.wait)
    grid = make(timeout_seconds=0.05)
    try:
        grid.refresh()
    finally:
        hang.set()
    assert grid.counts["failed_timeout"] == 1
    assert "it did not answer in time" in grid.error


def test_a_service_that_drips_is_given_up(
    service: Service, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "DEADLINE_SECONDS", -1.0)
    service.answer = lambda path: whole(path, NOW)
    grid = make()
    grid.refresh()
    assert grid.counts["failed_timeout"] == 1


def test_a_service_that_is_away_is_named(make: Make) -> None:
    grid = make()
    grid._url = "http://127.0.0.1:9"
    grid.refresh()
    assert grid.counts["failed_unreachable"] == 1
    assert "http://127.0.0.1:9: it can't be reached" in grid.error


def test_a_disk_that_refuses_does_not_stop_the_answers(
    service: Service, make: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    service.answer = lambda path: whole(path, NOW)
    grid = make()
    (tmp_path / "grids").write_text("in the way", "utf-8")
    grid.refresh()
    assert grid.factor("GBR", THIS_HOUR) is not None
    assert "can't be saved" in caplog.text


def test_a_started_plug_in_fetches_when_asked_and_a_question_never_waits(
    service: Service, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uk, "PAUSE_SECONDS", 0.0)
    hold, old = threading.Event(), THIS_HOUR - 200 * 24 * HOUR
    service.answer = lambda path: whole(path, NOW)._replace(lead=hold.wait)
    grid = make()
    grid.start()
    try:
        assert service.changed.wait(60)  # it asks by itself, and gets no answer yet
        assert grid.factor("GBR", old) is None
        hold.set()
        while grid.factor("GBR", old) is None:
            time.sleep(0.01)
    finally:
        hold.set()
        grid.stop()


def test_what_is_wanted_is_bounded_by_what_is_kept(tmp_path: Path) -> None:
    plan = Agenda(HourCache(tmp_path / "uk.csv", "GBR"))
    first = hour_of(NOW) + COMING_HOURS - cache.HOURS_MAX
    news = [plan.want(hour, NOW) for hour in range(first - 500, hour_of(NOW) + 500)]
    assert sum(news) == cache.HOURS_MAX
    assert not plan.want(first, NOW)
    assert sum(map(len, plan.due(NOW, 312))) == cache.HOURS_MAX
