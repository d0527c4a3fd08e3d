"""The page's certificate of a real ACME server (pebble), by lego, kept in a real API server's Secrets.

lego and pebble are built from their Go modules. The pod's account has the rights that the component gives it.
"""

import base64
import contextlib
import http.client
import json
import os
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509

from apps.acme.kept import Keeper
from apps.acme.settings import Settings
from apps.service import kubernetes
from apps.service.certificate import Certificate
from apps.service.kubernetes import ApiError
from apps.service.settings import read
from apps.ui.acme import AcmeCertificate
from components.pipeline.acme import NAMESPACE, Acme, AcmeArgs
from components.pipeline.namespace import Namespace, NamespaceArgs
from components.recorder import Recorder
from lab.config import ROOT
from lab.toolchain import go_compiler
from tests.certificates import AUTHORITY, certificate, of_pods
from tests.integration.providers.conftest import ApiServer, free_port, running, wait_for_port
from tests.unit.components.pipeline.conftest import settings

pytestmark = pytest.mark.full  # some minutes, with the builds

PAGE, NAME, FURTHER = "argus", "argus.example.com", "cameras.example.com"
PASSWORD = "hush-hush"
ACCOUNT = {"keyId": "argus", "hmac": base64.urlsafe_b64encode(bytes(range(32))).decode().rstrip("=")}
LIFE = timedelta(seconds=130)
IDLE_SECONDS = 95
"""The API server ends a connection after 90 s on which nobody asks."""
OLDEST = ssl.TLSVersion.TLSv1_2
BUILD_SECONDS = 1800
SERVERS = ("github.com/letsencrypt/pebble/v2/cmd/pebble", "github.com/letsencrypt/pebble/v2/cmd/pebble-challtestsrv")


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with pebble, its DNS server, and lego as its image's Dockerfile builds it, but with one DNS provider
    instead of all; or with the lego that ARGUS_TEST_LEGO names."""
    folder = tmp_path_factory.mktemp("programs")
    few = ("-tags", "lego_dnslight,lego_dns_httpreq")
    _go(Path(__file__).with_name("acme"), "-o", f"{folder}/", *SERVERS)
    if given := os.environ.get("ARGUS_TEST_LEGO"):
        (folder / "lego").symlink_to(given)
    else:
        _go(ROOT / "containers/acme", *few, "-o", f"{folder}/lego", "github.com/go-acme/lego/v5")
    return folder


def _go(source: Path, *arguments: str) -> None:
    environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly -buildvcs=false", "GOTOOLCHAIN": "local"}
    command = [go_compiler.ensure().program, "build", "-trimpath", *arguments]
    subprocess.run(command, cwd=source, env=environment, check=True, timeout=BUILD_SECONDS)


class Dns:
    """The API of a DNS provider (lego's httpreq), whose records challtestsrv serves."""

    def __init__(self, management: int) -> None:
        self.wrong = False
        """Whether it makes other records than it is told."""
        self.logins: set[str | None] = set()
        dns = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                dns.logins.add(self.headers["Authorization"])
                value = "wrong" if dns.wrong else asked["value"]
                record = {"host": asked["fqdn"], "value": value}
                verb = "set" if self.path == "/present" else "clear"
                httpx.post(f"http://127.0.0.1:{management}/{verb}-txt", json=record).raise_for_status()
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: Any) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)


@dataclass(frozen=True)
class Pebble:
    """An ACME server that wants to know its clients, and the DNS that it looks at."""

    port: int
    management: int
    resolver: int
    dns: Dns

    def renew(self, shown: bytes, after: timedelta) -> None:
        """Say that the certificate is to be renewed at a time from now on (RFC 9773)."""
        begin = datetime.now(UTC) + after
        window = {"start": begin.isoformat(), "end": (begin + timedelta(seconds=1)).isoformat()}
        body = {"certificate": shown.decode(), "ariResponse": json.dumps({"suggestedWindow": window})}
        self._ask("POST", "/set-renewal-info/", json=body)

    @property
    def root(self) -> str:
        """The certificate of the authority that signs."""
        return self._ask("GET", "/roots/0").text

    def _ask(self, method: str, path: str, **given: Any) -> httpx.Response:
        url = f"https://127.0.0.1:{self.management}{path}"
        return httpx.request(method, url, verify=False, **given).raise_for_status()


