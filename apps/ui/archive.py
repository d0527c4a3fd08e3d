"""Finds stored images among the consumers."""

import logging

import httpx

from apps.service.token import Token

TIMEOUT = httpx.Timeout(5.0, connect=1.0)

logger = logging.getLogger(__name__)


class ArchiveUnavailableError(Exception):
    """No consumer that answered has the image, but not all of them answered."""


class Archive:
    """Asks one consumer after the other, first the one that last had an image of the camera."""

    def __init__(self, urls: tuple[str, ...], client: httpx.AsyncClient, token: Token) -> None:
        self._urls, self._token = urls, token
        self._client = client
        self._last_seen: dict[str, str] = {}

    async def jpeg(self, camera: str, hour: str, sequence: int) -> bytes | None:
        """The JPEG, or None if no consumer has it. Raises ArchiveUnavailableError if not all could be asked."""
        unanswered = []
        last_seen = self._last_seen.get(camera)
        for url in sorted(self._urls, key=lambda url: url != last_seen):
            try:
                response = await self._client.get(
                    f"{url}/frames/{camera}/{hour}/{sequence}.jpg", headers=self._token.headers, timeout=TIMEOUT
                )
            except httpx.HTTPError as error:
                logger.warning("%s does not answer: %s", url, error)
                unanswered.append(url)
                continue
            if response.status_code == httpx.codes.OK:
                self._last_seen[camera] = url
                return response.content
            if response.status_code != httpx.codes.NOT_FOUND:
                unanswered.append(url)
        if unanswered:
            raise ArchiveUnavailableError(f"{len(unanswered)} of {len(self._urls)} consumers do not answer")
        return None
