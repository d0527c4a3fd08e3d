"""Logs in to a running stack's page: with a client for its API, and in a browser."""

import base64
import hashlib
import json
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Self
from urllib.parse import urlsplit

import httpx
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.e2e.browser import Page

USER = "admin"
"""The user of a stack that names none."""


@dataclass(frozen=True, kw_only=True)
class Login:
    """Where the page is, and who logs in to it."""

    url: str
    name: str
    password: str
    authority: str | None
    """The certificate of the authority that signs the page's, as PEM text; None where the page is plain HTTP."""

    @classmethod
    def from_outputs(cls, outputs: Mapping[str, Any]) -> Self:
        """The login of a stack that names no user, from its outputs. Raises KeyError for a stack that does."""
        return cls(url=outputs["uiUrl"], name=USER, password=outputs["uiPassword"], authority=outputs["uiCa"])

    @property
    def trust(self) -> ssl.SSLContext:
        """Trusts the stack's authority alone."""
        return ssl.create_default_context(cadata=self.authority)

    def browser_flags(self) -> tuple[str, ...]:
        """Ask the page for its certificate; by these flags a browser takes it, which the stack's authority has signed.

        Raises OSError if the page has another, or does not answer.
        """
        parts = urlsplit(self.url)
        assert parts.hostname is not None and parts.port is not None
        with (
            socket.create_connection((parts.hostname, parts.port), timeout=30) as plain,
            self.trust.wrap_socket(plain, server_hostname=parts.hostname) as connection,
        ):
            certificate = connection.getpeercert(binary_form=True)
        assert certificate is not None
        key = x509.load_der_x509_certificate(certificate).public_key()
        digest = hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()
        return (f"--ignore-certificate-errors-spki-list={base64.b64encode(digest).decode()}",)

    def client(self, transport: httpx.BaseTransport | None = None) -> httpx.Client:
        """A client with a session of its own. Raises httpx.HTTPError if the page does not answer or refuses."""
        settings = partial(
            httpx.Client, base_url=self.url, timeout=30, trust_env=False, transport=transport, verify=self.trust
        )
        # A client that has asked something cannot be entered by `with` any more.
        with settings() as first:
            first.post("/api/login", json={"name": self.name, "password": self.password}).raise_for_status()
        return settings(cookies=first.cookies)

    def in_browser(self, page: Page, path: str = "/") -> None:
        """Open a path, which leads to the form, fill it in, and wait until the path is shown."""
        page.open(f"{self.url}{path}")
        page.wait_for("location.pathname === '/login' && document.getElementById('form') !== null")
        for field, value in (("name", self.name), ("password", self.password)):
            page.evaluate(f"document.querySelector('[name={field}]').value = {json.dumps(value)}")
        page.evaluate("document.querySelector('#form button').click()")
        page.wait_for(f"location.pathname + location.search === {json.dumps(path)}")
        page.wait_for("document.readyState === 'complete'")
