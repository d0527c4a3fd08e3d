"""A run of Pulumi as a person sees it: how many resources are done, what is being made, and what went wrong.

The engine writes each of its events as a line of JSON (sdk/go/common/apitype/events.go in Pulumi's repository). What
Pulumi itself prints goes to a log.
"""

import json
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from lab.config import LabError
from lab.progress import Step, say, step

_EVENT_LOG_ALLOWED = {"PULUMI_DEBUG_COMMANDS": "true"}
"""Without it Pulumi has no option --event-log, which is how its own automation API follows an update."""
_SHOWN_LINES = 20
_LOOK_SECONDS = 0.2
_COLOUR = re.compile(r"<\{%[^%]*%\}>")
"""How the engine's messages say colours."""
_PROVIDER = "pulumi:providers:"
_NOTICED = frozenset({"warning", "error"})


class Update:
    """What the events so far say. Only what a plugin makes is counted, as the rest is made in no time."""

    def __init__(self, expected: int = 0) -> None:
        self._expected = expected
        self._seen: set[str] = set()
        self._done: set[str] = set()
        self._under_way: dict[str, float] = {}
        """When each resource was begun, in seconds of time.monotonic(); the oldest first."""
        self._printed: dict[str, str] = {}
        """The last line that the command of a resource printed."""
        self._noticed: set[str] = set()
        self.changes: dict[str, int] = {}
        """How many resources were created, updated and so on: known at the end."""

    @property
    def done(self) -> int:
        """How many resources are as they should be."""
        return len(self._done)

    @property
    def total(self) -> int:
        """How many there are: as many as expected, until more are seen."""
        return max(self._expected, len(self._seen))

    def take(self, event: Mapping[str, Any]) -> str | None:
        """Take in an event of the engine; a warning or error to show, the first time that it is said."""
        if begun := event.get("resourcePreEvent"):
            self._begin(begun["metadata"])
        elif ended := event.get("resOutputsEvent") or event.get("resOpFailedEvent"):
            self._end(ended["metadata"], failed="resOpFailedEvent" in event)
        elif summary := event.get("summaryEvent"):
            self.changes = summary.get("resourceChanges") or {}
        elif said := event.get("diagnosticEvent"):
            return self._diagnostic(said)
        return None

    def now(self) -> str:
        """What is being made and for how long, the oldest first, with the last line that its command printed."""
        if not self._under_way:
            return ""
        urn, began = next(iter(self._under_way.items()))
        more = f" and {len(self._under_way) - 1} more" if len(self._under_way) > 1 else ""
        printed = f": {self._printed[urn]}" if urn in self._printed else ""
        return f"{_name(urn)} ({time.monotonic() - began:.0f} s){more}{printed}"

    def result(self) -> str:
        """The changes in words, such as `180 create, 7 same`."""
        return ", ".join(f"{count} {operation}" for operation, count in sorted(self.changes.items()))

    def _begin(self, step: Mapping[str, Any]) -> None:
        if _counts(step):
            self._seen.add(step["urn"])
            if step["op"] != "same":
                self._under_way.setdefault(step["urn"], time.monotonic())

    def _end(self, step: Mapping[str, Any], *, failed: bool) -> None:
        self._under_way.pop(step["urn"], None)
        if _counts(step) and not failed:
            self._done.add(step["urn"])

    def _diagnostic(self, said: Mapping[str, Any]) -> str | None:
        urn, message = said.get("urn", ""), _COLOUR.sub("", said.get("prefix", "") + said["message"]).strip()
        if said["severity"] not in _NOTICED:
            self._printed[urn] = message.rpartition("\n")[2]
            return None
        # An error may hold all that a failed command printed.
        first, *more = (f"{_name(urn)}: {message}" if urn else message).splitlines()
        text = "\n".join([first, *(["..."] if len(more) > _SHOWN_LINES else []), *more[-_SHOWN_LINES:]])
        if text in self._noticed:
            return None
        self._noticed.add(text)
        return text


def run(command: Sequence[str], *, title: str, environment: Mapping[str, str], log: Path, expected: int) -> None:
    """Run Pulumi and show how far it is. `expected` is how many resources there will be, 0 where nobody knows.

    Raises LabError with the end of what Pulumi printed when it fails, KeyboardInterrupt once an interrupted one ended.
    """
    update = Update(expected)
    with step(title, log=log) as shown:
        status = _watch(command, environment, log, update, shown, notices=True)
        if status != 0:
            tail = "\n".join(log.read_text(errors="replace").rstrip().splitlines()[-_SHOWN_LINES:])
            raise LabError(f"exit status {status}; the end of {log}:\n{tail}")
        shown.result = update.result()


def count(command: Sequence[str], *, title: str, environment: Mapping[str, str], log: Path) -> int:
    """Run Pulumi's preview for the number of resources that it sees; 0 where it fails.

    Nothing of it is shown: the update that follows says itself what is wrong.
    """
    update = Update()
    with step(title, log=log) as shown:
        status = _watch(command, environment, log, update, shown, notices=False)
        shown.result = f"{update.total}" if status == 0 else f"not known, see {log}"
    return update.total if status == 0 else 0


def _watch(
    command: Sequence[str], environment: Mapping[str, str], log: Path, update: Update, shown: Step, *, notices: bool
) -> int:
    """Run Pulumi to its end, with its events taken in and its output in the log; its exit status."""
    log.parent.mkdir(parents=True, exist_ok=True)
    # A folder that only its owner reads: the events hold the resources' inputs.
    with tempfile.TemporaryDirectory(prefix="pulumi-events-") as folder:
        events = Path(folder) / "events.json"
        events.touch()
        with log.open("w") as sink, events.open("rb") as source:
            process = subprocess.Popen(
                [*command, "--event-log", str(events)],
                env={**environment, **_EVENT_LOG_ALLOWED},
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
            )
            if _follow(process, _Events(source), update, shown, notices=notices):
                raise KeyboardInterrupt
    return process.returncode


def _follow(
    process: "subprocess.Popen[bytes]", events: "_Events", update: Update, shown: Step, *, notices: bool
) -> bool:
    """Show what the events say until the process ends; whether it was interrupted. Nothing here ends it early."""
    interrupted = False
    while True:
        try:
            # Asked before the last look, so that nothing is written after it.
            ended = process.poll() is not None
            for event in events.fresh():
                if (notice := update.take(event)) and notices:
                    say(notice)
            shown.now(update.now(), done=update.done, total=update.total)
            if ended:
                return interrupted
            time.sleep(_LOOK_SECONDS)
        except KeyboardInterrupt:
            # The terminal has sent the signal to Pulumi too.
            interrupted = True
            say("interrupted: Pulumi ends what it has begun; interrupt again to end it at once")


class _Events:
    """A file of events that the engine is writing."""

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        self._rest = b""

    def fresh(self) -> Iterator[Mapping[str, Any]]:
        """The events that were written since the last look; a line that is not whole yet waits for the next."""
        *lines, self._rest = (self._rest + self._source.read()).split(b"\n")
        for line in lines:
            yield json.loads(line)


def counts(kind: str, *states: Mapping[str, Any] | None) -> bool:
    """Whether a plugin makes the resource, given its states; a provider stands for the plugin itself."""
    return any(state.get("custom") for state in states if state) and not kind.startswith(_PROVIDER)


def _counts(step: Mapping[str, Any]) -> bool:
    return counts(step["type"], step.get("new"), step.get("old"))


def _name(urn: str) -> str:
    """The resource's name, which is unique enough for a person: it begins with its parents'."""
    return urn.rpartition("::")[2]
