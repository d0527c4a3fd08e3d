"""Waiting on a condition, with a limit and a message that says what was seen last."""

import time
from collections.abc import Callable

import httpx


def wait_until(description: str, check: Callable[[], str | None], limit_s: float, pause_s: float = 2.0) -> None:
    """Returns once `check` returns None; it returns what is still missing otherwise. Fails after `limit_s` seconds.

    A request that fails is one more thing that is missing: the one who would answer may have just died.
    """
    deadline = time.monotonic() + limit_s
    while True:
        try:
            seen = check()
        except httpx.HTTPError as error:
            seen = repr(error)
        if seen is None:
            return
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {limit_s:.0f} s: {description}; last seen: {seen}")
        time.sleep(pause_s)
