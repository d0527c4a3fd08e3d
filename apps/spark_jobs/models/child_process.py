"""Runs a user's code in a separate process, one frame at a time, and ends it when it exceeds its limits."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from apps.messages import Frame
from apps.model_api.channel import read, write
from apps.model_api.frame import frame_to_bytes

START_SECONDS = 120.0
"""How long the code may take to be imported and constructed; loading a large network takes some ten seconds."""
WATCH_SECONDS = 0.02
"""How often the working process is checked: at 2 GiB/s a call allocates 40 MiB in between."""
MOST_ANSWER_BYTES = 16 * 2**20

_ROOT = Path(__file__).parents[3]
_ENVIRONMENT = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "MALLOC_ARENA_MAX")
_PAGE = os.sysconf("SC_PAGE_SIZE")


class CodeError(Exception):
    """The code cannot be started as a model; the message says why."""


class CallEndedError(Exception):
    """A call gave no answer and its process has ended; the message says why."""


class Child:
    """One process, which its creator must end.

    It also ends when the thread that started it ends (PR_SET_PDEATHSIG), so that must be the worker's main thread.
    """

    def __init__(self, code: Path, memory_mib: int) -> None:
        self._most_mib = memory_mib
        self._end, theirs = socket.socketpair()
        self._end.settimeout(WATCH_SECONDS)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "apps.model_api.child", str(theirs.fileno()), str(code), str(os.getpid())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                # The code's output goes to the log, because Spark may use the worker's stdout.
                stdout=2,
                cwd=code,
                env=_environment(),
                start_new_session=True,
            )

    def wait_until_ready(self, seconds: float = START_SECONDS) -> None:
        """Wait until the model is constructed. Ends the process and raises CodeError if that fails."""
        try:
            said = self._answer("the start", seconds)
        except CallEndedError as ended:
            raise CodeError(f"the code does not start: {ended}") from ended
        if "ready" not in said:
            self.end()
            raise CodeError(str(said.get("refused", said)))

    def ask(self, frame: Frame, seconds: float) -> dict[str, Any]:
        """The model's answer (model_api/child.py). Ends the process and raises CallEndedError if there is none."""
        return self._answer("the call", seconds, frame_to_bytes(frame))

    @property
    def resident_mib(self) -> int:
        """Resident memory of the process and its descendants (MiB)."""
        return _resident_bytes(self._process.pid) // 2**20

    def end(self) -> None:
        """Kill the process and its process group."""
        self._end.close()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def _answer(self, what: str, seconds: float, message: bytes | None = None) -> dict[str, Any]:
        deadline = time.monotonic() + seconds
        key = "" if message is None else " (callSeconds)"

        def watch() -> None:
            if time.monotonic() > deadline:
                raise CallEndedError(f"{what} took more than {seconds:g} s{key} and was ended")
            if (held := self.resident_mib) > self._most_mib:
                raise CallEndedError(
                    f"{what} held {held} MiB, more than {self._most_mib} (callMemoryMiB), and was ended"
                )
            if self._process.poll() is not None and not _readable(self._end):
                raise EOFError

        try:
            if message is not None:
                write(self._end, message, watch)
            said = json.loads(read(self._end, MOST_ANSWER_BYTES, watch))
            if not isinstance(said, dict):
                raise ValueError(f"{said!r} is no object")
            return said
        except BaseException as error:
            # On any error, even an unforeseen one: the next frame must not get this one's answer.
            reason = self._status() if isinstance(error, EOFError | ConnectionError) else ""
            self.end()
            if reason:
                raise CallEndedError(f"{what} ended its process: {reason}") from None
            if isinstance(error, ValueError):
                raise CallEndedError(f"{what} gave no answer: {error}") from error
            raise

    def _status(self) -> str:
        """How the process ended, or that it closed its socket without ending."""
        try:
            status = self._process.wait(1)
        except subprocess.TimeoutExpired:
            return "it closed its connection"
        if status >= 0:
            return f"exit status {status}"
        known = {number.value: number.name for number in signal.Signals}
        memory = ", as where the executor's memory runs out" if -status == signal.SIGKILL else ""
        return f"signal {known.get(-status, -status)}{memory}"


def _environment() -> dict[str, str]:
    """The part of the worker's environment that code needs, without Spark's secrets."""
    kept = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    return kept | {
        "PYTHONPATH": str(_ROOT),
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        # A task has one core.
        "OMP_NUM_THREADS": "1",
    }


def _readable(end: socket.socket) -> bool:
    try:
        return bool(end.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
    except BlockingIOError:
        return False


def _resident_bytes(process: int) -> int:
    """Resident memory of a process and its descendants, in bytes; 0 if it has ended."""
    total, left = 0, [process]
    while left:
        folder = Path(f"/proc/{left.pop()}")
        try:
            total += int((folder / "statm").read_text().split()[1]) * _PAGE
            for thread in (folder / "task").iterdir():
                left += map(int, (thread / "children").read_text().split())
        except (OSError, IndexError):
            continue
    return total
