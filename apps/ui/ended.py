"""The sessions that their users have ended, which every pod knows by a ConfigMap: a copy of a cookie is worth nothing.

The ConfigMap has an identity and a time for each logout of the last hours.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from apps.service.kubernetes import ACCOUNT, ERRORS, ApiError, ApiServer

POLL_SECONDS: Final = 5.0
"""A logout is known to the other pods after this long, and written again after this long if that failed."""

MOST_ENDED: Final = 5000
"""The most sessions that are remembered; then those are forgotten that end first by themselves."""

logger = logging.getLogger(__name__)


class EndedSessions:
    """Ended sessions by identity, until the time at which they would have ended in any case. Not for several threads.

    Outside a cluster they are known to this process alone. While the API server does not answer, this pod refuses what
    it knows of, and tells the others later.
    """

    def __init__(self, config_map: str, account: Path = ACCOUNT, clock: Callable[[], float] = time.time) -> None:
        self._config_map, self._account, self._clock = config_map, account, clock
        self._until: dict[str, float] = {}
        self._untold: set[str] = set()
        self._news = asyncio.Event()

    def __contains__(self, identity: str) -> bool:
        return identity in self._until

    def add(self, identity: str, until: float) -> None:
        """Refuse a session here at once, and soon elsewhere. `until` is its latest end (seconds of `time.time`)."""
        self._until[identity] = until
        if len(self._until) > MOST_ENDED:
            self._until = _kept(self._until, self._clock())
        self._untold.add(identity)
        self._news.set()

    async def run(self) -> None:
        """Tell and ask the other pods until cancelled; returns at once if there is no service account."""
        if not (self._account / "token").exists():
            logger.info("no service account: other pods do not learn of a logout")
            return
        server = ApiServer(self._account)
        while True:
            self._news.clear()
            try:
                await self.exchange(server)
            except ERRORS as error:
                logger.warning("logouts are not exchanged with the other pods: %r", error)
                await asyncio.sleep(POLL_SECONDS)
            else:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._news.wait(), POLL_SECONDS)

    async def exchange(self, server: ApiServer) -> None:
        """Read the ConfigMap, and add what it lacks. Raises one of ERRORS."""
        path = f"/api/v1/namespaces/{server.namespace}/configmaps/{self._config_map}"
        while True:
            found: dict[str, Any] = await asyncio.to_thread(server.ask, "GET", path)
            self._until = _kept({**_read(found), **self._until}, self._clock())
            telling = frozenset(self._untold)
            if not telling:
                return
            data = {identity: f"{until:.0f}" for identity, until in self._until.items()}
            try:
                await asyncio.to_thread(server.ask, "PUT", path, body={**found, "data": data})
            except ApiError as refused:
                # Another pod has written in between: its metadata has the version that was read.
                if refused.status == HTTPStatus.CONFLICT:
                    continue
                raise
            self._untold -= telling
            return


def _read(config_map: dict[str, Any]) -> dict[str, float]:
    """What the ConfigMap has. Raises ValueError if somebody else has written it."""
    return {identity: float(until) for identity, until in (config_map.get("data") or {}).items()}


def _kept(until: dict[str, float], now: float) -> dict[str, float]:
    """Those that still matter, at most MOST_ENDED."""
    alive = {identity: end for identity, end in until.items() if end > now}
    if len(alive) <= MOST_ENDED:
        return alive
    return dict(sorted(alive.items(), key=lambda one: one[1])[-MOST_ENDED:])
