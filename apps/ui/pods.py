"""The pods of this namespace, or other objects, as the API server lists them again and again."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from apps.service.kubernetes import ERRORS, ApiServer

logger = logging.getLogger(__name__)

Take = Callable[[list[Mapping[str, Any]]], Awaitable[None]]
"""Takes over what the objects say. Raises KeyError if they are none."""


async def poll_pods(query: str, take: Take, *, seconds: float, account: Path, what: str) -> None:
    """Have `take` called with the pods of this query, as `poll_list` does."""
    await poll_list(
        lambda namespace: f"/api/v1/namespaces/{namespace}/pods?{query}",
        take,
        seconds=seconds,
        account=account,
        what=what,
    )


async def poll_list(path: Callable[[str], str], take: Take, *, seconds: float, account: Path, what: str) -> None:
    """Have `take` called with the objects at a path every so many seconds, until cancelled.

    Returns at once if there is no service account. `path` follows from this pod's namespace; `what` is what is not
    known while there is no list.
    """
    if not (account / "token").exists():
        logger.info("no service account: %s", what)
        return
    server = ApiServer(account)
    asked = path(server.namespace)
    while True:
        try:
            await take((await asyncio.to_thread(server.ask, "GET", asked))["items"])
        except (*ERRORS, KeyError) as error:
            logger.warning("the API server does not answer %s, %s: %r", asked.partition("?")[0], what, error)
        await asyncio.sleep(seconds)
