"""Nobody sees anything without a login, and nobody sees another group's cameras."""

import json
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.routing import Mount, Route

from apps.access.document import ROLES
from apps.ui.app import STATIC
from apps.ui.guard import MAX_BODY, PUBLIC, RULES
from apps.ui.wall import Wall
from tests.accounts import BEARER, PASSWORD, token, user, write_access
from tests.unit.apps.ui.page import SITE, Browser, make_app

HIDDEN, SEEN = "gate", "yard-1"
USERS = {
    "anna": user("viewer", "yard-*"),
    "otto": user("operator", "yard-*"),
    "ada": user("admin", "yard-*"),
}
VALUES = {"hour": "2026-11-23T22", "sequence": "1"}
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


@pytest.fixture
def access(tmp_path: Path) -> Path:
    return write_access(tmp_path / "access", USERS, {"shift": token("of-the-shift", "viewer", "yard-*")})


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch, access: Path) -> FastAPI:
    return make_app(monkeypatch, access)


@pytest.fixture
def logged_in(app: FastAPI) -> Callable[[str], Browser]:
    def log_in(name: str) -> Browser:
        browser = Browser(app)
        assert browser.log_in(name, PASSWORD).status_code == 200
        return browser

    return log_in


def routes(app: FastAPI) -> Iterator[Route | Mount]:
    """All routes of the application, those of mounted ones too."""
    for route in app.routes:
        assert isinstance(route, Route | Mount), f"{route}: the test does not know this kind of route"
        yield route


def url(route: Route | Mount, camera: str) -> str:
    path = f"{route.path}/wall.js" if isinstance(route, Mount) else route.path
    return path.format(camera=camera, **VALUES)


def test_every_route_is_public_or_has_a_rule(app: FastAPI) -> None:
    there = {route.path for route in routes(app)}
    assert there == PUBLIC | RULES.keys()
    assert not PUBLIC & RULES.keys()


def test_without_a_login_every_route_refuses_every_method(app: FastAPI) -> None:
    asked = 0
    for route in routes(app):
        if route.path in PUBLIC:
            continue
        for method in METHODS:
            answer = Browser(app).ask(method, url(route, SEEN))
            redirected = answer.status_code == 303 and answer.headers["location"].startswith("/login?next=")
            assert answer.status_code == 401 or redirected, f"{method} {route.path}: {answer.status_code}"
            assert SEEN not in answer.text
            asked += 1
    assert asked == len(METHODS) * len(RULES)


@pytest.mark.parametrize("path", ["/nowhere", "/api/nowhere", "/docs", "/openapi.json", "/metrics", "//", "/API/wall"])
def test_without_a_login_nobody_learns_what_there_is(app: FastAPI, path: str) -> None:
    assert Browser(app).ask("GET", path).status_code in (303, 401)


@pytest.mark.parametrize(
    "path",
    [
        "/static/../app.py",
        "/static/%2e%2e/app.py",
        "/static/..%2fsettings.py",
        "/static//api/wall",
        "/login/../api/wall",
    ],
)
def test_public_paths_lead_nowhere_else(app: FastAPI, path: str) -> None:
    answer = Browser(app).ask("GET", path)
    assert answer.status_code in (303, 401, 404) and "import" not in answer.text


def test_public_routes_show_no_camera(app: FastAPI) -> None:
    for path in ("/login", "/api/session", *(f"/static/{each.name}" for each in STATIC.iterdir())):
        answer = Browser(app).get(path)
        assert answer.status_code == 200, path
        assert SEEN not in answer.text and HIDDEN not in answer.text.replace("delegate", "")


def test_a_refused_camera_is_refused_on_every_route_that_names_one(
    app: FastAPI, logged_in: Callable[[str], Browser]
) -> None:
    named = [route for route in routes(app) if "{camera}" in route.path]
    assert len(named) == 3
    for name in USERS:
        browser = logged_in(name)
        for route in named:
            refused, unknown = (browser.get(url(route, camera)) for camera in (HIDDEN, "no-such"))
            assert refused.status_code == unknown.status_code == 403, route.path
            assert refused.text == unknown.text, "whether there is such a camera is not told"
            assert browser.get(url(route, SEEN)).status_code in (200, 404)
        assert browser.get(f"/api/search?camera={HIDDEN}").status_code == 403
        assert browser.get(f"/api/search?camera={SEEN}&camera={HIDDEN}").status_code == 403
    assert Browser(app).get(f"/camera/{HIDDEN}", authorization="Bearer of-the-shift").status_code == 403


def test_each_role_may_use_what_its_rule_says(logged_in: Callable[[str], Browser]) -> None:
    for name, mine in USERS.items():
        browser = logged_in(name)
        for path, rule in RULES.items():
            if "{" in path or path in ("/api/logout", "/api/search", "/api/choices"):
                continue
            expected = 200 if ROLES.index(mine.role) >= ROLES.index(rule.role) else 403
            assert browser.get(path).status_code == expected, (name, path)


