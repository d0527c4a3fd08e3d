"""What a person sees while the lab works: one line for each step with its time, and what a long step is at.

On a terminal the steps under way are shown in place. Elsewhere, as in CI, a line comes at a step's end, and a long step
says once a minute what it is at.
"""

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Protocol

from lab.config import LabError

_HEARTBEAT_SECONDS = 60.0
_READ_BYTES = 4096
_WIDEST = 160
"""A plain line's width in characters for what a step is at: programs print long lines."""
_BEGAN = "ARGUS_BEGAN"
"""Names the time in seconds since the epoch at which `make up` began, so that all its programs count from there."""


@dataclass
class _Task:
    """What a step, or a step within it, is at."""

    title: str
    log: Path | None
    doing: str = ""
    done: int | None = None
    total: int | None = None


@dataclass
class Step:
    """A step under way. Another thread may read it at any time."""

    title: str
    began: float
    """In seconds of time.monotonic()."""
    tasks: list[_Task] = field(default_factory=list)
    """The step itself, then the steps within it, each inside the one before."""
    failed_at: str = ""
    result: str = ""
    """What the line at the step's end adds in parentheses."""

    def now(self, doing: str = "", *, done: int | None = None, total: int | None = None) -> None:
        """Say what the step is at and, where they are known, how many things are done, and of how many."""
        task = self.tasks[-1]
        task.doing, task.done, task.total = doing, done, total

    def count(self) -> tuple[int, int] | None:
        """How many things are done, and of how many; None where either is unknown."""
        tasks = [task for task in self.tasks if task.done is not None and task.total]
        return (tasks[-1].done or 0, tasks[-1].total or 0) if tasks else None

    def shown(self) -> str:
        """The count, and what the step is at, down to the last line of the log of the program that it waits for."""
        counted = self.count()
        task = self.tasks[-1]
        at = ": ".join(filter(None, [*(each.title for each in self.tasks[1:]), task.doing or _last_line(task.log)]))
        return ", ".join(filter(None, [f"{counted[0]} of {counted[1]}" if counted else "", at]))

    def seconds(self) -> float:
        """How long it has taken up to now."""
        return time.monotonic() - self.began


class _Board(Protocol):
    """Where lines and steps are shown."""

    def line(self, text: str) -> None:
        """Show a line that stays."""

    def begin(self, step: Step) -> Callable[[], None]:
        """Show a step until the returned function is called."""


class _Plain:
    """Lines only, for files and CI."""

    def line(self, text: str) -> None:
        # In one piece, as another thread may say something at the same time.
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()

    def begin(self, step: Step) -> Callable[[], None]:
        ended = threading.Event()

        def beat() -> None:
            while not ended.wait(_HEARTBEAT_SECONDS):
                say(f"{step.title}: {step.seconds():.0f} s so far, {step.shown()[:_WIDEST] or 'nothing said yet'}")

        threading.Thread(target=beat, daemon=True).start()
        return ended.set


_current: ContextVar[Step | None] = ContextVar("step", default=None)
"""The step that this thread is in."""


def say(message: str) -> None:
    """Show a line, with the seconds since the command began."""
    _board().line(f"[{time.time() - _start():6.1f} s] {message}")


def now(doing: str) -> None:
    """Say what the step under way is at; where there is none, in a line."""
    step = _current.get()
    if step is None:
        say(doing)
    else:
        step.now(doing)


@contextmanager
def step(title: str, *, log: Path | None = None) -> Iterator[Step]:
    """Show that a step is under way, what it is at, and at its end how long it took, or that it failed.

    The last line of `log`, which a program may be writing, is shown where nothing else says what the step is at.
    A step within a step is what that one is at: it has no line of its own.
    """
    outer = _current.get()
    if outer is not None:
        with _within(outer, _Task(title=title, log=log)):
            yield outer
        return
    here = Step(title=title, began=time.monotonic(), tasks=[_Task(title=title, log=log)])
    token = _current.set(here)
    end = _board().begin(here)
    try:
        yield here
    except BaseException:
        end()
        at = f" ({here.failed_at})" if here.failed_at else ""
        say(f"{title}: failed after {here.seconds():.1f} s{at}")
        raise
    finally:
        end()
        _current.reset(token)
    result = f" ({here.result})" if here.result else ""
    say(f"{title}: done in {here.seconds():.1f} s{result}")


@contextmanager
def _within(outer: Step, task: _Task) -> Iterator[None]:
    outer.tasks.append(task)
    try:
        yield
    except BaseException:
        outer.failed_at = outer.failed_at or task.title
        raise
    finally:
        outer.tasks.pop()


def wait_for(what: str, probe: Callable[[], str | None], *, timeout: float, interval: float = 0.5) -> None:
    """Wait until `probe` returns None; what it returns instead says what is still missing, and is shown meanwhile.

    Raises LabError with the last answer once `timeout` seconds are over.
    """
    start = time.monotonic()
    with step(f"waiting for {what}") as shown:
        while (missing := probe()) is not None:
            if time.monotonic() - start > timeout:
                raise LabError(f"{what}: not ready after {timeout:.0f} s; last seen: {missing}")
            shown.now(missing)
            time.sleep(interval)


@cache
def _start() -> float:
    """When the command began, in seconds since the epoch."""
    return float(os.environ.get(_BEGAN) or time.time())


def _board() -> _Board:
    """The one board of this process, whichever thread asks first."""
    with _making:
        return _made_board()


_making = threading.Lock()


@cache
def _made_board() -> _Board:
    """The terminal's, or else plain lines. CI may have a terminal, but nobody looks at it."""
    if sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb" and not os.environ.get("CI"):
        # A quarter of a second, which only a terminal need wait.
        from lab.live import Live

        return Live()
    return _Plain()


def _last_line(log: Path | None) -> str:
    """The last whole line of a file that may be growing; empty where there is none."""
    try:
        with (log or Path(os.devnull)).open("rb") as file:
            file.seek(-min(_READ_BYTES, os.fstat(file.fileno()).st_size), os.SEEK_END)
            lines = file.read().decode(errors="replace").split("\n")[:-1]
    except OSError:
        return ""
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


_start()
