"""What a person sees while the lab works: each step, how long it took, what it waits for."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from lab.config import LabError

_START = time.monotonic()
_NOTICE_SECONDS = 10.0


def say(message: str) -> None:
    """Print a line with the seconds since the command began."""
    print(f"[{time.monotonic() - _START:6.1f} s] {message}", file=sys.stderr, flush=True)


@contextmanager
def step(title: str) -> Iterator[None]:
    """Announce a long step and say how long it took, or that it failed."""
    say(f"{title} ...")
    start = time.monotonic()
    try:
        yield
    except BaseException:
        say(f"{title}: failed after {time.monotonic() - start:.1f} s")
        raise
    say(f"{title}: done in {time.monotonic() - start:.1f} s")


def wait_for(what: str, probe: Callable[[], str | None], *, timeout: float, interval: float = 0.5) -> None:
    """Wait until `probe` returns None; what it returns instead says what is still missing.

    Says so every ten seconds, and raises LabError with the last answer once `timeout` seconds are over.
    """
    start = time.monotonic()
    notice = start + _NOTICE_SECONDS
    while (missing := probe()) is not None:
        now = time.monotonic()
        if now - start > timeout:
            raise LabError(f"{what}: not ready after {timeout:.0f} s; last seen: {missing}")
        if now >= notice:
            say(f"  waiting for {what}: {missing}")
            notice = now + _NOTICE_SECONDS
        time.sleep(interval)
