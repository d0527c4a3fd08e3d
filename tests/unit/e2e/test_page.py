"""The end-to-end tests log in to the page."""

import base64
import hashlib
import json
import socket
import ssl
import threading
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from tests.certificates import certificate, openssl
from tests.e2e.page import Login


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the page's certificate and key; the certificate is its own authority."""
    return certificate(tmp_path_factory.mktemp("page") / "tls", "page")


def login(pair: Path, port: int = 30080, password: str = "drawn") -> Login:
    authority = (pair / "tls.crt").read_text()
    outputs = {"uiUrl": f"https://localhost:{port}", "uiPassword": password, "uiCa": authority}
    return Login.from_outputs(outputs)


def answer(request: httpx.Request) -> httpx.Response:
    if request.url.path == "/api/login":
        right = json.loads(request.content) == {"name": "admin", "password": "drawn"}
        return httpx.Response(200 if right else 401, headers={"set-cookie": "argus-session=1; Path=/"} if right else {})
    return httpx.Response(200, text=request.headers.get("cookie", ""))


def test_a_client_shows_its_session_at_every_request(pair: Path) -> None:
    with login(pair).client(httpx.MockTransport(answer)) as client:
        assert client.get("/api/wall").text == "argus-session=1"


def test_a_wrong_password_is_an_error(pair: Path) -> None:
    with pytest.raises(httpx.HTTPStatusError, match="401"):
        login(pair, password="wrong").client(httpx.MockTransport(answer))


def shown(pair: Path, trusted: Path) -> tuple[str, ...]:
    """The flags for a page with one pair, whose authority is said to be another."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pair / "tls.crt", pair / "tls.key")
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with suppress(OSError):
                context.wrap_socket(server.accept()[0], server_side=True).close()

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            return login(trusted, port=server.getsockname()[1]).browser_flags()
        finally:
            thread.join()


def test_a_browser_takes_the_page_s_certificate_if_the_authority_signed_it(pair: Path, tmp_path: Path) -> None:
    (flag,) = shown(pair, pair)
    public = openssl("x509", "-pubkey", "-noout", "-in", pair / "tls.crt")
    key = openssl("pkey", "-pubin", "-outform", "DER", given=public.decode())
    assert flag.endswith(f"={base64.b64encode(hashlib.sha256(key).digest()).decode()}")
    with pytest.raises(ssl.SSLCertVerificationError):
        shown(pair, certificate(tmp_path / "other", "page"))
