"""A provider's word is taken only as OpenID Connect says, and its silence keeps nobody waiting."""

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from fastapi import FastAPI
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from apps.access.document import CALLBACK_PATH, Mapped, OpenIdConnect
from apps.ui import accounts, openid, openid_login
from apps.ui.openid import OpenIdError, Provider, Transaction, read_claim
from tests.accounts import PASSWORD, user, write_access
from tests.certificates import certificate
from tests.unit.apps.ui.page import SITE, Browser, make_app

ISSUER = "https://login.test"
CLIENT, SECRET = "argus", "the:client's%2Fsecret"
SIGNING = RSAKey.generate_key(2048, {"kid": "one", "use": "sig"})
OTHER = RSAKey.generate_key(2048, {"kid": "one", "use": "sig"})
# Fixed times: what a test is called must be the same in every process that runs tests.
PAST, FUTURE = 1_000_000_000, 4_000_000_000
TRANSACTION = Transaction(state="s" * 32, nonce="n" * 32, verifier="v" * 64)
GIVEN = OpenIdConnect(
    issuer=ISSUER,
    client_id=CLIENT,
    client_secret=SECRET,
    scopes=("openid", "profile"),
    claim="groups",
    name_claim="preferred_username",
    label="Staff",
    roles=(
        Mapped(value="operators", role="operator", cameras=("*",)),
        Mapped(value="guards", role="viewer", cameras=("gate",)),
    ),
    page=SITE,
)


def base_claims(**changes: Any) -> dict[str, Any]:
    now = int(time.time())
    claims = {
        "iss": ISSUER,
        "sub": "id-vera",
        "aud": CLIENT,
        "exp": now + 300,
        "iat": now,
        "nonce": TRANSACTION.nonce,
        "preferred_username": "vera",
        "groups": ["staff", "guards"],
        **changes,
    }
    return {name: value for name, value in claims.items() if value is not None}


def signed(claims: Mapping[str, Any], key: Any = SIGNING, alg: str = "RS256", **header: Any) -> str:
    return jwt.encode({"alg": alg, "kid": "one", **header}, dict(claims), key, algorithms=[alg])


class Fake:
    """A provider's answers, without a network."""

    def __init__(self, **metadata: Any) -> None:
        described = {
            "issuer": ISSUER,
            "authorization_endpoint": f"{ISSUER}/auth?tenant=1",
            "token_endpoint": f"{ISSUER}/token",
            "jwks_uri": f"{ISSUER}/keys",
            "userinfo_endpoint": f"{ISSUER}/userinfo",
            **metadata,
        }
        self.metadata = {name: value for name, value in described.items() if value is not None}
        self.keys: list[dict[str, Any]] = [SIGNING.as_dict(private=False)]
        self.claims: dict[str, Any] = base_claims()
        self.id_token: str | None = None
        """In place of one of the claims."""
        self.userinfo: Any = {"sub": "id-vera"}
        self.token: httpx.Response | None = None
        self.asked: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        match request.url.path:
            case "/.well-known/openid-configuration":
                return httpx.Response(200, json=self.metadata)
            case "/keys":
                return httpx.Response(200, json={"keys": self.keys})
            case "/token":
                answer = {
                    "access_token": "at",
                    "token_type": "Bearer",
                    "id_token": self.id_token or signed(self.claims),
                }
                return self.token or httpx.Response(200, json=answer)
            case "/userinfo":
                return httpx.Response(200, json=self.userinfo)
        return httpx.Response(404)

    def provider(self, given: OpenIdConnect = GIVEN, clock: Callable[[], float] = time.monotonic) -> Provider:
        return Provider(given, clock, transport=httpx.MockTransport(self))

    def times(self, path: str) -> int:
        return [request.url.path for request in self.asked].count(path)


def identify(fake: Fake, given: OpenIdConnect = GIVEN) -> openid.Identity:
    return asyncio.run(fake.provider(given).identify(TRANSACTION, "the-code"))


def refusal(fake: Fake, given: OpenIdConnect = GIVEN) -> str:
    with pytest.raises(OpenIdError) as refused:
        identify(fake, given)
    text = str(refused.value)
    assert text.startswith("Staff ") and SECRET not in text and "the-code" not in text
    return text


