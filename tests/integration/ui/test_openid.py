"""The page's login by a real provider of OpenID Connect: zitadel's, built from its Go module, over TLS."""

import json
import re
import socket
import ssl
import subprocess
import threading
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from apps.access.document import CALLBACK_PATH, Mapped, OpenIdConnect
from tests.accounts import PASSWORD, user, write_access
from tests.certificates import certificate
from tests.e2e.browser import browser
from tests.environments import variables
from tests.integration.processes import App
from tests.integration.services import free_port, wait_for

pytestmark = pytest.mark.full  # some five minutes, with the build of the provider

SOURCE = Path(__file__).with_name("provider")
BUILD_SECONDS = 1800
SECRET = "a+secret%2F:&=?"
"""Every character that a wrong encoding would change."""
USERS = {
    "id-vera": {"Username": "vera", "Groups": ["staff", "guards"]},
    "id-otto": {"Username": "otto", "Groups": ["guards", "operators"], "AtUserinfo": True},
    "id-nils": {"Username": "nils", "Groups": ["staff"]},
}
LOCAL = {"anna": user("admin", "*")}
ROLES = (
    Mapped(value="operators", role="operator", cameras=("*",)),
    Mapped(value="guards", role="viewer", cameras=("gate",)),
)
NONE = "none of your groups may see this page"


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    built = tmp_path_factory.mktemp("provider") / "provider"
    subprocess.run(
        ["go", "build", "-trimpath", "-mod=readonly", "-o", str(built), "."],
        cwd=SOURCE,
        check=True,
        timeout=BUILD_SECONDS,
    )
    return built


