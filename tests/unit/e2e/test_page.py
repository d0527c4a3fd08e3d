"""The end-to-end tests log in to the page."""

import json

import httpx
import pytest

from tests.e2e.page import Login

OUTPUTS = {"uiUrl": "http://192.0.2.10:30080", "uiPassword": "drawn"}


def answer(request: httpx.Request) -> httpx.Response:
    if request.url.path == "/api/login":
        right = json.loads(request.content) == {"name": "admin", "password": "drawn"}
        return httpx.Response(200 if right else 401, headers={"set-cookie": "argus-session=1; Path=/"} if right else {})
    return httpx.Response(200, text=request.headers.get("cookie", ""))


def test_a_client_shows_its_session_at_every_request() -> None:
    with Login.from_outputs(OUTPUTS).client(httpx.MockTransport(answer)) as client:
        assert client.get("/api/wall").text == "argus-session=1"


def test_a_wrong_password_is_an_error() -> None:
    login = Login(url=OUTPUTS["uiUrl"], name="admin", password="wrong")
    with pytest.raises(httpx.HTTPStatusError, match="401"):
        login.client(httpx.MockTransport(answer))