@pytest.fixture
def pebble(programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pebble]:
    port, management, resolver, records = (free_port() for _ in range(4))
    config = {
        "listenAddress": f"127.0.0.1:{port}",
        "managementListenAddress": f"127.0.0.1:{management}",
        "certificate": str(of_pods() / "tls.crt"),
        "privateKey": str(of_pods() / "tls.key"),
        "httpPort": 5002,
        "tlsPort": 5001,
        "externalAccountBindingRequired": True,
        "externalAccountMACKeys": {ACCOUNT["keyId"]: ACCOUNT["hmac"]},
        "profiles": {"default": {"description": "short", "validityPeriod": int(LIFE.total_seconds())}},
    }
    (tmp_path / "pebble.json").write_text(json.dumps({"pebble": config}))
    monkeypatch.setenv("PEBBLE_VA_NOSLEEP", "1")
    # Each order is shown again whose name it is.
    monkeypatch.setenv("PEBBLE_AUTHZREUSE", "0")
    nowhere = ("-http01", "", "-https01", "", "-tlsalpn01", "", "-doh", "")
    here = ("-dnsserver", f"127.0.0.1:{resolver}", "-management", f"127.0.0.1:{records}")
    server = ("-config", str(tmp_path / "pebble.json"), "-dnsserver", f"127.0.0.1:{resolver}")
    dns = Dns(records)
    threading.Thread(target=dns.server.serve_forever, daemon=True).start()
    with (
        running([str(programs / "pebble-challtestsrv"), *here, *nowhere], tmp_path / "dns.log"),
        running([str(programs / "pebble"), *server], tmp_path / "pebble.log"),
        contextlib.closing(dns.server.socket),
    ):
        wait_for_port(records)
        wait_for_port(port)
        yield Pebble(port, management, resolver, dns)
        dns.server.shutdown()


def account_of(server: ApiServer, folder: Path, monkeypatch: pytest.MonkeyPatch) -> kubernetes.ApiServer:
    """The client of the pod, with its service account in a new folder."""
    address = json.loads(server.kubeconfig.read_text())["clusters"][0]["cluster"]["server"]
    monkeypatch.setattr(kubernetes, "API_HOST", address.removeprefix("https://"))
    folder.mkdir()
    (folder / "token").write_text(server.kubectl("create", "token", "acme", "-n", NAMESPACE))
    (folder / "namespace").write_text(NAMESPACE)
    (folder / "ca.crt").write_bytes((server.kubeconfig.parent / "apiserver.crt").read_bytes())
    return kubernetes.ApiServer(folder)


@dataclass
class Site:
    """What the component declares for the stack, in the API server, and the page beside it."""

    pebble: Pebble
    server: ApiServer
    account: kubernetes.ApiServer
    keeper: Keeper
    own: Certificate
    mounted: Path
    page: AcmeCertificate = field(init=False)

    def __post_init__(self) -> None:
        self.page = AcmeCertificate(self.mounted, self.own, OLDEST)

    @property
    def secret(self) -> dict[str, bytes]:
        """The content of the page's Secret."""
        found = self.server.get("secret", "ui-acme", "-n", PAGE).get("data") or {}
        return {key: base64.b64decode(value) for key, value in found.items()}

    def look(self) -> bool:
        """One look of the keeper; then the page's pod has what is in the Secret, as its kubelet would bring it."""
        well = self.keeper.look()
        content = self.secret
        for file in self.mounted.iterdir():
            if file.name not in content:
                file.unlink()
        for name, value in content.items():
            (self.mounted / name).write_bytes(value)
        self.page.look()
        return well

    def serial(self, name: str, authority: str) -> int:
        """The serial number that a browser sees that trusts the authority and asks for the name."""
        here, there = socket.socketpair()
        trust = ssl.create_default_context(cadata=authority)
        got: list[bytes] = []

        def connect() -> None:
            with trust.wrap_socket(there, server_hostname=name) as client:
                got.append(client.getpeercert(binary_form=True) or b"")

        thread = threading.Thread(target=connect)
        thread.start()
        with self.own.context.wrap_socket(here, server_side=True):
            thread.join()
        return x509.load_der_x509_certificate(got[0]).serial_number