def test_a_good_answer_says_who_it_is() -> None:
    fake = Fake()
    found = identify(fake)
    assert (found.subject, found.name, found.values) == ("id-vera", "vera", ("staff", "guards"))
    (asked,) = (request for request in fake.asked if request.url.path == "/token")
    assert parse_qs(asked.content.decode()) == {
        "grant_type": ["authorization_code"],
        "code": ["the-code"],
        "code_verifier": [TRANSACTION.verifier],
        "redirect_uri": [SITE + CALLBACK_PATH],
    }
    shown = base64.b64decode(asked.headers["authorization"].removeprefix("Basic ")).decode()
    assert shown == "argus:the%3Aclient%27s%252Fsecret", "form-encoded, as RFC 6749 says"
    assert fake.times("/userinfo") == 0


def test_a_provider_without_basic_gets_the_secret_in_the_body() -> None:
    fake = Fake(token_endpoint_auth_methods_supported=["client_secret_post"])
    identify(fake)
    (asked,) = (request for request in fake.asked if request.url.path == "/token")
    body = parse_qs(asked.content.decode())
    assert (body["client_id"], body["client_secret"]) == ([CLIENT], [SECRET])
    assert "authorization" not in asked.headers


def test_the_browser_is_sent_with_pkce_state_and_nonce() -> None:
    url = asyncio.run(Fake().provider().authorization_url(TRANSACTION))
    parts = urlsplit(url)
    assert f"{parts.scheme}://{parts.netloc}{parts.path}" == f"{ISSUER}/auth"
    asked = {name: value for name, (value,) in parse_qs(parts.query).items()}
    assert asked.pop("code_challenge") == text(hashlib.sha256(TRANSACTION.verifier.encode()).digest())
    assert asked == {
        "tenant": "1",
        "response_type": "code",
        "client_id": CLIENT,
        "redirect_uri": SITE + CALLBACK_PATH,
        "scope": "openid profile",
        "state": TRANSACTION.state,
        "nonce": TRANSACTION.nonce,
        "code_challenge_method": "S256",
    }


@pytest.mark.parametrize(
    "change",
    [
        {"iss": "https://elsewhere.test"},
        {"iss": None},
        {"aud": "another"},
        {"aud": None},
        {"aud": ["another", "third"]},
        {"aud": [CLIENT, "another"]},
        {"azp": "another"},
        {"nonce": "another"},
        {"nonce": None},
        {"exp": PAST},
        {"exp": None},
        {"iat": FUTURE},
        {"iat": None},
        {"nbf": FUTURE},
        {"sub": None},
        {"sub": ""},
        {"sub": "x" * 300},
        {"sub": 7},
    ],
    ids=str,
)
def test_an_id_token_for_anything_else_is_refused(change: dict[str, Any]) -> None:
    fake = Fake()
    fake.claims = base_claims(**change)
    assert "cannot be used" in refusal(fake)


def test_for_several_clients_the_authorized_one_counts() -> None:
    fake = Fake()
    fake.claims = base_claims(aud=["another", CLIENT], azp=CLIENT)
    assert identify(fake).subject == "id-vera"


