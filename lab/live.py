"""Shows running steps on a terminal: one row per step, redrawn in place by Rich below the permanent lines."""

import threading
from collections.abc import Callable

from rich.console import Console, RenderableType
from rich.progress import Progress, ProgressColumn, SpinnerColumn, Task, TaskID, TextColumn, TimeElapsedColumn
from rich.progress_bar import ProgressBar
from rich.table import Column
from rich.text import Text

from lab.progress import Step

_BAR_CELLS = 20
_PER_SECOND = 4
"""How often the rows are drawn per second; rarely, because programs are compiled at the same time."""


class Live:
    """Shows lines and steps on the terminal of standard error."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False, markup=False, emoji=False)
        self._lock = threading.Lock()
        self._progress: Progress | None = None

    def line(self, text: str) -> None:
        """Show a permanent line, above the rows."""
        self._console.print(text, soft_wrap=True)

    def begin(self, step: Step) -> Callable[[], None]:
        """Show a row for the step until the returned function is called."""
        with self._lock:
            if self._progress is None:
                self._progress = self._started()
            row = self._progress.add_task(step.title, total=None, step=step)
        return lambda: self._end(row)

    def _started(self) -> Progress:
        progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            _Bar(),
            _Status(Column(no_wrap=True, overflow="ellipsis", ratio=1)),
            TimeElapsedColumn(),
            console=self._console,
            refresh_per_second=_PER_SECOND,
            transient=True,
            # Leave standard output alone: other programs may read it.
            redirect_stdout=False,
            expand=True,
        )
        progress.start()
        return progress

    def _end(self, row: TaskID) -> None:
        """Remove the row; after the last one, restore the terminal."""
        with self._lock:
            if self._progress is None or row not in self._progress.task_ids:
                return
            self._progress.remove_task(row)
            if not self._progress.task_ids:
                self._progress.stop()
                self._progress = None


class _Bar(ProgressColumn):
    """A bar, if the total is known."""

    def render(self, task: Task) -> RenderableType:
        counted = _step(task).count()
        return ProgressBar(total=counted[1], completed=counted[0], width=_BAR_CELLS) if counted else Text()


class _Status(ProgressColumn):
    """The count, and what the step is doing."""

    def render(self, task: Task) -> Text:
        return Text(_step(task).shown(), style="dim")


def _step(task: Task) -> Step:
    step: Step = task.fields["step"]
    return step
