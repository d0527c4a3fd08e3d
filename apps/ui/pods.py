"""The pods of this namespace, as the API server lists them again and again."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from apps.service.kubernetes import ERRORS, ApiServer

logger = logging.getLogger(__name__)

Take = Callable[[list[Mapping[str, Any]]], Awaitable[None]]
"""Takes over what the pods say. Raises KeyError if they are no pods."""


async def poll_pods(query: str, take: Take, *, seconds: float, account: Path, what: str) -> None:
    """Have `take` called with the pods of this query every so many seconds, until cancelled.

    Returns at once if there is no service account. `what` is what is not known while there is no list.
    """
    if not (account / "token").exists():
        logger.info("no service account: %s", what)
        return
    server = ApiServer(account)
    path = f"/api/v1/namespaces/{server.namespace}/pods?{query}"
    while True:
        try:
            await take((await asyncio.to_thread(server.ask, "GET", path))["items"])
        except (*ERRORS, KeyError) as error:
            logger.warning("the API server does not list the pods, %s: %r", what, error)
        await asyncio.sleep(seconds)
