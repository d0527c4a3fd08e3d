"""Sessions: signed, limited, and ended."""

import base64
import json

import pytest

from apps.ui.ended import EndedSessions
from apps.ui.sessions import Session, Sessions

KEY, IDLE, ABSOLUTE = "k" * 43, 600.0, 7200.0


def sessions(key: str = KEY) -> Sessions:
    return Sessions(lambda: key, lambda: (IDLE, ABSOLUTE), EndedSessions("ui-sessions", clock=lambda: 1000.0))


def begun(now: float = 1000.0) -> Session:
    return Session.begin("anna", "user", "v1", now)


def test_another_pod_with_the_same_key_knows_it() -> None:
    session = begun()
    assert sessions().read(sessions().sign(session), 1001) == session
    assert sessions("j" * 43).read(sessions().sign(session), 1001) is None


def test_two_logins_are_two_sessions() -> None:
    assert begun().identity != begun().identity


def test_it_ends_when_it_is_not_used_and_at_the_latest_in_time() -> None:
    here, session = sessions(), begun(0)
    assert here.read(here.sign(session), IDLE) is not None
    assert here.read(here.sign(session), IDLE + 1) is None
    for now in range(0, int(ABSOLUTE) + 1, 60):
        session = here.renewed(session, now) or session
    assert here.read(here.sign(session), ABSOLUTE) is not None
    assert here.read(here.sign(session), ABSOLUTE + 1) is None, "although it was used until the end"


def test_it_is_signed_anew_only_now_and_then() -> None:
    here, session = sessions(), begun(0)
    assert here.renewed(session, IDLE / 10) is None
    renewed = here.renewed(session, IDLE / 10 + 1)
    assert renewed is not None
    assert (renewed.used, renewed.begun, renewed.identity) == (IDLE / 10 + 1, 0, session.identity)


def test_one_that_was_ended_is_refused() -> None:
    here, session, other = sessions(), begun(), begun()
    here.end(session)
    assert here.read(here.sign(session), 1001) is None
    assert here.read(here.sign(other), 1001) == other


def forged(cookie: str) -> str:
    payload, _, signature = cookie.rpartition(".")
    told = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    told[1] = "admin"
    return f"{base64.urlsafe_b64encode(json.dumps(told).encode()).decode().rstrip('=')}.{signature}"


def test_one_that_was_changed_is_refused() -> None:
    here = sessions()
    cookie = here.sign(begun())
    assert here.read(forged(cookie), 1001) is None


@pytest.mark.parametrize("cookie", ["", ".", "a.b", "a" * 5000, "é.ß", "[1,2].x"])
def test_nonsense_is_refused(cookie: str) -> None:
    assert sessions().read(cookie, 0) is None


@pytest.mark.parametrize("told", [[], {}, 3, None, ["a"] * 6, [1, 2, 3, 4, "x", "y"]])
def test_what_another_program_signed_with_the_key_is_no_session(told: object) -> None:
    here = sessions()
    assert here.read(str(here._serializer().dumps(told)), 0) is None
