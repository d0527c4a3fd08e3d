"""Keeps one program running: `python -m lab.supervisor LOG PROGRAM ARGUMENT...` restarts it whenever it ends."""

import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

_PAUSE_SECONDS = 1.0
_STOP_SECONDS = 10.0


class _Stopped(Exception):
    """The supervisor received SIGTERM."""


def supervise(log: Path, command: list[str]) -> None:
    """Run the command until SIGTERM, which is passed on to it."""
    signal.signal(signal.SIGTERM, _stop)
    with log.open("a", buffering=1) as sink:
        while True:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sink, stderr=subprocess.STDOUT)
            try:
                status = process.wait()
                sink.write(f"supervisor: ended with {status}, starting it again\n")
                time.sleep(_PAUSE_SECONDS)
            except _Stopped:
                _end(process)
                return


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _stop(_number: int, _frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise _Stopped


if __name__ == "__main__":
    supervise(Path(sys.argv[1]), sys.argv[2:])
