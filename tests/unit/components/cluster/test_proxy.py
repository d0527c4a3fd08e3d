"""HTTP proxies of machines: what apt-get, curl and containerd are told, what stays direct, and the undo."""

import itertools
import os
import re
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from components.remote import Script
from tests.unit.components.cluster.conftest import (
    FOLDER,
    SERVING,
    Host,
    cluster_args,
    cluster_section,
    configure_containerd,
)

SQUID = "http://proxy.example.org:3128"
PROXY = cluster_args(cluster=cluster_section(proxy={"http": SQUID, "noProxy": ["mirror.example.org"]}))
LINES = PROXY.on(PROXY.all_machines[0]).proxy
DROPIN = "/etc/systemd/system/containerd.service.d/90-argus-proxy.conf"
DIRECT = (
    "localhost,127.0.0.0/8,.svc,.cluster.local,192.0.2.10,10.244.0.0/16,10.96.0.0/16,mirror.example.org,192.0.2.11,"
    "192.0.2.0/24"
)
"""What is reached directly on the first machine: with its network, which the machine itself says."""


@pytest.fixture
def host(hosts: dict[str, Host]) -> Host:
    """A machine in 192.0.2.0/24, before it joins."""
    host = hosts["cp1"]
    host.program("ctr", SERVING)
    host.program("ip", "case $* in *' src 192.0.2.11') echo '192.0.2.0/24 dev eth0 src 192.0.2.11' ;; esac")
    host.path("/var/lib/argus").mkdir(parents=True)
    return host


def configure(host: Host, proxy: list[str], processors: str = "") -> int:
    """Configure containerd. Returns how often it was restarted."""
    return configure_containerd(host, proxy=proxy, go_max_procs=processors)


def variables(host: Host, program: str) -> dict[str, str]:
    """The proxies that the program saw at its first call."""
    first = host.noted.partition(f"\n{program} ")[2].splitlines()[1:]
    seen = itertools.takewhile(lambda line: "=" in line, first)
    return {name: value for line in seen for name, _, value in [line.partition("=")] if name.lower().endswith("_proxy")}


def test_apt_and_curl_are_told(host: Host) -> None:
    host.program("dpkg-query", "exit 1")
    host.program("curl", "exit 22")
    host.program("apt-get", "")
    given = {"server": "https://x", "version": "1.36.1", "binaries": "http://127.0.0.1:9", "checksums": ()}
    with pytest.raises(subprocess.CalledProcessError):
        host.run("packages.sh", packages=("runc",), proxy=LINES, **given)
    for program in ("apt-get", "curl"):
        told = variables(host, program)
        assert told["http_proxy"] == told["https_proxy"] == told["HTTPS_PROXY"] == SQUID
        assert told["no_proxy"] == told["NO_PROXY"] == DIRECT


def test_containerd_is_told_and_forgets(host: Host) -> None:
    assert configure(host, []) == 1
    assert configure(host, []) == 0
    assert not host.path(DROPIN).exists()

    assert configure(host, LINES) == 1
    assert host.path(DROPIN).read_text() == (
        f'[Service]\nEnvironment="HTTP_PROXY={SQUID}"\nEnvironment="HTTPS_PROXY={SQUID}"\n'
        f'Environment="NO_PROXY={DIRECT}"\n'
    )
    assert configure(host, LINES) == 0

    assert configure(host, []) == 1
    assert not host.path(DROPIN).exists()
    assert configure(host, []) == 0


def test_containerd_uses_as_many_processors_as_the_stack_says(host: Host) -> None:
    configure(host, [])
    file = host.path(DROPIN).with_name("90-argus-processors.conf")
    assert configure(host, [], "2") == 1
    assert file.read_text() == "[Service]\nEnvironment=GOMAXPROCS=2\n"
    assert configure(host, [], "2") == 0
    assert configure(host, []) == 1
    assert not file.exists()


def test_the_undo_leaves_nothing_and_what_was_there(host: Host) -> None:
    own = host.path(DROPIN).parent / "http-proxy.conf"
    own.parent.mkdir(parents=True)
    own.write_text("the machine's own")
    configure(host, LINES, "1")
    host.run("container_runtime_delete.sh")
    assert [each.name for each in own.parent.iterdir()] == ["http-proxy.conf"]
    own.unlink()
    configure(host, LINES)
    host.run("container_runtime_delete.sh")
    assert not own.parent.exists()