def text(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def unsigned(claims: Mapping[str, Any], header: Mapping[str, Any]) -> str:
    return ".".join(text(json.dumps(each).encode()) for each in (header, claims)) + "."


def with_secret(claims: Mapping[str, Any], secret: bytes) -> str:
    signed = unsigned(claims, {"alg": "HS256", "kid": "one"})
    return signed + text(hmac.digest(secret, signed[:-1].encode(), "sha256"))


def forged() -> dict[str, str]:
    """ID tokens with right claims that the provider did not sign."""
    claims, good = base_claims(), signed(base_claims())
    head, body, signature = good.split(".")
    own_key = RSAKey.generate_key(2048)
    return {
        "another key": signed(claims, OTHER),
        "a key of its own": signed(claims, own_key, jwk=own_key.as_dict(private=False)),
        "none": unsigned(claims, {"alg": "none", "kid": "one"}),
        "None": unsigned(claims, {"alg": "None"}),
        "the client's secret": with_secret(claims, SECRET.encode()),
        "the public key as a secret": with_secret(claims, SIGNING.as_pem(private=False)),
        "another body": f"{head}.{body[:-4]}AAAA.{signature}",
        "no signature": f"{head}.{body}.",
        "no token": "x",
        "nothing": "..",
    }


@pytest.mark.parametrize("kind", list(forged()))
def test_a_forged_id_token_is_refused(kind: str) -> None:
    fake = Fake()
    fake.id_token = forged()[kind]
    assert "cannot be used" in refusal(fake)


def test_keys_of_other_kinds_do_not_matter() -> None:
    fake = Fake()
    curve = ECKey.generate_key("P-256", {"kid": "two", "use": "sig"})
    fake.keys += [
        curve.as_dict(private=False),
        {"kty": "oct", "k": "c2VjcmV0", "kid": "three"},
        {"kty": "AKP", "kid": "four"},
        {**OTHER.as_dict(private=False), "use": "enc"},
    ]
    assert identify(fake).subject == "id-vera"
    fake.id_token = signed(base_claims(), curve, "ES256", kid="two")
    assert identify(fake).subject == "id-vera"


def test_changed_keys_are_asked_for_once_in_a_while() -> None:
    now = [0.0]
    fake = Fake()

    async def several() -> None:
        provider = fake.provider(clock=lambda: now[0])
        await provider.identify(TRANSACTION, "code")
        new = RSAKey.generate_key(2048, {"kid": "new", "use": "sig"})
        fake.keys, fake.id_token = [new.as_dict(private=False)], signed(base_claims(), new, kid="new")
        for _ in range(3):
            with pytest.raises(OpenIdError):
                await provider.identify(TRANSACTION, "code")
        assert fake.times("/keys") == 1
        now[0] += openid.KEYS_SECONDS
        assert (await provider.identify(TRANSACTION, "code")).subject == "id-vera"
        assert fake.times("/keys") == 2

    asyncio.run(several())


def test_claims_that_the_id_token_lacks_come_from_userinfo_of_the_same_person() -> None:
    fake = Fake()
    fake.claims = base_claims(groups=None, preferred_username=None)
    fake.userinfo = {"sub": "id-vera", "groups": "guards", "preferred_username": "vera\n\x1b[1m"}
    found = identify(fake)
    assert (found.name, found.values) == ("vera[1m", ("guards",))
    (asked,) = (request for request in fake.asked if request.url.path == "/userinfo")
    assert asked.headers["authorization"] == "Bearer at"
    fake.userinfo = {"sub": "id-otto", "groups": ["operators"]}
    assert "somebody else's" in refusal(fake)
    fake.userinfo = ["x"]
    assert "somebody else's" in refusal(fake)
    assert identify(fake_without_userinfo()).name == "id-vera"


def fake_without_userinfo() -> Fake:
    fake = Fake(userinfo_endpoint=None)
    fake.claims = base_claims(groups=None, preferred_username=None)
    return fake


@pytest.mark.parametrize(
    ("claims", "name", "values"),
    [
        ({"groups": ["a", "b", 3]}, "groups", ("a", "b")),
        ({"groups": "a"}, "groups", ("a",)),
        ({"groups": {"a": 1}}, "groups", ()),
        ({"realm_access": {"roles": ["a"]}}, "realm_access.roles", ("a",)),
        ({"https://x.test/roles": ["a"]}, "https://x.test/roles", ("a",)),
        ({"a.b": ["exact"], "a": {"b": ["inner"]}}, "a.b", ("exact",)),
        ({"groups": ["a"]}, "groups.more", None),
        ({}, "groups", None),
    ],
)
def test_claims_are_read(claims: dict[str, Any], name: str, values: tuple[str, ...] | None) -> None:
    assert read_claim(claims, name) == values


@pytest.mark.parametrize(
    ("metadata", "why"),
    [
        ({"issuer": "https://elsewhere.test"}, "argus:access.openIdConnect.issuer"),
        ({"token_endpoint": "http://login.test/token"}, "token_endpoint"),
        ({"authorization_endpoint": "javascript:alert(1)"}, "authorization_endpoint"),
        ({"jwks_uri": None}, "jwks_uri"),
    ],
)
def test_a_description_that_cannot_be_used_is_named(metadata: dict[str, Any], why: str) -> None:
    assert why in refusal(Fake(**metadata))


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (
            httpx.Response(400, json={"error": "invalid_client", "error_description": "no such client"}),
            "no such client",
        ),
        (httpx.Response(401, json={"error": "invalid_client"}), "invalid_client"),
        (httpx.Response(503, text="<html>"), "503"),
        (httpx.Response(200, text="<html>"), "not what OpenID Connect says"),
        (httpx.Response(200, json=["x"]), "not what OpenID Connect says"),
        (httpx.Response(200, json={"access_token": "at", "token_type": "Bearer"}), "no ID token"),
        (httpx.Response(302, headers={"location": "https://elsewhere.test"}), "cannot be used"),
    ],
    ids=str,
)
def test_a_token_endpoint_that_refuses_is_told(answer: httpx.Response, why: str) -> None:
    fake = Fake()
    fake.token = answer
    assert why in refusal(fake)


