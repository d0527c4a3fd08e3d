"""How the UI handles answers of producers and consumers."""

import asyncio

import httpx
import pytest

from apps.service.token import HEADER, Token
from apps.ui.archive import Archive, ArchiveUnavailableError
from apps.ui.producers import Producers, camera_states
from apps.ui.settings import Settings
from tests.environments import TOKEN_FILE, variables

JPEG = b"\xff\xd8"
IMAGE = ("gate", "2026-11-23T22", 1)
TOKEN = Token(TOKEN_FILE)


def fetch(answers: dict[str, int | Exception]) -> bytes | None:
    def answer(request: httpx.Request) -> httpx.Response:
        assert TOKEN.admits(request.headers[HEADER])
        found = answers[request.url.host]
        if isinstance(found, Exception):
            raise found
        return httpx.Response(found, content=JPEG)

    async def ask() -> bytes | None:
        async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
            return await Archive(tuple(f"http://{host}" for host in answers), client, TOKEN).jpeg(*IMAGE)

    return asyncio.run(ask())


def test_any_consumer_may_have_the_image() -> None:
    assert fetch({"a": 404, "b": 200}) == JPEG
    assert fetch({"a": httpx.ConnectError("refused"), "b": 200}) == JPEG
    assert fetch({"a": 404, "b": 404}) is None


@pytest.mark.parametrize("answer", [500, httpx.ConnectError("refused"), httpx.ReadTimeout("slow")])
def test_a_silent_consumer_may_have_it(answer: int | Exception) -> None:
    with pytest.raises(ArchiveUnavailableError, match="1 of 2"):
        fetch({"a": 404, "b": answer})


def test_a_producer_is_asked_with_the_token() -> None:
    told = {"cameras": [{"name": "gate", "state": "streaming", "error": None}]}

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200 if TOKEN.admits(request.headers.get(HEADER, "")) else 401, json=told)

    async def ask() -> dict[str, dict[str, object]]:
        async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
            producers = Producers(("http://a",), client, TOKEN)
            await producers._ask("http://a")
            return producers.states

    assert asyncio.run(ask()) == {"gate": {"state": "streaming", "error": None}}


def test_states_of_cameras() -> None:
    told = {"cameras": [{"name": "gate", "state": "backoff", "error": "refused", "acked": 3}]}
    assert camera_states(told) == {"gate": {"state": "backoff", "error": "refused"}}


def test_what_cannot_be_a_camera_s_name_hides_no_other() -> None:
    named = [{"name": name, "state": "streaming"} for name in ("../x", "gate", "x" * 100_000, "Gate", "")]
    assert list(camera_states({"cameras": named})) == ["gate"]


@pytest.mark.parametrize("told", [None, [], {}, {"cameras": [{}]}, {"cameras": ["gate"]}, {"cameras": 3}])
def test_anything_else_is_refused(told: object) -> None:
    with pytest.raises(ValueError, match="not a list of cameras"):
        camera_states(told)


def test_settings_name_the_models_and_refuse_bad_urls(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in variables("apps.ui", results_topics="results.objects,results.motion").items():
        monkeypatch.setenv(name, value)
    assert Settings().models == ("objects", "motion")
    for url in ("consumer-0:8080", "http://consumer-0:8080"):
        monkeypatch.setenv("ARGUS_CONSUMER_URLS", url)
        with pytest.raises(ValueError, match="not an https"):
            Settings()
