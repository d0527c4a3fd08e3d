"""The page's application without a server: requests go straight into it."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from apps.ui.app import create_app
from apps.ui.settings import Settings
from tests.environments import variables

SITE = "http://page.test:30080"


def make_app(monkeypatch: pytest.MonkeyPatch, access: Path, **changes: str) -> FastAPI:
    """The application with the users of a folder. Nothing of it runs in the background."""
    changes = {"cameras": "gate,yard-1,yard-2", "results_topics": "results.objects", **changes}
    for name, value in variables("apps.ui", access_dir=str(access), **changes).items():
        monkeypatch.setenv(name, value)
    return create_app(Settings())


class Browser:
    """Keeps cookies between requests, as a browser does, and is at one address."""

    def __init__(self, app: FastAPI, address: str = "192.0.2.7") -> None:
        self._transport = httpx.ASGITransport(app, client=(address, 50000))
        self.cookies = httpx.Cookies()

    def ask(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, **request: Any
    ) -> httpx.Response:
        """The answer to one request."""

        async def sent() -> httpx.Response:
            async with httpx.AsyncClient(transport=self._transport, base_url=SITE, cookies=self.cookies) as client:
                answer = await client.request(method, path, headers=headers, **request)
                self.cookies = client.cookies
                return answer

        return asyncio.run(sent())

    def get(self, path: str, **headers: str) -> httpx.Response:
        """The answer to a GET."""
        return self.ask("GET", path, headers=headers)

    def log_in(self, name: str, password: str, **headers: str) -> httpx.Response:
        """The answer to a login."""
        return self.ask("POST", "/api/login", headers=headers, json={"name": name, "password": password})
