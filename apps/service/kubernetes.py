"""A client of the Kubernetes API server, which uses the pod's service account."""

import http.client
import json
import ssl
import time
from pathlib import Path
from typing import Any

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where Kubernetes mounts a pod's service account."""

API_HOST = "kubernetes.default.svc"
ERRORS = (OSError, http.client.HTTPException, ValueError)
"""What a request may raise: no connection, a refusal, an answer that is not JSON."""

_TIMEOUT_SECONDS = 5
_IDLE_SECONDS = 30.0
"""A connection on which nothing was asked for longer is opened anew. The API server ends one after 90 s, and a client
learns of that by its next request alone, which fails."""


class ApiError(http.client.HTTPException):
    """The API server refused a request with this HTTP status."""

    def __init__(self, request: str, status: int, content: bytes) -> None:
        super().__init__(f"{request}: {status} {content[:200]!r}")
        self.status = status


def token(account: Path = ACCOUNT) -> str:
    """The account's token. Read it each time, because Kubernetes renews it. Raises OSError."""
    return (account / "token").read_text().strip()


def trust(account: Path = ACCOUNT) -> ssl.SSLContext:
    """Trusts the certificates of the cluster's authority; outside a cluster, those of the system's."""
    authority = account / "ca.crt"
    return ssl.create_default_context(cafile=str(authority) if authority.exists() else None)


class ApiServer:
    """One connection, opened when needed and reopened after an error or a pause. Not thread-safe."""

    def __init__(self, account: Path = ACCOUNT) -> None:
        self._account = account
        self.namespace = (account / "namespace").read_text().strip()
        self._connection = http.client.HTTPSConnection(API_HOST, timeout=_TIMEOUT_SECONDS, context=trust(account))
        self._asked = time.monotonic()

    def ask(self, method: str, path: str, *, accept: str = "application/json", body: Any = None) -> Any:
        """The JSON of the answer; `body` is sent as JSON. Raises one of ERRORS; ApiError is a refusal."""
        headers = {
            "Authorization": f"Bearer {token(self._account)}",
            "Accept": accept,
            "Content-Type": "application/json",
        }
        last, self._asked = self._asked, time.monotonic()
        if self._asked - last > _IDLE_SECONDS:
            self._connection.close()
        try:
            self._connection.request(method, path, body=None if body is None else json.dumps(body), headers=headers)
            response = self._connection.getresponse()
            content = response.read()
        except BaseException:
            self._connection.close()  # opened again by the next request
            raise
        if response.status >= http.client.BAD_REQUEST:
            raise ApiError(f"{method} {path}", response.status, content)
        return json.loads(content)