def declared(pebble: Pebble, authority: str) -> list[Mapping[str, Any]]:
    """The Kubernetes objects of a stack with this ACME server."""
    given = {
        "server": f"https://127.0.0.1:{pebble.port}/dir",
        "email": "cameras@example.com",
        "names": [FURTHER],
        "dnsProvider": "httpreq",
        "options": {
            "HTTPREQ_ENDPOINT": f"http://127.0.0.1:{pebble.dns.server.server_port}",
            "HTTPREQ_USERNAME": "argus",
            "HTTPREQ_POLLING_INTERVAL": "1",
        },
        "credentials": {"HTTPREQ_PASSWORD": PASSWORD},
        "waitSeconds": 1,
        "ca": authority,
        "externalAccount": ACCOUNT,
    }
    ui = settings(ui={"url": f"https://{NAME}", "acme": given}).ui
    assert ui.acme is not None
    section = ui.acme

    def declare() -> None:
        page = Namespace("argus", NamespaceArgs(kubernetes_version="1.36.1", name=PAGE)).name
        Acme(
            "acme",
            AcmeArgs(kubernetes_version="1.36.1", image="acme:1", section=section, names=ui.acme_names, page=page),
        )

    recorder = Recorder()
    recorder.run(declare)
    return [each.inputs for each in recorder.resources if each.type.startswith("kubernetes:")]


@pytest.fixture
def site(
    pebble: Pebble, api_server: ApiServer, programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Site]:
    objects = declared(pebble, (of_pods() / AUTHORITY).read_text())
    try:
        for each in objects:
            api_server.kubectl("create", "-f", "-", stdin=json.dumps(each))
        by_name = {(each["kind"], each["metadata"]["name"]): each for each in objects}
        (tmp_path / "authority.pem").write_text(by_name["ConfigMap", "acme-authority"]["data"]["authority.pem"])
        variables = {
            **by_name["ConfigMap", "acme"]["data"],
            **by_name["Secret", "acme-credentials"]["stringData"],
            # The pod's resolver and its mount.
            "LEGO_DNS_RESOLVERS": f"127.0.0.1:{pebble.resolver}",
            "LEGO_CA_CERTIFICATES": str(tmp_path / "authority.pem"),
        }
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
        account = account_of(api_server, tmp_path / "account", monkeypatch)
        mounted = tmp_path / "mounted"
        mounted.mkdir()
        yield Site(
            pebble=pebble,
            server=api_server,
            account=account,
            keeper=Keeper(read(Settings), account, NAMESPACE, pod="first"),
            own=Certificate(certificate(tmp_path / "own", "own"), OLDEST),
            mounted=mounted,
        )
    finally:
        for namespace in (NAMESPACE, PAGE):
            api_server.kubectl("delete", "namespace", namespace, "--ignore-not-found", "--wait=true", "--timeout=60s")
        api_server.kubectl("delete", "priorityclass", "argus-state", "--ignore-not-found")


