"""Logging in and out."""

import json
import time
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI, Response

from apps.access.document import User
from apps.access.hashes import hash_password, hash_token
from apps.ui import accounts, guard
from apps.ui import app as ui
from apps.ui import login as logins
from apps.ui.ended import EndedSessions
from apps.ui.sessions import Session, Sessions
from tests.accounts import HASH, PASSWORD, token, user, write_access
from tests.unit.apps.ui.page import Browser, make_app

KEY = "k" * 43


@pytest.fixture
def access(tmp_path: Path) -> Path:
    return write_access(tmp_path / "access", {"anna": user("viewer", "gate"), "bert": user("admin", "*")})


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch, access: Path) -> FastAPI:
    monkeypatch.setattr(accounts, "CHECK_SECONDS", 0.0)
    return make_app(monkeypatch, access)


def test_the_cookie_is_strict(app: FastAPI) -> None:
    answer = Browser(app).log_in("anna", PASSWORD)
    assert answer.status_code == 200 and answer.json()["name"] == "anna"
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("argus-session=")
    for part in ("HttpOnly", "Path=/", "SameSite=strict"):
        assert part in cookie
    assert "Max-Age" not in cookie and "Domain" not in cookie
    answer_over_tls = Response()
    guard.Cookie(secure=True).put(answer_over_tls, "x")
    assert answer_over_tls.headers["set-cookie"] == "__Host-argus-session=x; HttpOnly; Path=/; SameSite=strict; Secure"