def test_an_endless_answer_is_not_read() -> None:
    fake = Fake(padding="x" * (openid.MAX_ANSWER + 1))
    assert "longer than" in refusal(fake)


def test_the_description_is_kept_and_a_failure_is_not_repeated_at_once() -> None:
    now = [100.0]
    fake = Fake(issuer="https://elsewhere.test")

    async def several() -> None:
        provider = fake.provider(clock=lambda: now[0])
        for _ in range(5):
            with pytest.raises(OpenIdError, match="elsewhere"):
                await provider.authorization_url(TRANSACTION)
        assert len(fake.asked) == 1
        now[0] += openid.PAUSE_SECONDS
        fake.metadata["issuer"] = ISSUER
        for _ in range(5):
            await provider.authorization_url(TRANSACTION)
        assert len(fake.asked) == 2
        now[0] += openid.KEPT_SECONDS
        await provider.authorization_url(TRANSACTION)
        assert len(fake.asked) == 3

    asyncio.run(several())


def test_nobody_waits_longer_than_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openid, "ANSWER_SECONDS", 0.2)
    asked = 0

    async def never(_: httpx.Request) -> httpx.Response:
        nonlocal asked
        asked += 1
        await asyncio.Event().wait()
        raise AssertionError

    async def several() -> list[BaseException | str]:
        provider = Provider(GIVEN, transport=httpx.MockTransport(never))
        waiting = [provider.authorization_url(TRANSACTION) for _ in range(20)]
        first = await asyncio.gather(*waiting, return_exceptions=True)
        again = await asyncio.gather(provider.authorization_url(TRANSACTION), return_exceptions=True)
        return [*first, *again]

    results = asyncio.run(asyncio.wait_for(several(), 60))
    assert len(results) == 21 and all(isinstance(each, OpenIdError) for each in results)
    assert "within 0.2 s" in str(results[0])
    assert asked == 1, "one asks, the others wait for it"


def test_a_private_authority_vouches_instead_of_the_known_ones(tmp_path: Path) -> None:
    text = (certificate(tmp_path / "ca", "ca") / "tls.crt").read_text()
    own = openid.trust(GIVEN.model_copy(update={"ca": text}))
    assert len(own.get_ca_certs()) == 1 and own.check_hostname
    assert len(openid.trust(GIVEN).get_ca_certs()) > 20


# The routes.


@pytest.fixture
def access(tmp_path: Path) -> Path:
    return write_access(tmp_path / "access", {"vera": user("admin", "*")}, open_id_connect=GIVEN)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Fake:
    fake = Fake(end_session_endpoint=f"{ISSUER}/logout?x=1")
    monkeypatch.setattr(openid_login, "Provider", fake.provider)
    return fake


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch, access: Path, fake: Fake) -> FastAPI:
    monkeypatch.setattr(accounts, "CHECK_SECONDS", 0.0)
    return make_app(monkeypatch, access)


def begin(browser: Browser, path: str = "/") -> dict[str, str]:
    """Begin a login; what the provider is told."""
    answer = browser.ask("POST", "/api/login/openid", json={"next": path})
    assert answer.status_code == 200, answer.text
    return {name: value for name, (value,) in parse_qs(urlsplit(answer.json()["url"]).query).items()}


def end(browser: Browser, fake: Fake, told: Mapping[str, str], **changes: Any) -> httpx.Response:
    """Come back from the provider."""
    fake.claims = base_claims(nonce=told["nonce"], **changes)
    return browser.get(f"{CALLBACK_PATH}?code=the-code&state={told['state']}&iss={ISSUER}")


def log_in(browser: Browser, fake: Fake, path: str = "/", **changes: Any) -> httpx.Response:
    return end(browser, fake, begin(browser, path), **changes)


def problem(browser: Browser) -> str | None:
    told = browser.get("/api/session").json()["openid"]["problem"]
    return None if told is None else str(told)


