"""Asks for metrics as Prometheus does: over TLS, by the name that all pods show."""

import http.client
import socket

from apps.messages.names import METRICS_HOST
from apps.service.peer import trust
from tests.environments import AUTHORITY_FILE


def scrape(
    port: int, path: str = "/metrics", name: str = METRICS_HOST, *, content: bytes | None = None, **headers: str
) -> tuple[int, str]:
    """Status and text of the answer at this computer. Raises OSError."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    plain = socket.create_connection(("127.0.0.1", port), timeout=10)
    connection.sock = trust(AUTHORITY_FILE).wrap_socket(plain, server_hostname=name)
    try:
        connection.request("GET", path, content, headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()
