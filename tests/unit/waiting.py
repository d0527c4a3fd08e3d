"""How a unit test waits for what other threads do."""

import inspect
import time
from collections.abc import Callable
from typing import Final

_LIMIT_SECONDS: Final = 60
"""Long, because a thread that waits for the processor on a busy computer is not a fault."""


def wait_for(condition: Callable[[], object]) -> None:
    """Wait until the condition is truthy. Fails after a minute, with the condition as it is written."""
    deadline = time.monotonic() + _LIMIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"after {_LIMIT_SECONDS} s not yet: {inspect.getsource(condition).strip()}"
        time.sleep(0.005)