def test_a_user_of_the_same_name_is_somebody_else(app: FastAPI, fake: Fake, access: Path) -> None:
    browser = Browser(app)
    log_in(browser, fake)
    assert browser.get("/api/me").json() == {"name": "vera", "kind": "openid", "role": "viewer", "cameras": ["gate"]}
    local = Browser(app)
    local.log_in("vera", PASSWORD)
    assert local.get("/api/me").json()["role"] == "admin"
    write_access(access, {"vera": user("admin", "*")})
    assert browser.get("/api/me").status_code == 401, "without the provider its sessions are over"
    assert local.get("/api/me").status_code == 200


def test_rights_are_those_of_now_and_the_first_entry_that_fits(app: FastAPI, fake: Fake, access: Path) -> None:
    browser = Browser(app)
    log_in(browser, fake, groups=["guards", "operators"])
    assert browser.get("/api/me").json()["role"] == "operator"
    write_access(access, open_id_connect=GIVEN.model_copy(update={"roles": GIVEN.roles[::-1]}))
    assert (browser.get("/api/me").json()["role"], browser.get("/api/me").json()["cameras"]) == ("viewer", ["gate"])
    other = (Mapped(value="staff", role="admin", cameras=("*",)),)
    write_access(access, open_id_connect=GIVEN.model_copy(update={"roles": other}))
    assert browser.get("/api/me").status_code == 401, "what did not count at the login does not count later"


def test_without_a_provider_there_is_no_such_login(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    browser = Browser(make_app(monkeypatch, write_access(tmp_path / "access", {"vera": user("admin", "*")})))
    assert browser.ask("POST", "/api/login/openid", json={}).status_code == 404
    assert browser.get(f"{CALLBACK_PATH}?code=x&state=x").headers["location"] == "/login"
    assert browser.get("/api/session").json() == {"name": None, "openid": None}


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("code=c&state=forged", "did not begin in this browser"),
        ("code=c", "did not begin in this browser"),
        ("", "did not begin in this browser"),
        ("error=access_denied&error_description=Ask+the+guard&state={state}", "Ask the guard"),
        ("state={state}", "no code"),
        ("code=c&state={state}&iss=https://elsewhere.test", "another provider"),
    ],
)
def test_what_does_not_belong_to_the_login_is_refused_with_a_reason(
    app: FastAPI, fake: Fake, query: str, why: str
) -> None:
    browser = Browser(app)
    told = begin(browser)
    fake.claims = base_claims(nonce=told["nonce"])
    assert browser.get(f"{CALLBACK_PATH}?{query.format(**told)}").headers["location"] == "/login"
    assert fake.times("/token") == 0
    assert why in str(problem(browser))
    assert problem(browser) is None, "once"
    assert browser.get("/api/me").status_code == 401


def test_a_cookie_of_the_login_is_no_session_and_cannot_be_made(app: FastAPI, fake: Fake) -> None:
    browser = Browser(app)
    begin(browser)
    (kept,) = browser.cookies.jar
    assert kept.name == "argus-openid"
    browser.cookies.set("argus-session", str(kept.value), domain="page.test")
    assert browser.get("/api/me").status_code == 401
    browser = Browser(app)
    browser.cookies.set("argus-openid", "eyJzdGF0ZSI6IngifQ.x.x", domain="page.test")
    browser.get(f"{CALLBACK_PATH}?code=c&state=x")
    assert "did not begin" in str(problem(browser))


def test_the_cookie_of_the_login_goes_with_it(app: FastAPI, fake: Fake) -> None:
    browser = Browser(app)
    answer = browser.ask("POST", "/api/login/openid", json={})
    cookie = answer.headers["set-cookie"]
    for part in ("HttpOnly", "SameSite=lax", "Max-Age=600", "Path=/"):
        assert part in cookie
    assert SECRET not in cookie
    told = {name: value for name, (value,) in parse_qs(urlsplit(answer.json()["url"]).query).items()}
    end(browser, fake, told)
    assert [cookie.name for cookie in browser.cookies.jar] == ["argus-session"]


@pytest.mark.parametrize(
    ("path", "shown"),
    [("/search?camera=a&x=1", "/login?next=/search%3Fcamera%3Da%26x%3D1"), ("//x", "/login?next=//x")],
)
def test_the_login_page_goes_on_to_what_was_asked_for(app: FastAPI, fake: Fake, path: str, shown: str) -> None:
    # login.js goes on only to a path of this page.
    assert log_in(Browser(app), fake, path).headers["location"] == shown


