"""Waits for a condition, with a limit and a message with the last state; does something meanwhile."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx


def wait_until(description: str, check: Callable[[], str | None], limit_s: float, pause_s: float = 2.0) -> None:
    """Wait until `check` returns None; before that it returns what is missing. Fails after `limit_s` seconds.

    A failing request counts as missing, because the server may just have died.
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


@contextmanager
def repeatedly(name: str, call: Callable[[], object], period_s: float) -> Iterator[None]:
    """Call again and again, every so many seconds, in a thread of this name, until the block ends."""
    over = threading.Event()

    def run() -> None:
        while not over.wait(period_s):
            call()

    thread = threading.Thread(target=run, name=name, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