def test_a_login_is_good_in_every_pod_and_after_a_restart(
    app: FastAPI, access: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = Browser(app), Browser(make_app(monkeypatch, access))
    here.log_in("anna", PASSWORD)
    there.cookies = here.cookies
    assert there.get("/api/me").json()["name"] == "anna"


def test_a_wrong_name_and_a_wrong_password_look_alike(app: FastAPI) -> None:
    answers = [Browser(app).log_in(name, "wrong") for name in ("anna", "nobody")]
    assert [each.status_code for each in answers] == [401, 401]
    assert answers[0].text == answers[1].text
    assert "set-cookie" not in answers[0].headers


@pytest.mark.parametrize(
    "sent", [{}, {"name": "anna"}, {"name": "", "password": "x"}, {"name": "a" * 200, "password": "x"}, [], "x"]
)
def test_a_malformed_login_is_refused_without_its_content(app: FastAPI, sent: object) -> None:
    answer = Browser(app).ask("POST", "/api/login", json=sent)
    assert answer.status_code == 422
    answer = Browser(app).ask("POST", "/api/login", json={"name": "anna", "password": "letmein", "extra": "letmein"})
    assert answer.status_code == 422 and "letmein" not in answer.text


@pytest.mark.parametrize("name", ["nobody", "anna", "admin"])
def test_no_name_is_told_by_the_time_that_its_password_takes(
    monkeypatch: pytest.MonkeyPatch, access: Path, name: str
) -> None:
    drawn = User(hash=hash_token("drawn"), role="admin", cameras=("*",))
    write_access(access, {"anna": user("viewer", "gate"), "admin": drawn})
    slow: list[str] = []

    def verified(secret: str, stored: str) -> bool:
        slow.extend([stored] if stored.startswith("scrypt$") else [])
        return stored == drawn.hash and secret == "drawn"

    app = make_app(monkeypatch, access)
    monkeypatch.setattr(accounts, "verify", verified)
    assert Browser(app).log_in(name, "wrong").status_code == 401
    assert len(slow) == 1
    assert slow[0].split("$")[:4] == HASH.split("$")[:4], "with the same parameters"
    assert Browser(app).log_in("admin", "drawn").status_code == 200


def test_a_login_gives_another_session_than_the_browser_had(app: FastAPI) -> None:
    browser = Browser(app)
    browser.cookies.set("argus-session", "planted", domain="page.test")
    browser.log_in("anna", PASSWORD)
    first = [cookie.value for cookie in browser.cookies.jar]
    assert "planted" not in first and browser.get("/api/me").json()["name"] == "anna"
    browser.log_in("bert", PASSWORD)
    assert browser.get("/api/me").json()["name"] == "bert"
    assert [cookie.value for cookie in browser.cookies.jar] != first


def test_a_login_that_could_not_be_checked_is_no_guess(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts, "HASHES_WAITING", 0)
    answers = [Browser(app).log_in("anna", PASSWORD) for _ in range(logins.FREE_TRIES_OF_A_USER + 1)]
    assert [(each.status_code, each.headers["retry-after"]) for each in answers] == [(429, "5")] * len(answers)
    monkeypatch.setattr(accounts, "HASHES_WAITING", 8)
    assert Browser(app).log_in("anna", PASSWORD).status_code == 200


@pytest.mark.usefixtures("still")
def test_guesses_at_a_user_are_slowed_down_from_any_address(app: FastAPI) -> None:
    tries = [Browser(app, f"192.0.2.{n}").log_in("anna", "wrong") for n in range(logins.FREE_TRIES_OF_A_USER + 1)]
    assert [each.status_code for each in tries] == [401] * logins.FREE_TRIES_OF_A_USER + [429]
    assert 1 <= int(tries[-1].headers["retry-after"]) <= 60
    assert Browser(app).log_in("anna", PASSWORD).status_code == 429, "not even the right one"
    assert Browser(app).log_in("bert", PASSWORD).status_code == 200, "nobody else"


@pytest.mark.usefixtures("still")
def test_guesses_from_an_address_are_slowed_down_at_any_user(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts, "verify", lambda given, stored: given == PASSWORD and stored == HASH)
    browser = Browser(app)
    tries = [browser.log_in(f"user-{n}", "wrong") for n in range(logins.FREE_TRIES_OF_AN_ADDRESS + 1)]
    assert [each.status_code for each in tries] == [401] * logins.FREE_TRIES_OF_AN_ADDRESS + [429]
    assert browser.log_in("bert", PASSWORD).status_code == 429
    assert Browser(app, "192.0.2.8").log_in("bert", PASSWORD).status_code == 200


@pytest.mark.usefixtures("still")
def test_endless_names_of_one_address_do_not_fill_the_log(
    app: FastAPI, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(accounts, "verify", lambda given, stored: False)
    browser = Browser(app)
    for number in range(2 * logins.FREE_TRIES_OF_AN_ADDRESS):
        browser.log_in(f"user-{number}", "wrong")
    written = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    assert [line["reason"] for line in written].count("throttled") == 1


def test_right_logins_from_one_address_are_no_guesses(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts, "verify", lambda given, stored: given == PASSWORD and stored == HASH)
    browser = Browser(app)
    answers = [browser.log_in("anna", PASSWORD) for _ in range(2 * logins.FREE_TRIES_OF_AN_ADDRESS)]
    assert {each.status_code for each in answers} == {200}


def test_after_the_logout_the_cookie_is_worth_nothing(app: FastAPI) -> None:
    browser = Browser(app)
    browser.log_in("anna", PASSWORD)
    copied = httpx.Cookies(browser.cookies)
    answer = browser.ask("POST", "/api/logout")
    assert answer.headers["clear-site-data"] == '"cache"'
    assert not list(browser.cookies.jar)
    browser.cookies = copied
    assert browser.get("/api/me").status_code == 401


def test_another_password_another_version_or_no_user_ends_sessions(app: FastAPI, access: Path) -> None:
    browser = Browser(app)
    browser.log_in("anna", PASSWORD)
    write_access(access, {"anna": user("operator", "*")})
    assert browser.get("/api/me").json()["role"] == "operator", "other rights count at once"
    write_access(access, {"anna": user("operator", "*", version=2)})
    assert browser.get("/api/me").status_code == 401
    browser.log_in("anna", PASSWORD)
    assert browser.get("/api/me").status_code == 200
    write_access(access)
    assert browser.get("/api/me").status_code == 401


def test_another_password_ends_sessions(app: FastAPI, access: Path) -> None:
    browser = Browser(app)
    browser.log_in("anna", PASSWORD)
    write_access(access, {"anna": User(hash=hash_password("another"), role="viewer", cameras=("gate",))})
    assert browser.get("/api/me").status_code == 401
    assert browser.log_in("anna", PASSWORD).status_code == 401
    assert browser.log_in("anna", "another").status_code == 200


def test_fewer_cameras_or_a_lower_role_count_at_once(app: FastAPI, access: Path) -> None:
    browser = Browser(app)
    browser.log_in("bert", PASSWORD)
    assert [browser.get(path).status_code for path in ("/api/access", "/camera/yard-1")] == [200, 200]
    write_access(access, {"bert": user("viewer", "gate")})
    assert [browser.get(path).status_code for path in ("/api/access", "/camera/yard-1")] == [403, 403]
    assert [tile["name"] for tile in browser.get("/api/wall").json()["cameras"]] == ["gate"]


def test_a_token_that_is_taken_out_is_refused_at_once(app: FastAPI, access: Path) -> None:
    write_access(access, tokens={"shift": token("of-the-shift", "viewer", "gate")})
    assert Browser(app).get("/api/me", authorization="Bearer of-the-shift").status_code == 200
    write_access(access)
    assert Browser(app).get("/api/me", authorization="Bearer of-the-shift").status_code == 401


def test_a_logout_in_one_pod_is_one_in_every_pod(access: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # How one pod tells it to the others is tested in test_ended.py.
    known_to_both = EndedSessions("ui-sessions")
    monkeypatch.setattr(ui, "EndedSessions", lambda _: known_to_both)
    here, there = (Browser(make_app(monkeypatch, access)) for _ in range(2))
    here.log_in("anna", PASSWORD)
    there.cookies = httpx.Cookies(here.cookies)
    assert there.get("/api/me").status_code == 200
    here.ask("POST", "/api/logout")
    assert there.get("/api/me").status_code == 401


def test_another_key_ends_every_session(app: FastAPI, access: Path) -> None:
    browser = Browser(app)
    browser.log_in("anna", PASSWORD)
    write_access(access, {"anna": user("viewer", "gate")}, key="j" * 43)
    assert browser.get("/api/me").status_code == 401


def aged(app: FastAPI, *, begun: float, used: float) -> Browser:
    """A browser of anna's whose session began and was used so many seconds ago."""
    browser = Browser(app)
    browser.log_in("anna", PASSWORD)
    signer = Sessions(lambda: KEY, lambda: (1e9, 1e9), EndedSessions("ui-sessions"))
    (cookie,) = browser.cookies.jar
    session = signer.read(str(cookie.value), time.time())
    assert session is not None
    now = time.time()
    old = Session(**{**vars(session), "begun": now - begun, "used": now - used})
    browser.cookies = httpx.Cookies()
    browser.cookies.set("argus-session", signer.sign(old), domain="page.test")
    return browser


def test_a_session_ends_when_it_is_idle_or_old(app: FastAPI) -> None:
    assert aged(app, begun=3000, used=3000).get("/api/me").status_code == 200
    assert aged(app, begun=4000, used=4000).get("/api/me").status_code == 401
    assert aged(app, begun=43000, used=5).get("/api/me").status_code == 200
    assert aged(app, begun=43300, used=5).get("/api/me").status_code == 401


def test_a_session_in_use_goes_on(app: FastAPI) -> None:
    assert "set-cookie" not in aged(app, begun=100, used=100).get("/api/me").headers
    browser = aged(app, begun=3000, used=3000)
    answer = browser.get("/api/me")
    assert "HttpOnly" in answer.headers["set-cookie"]
    signer = Sessions(lambda: KEY, lambda: (1e9, 1e9), EndedSessions("ui-sessions"))
    session = signer.read(answer.cookies["argus-session"], time.time())
    assert session is not None and time.time() - session.used < 60 and time.time() - session.begun > 2900


def test_failed_logins_are_written_without_the_password(app: FastAPI, capsys: pytest.CaptureFixture[str]) -> None:
    Browser(app).log_in("anna", "my real password elsewhere")
    text = capsys.readouterr().out
    (line,) = [json.loads(each) for each in text.splitlines() if each.startswith("{")]
    assert (line["event"]["outcome"], line["user"], line["reason"]) == ("failure", {"name": "anna"}, "name or password")
    assert "elsewhere" not in text