def test_a_logout_leads_to_the_provider_s(app: FastAPI, fake: Fake) -> None:
    browser = Browser(app)
    log_in(browser, fake)
    copied = httpx.Cookies(browser.cookies)
    assert browser.ask("POST", "/api/logout").json() == {"url": f"{ISSUER}/logout?x=1&client_id=argus"}
    browser.cookies = copied
    assert browser.get("/api/me").status_code == 401
    local = Browser(app)
    local.log_in("vera", PASSWORD)
    assert local.ask("POST", "/api/logout").json() == {}


def test_at_another_address_the_right_one_is_named(app: FastAPI) -> None:
    answer = Browser(app).ask("POST", "/api/login/openid", json={}, headers={"host": "192.0.2.11:30080"})
    assert answer.status_code == 409 and SITE in answer.json()["error"]


def test_a_page_of_another_site_begins_no_login(app: FastAPI, fake: Fake) -> None:
    answer = Browser(app).ask("POST", "/api/login/openid", json={}, headers={"sec-fetch-site": "cross-site"})
    assert answer.status_code == 403 and not fake.asked
    assert Browser(app).get("/api/login/openid").status_code == 405


def test_a_provider_that_is_down_is_a_reason_and_passwords_work(app: FastAPI, fake: Fake) -> None:
    fake.metadata["issuer"] = "https://elsewhere.test"
    answer = Browser(app).ask("POST", "/api/login/openid", json={})
    assert answer.status_code == 503 and answer.json()["error"].startswith("Staff cannot be used: ")
    assert Browser(app).log_in("vera", PASSWORD).status_code == 200


@pytest.mark.usefixtures("still")
def test_logins_that_end_nowhere_are_slowed_down_and_passwords_are_not(app: FastAPI, fake: Fake) -> None:
    browser = Browser(app)
    for _ in range(2 * openid_login.FREE_TRIES_OF_AN_ADDRESS):
        assert "location" in log_in(browser, fake).headers, "those that end well do not count"
    stranger = Browser(app)
    answers = [
        stranger.ask("POST", "/api/login/openid", json={}) for _ in range(openid_login.FREE_TRIES_OF_AN_ADDRESS + 1)
    ]
    assert answers[-1].status_code == 429 and int(answers[-1].headers["retry-after"]) >= 1
    assert Browser(app).log_in("vera", PASSWORD).status_code == 200


def test_an_admin_sees_which_groups_may_what(app: FastAPI) -> None:
    browser = Browser(app)
    browser.log_in("vera", PASSWORD)
    assert browser.get("/api/access").json()["openid"] == [
        {"name": "operators", "role": "operator", "cameras": ["*"]},
        {"name": "guards", "role": "viewer", "cameras": ["gate"]},
    ]


def test_the_audit_log_names_issuer_and_subject_and_nothing_secret(
    app: FastAPI, fake: Fake, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    browser = Browser(app)
    log_in(browser, fake)
    browser.get("/api/wall")
    log_in(Browser(app), fake, groups=["staff"])
    fake.id_token = "forged"
    log_in(Browser(app), fake)
    text = capsys.readouterr().out
    login, look, unmapped, failed = (json.loads(line) for line in text.splitlines() if line.startswith("{"))
    assert (
        login["user"]
        == look["user"]
        == {
            "name": "vera",
            "roles": ["viewer"],
            "kind": "openid",
            "id": "id-vera",
            "domain": ISSUER,
        }
    )
    assert (unmapped["reason"], unmapped["user"]["id"]) == ("no mapped group", "id-vera")
    assert (failed["reason"], failed["user"]) == ("provider", {"domain": ISSUER})
    for secret in (SECRET, "the-code", "forged", *(str(each.value) for each in browser.cookies.jar)):
        assert secret not in text + caplog.text


def test_a_session_with_all_that_a_provider_may_say_fits_in_a_cookie(
    monkeypatch: pytest.MonkeyPatch, fake: Fake, tmp_path: Path
) -> None:
    names = [f"group {number} " + "x" * 180 for number in range(100)]
    roles = tuple(Mapped(value=each, role="viewer", cameras=("*",)) for each in names)
    given = GIVEN.model_copy(update={"roles": roles})
    browser = Browser(make_app(monkeypatch, write_access(tmp_path / "access", open_id_connect=given)))
    answer = log_in(browser, fake, groups=names, sub="s" * 255, preferred_username="ü" * 200)
    assert browser.get("/api/me").json()["name"] == "ü" * 100
    (cookie,) = (each for each in answer.headers.get_list("set-cookie") if each.startswith("argus-session="))
    assert len(cookie) < 4096