def test_lists_leave_other_cameras_out(logged_in: Callable[[str], Browser]) -> None:
    browser = logged_in("anna")
    wall = browser.get("/api/wall").json()
    assert [tile["name"] for tile in wall["cameras"]] == ["yard-1", "yard-2"]
    assert wall["statistics"]["cameras"] == 2
    assert [each["name"] for each in browser.get("/api/cameras").json()["cameras"]] == ["yard-1", "yard-2"]


def test_what_the_wall_does_not_show_is_told_to_who_sees_everything(
    app: FastAPI, logged_in: Callable[[str], Browser], monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = {"records": 7, "camera": HIDDEN}
    real = Wall.statistics
    monkeypatch.setattr(Wall, "statistics", lambda *given: {**real(*given), "not_shown": refused})
    for name in USERS:
        told = logged_in(name).get("/api/wall")
        assert told.json()["statistics"]["not_shown"] == {"records": 0, "camera": None}
        assert HIDDEN not in told.text
    told = Browser(app).ask("GET", "/api/wall", headers=BEARER)
    assert told.json()["statistics"]["not_shown"] == refused


def test_an_admin_sees_who_may_see_what_but_no_hash(logged_in: Callable[[str], Browser]) -> None:
    told = logged_in("ada").get("/api/access")
    assert [each["name"] for each in told.json()["users"]] == ["ada", "anna", "otto"]
    assert {"name": "shift", "role": "viewer", "cameras": ["yard-*"]} in told.json()["tokens"]
    assert "$" not in told.text


def test_a_token_is_as_good_as_a_login_but_has_no_session(app: FastAPI) -> None:
    answer = Browser(app).ask("GET", "/api/me", headers=BEARER)
    assert answer.json() == {"name": "tests", "kind": "token", "role": "admin", "cameras": ["*"]}
    assert "set-cookie" not in answer.headers
    for wrong in ("Bearer x", "Bearer ", "Bearer", "Basic dGVzdHM6eA==", ""):
        assert Browser(app).get("/api/me", authorization=wrong).status_code == 401


def test_a_wrong_token_is_refused_beside_a_right_cookie(logged_in: Callable[[str], Browser]) -> None:
    browser = logged_in("anna")
    assert browser.get("/api/me").status_code == 200
    assert browser.get("/api/me", authorization="Bearer x").status_code == 401


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"origin": SITE}, 200),
        ({"sec-fetch-site": "same-origin", "origin": SITE}, 200),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"origin": "http://elsewhere.test"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://page.test:8000"}, 403),
    ],
)
def test_another_sites_page_changes_nothing(
    logged_in: Callable[[str], Browser], headers: dict[str, str], status: int
) -> None:
    browser = logged_in("anna")
    assert browser.ask("POST", "/api/logout", headers=headers).status_code == status
    assert browser.get("/api/me").status_code == (401 if status == 200 else 200)
    assert browser.log_in("anna", PASSWORD, **headers).status_code == status


def test_a_long_body_is_not_read(app: FastAPI) -> None:
    browser = Browser(app)
    assert browser.ask("POST", "/api/login", content=b"x" * (MAX_BODY + 1)).status_code == 413

    async def unmeasured() -> AsyncIterator[bytes]:
        yield b"{}"

    assert browser.ask("POST", "/api/login", content=unmeasured()).status_code == 411


def test_what_is_refused_has_the_pages_headers(app: FastAPI) -> None:
    for path in ("/", "/api/wall", "/api/cameras/gate/frames/1.jpg"):
        headers = Browser(app).get(path).headers
        assert "default-src 'self'" in headers["content-security-policy"]
        assert headers["cache-control"] == "no-store"


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def test_who_looked_at_what_is_written(
    logged_in: Callable[[str], Browser], app: FastAPI, capsys: pytest.CaptureFixture[str]
) -> None:
    browser = logged_in("anna")
    for _ in range(3):
        browser.get("/api/wall")
        browser.get(f"/camera/{HIDDEN}")
        Browser(app).get("/api/wall")
    browser.get(f"/api/cameras/{SEEN}/frames/1.jpg")
    browser.ask("POST", "/api/logout")
    written = lines(capsys.readouterr().out)
    told = [(each["event"]["action"], each["event"]["outcome"], each.get("user", {}).get("name")) for each in written]
    assert told == [
        ("login", "success", "anna"),
        ("look", "success", "anna"),
        ("refused", "failure", "anna"),
        ("refused", "failure", None),
        ("logout", "success", "anna"),
    ], "a look that goes on is written once, and one at a picture that is not there is none"
    login, look, refused, stranger, logout = written
    assert set(login) == {"@timestamp", "event", "source", "user", "session"}
    assert login["event"] == {"dataset": "argus.access", "kind": "event", "action": "login", "outcome": "success"}
    assert login["user"] == {"name": "anna", "roles": ["viewer"], "kind": "user"}
    assert login["session"] == look["session"] == logout["session"]
    assert look["look"] == {"what": "wall"} and look["source"] == {"ip": "192.0.2.7"}
    assert (refused["reason"], refused["camera"], refused["url"]) == (
        "camera",
        {"name": HIDDEN},
        {"path": "/camera/gate"},
    )
    assert stranger["reason"] == "no login"
    age = datetime.now(UTC) - datetime.fromisoformat(login["@timestamp"])
    assert 0 <= age.total_seconds() < 600
