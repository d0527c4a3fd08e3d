"""One Secret of the cluster, as a pod reads and replaces it that may do nothing else with Secrets."""

from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Any, Protocol

from apps.service.kubernetes import ERRORS


class Api(Protocol):
    """What asks the API server (apps/service/kubernetes.py)."""

    def ask(self, method: str, path: str, *, body: Any = None) -> Any:
        """The JSON of the answer. Raises one of apps.service.kubernetes.ERRORS."""


class SecretError(Exception):
    """A Secret is not read or written; the message says which one, and why."""


class Secret:
    """A Secret that is there."""

    def __init__(self, api: Api, namespace: str, name: str) -> None:
        self._api = api
        self._name = f"{namespace}/{name}"
        self._path = f"/api/v1/namespaces/{namespace}/secrets/{name}"

    def read(self) -> dict[str, bytes]:
        """Its content by key. Raises SecretError."""
        return _content(self._ask("GET"))

    def write(self, content: Mapping[str, bytes]) -> None:
        """Replace its content, unless it is the same. Raises SecretError, also where somebody else changes it at the
        same time."""
        found = self._ask("GET")
        if _content(found) != content:
            encoded = {key: b64encode(value).decode() for key, value in content.items()}
            self._ask("PUT", {**found, "data": encoded})

    def _ask(self, method: str, body: Any = None) -> Any:
        try:
            return self._api.ask(method, self._path, body=body)
        except ERRORS as error:
            done = "written" if body else "read"
            raise SecretError(f"the Secret {self._name} is not {done}: {error!r}") from error


def _content(found: Mapping[str, Any]) -> dict[str, bytes]:
    return {key: b64decode(value) for key, value in (found.get("data") or {}).items()}