def test_every_script_that_downloads_is_told() -> None:
    """Found by what it calls; functions alone are not scripts."""
    downloads = re.compile(r"^[^#\n]*\b(apt_get (update|install)|fetch kube)", re.MULTILINE)
    found = {file.name: file.read_text() for file in FOLDER.glob("*.sh") if downloads.search(file.read_text())}
    assert found.keys() == {"packages.sh", "upgrade_node.sh"}
    assert [name for name, text in found.items() if not re.search(r"^ *through_proxy$", text, re.MULTILINE)] == []


def test_https_goes_where_http_goes_unless_it_has_its_own() -> None:
    def lines(**proxy: str) -> list[str]:
        args = cluster_args(cluster=cluster_section(proxy=proxy))
        return args.on(args.all_machines[0]).proxy

    assert lines() == []
    assert lines(http=SQUID)[:2] == [f"http_proxy={SQUID}", f"https_proxy={SQUID}"]
    assert lines(http=SQUID, https="http://other:8080/")[:2] == [f"http_proxy={SQUID}", "https_proxy=http://other:8080"]
    assert lines(https=SQUID)[0] == f"https_proxy={SQUID}"


class Server:
    """A proxy, or a server, on loopback that answers everything, and notes the first line of each request."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        asked = self.asked

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.append(self.requestline)
                self.send_error(404)

            def do_CONNECT(self) -> None:
                asked.append(self.requestline)
                self.send_error(403)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def servers() -> Iterator[tuple[Server, Server]]:
    made = Server(), Server()
    yield made
    for each in made:
        each.server.shutdown()
        each.server.server_close()


def test_real_programs_take_them(servers: tuple[Server, Server], tmp_path: Path) -> None:
    """Debian's apt-get and curl, with an environment as sudo leaves it."""
    proxy, near = servers
    apt = tmp_path / "apt"
    for folder in ("lists/partial", "cache/archives/partial", "etc/apt.conf.d"):
        (apt / folder).mkdir(parents=True)
    (apt / "sources").write_text(
        f"deb [trusted=yes] http://far.invalid/debian stable main\ndeb [trusted=yes] {near.url}/debian stable main\n"
    )
    options = {
        "Dir::State": apt,
        "Dir::State::lists": apt / "lists",
        "Dir::Cache": apt / "cache",
        "Dir::Etc::sourcelist": apt / "sources",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::Etc::parts": apt / "etc/apt.conf.d",
        "Dir::Etc::main": "/dev/null",
        "APT::Sandbox::User": "root",
        "Acquire::Retries": 0,
    }
    quoted = " ".join(f"-o {name}={value}" for name, value in options.items())
    script = tmp_path / "download.sh"
    script.write_text(
        f"through_proxy\ncurl -s http://far.invalid/1 || true\ncurl -s https://far.invalid/2 || true\n"
        f"curl -s {near.url}/3 || true\napt-get {quoted} update >/dev/null 2>&1 || true\n"
    )
    lines = [f"http_proxy={proxy.url}", f"https_proxy={proxy.url}", "no_proxy=localhost,127.0.0.1,192.0.2.11"]
    rendered = Script(files=[FOLDER / "functions" / "proxy.sh", script], values={"PROXY": lines}).render()
    environment = {"PATH": os.environ["PATH"], "APT_CONFIG": "/dev/null"}
    subprocess.run(["/bin/sh", "-c", rendered], env=environment, check=True, timeout=120)
    assert "GET http://far.invalid/1 HTTP/1.1" in proxy.asked
    assert "CONNECT far.invalid:443 HTTP/1.1" in proxy.asked
    assert any(each.startswith("GET http://far.invalid/debian/") for each in proxy.asked)
    assert "GET /3 HTTP/1.1" in near.asked
    assert any(each.startswith("GET /debian/") for each in near.asked)
    assert not any("/3" in each or near.url in each for each in proxy.asked)
