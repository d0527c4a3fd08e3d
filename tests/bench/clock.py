"""Times a command, with its output in a file."""

import time
from collections.abc import Mapping, Sequence

from lab.config import ROOT
from lab.shell import run

LOGS = ROOT / "artifacts" / "bench"
_LIMIT_SECONDS = 1800


def timed(command: Sequence[str], environment: Mapping[str, str], log: str) -> float:
    """Run the command and return its seconds. Raises LabError with the end of the log if it fails."""
    start = time.perf_counter()
    run(command, env=environment, cwd=ROOT, timeout=_LIMIT_SECONDS, log=LOGS / f"{log}.log")
    return time.perf_counter() - start
