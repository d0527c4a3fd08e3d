"""How the page's server answers requests with odd parameters."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest
from elasticsearch import TransportError

from apps.ui import app as ui
from apps.ui.settings import Settings
from tests.accounts import BEARER, write_access
from tests.environments import GIVEN


class Elasticsearch:
    """Finds nothing, or is not there."""

    there = True

    def __init__(self, *_: object, **__: object) -> None:
        """Connect to nothing."""

    async def search(self, **_: Any) -> Any:
        if not self.there:
            raise TransportError("not there")
        body = {"hits": {"hits": [], "total": {"value": 0, "relation": "eq"}}}
        return type("Answer", (), {"body": body})()


class Consumerless:
    """Reads nothing from Kafka."""

    def __init__(self, *_: object) -> None:
        self.ready, self.poll_age = True, 0.0


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Settings:
    monkeypatch.setattr(ui, "AsyncElasticsearch", Elasticsearch)
    monkeypatch.setattr(ui, "Reader", Consumerless)
    return Settings(**{**GIVEN["apps.ui"], "cameras": ("gate",), "access_dir": write_access(tmp_path / "access")})


def answers(settings: Settings, *urls: str) -> list[httpx.Response]:
    async def ask() -> list[httpx.Response]:
        # With this transport an exception that the app does not handle is answered as uvicorn does: by 500.
        transport = httpx.ASGITransport(app=ui.create_app(settings), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://ui", headers=BEARER) as client:
            return [await client.get(url) for url in urls]

    return asyncio.run(ask())


LONG = "x" * 20_000
ODD = [
    "%00",
    "%0a",
    "%7f",
    "%c2%85",
    "%ff",
    "-1",
    "1e400",
    "nan",
    "-inf",
    "9" * 30,
    "9" * 5000,
    "%d9%a1",
    LONG,
    "0001-01-01T00:00:00%2B14:00",
    "9999-12-31T23:59:59-14:00",
    "9999-12-31T23:59:59.999999Z",
    "2026-13-45T99",
    "9999999999999999999,x",
    "5,%00",
    f"5,{LONG}",
    "%2e%2e",
]
PLACES = [
    *(
        f"/api/search?{name}={{}}"
        for name in (
            "camera",
            "model",
            "version",
            "label",
            "min_score",
            "inferred",
            "since",
            "until",
            "size",
            "after",
            "no",
        )
    ),
    "/api/search?{}=1",
    "/api/wall?since={}",
    "/api/cameras/{}/frames/1.jpg",
    "/api/cameras/gate/frames/{}.jpg",
    "/api/frames/{}/2026-11-23T22/1.jpg",
    "/api/frames/gate/{}/1.jpg",
    "/api/frames/gate/2026-11-23T22/{}.jpg",
    "/camera/{}",
    "/static/{}",
    "/{}",
]


@pytest.mark.parametrize("place", PLACES)
def test_no_odd_parameter_is_an_error_of_the_server(given: Settings, place: str) -> None:
    for value, answer in zip(ODD, answers(given, *(place.format(odd) for odd in ODD)), strict=True):
        assert answer.status_code < 500, (place, value[:40], answer.status_code)
        if answer.status_code == 422:
            assert answer.json()["error"] and len(answer.content) < 2000


@pytest.mark.parametrize(
    ("url", "parameter"),
    [
        ("/api/search?size=99999999999999999999", "size"),
        ("/api/search?label=a%00b", "label"),
        ("/api/search?version=a%0ab", "version"),
        (f"/api/search?label={LONG}", "label"),
        ("/api/search?min_score=NaN", "min_score"),
        ("/api/search?since=0001-01-01T00:00:00%2B14:00", "since"),
        ("/api/search?until=9999-12-31T23:59:59-14:00", "until"),
        ("/api/search?after=9999999999999999999,x", "after"),
        ("/api/search?after=5,%0d%0a", "after"),
        (f"/api/wall?since={LONG}", "since"),
        ("/api/frames/gate/2026-13-45T99/1.jpg", "hour"),
        ("/api/frames/gate/2026-11-23T22/99999999999999999999.jpg", "sequence"),
        ("/api/cameras/gate%00/frames/1.jpg", "camera"),
        ("/camera/gate%00", "camera"),
        (f"/camera/{LONG}", "camera"),
    ],
)
def test_an_odd_parameter_is_refused_by_name(given: Settings, url: str, parameter: str) -> None:
    (answer,) = answers(given, url)
    assert answer.status_code == 422
    assert [mistake["parameter"] for mistake in answer.json()["parameters"]] == [parameter]


def test_usual_parameters_are_answered(given: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    search = "/api/search?label=%C4%8Dlov%C4%9Bk&since=2026-11-23T22:00:00Z&min_score=0&size=200&after=5,a/1/b"
    usual = (search, "/api/choices", "/camera/gate", "/", "/search", "/api/wall?since=1.2")
    assert [answer.status_code for answer in answers(given, *usual)] == [200] * len(usual)
    monkeypatch.setattr(Elasticsearch, "there", False)
    assert [answer.status_code for answer in answers(given, search)] == [503]
