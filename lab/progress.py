"""The lab's output for people: one line per step with its time, and the progress of long steps.

A terminal shows running steps in place. Elsewhere, as in CI, a line is printed at the end of each step, and a long step
prints its progress once a minute.
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
"""The longest progress text in a plain line, in characters, because programs print long lines."""
_BEGAN = "ARGUS_BEGAN"
"""The variable with the Unix time (seconds) at which `make up` began, so that all its programs count from there."""


@dataclass
class _Task:
    """The progress of a step, or of a step within it."""

    title: str
    log: Path | None
    doing: str = ""
    done: int | None = None
    total: int | None = None


@dataclass
class Step:
    """A running step. Another thread may read it at any time."""

    title: str
    began: float
    """Start time, in seconds of time.monotonic()."""
    tasks: list[_Task] = field(default_factory=list)
    """The step itself, then the nested steps, from the outside in."""
    failed_at: str = ""
    result: str = ""
    """Shown in parentheses in the line at the step's end."""

    def now(self, doing: str = "", *, done: int | None = None, total: int | None = None) -> None:
        """Set what the step is doing and, if known, how many things are done, and of how many."""
        task = self.tasks[-1]
        task.doing, task.done, task.total = doing, done, total

    def count(self) -> tuple[int, int] | None:
        """How many things are done, and of how many; None if either is unknown."""
        tasks = [task for task in self.tasks if task.done is not None and task.total]
        return (tasks[-1].done or 0, tasks[-1].total or 0) if tasks else None

    def shown(self) -> str:
        """The count, and what the step is doing: as set by `now`, else the last line of its program's log."""
        counted = self.count()
        task = self.tasks[-1]
        at = ": ".join(filter(None, [*(each.title for each in self.tasks[1:]), task.doing or _last_line(task.log)]))
        return ", ".join(filter(None, [f"{counted[0]} of {counted[1]}" if counted else "", at]))

    def seconds(self) -> float:
        """How long the step has taken so far."""
        return time.monotonic() - self.began


class _Board(Protocol):
    """The output for lines and steps."""

    def line(self, text: str) -> None:
        """Show a permanent line."""

    def begin(self, step: Step) -> Callable[[], None]:
        """Show a step until the returned function is called."""


class _Plain:
    """Lines only, for files and CI."""

    def line(self, text: str) -> None:
        # One write, because another thread may print at the same time.
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()

    def begin(self, step: Step) -> Callable[[], None]:
        ended = threading.Event()

        def beat() -> None:
            while not ended.wait(_HEARTBEAT_SECONDS):
                say(f"{step.title}: {step.seconds():.0f} s so far, {step.shown()[:_WIDEST] or 'no output yet'}")

        threading.Thread(target=beat, daemon=True).start()
        return ended.set


_current: ContextVar[Step | None] = ContextVar("step", default=None)
"""The running step of this thread."""


def say(message: str) -> None:
    """Show a line, with the seconds since the command began."""
    _board().line(f"[{time.time() - _start():6.1f} s] {message}")


def now(doing: str) -> None:
    """Set what the running step is doing; if there is none, print a line."""
    step = _current.get()
    if step is None:
        say(doing)
    else:
        step.now(doing)


@contextmanager
def step(title: str, *, log: Path | None = None) -> Iterator[Step]:
    """Show a step's progress while it runs, and at its end how long it took, or that it failed.

    Where the step does not say what it is doing, the last line of `log`, which a program may be writing, is shown.
    A nested step is shown as the progress of the outer one, without a line of its own.
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
    """Wait until `probe` returns None; until then, show the text that it returns, which says what is missing.

    It is called every `interval` seconds. Raises LabError with its last text after `timeout` seconds.
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
    """When the command began, as Unix time in seconds."""
    return float(os.environ.get(_BEGAN) or time.time())


def _board() -> _Board:
    """The one board of this process, for all threads."""
    with _making:
        return _made_board()


_making = threading.Lock()


@cache
def _made_board() -> _Board:
    """A board for the terminal; plain lines without a terminal, and in CI."""
    if sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb" and not os.environ.get("CI"):
        # Imported only for a terminal, because it takes a quarter of a second.
        from lab.live import Live

        return Live()
    return _Plain()


def _last_line(log: Path | None) -> str:
    """The last complete line of a file that may be growing; empty if there is none."""
    try:
        with (log or Path(os.devnull)).open("rb") as file:
            file.seek(-min(_READ_BYTES, os.fstat(file.fileno()).st_size), os.SEEK_END)
            lines = file.read().decode(errors="replace").split("\n")[:-1]
    except OSError:
        return ""
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


_start()