def test_it_is_issued_and_renewed_and_a_failure_is_said_and_changes_nothing(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.ui.acme.PATIENCE", timedelta())
    pebble = site.pebble
    assert site.page.notice is not None, "there is none yet"
    assert site.look(), site.secret
    first = site.secret
    assert site.page.notice is None
    assert site.serial(NAME, pebble.root) == site.serial(FURTHER, pebble.root)
    assert site.serial("localhost", (site.mounted.parent / "own/tls.crt").read_text()) != site.serial(NAME, pebble.root)
    login = base64.b64encode(f"argus:{PASSWORD}".encode()).decode()
    assert pebble.dns.logins == {f"Basic {login}"}

    # Not due: nobody is asked for another.
    pebble.renew(first["tls.crt"], after=timedelta(days=1))
    assert site.look()
    assert site.secret == first

    # Due by its time, whatever the server says of a day that it does not live to see. The API server has ended the
    # connection by then, as it does between two looks of an hour.
    time.sleep(IDLE_SECONDS)
    assert site.look()
    second = site.secret
    assert second["tls.crt"] != first["tls.crt"]
    assert second["tls.key"] != first["tls.key"]
    assert second.keys() == {"tls.crt", "tls.key"}

    # Due as the server says, but the record is not the one that it wants.
    serial = site.serial(NAME, pebble.root)
    pebble.renew(second["tls.crt"], after=timedelta(minutes=-1))
    pebble.dns.wrong = True
    assert not site.look()
    assert site.secret["tls.crt"] == second["tls.crt"]
    assert site.serial(NAME, pebble.root) == serial
    assert site.page.notice is not None
    for words in (
        "urn:ietf:params:acme:error:unauthorized :: Correct value not found for DNS challenge",
        NAME,
        FURTHER,
    ):
        assert words in site.page.notice
    assert PASSWORD not in site.page.notice

    pebble.dns.wrong = False
    assert site.look()
    assert site.page.notice is None
    assert site.serial(NAME, pebble.root) != serial
    assert site.secret.keys() == {"tls.crt", "tls.key"}


def test_it_asks_with_one_account_whatever_pod_it_is(site: Site) -> None:
    assert site.look()
    state = site.server.get("secret", "acme-state", "-n", NAMESPACE)["data"]
    site.pebble.renew(site.secret["tls.crt"], after=timedelta(minutes=-1))
    site.keeper = Keeper(read(Settings), site.account, NAMESPACE, pod="second")
    before = site.secret
    assert site.look()
    assert site.secret["tls.crt"] != before["tls.crt"]
    accounts = [
        {
            name: text
            for name, text in json.loads(base64.b64decode(each["state.json"]))["files"].items()
            if "acc" in name
        }
        for each in (state, site.server.get("secret", "acme-state", "-n", NAMESPACE)["data"])
    ]
    assert accounts[0] == accounts[1] != {}


def test_a_server_that_does_not_know_the_account_says_so(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEGO_EAB_HMAC", base64.urlsafe_b64encode(bytes(32)).decode().rstrip("="))
    assert not site.look()
    assert site.page.notice is not None and "unauthorized" in site.page.notice
    assert site.secret.keys() == {"failure.json"}


def test_a_server_that_is_away_or_not_to_be_trusted_is_said(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    given = read(Settings)
    for server, why in ((f"https://127.0.0.1:{free_port()}/dir", "refused"), (given.server, "x509")):
        if why == "x509":
            monkeypatch.setenv("LEGO_CA_CERTIFICATES", str(site.mounted.parent / "own/tls.crt"))
        site.keeper = Keeper(given.model_copy(update={"server": server}), site.account, NAMESPACE, pod=server)
        assert not site.look()
        assert site.page.notice is not None and why in site.page.notice


def test_the_account_reads_and_writes_these_two_secrets_alone(site: Site) -> None:
    server = site.server
    server.kubectl("create", "secret", "generic", "another", "-n", PAGE, "--from-literal=a=b")
    own, page = f"/api/v1/namespaces/{NAMESPACE}/secrets", f"/api/v1/namespaces/{PAGE}/secrets"
    for method, path in (
        ("GET", own),
        ("GET", page),
        ("GET", f"{page}/another"),
        ("GET", f"{own}/acme-credentials"),
        ("DELETE", f"{page}/ui-acme"),
        ("GET", f"/api/v1/namespaces/{PAGE}/pods"),
    ):
        with pytest.raises(ApiError) as refused:
            site.account.ask(method, path)
        assert refused.value.status == http.client.FORBIDDEN
    for path in (f"{page}/ui-acme", f"{own}/acme-state"):
        assert site.account.ask("GET", path)["metadata"]["name"]
