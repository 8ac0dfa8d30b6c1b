"""The pages through the router: what they say, what they ask the reader, and what they refuse."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta

import pytest
from fastapi import FastAPI, HTTPException, Request
from fastapi.testclient import TestClient
from ui import sample
from ui.serving import local

from ecomind_query.desk import Desk
from ecomind_query.models import Overview, TrendPoint
from ecomind_query.ui import trend, views
from ecomind_query.ui.pages import router_for
from ecomind_receiver.tenants import LOCAL, Reach

THIN = "\u202f"


@pytest.fixture
def reader() -> sample.SampleReader:
    return sample.SampleReader()


@pytest.fixture
def client(reader: sample.SampleReader) -> Iterator[TestClient]:
    app = FastAPI()
    app.include_router(router_for(reader, Desk(), reach_of=local))
    with TestClient(app) as client:
        yield client


def words(html: str) -> str:
    """The page as text, every run of white space one space (thin spaces kept)."""
    return re.sub(r"[ \n\t]+", " ", re.sub(r"<[^>]*>", " ", html))


def test_the_front_page_shows_today_with_ranges_and_yesterday(client: TestClient) -> None:
    html = client.get("/").text
    text = words(html)
    assert f"9.64 {THIN} kWh" in text
    assert f"+15{THIN}% on yesterday by this hour" in text
    assert f"low 3.44{THIN}kWh" in text and f"high 27.0{THIN}kWh" in text
    assert f"The same hours yesterday: 8.41{THIN}kWh." in text
    assert "Market-based not available" in text
    assert f"Embodied, not added 386{THIN}g CO₂e" in text
    assert "13.9 km by car" in text and "507 phone charges" in text
    assert "Factor set 2026.11.0" in text


def test_tiers_say_what_their_letters_mean(client: TestClient) -> None:
    text = words(client.get("/").text)
    assert f"D Modelled 63{THIN}% Known by name; its size is published or estimated" in text
    assert f"B Disclosed 0{THIN}%" in text


def test_days_are_a_link_and_reach_the_reader(
    client: TestClient, reader: sample.SampleReader
) -> None:
    week = client.get("/?days=7").text
    assert reader.asked == [("overview", Reach(LOCAL.org_id), 7)]
    assert 'href="/?days=7" aria-current="true"' in week
    assert 'data-refresh="/fragments/overview?days=7"' in week
    assert week.count('<g class="bar') == 7
    assert client.get("/").text.count('<g class="bar') == 30
    assert client.get("/?days=12").status_code == 422


def keyed(request: Request) -> Reach:
    """A dependency as the application gives one: the reach is in the key, or there is none."""
    org_id, _, project_id = request.headers.get("authorization", "").partition("/")
    if not org_id:
        raise HTTPException(401, "An API key is needed.")
    return Reach(org_id, project_id or None)


def test_pages_are_within_the_reach_of_who_asks(reader: sample.SampleReader) -> None:
    app = FastAPI()
    app.include_router(router_for(reader, Desk(), reach_of=keyed))
    paths = ("/", "/fragments/overview", "/calls", "/calls/" + "0" * 32)
    with TestClient(app) as client:
        assert [client.get(path).status_code for path in paths] == [401] * 4
        assert reader.asked == []
        for path in paths:
            client.get(path, headers={"Authorization": "org_a/alpha"})
            client.get(path, headers={"Authorization": "org_b"})
        links = re.findall(r'"(/static/[^"]+)"', client.get("/methodology").text)
        assert links and {client.get(link).status_code for link in links} == {200}
    assert [asked[1] for asked in reader.asked] == [Reach("org_a", "alpha"), Reach("org_b")] * 4


def test_a_dependency_may_be_asynchronous(reader: sample.SampleReader) -> None:
    async def reach_of() -> Reach:
        return Reach("org_a")

    app = FastAPI()
    app.include_router(router_for(reader, Desk(), reach_of=reach_of))
    with TestClient(app) as client:
        client.get("/")
    assert reader.asked == [("overview", Reach("org_a"), 30)]


def test_the_fragment_is_the_inside_of_the_page(client: TestClient) -> None:
    page, fragment = client.get("/").text, client.get("/fragments/overview").text
    assert fragment.strip() in page
    assert "<html" not in fragment


@pytest.mark.parametrize(
    ("changed", "wanted"),
    [
        (
            {},
            "100 % reported, 0 % in part, 0 % estimated. Every call is seen: no trace was sampled.",
        ),
        (
            {
                "calls": 400,
                "usage_quality": {"reported": 300, "partial": 99, "estimated": 1},
                "adjusted_calls": 1600.0,
                "coverage": 0.25,
            },
            "75 % reported, 25 % in part, <1 % estimated. Traces are sampled: these calls stand for"
            " 1,600, a coverage of 25 %. Totals are of the calls seen.",
        ),
        ({"calls": 0}, "No call is counted yet."),
    ],
)
def test_it_says_what_was_reported_and_what_was_seen(
    changed: dict[str, object], wanted: str
) -> None:
    today = sample.overview().today.model_copy(update=changed)
    assert views.counted_words(today).replace("\N{NARROW NO-BREAK SPACE}", " ").endswith(wanted)


def test_the_front_page_says_how_the_calls_were_counted(client: TestClient) -> None:
    assert "Every call is seen" in words(client.get("/").text)


def test_live_calls_say_why_they_do_not_count(client: TestClient) -> None:
    assert "not counted: duplicate" in words(client.get("/").text)


@pytest.mark.parametrize(
    ("open_seconds", "marked"), [(None, 0), (30, 1), (720, 12), (721, 13), (9999, 30), (-5, 0)]
)
def test_minutes_of_open_windows_are_provisional(open_seconds: int | None, marked: int) -> None:
    since = None if open_seconds is None else sample.NOW - timedelta(seconds=open_seconds)
    overview = sample.overview().model_copy(update={"provisional_from": since})
    assert views.provisional_minutes(overview) == marked
    assert str(views.minutes_context(overview)["chart"]).count("minute provisional") == marked


def test_a_fresh_install_says_how_to_send_the_first_call() -> None:
    app = FastAPI()
    app.include_router(
        router_for(
            sample.SampleReader(empty=True),
            Desk(),
            reach_of=local,
            otlp_endpoint="http://127.0.0.1:5318",
        )
    )
    with TestClient(app, base_url="http://localhost:8080") as client:
        text = words(client.get("/").text)
        assert "Waiting for the first call" in text
        assert "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:5318" in text
        assert "curl -X POST http://localhost:8080/v1/ingest" in text
        assert "No call has come in yet." in words(client.get("/calls").text)


def test_a_quiet_day_is_not_an_empty_install() -> None:
    quiet = sample.empty_overview().model_copy(update={"trend": list(sample.trend(30))})
    assert not views.is_empty(quiet)
    assert views.is_empty(sample.empty_overview())
    for card in views.cards(quiet):
        assert card.figure.number == "0"
        assert card.change == "nothing yesterday by this hour"


def point(name: str, co2e_g: float, age: int = 0) -> TrendPoint:
    start = sample.NOW.replace(hour=0, minute=0, second=0) - timedelta(days=age)
    return TrendPoint(start=start, series=name, calls=1, energy_wh=1, co2e_g=co2e_g, water_ml=1)


def test_series_stack_by_size_colour_by_name_and_fold_into_other() -> None:
    points = [point(name, grams) for name, grams in zip("hgfedcba", range(1, 9), strict=True)]
    series = trend.series_of(points)
    assert [one.name for one in series] == ["a", "b", "c", "d", "e", "f", "other"]
    assert [one.colour for one in series] == [0, 1, 2, 3, 4, 5, 6]
    overtaken = trend.series_of([*points, point("f", 100)])
    assert overtaken[0] == trend.Series("f", 5)
    assert trend.series_of([point("", 1), point("__other__", 2)]) == [
        trend.Series("not stated", 0),
        trend.Series("other", 6),
    ]


def test_the_table_of_the_trend_adds_up_to_the_trend() -> None:
    overview: Overview = sample.overview(7)
    context = trend.trend_context(overview)
    total = sum(sum(values) for _, values in context["trend_table"])
    assert total == pytest.approx(sum(p.co2e_g for p in overview.trend))
    assert [day for day, _ in context["trend_table"]][:2] == ["18 Nov", "17 Nov"]


def test_a_trend_of_nothing_still_draws() -> None:
    context = trend.trend_context(sample.empty_overview())
    assert context["legend"] == []
    assert str(context["trend"]).count('<g class="bar') == 30


def test_rankings_link_to_their_calls_unless_they_stand_for_many(client: TestClient) -> None:
    assert 'href="/calls?team=search"' in client.get("/").text
    rows = sample.ranked("team", ("search", "__other__", ""), (0.5, 0.3, 0.2))
    ranked = [(row.name, row.value) for row in views.ranking(rows)]
    assert ranked == [("search", "search"), ("other", ""), ("not stated", "")]


def test_calls_pass_filters_and_cursor_on(client: TestClient, reader: sample.SampleReader) -> None:
    html = client.get("/calls?team=search&model=&counted=true&cursor=abc&evil=1").text
    assert reader.asked == [
        ("calls", Reach(LOCAL.org_id), "abc", 50, {"team": "search", "counted": "true"})
    ]
    assert 'name="team" value="search"' in html
    assert '<option value="true" selected>' in html
    assert "Older calls" not in html


def test_the_next_page_keeps_the_filters(client: TestClient) -> None:
    link = re.search(r'href="(/calls\?[^"]*cursor[^"]*)"', client.get("/calls?team=search").text)
    assert link and "team=search" in link[1] and "cursor=older" in link[1]


def test_one_call_shows_its_arithmetic_with_sources(client: TestClient) -> None:
    detail = sample.call_detail()
    html = client.get(f"/calls/{detail.call.id}").text
    text = words(html)
    assert "CO₂e, location-based" in text and "CO2e" not in text
    assert "energy · grid ÷ 1,000 = 0.8129 · 384.4 ÷ 1,000 = 0.3125 g" in text
    assert "no contractual evidence for this provider and year not available" in text
    assert '<a href="https://ember-energy.org/data/"' in html
    assert "CO₂e, market-based not available" in text
    assert "counted" in text and "Tier D, modelled." in text


def test_a_cancelled_call_says_so() -> None:
    class Cancelled(sample.SampleReader):
        def call(self, reach: object, id: str) -> object:  # type: ignore[override]
            return sample.call_detail().model_copy(update={"cancelled_by_reconcile": True})

    app = FastAPI()
    app.include_router(router_for(Cancelled(), Desk(), reach_of=local))  # type: ignore[arg-type]
    with TestClient(app) as client:
        text = words(client.get("/calls/" + "0" * 32).text)
    assert "This one was taken out of every total" in text


@pytest.mark.parametrize("id", ["0" * 32, "nonsense", "0" * 31 + "g"])
def test_an_unknown_call_is_a_page_not_an_error(
    client: TestClient, reader: sample.SampleReader, id: str
) -> None:
    answer = client.get(f"/calls/{id}")
    assert answer.status_code == 404
    assert f"No call has the id {id}" in re.sub(" +", " ", words(answer.text))
    asked = [one for one in reader.asked if one[0] == "call"]
    assert len(asked) == (1 if id == "0" * 32 else 0)


def test_hostile_names_stay_text() -> None:
    hostile = "<script>alert(1)</script>\"'"
    rows = sample.ranked("team", (hostile,), (1.0,))
    live = sample.overview().live[0].model_copy(update={"model": hostile})
    overview = sample.overview().model_copy(
        update={"top_teams": rows, "live": [live], "trend": [point(hostile, 5)]}
    )

    class Hostile(sample.SampleReader):
        def overview(self, reach: object, trend_days: int) -> Overview:
            return overview

    app = FastAPI()
    app.include_router(router_for(Hostile(), Desk(), reach_of=local))
    with TestClient(app) as client:
        html = client.get("/").text
    assert "<script>alert" not in html
    assert "&lt;script&gt;alert(1)" in html


@pytest.mark.parametrize("path", ["/", "/?days=7", "/calls", "/methodology", "/calls/x"])
def test_nothing_is_inline_and_nothing_comes_from_elsewhere(client: TestClient, path: str) -> None:
    answer = client.get(path)
    policy = answer.headers["content-security-policy"]
    assert "style-src 'self'" in policy and "script-src 'self'" in policy
    assert "unsafe" not in policy
    html = answer.text
    assert not re.search(r"\sstyle\s*=|\son\w+\s*=|<style|javascript:", html)
    assert re.findall(r"<script(?![^>]*src=)", html) == []
    assert all(url.startswith("/") for url in re.findall(r'(?:src|<link[^>]*href)="([^"]*)"', html))


def test_static_files_are_named_by_content_and_kept(client: TestClient) -> None:
    html = client.get("/").text
    links = set(re.findall(r'"(/static/[^"]+)"', html))
    assert {re.sub(r"\?.*", "", link) for link in links} == {
        "/static/icon.svg",
        "/static/page.css",
        "/static/page.js",
        "/static/theme.js",
    }
    for link in links:
        answer = client.get(link)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
    assert client.get("/static/../pages.py").status_code == 404
    assert client.get("/static/nothing.css").status_code == 404


def test_ids_on_a_page_are_unique(client: TestClient) -> None:
    for path in ("/", f"/calls/{sample.call_detail().call.id}"):
        ids = re.findall(r'\sid="([^"]+)"', client.get(path).text)
        assert len(ids) == len(set(ids))
