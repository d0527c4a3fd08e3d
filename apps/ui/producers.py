"""Polls the producers for the state of their cameras."""

import asyncio
import logging
from typing import Any

import httpx

from apps.messages.names import NAME
from apps.service.token import Token

POLL_SECONDS = 2.0
TIMEOUT_SECONDS = 3.0

logger = logging.getLogger(__name__)


class Producers:
    """Polls every producer. If one does not answer, its cameras alone become `unreachable`."""

    def __init__(self, urls: tuple[str, ...], client: httpx.AsyncClient, token: Token) -> None:
        self._urls, self._token = urls, token
        self._client = client
        self._cameras: dict[str, dict[str, dict[str, Any]]] = {url: {} for url in urls}

    @property
    def states(self) -> dict[str, dict[str, Any]]:
        """`state` and `error` by camera name."""
        return {name: state for cameras in self._cameras.values() for name, state in cameras.items()}

    async def run(self) -> None:
        """Poll until cancelled."""
        while True:
            await asyncio.gather(*(self._ask(url) for url in self._urls))
            await asyncio.sleep(POLL_SECONDS)

    async def _ask(self, url: str) -> None:
        try:
            response = await self._client.get(f"{url}/cameras", headers=self._token.headers, timeout=TIMEOUT_SECONDS)
            response.raise_for_status()
            self._cameras[url] = camera_states(response.json())
        except (httpx.HTTPError, ValueError) as error:
            logger.debug("%s does not list its cameras: %s", url, error)
            self._cameras[url] = {
                name: {"state": "unreachable", "error": "the producer does not answer"} for name in self._cameras[url]
            }


def camera_states(body: Any) -> dict[str, dict[str, Any]]:
    """`state` and `error` by camera name from a producer's answer; what cannot be a camera's name is left out.

    Raises ValueError if it is malformed.
    """
    try:
        return {
            camera["name"]: {"state": str(camera["state"]), "error": camera.get("error")}
            for camera in body["cameras"]
            if NAME.fullmatch(camera["name"])
        }
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a list of cameras: {type(error).__name__} {error}") from error
