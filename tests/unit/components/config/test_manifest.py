"""A manifest is read on Pulumi's own computer; mistakes are reported with their place and the remedy."""

import http.server
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from components.config.manifest import ManifestError, read
from tests.certificates import certificate

GOOD = """\
# Comments alone are no object.
---
apiVersion: v1
kind: ServiceAccount
metadata: { name: calico-node, namespace: kube-system }
---
apiVersion: v1
kind: List
items:
  - apiVersion: apiextensions.k8s.io/v1
    kind: CustomResourceDefinition
    metadata: { name: pools.example.com }
    spec: { operators: [=, "!="] }
---
"""
NO_KIND = "apiVersion: v1\nmetadata: {name: x}\n"
IN_A_LIST = "apiVersion: v1\nkind: List\nitems:\n  - {kind: Secret, metadata: {name: x}}\n"


def test_the_text_is_taken_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "calico.yaml"
    file.write_text(GOOD)
    assert read(str(file)) == GOOD


def test_a_path_may_begin_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cni.yaml").write_text(GOOD)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert read("~/cni.yaml") == GOOD


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("kind: [", "is not YAML (line "),
        ("a: b\n\tc: d\n", "is not YAML (line 2: "),
        ("<!DOCTYPE html>", "object 1 has no kind"),
        ("", "holds no object"),
        ("# nothing\n---\n", "holds no object"),
        ("apiVersion: v1\nkind: List\nitems:\n", "holds no object"),
        (NO_KIND, "object 1 has no kind"),
        (f"{GOOD}{NO_KIND}", "object 3 has no kind"),
        ("kind: ConfigMap\nmetadata: {name: x}\n", "object 1 has no apiVersion"),
        ("apiVersion: v1\nkind: ConfigMap\n", "object 1 has no metadata.name"),
        ("apiVersion: v1\nkind: ConfigMap\nmetadata: x\n", "object 1 has no metadata.name"),
        ("- apiVersion: v1\n  kind: ConfigMap\n", "object 1 has no kind"),
        (IN_A_LIST, "object 1 has no apiVersion"),
    ],
)
def test_what_is_no_manifest_is_refused(content: str, problem: str, tmp_path: Path) -> None:
    file = tmp_path / "cni.yaml"
    file.write_text(content)
    with pytest.raises(ManifestError) as refused:
        read(str(file))
    assert str(refused.value).startswith(str(file))
    assert problem in str(refused.value)
    assert "give what `kubectl apply -f` takes" in str(refused.value)


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    for name, problem in (("binary", "is no text"), ("", "cannot be read"), ("none.yaml", "does not exist")):
        with pytest.raises(ManifestError, match=problem):
            read(str(tmp_path / name))


class _Server(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        status, headers, body = {
            "/calico.yaml": (200, {}, GOOD),
            "/moved.yaml": (302, {"Location": "/calico.yaml"}, ""),
            "/plain.yaml": (302, {"Location": f"http://127.0.0.1:{self.connection.getsockname()[1]}/calico.yaml"}, ""),
        }.get(self.path, (404, {}, "no such file"))
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of a server with a trusted certificate."""
    tls = certificate(tmp_path / "tls", "test")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tls / "tls.crt", tls / "tls.key")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Server)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("SSL_CERT_FILE", str(tls / "tls.crt"))
    monkeypatch.setenv("no_proxy", "localhost")
    yield f"https://localhost:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("path", ["/calico.yaml", "/moved.yaml"])
def test_a_url_is_fetched(site: str, path: str) -> None:
    assert read(f"{site}{path}") == GOOD


def test_a_url_that_leads_to_plain_http_is_not_followed(site: str) -> None:
    with pytest.raises(ManifestError, match=r"/plain\.yaml cannot be read \(unknown url type: http\)"):
        read(f"{site}/plain.yaml")


def test_a_url_that_gives_nothing_is_refused(site: str) -> None:
    with pytest.raises(ManifestError, match=r"/none\.yaml answers 404 Not Found; .* give its path"):
        read(f"{site}/none.yaml")


def test_a_server_that_is_not_trusted_is_refused(site: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(ManifestError, match=r"cannot be read .*certificate"):
        read(f"{site}/calico.yaml")


def test_a_server_that_is_not_there_is_refused() -> None:
    with pytest.raises(ManifestError, match=r"cannot be read .*refused"):
        read("https://127.0.0.1:1/calico.yaml")