@dataclass
class Site:
    """The page over TLS, and the provider beside it, each with a certificate that is its own authority."""

    folder: Path
    program: Path
    page_port: int = field(default_factory=free_port)
    provider_port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None
    label: str = ""
    started: bool = False
    """Whether the page answers."""

    @property
    def page(self) -> str:
        return f"https://localhost:{self.page_port}"

    @property
    def issuer(self) -> str:
        return f"https://localhost:{self.provider_port}"

    def tls(self, name: str) -> Path:
        folder = self.folder / name
        return folder if folder.exists() else certificate(folder, name)

    def authority(self, name: str) -> str:
        return (self.tls(name) / "tls.crt").read_text()

    def access(self, **changes: Any) -> None:
        """Write the page's access file, and wait until the page has read it."""
        self.label = f"Staff {uuid.uuid4().hex[:8]}"
        given = OpenIdConnect(
            **{
                "issuer": self.issuer,
                "client_id": "argus",
                "client_secret": SECRET,
                "scopes": ("openid", "profile"),
                "claim": "groups",
                "name_claim": "preferred_username",
                "label": self.label,
                "roles": ROLES,
                "ca": self.authority("provider"),
                "page": self.page,
                **changes,
            }
        )
        write_access(self.folder / "access", LOCAL, open_id_connect=given)
        if self.started:
            with self.client() as client:
                wait_for("the page to read", lambda: self.label == client.get("/api/session").json()["openid"]["label"])

    def start_provider(self) -> None:
        users = self.folder / "users.json"
        users.write_text(json.dumps({key: {"ID": key, "Password": PASSWORD, **each} for key, each in USERS.items()}))
        options = {
            "listen": f"127.0.0.1:{self.provider_port}",
            "issuer": self.issuer,
            "certificate": self.tls("provider") / "tls.crt",
            "key": self.tls("provider") / "tls.key",
            "client": "argus",
            "secret": SECRET,
            "redirect": self.page + CALLBACK_PATH,
            "users": users,
        }
        with (self.folder / "provider.log").open("ab") as sink:
            self.process = subprocess.Popen(
                [str(self.program), *(f"-{name}={value}" for name, value in options.items())],
                stdout=sink,
                stderr=subprocess.STDOUT,
            )
        client = self.client()
        wait_for(
            "the provider", lambda: client.get(f"{self.issuer}/.well-known/openid-configuration").is_success, seconds=60
        )

    def stop_provider(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(timeout=30)
            self.process = None

    def client(self) -> httpx.Client:
        """A browser of its own, which trusts both."""
        trust = ssl.create_default_context(cadata=self.authority("provider") + self.authority("page"))
        return httpx.Client(verify=trust, base_url=self.page, timeout=30, trust_env=False)

    @property
    def log(self) -> str:
        return (self.folder / "ui.log").read_text()

    def audited(self, action: str) -> list[dict[str, Any]]:
        """The audit log's lines of one kind."""
        lines = [json.loads(line) for line in self.log.splitlines() if line.startswith('{"@timestamp"')]
        return [line for line in lines if line["event"]["action"] == action]


@pytest.fixture(scope="module")
def site(program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("openid"), program)
    site.access()
    changes = {
        "http_port": str(site.page_port),
        "probe_port": str(free_port()),
        "metrics_port": str(free_port()),
        "kafka_bootstrap_servers": f"127.0.0.1:{free_port()}",
        "cameras": "gate,yard",
        "access_dir": str(site.folder / "access"),
        "tls_dir": str(site.tls("page")),
    }
    # Nobody needs Kafka to log in, so the page never becomes ready here.
    ui = App("apps.ui", site.folder / "ui.log", variables("apps.ui", **changes))
    try:
        with site.client() as client:
            wait_for("the page", lambda: client.get("/login").is_success, seconds=60)
        site.started = True
        yield site
    finally:
        ui.stop()
        site.stop_provider()


@pytest.fixture
def provider(site: Site) -> Site:
    """The site with a provider that runs, as the access file says."""
    if site.process is None:
        site.start_provider()
    # Written anew, so that the page forgets what went wrong before.
    site.access()
    return site


def begin(client: httpx.Client, path: str = "/") -> httpx.Response:
    return client.post("/api/login/openid", json={"next": path})


def at_the_provider(client: httpx.Client, url: str, name: str, password: str = PASSWORD) -> str:
    """Log in there. Returns the URL at which the provider sends the browser back to the page."""
    answer = client.get(url, follow_redirects=True)
    form = dict(re.findall(r'name="(\w+)" value="([^"]*)"', answer.text))
    filled = {**form, "username": name, "password": password}
    answer = client.post(answer.url.join("/login/username"), data=filled)
    answer = client.get(answer.url.join(answer.headers["location"]))
    return answer.headers["location"]


def log_in(client: httpx.Client, name: str, path: str = "/") -> httpx.Response:
    """The page's answer to a whole login."""
    url = begin(client, path).raise_for_status().json()["url"]
    return client.get(at_the_provider(client, url, name))


def problem(client: httpx.Client) -> str:
    """What the login page shows."""
    return str(client.get("/api/session").json()["openid"]["problem"])


@pytest.mark.parametrize(
    ("name", "role", "cameras"),
    [("vera", "viewer", ["gate"]), ("otto", "operator", ["*"])],
    ids=["groups in the ID token", "groups at userinfo"],
)
def test_a_group_of_the_provider_gives_a_role_and_cameras(
    provider: Site, name: str, role: str, cameras: list[str]
) -> None:
    with provider.client() as client:
        answer = log_in(client, name, "/search?camera=gate")
        assert answer.status_code == 303
        assert answer.headers["location"] == "/login?next=/search%3Fcamera%3Dgate"
        cookies = answer.headers.get_list("set-cookie")
        (session,) = (each for each in cookies if each.startswith("__Host-argus-session="))
        for part in ("HttpOnly", "Secure", "SameSite=strict"):
            assert part in session
        assert client.get("/api/me").json() == {"name": name, "kind": "openid", "role": role, "cameras": cameras}
        assert client.get("/camera/yard").status_code == (200 if cameras == ["*"] else 403)
    line = provider.audited("login")[-1]
    assert (line["event"]["outcome"], line["user"]["name"], line["user"]["roles"]) == ("success", name, [role])
    assert (line["user"]["id"], line["user"]["domain"]) == (f"id-{name}", provider.issuer)


def test_who_has_no_mapped_group_is_refused_with_the_reason(provider: Site) -> None:
    with provider.client() as client:
        assert log_in(client, "nils").headers["location"] == "/login"
        assert client.get("/api/me").status_code == 401
        assert NONE in problem(client)
        assert client.get("/api/session").json()["openid"]["problem"] is None, "it is told once"
    line = provider.audited("login")[-1]
    assert (line["event"]["outcome"], line["reason"]) == ("failure", "no mapped group")
    assert line["user"] == {"name": "nils", "id": "id-nils", "domain": provider.issuer}


def test_the_logout_ends_the_session_as_that_of_a_password(provider: Site) -> None:
    with provider.client() as client:
        log_in(client, "vera")
        copied = httpx.Cookies(client.cookies)
        url = client.post("/api/logout").json()["url"]
        assert url.startswith(f"{provider.issuer}/") and parse_qs(urlsplit(url).query) == {"client_id": ["argus"]}
        assert client.get(url, follow_redirects=True).is_success, "the provider takes it"
        client.cookies = copied
        assert client.get("/api/me").status_code == 401


@pytest.mark.parametrize("change", [{"version": 2}, {"roles": ROLES[:1]}, {"client_id": "another"}])
def test_another_version_mapping_or_client_ends_sessions(provider: Site, change: dict[str, Any]) -> None:
    with provider.client() as client:
        log_in(client, "vera")
        assert client.get("/api/me").status_code == 200
        provider.access(**change)
        assert client.get("/api/me").status_code == 401


def test_a_login_ends_only_in_the_browser_in_which_it_began_and_only_once(provider: Site) -> None:
    with provider.client() as client, provider.client() as other:
        url = begin(client).json()["url"]
        asked = parse_qs(urlsplit(url).query)
        assert asked["redirect_uri"] == [provider.page + CALLBACK_PATH]
        assert asked["code_challenge_method"] == ["S256"] and asked["state"] != asked["nonce"]
        back = at_the_provider(client, url, "vera")
        begin(other)
        for stranger in (other, provider.client()):
            assert stranger.get(back).headers["location"] == "/login"
            assert "did not begin in this browser" in problem(stranger)
            assert stranger.get("/api/me").status_code == 401
        copied = httpx.Cookies(client.cookies)
        client.get(back)
        assert client.get("/api/me").status_code == 200
        client.cookies = copied
        client.get(back)
        assert "refused the login" in problem(client), "the provider gives nothing for a code that was used"
        assert client.get("/api/me").status_code == 401


def test_a_wrong_secret_of_the_client_is_said(provider: Site) -> None:
    provider.access(client_secret="another")
    with provider.client() as client:
        log_in(client, "vera")
        assert f"{provider.label} refused the login" in problem(client)
        assert client.get("/api/me").status_code == 401


def test_a_certificate_of_an_unknown_authority_is_refused(provider: Site) -> None:
    provider.access(ca=provider.authority("page"))
    with provider.client() as client:
        answer = begin(client)
        assert answer.status_code == 503 and "certificate" in answer.json()["error"].lower()


def test_at_another_address_the_page_says_where_to_go(provider: Site) -> None:
    with provider.client() as client:
        answer = client.post("/api/login/openid", json={}, headers={"Host": f"127.0.0.1:{provider.page_port}"})
        assert answer.status_code == 409 and provider.page in answer.json()["error"]
        assert (
            client.post("/api/login/openid", json={}, headers={"Origin": "https://elsewhere.test"}).status_code == 403
        )


def test_a_browser_logs_in_and_out_by_the_provider(provider: Site) -> None:
    with browser(flags=("--ignore-certificate-errors",)) as page:
        page.open(f"{provider.page}/camera/gate")
        page.wait_for("location.pathname === '/login' && !document.getElementById('openid').hidden")
        page.screenshot("login-openid")
        page.evaluate("document.getElementById('openid').click()")
        page.wait_for("document.getElementById('username') !== null")
        page.evaluate("document.getElementById('username').value = 'vera'")
        page.evaluate(f"document.getElementById('password').value = {json.dumps(PASSWORD)}")
        page.evaluate("document.querySelector('form button').click()")
        page.wait_for("location.pathname === '/camera/gate' && document.querySelector('.who')?.textContent === 'vera'")
        page.evaluate("document.querySelector('#account button').click()")
        page.wait_for(f"location.origin === {json.dumps(provider.issuer)}")
        page.open(f"{provider.page}/")
        page.wait_for("location.pathname === '/login'")


def test_a_browser_is_told_why_it_is_refused(provider: Site) -> None:
    with browser(flags=("--ignore-certificate-errors",)) as page:
        page.open(f"{provider.page}/")
        page.wait_for("location.pathname === '/login' && !document.getElementById('openid').hidden")
        page.evaluate("document.getElementById('openid').click()")
        page.wait_for("document.getElementById('username') !== null")
        page.evaluate("document.getElementById('username').value = 'nils'")
        page.evaluate(f"document.getElementById('password').value = {json.dumps(PASSWORD)}")
        page.evaluate("document.querySelector('form button').click()")
        page.wait_for(f"document.getElementById('notice')?.textContent.includes({json.dumps(NONE)})")
        page.screenshot("login-openid-refused")


@contextmanager
def silent(port: int) -> Iterator[None]:
    """A server that takes every connection and never says anything."""
    with closing(socket.create_server(("127.0.0.1", port))) as server:
        taken: list[socket.socket] = []

        def take() -> None:
            try:
                while True:
                    taken.append(server.accept()[0])
            except OSError:
                pass

        threading.Thread(target=take, daemon=True).start()
        yield
        server.shutdown(socket.SHUT_RDWR)
        for each in taken:
            each.close()


@pytest.mark.parametrize("kind", ["down", "silent"])
def test_while_the_provider_is_down_or_silent_a_password_still_works(site: Site, kind: str) -> None:
    site.stop_provider()
    with silent(site.provider_port) if kind == "silent" else nullcontext(), site.client() as client:
        # A new one, so the page does not know it yet.
        site.access()
        answer = begin(client)
        why = "did not answer within 10 s" if kind == "silent" else "does not answer ("
        assert answer.status_code == 503 and answer.json()["error"].startswith(f"{site.label} {why}")
        client.post("/api/login", json={"name": "anna", "password": PASSWORD}).raise_for_status()
        assert client.get("/api/me").json()["role"] == "admin"


def test_nothing_secret_is_logged(provider: Site) -> None:
    with provider.client() as client:
        url = begin(client).json()["url"]
        back = at_the_provider(client, url, "vera")
        client.get(back)
        (code,), (state,) = (parse_qs(urlsplit(back).query)[name] for name in ("code", "state"))
        (session,) = (each.value for each in client.cookies.jar if each.name == "__Host-argus-session")
        for secret in (SECRET, code, state, session, PASSWORD):
            assert secret and secret not in provider.log
