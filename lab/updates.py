"""Shows the progress of a Pulumi run: how many resources are done, what is being made, and what went wrong.

The engine writes each event as a line of JSON (sdk/go/common/apitype/events.go in Pulumi's repository). Pulumi's own
output goes to a log.
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
from lab.shell import SHOWN_LINES, ending

_EVENT_LOG_ALLOWED = {"PULUMI_DEBUG_COMMANDS": "true"}
"""Enables Pulumi's option --event-log, which its automation API uses to follow an update."""
_LOOK_SECONDS = 0.2
_COLOUR = re.compile(r"<\{%[^%]*%\}>")
"""Colour markup in the engine's messages."""
_PROVIDER = "pulumi:providers:"
_NOTICED = frozenset({"warning", "error"})


class Update:
    """The state of an update after the events so far. Counts only resources that a plugin makes; others are instant."""

    def __init__(self, expected: int = 0) -> None:
        self._expected = expected
        self._seen: set[str] = set()
        self._done: set[str] = set()
        self._under_way: dict[str, float] = {}
        """When each running operation began, in seconds of time.monotonic(), by URN, oldest first."""
        self._printed: dict[str, str] = {}
        """The last line that a resource's command printed, by URN."""
        self._noticed: set[str] = set()
        self.changes: dict[str, int] = {}
        """How many resources were created, updated and so on; set at the end."""

    @property
    def done(self) -> int:
        """How many resources are done."""
        return len(self._done)

    @property
    def total(self) -> int:
        """How many resources there are: the expected number, or more if more were seen."""
        return max(self._expected, len(self._seen))

    def take(self, event: Mapping[str, Any]) -> str | None:
        """Process an event of the engine; return a warning or error to show, but each only once."""
        if begun := event.get("resourcePreEvent"):
            self._begin(begun["metadata"])
        elif ended := event.get("resOutputsEvent") or event.get("resOpFailedEvent"):
            self._end(ended["metadata"], failed="resOpFailedEvent" in event)
        elif summary := event.get("summaryEvent"):
            self.changes = summary.get("resourceChanges") or {}
        elif diagnostic := event.get("diagnosticEvent"):
            return self._diagnostic(diagnostic)
        return None

    def now(self) -> str:
        """The oldest running operation, its duration, and the last line that its command printed."""
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

    def _diagnostic(self, event: Mapping[str, Any]) -> str | None:
        urn, message = event.get("urn", ""), _COLOUR.sub("", event.get("prefix", "") + event["message"]).strip()
        if event["severity"] not in _NOTICED:
            self._printed[urn] = message.rpartition("\n")[2]
            return None
        # An error may contain the whole output of a failed command.
        first, *more = (f"{_name(urn)}: {message}" if urn else message).splitlines()
        text = "\n".join([first, *(["..."] if len(more) > SHOWN_LINES else []), *more[-SHOWN_LINES:]])
        if text in self._noticed:
            return None
        self._noticed.add(text)
        return text


def run(command: Sequence[str], *, title: str, environment: Mapping[str, str], log: Path, expected: int) -> None:
    """Run Pulumi and show its progress. `expected` is the number of resources, 0 if unknown.

    Raises LabError with the end of Pulumi's output if it fails, and KeyboardInterrupt after an interrupted run ended.
    """
    update = Update(expected)
    with step(title, log=log) as shown:
        status = _watch(command, environment, log, update, shown, notices=True)
        if status != 0:
            printed = ending(log.read_text(errors="replace").rstrip().splitlines())
            raise LabError(f"exit status {status}; the end of {log}:\n{printed}")
        shown.result = update.result()


def count(command: Sequence[str], *, title: str, environment: Mapping[str, str], log: Path) -> int:
    """Run Pulumi's preview; return the number of resources that it sees, or 0 if it fails.

    Its errors are not shown, because the following update reports them too.
    """
    update = Update()
    with step(title, log=log) as shown:
        status = _watch(command, environment, log, update, shown, notices=False)
        shown.result = f"{update.total}" if status == 0 else f"not known, see {log}"
    return update.total if status == 0 else 0


def _watch(
    command: Sequence[str], environment: Mapping[str, str], log: Path, update: Update, shown: Step, *, notices: bool
) -> int:
    """Run Pulumi to its end, process its events and write its output to the log; return its exit status."""
    log.parent.mkdir(parents=True, exist_ok=True)
    # In a folder that only its owner can read, because events contain the resources' inputs.
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
    """Show the events until the process ends, also after an interrupt; return whether there was one."""
    interrupted = False
    while True:
        try:
            # Checked before the events are read, so that the last ones are not missed.
            ended = process.poll() is not None
            for event in events.fresh():
                if (notice := update.take(event)) and notices:
                    say(notice)
            shown.now(update.now(), done=update.done, total=update.total)
            if ended:
                return interrupted
            time.sleep(_LOOK_SECONDS)
        except KeyboardInterrupt:
            # The terminal sends the signal to Pulumi too.
            interrupted = True
            say("interrupted: Pulumi ends what it has begun; interrupt again to end it at once")


class _Events:
    """The file to which the engine writes events."""

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        self._rest = b""

    def fresh(self) -> Iterator[Mapping[str, Any]]:
        """The events since the last call; an incomplete line is kept for the next call."""
        *lines, self._rest = (self._rest + self._source.read()).split(b"\n")
        for line in lines:
            yield json.loads(line)


def counts(kind: str, *states: Mapping[str, Any] | None) -> bool:
    """Whether a plugin makes the resource, given its states. Providers, which are plugins themselves, do not count."""
    return any(state.get("custom") for state in states if state) and not kind.startswith(_PROVIDER)


def _counts(step: Mapping[str, Any]) -> bool:
    return counts(step["type"], step.get("new"), step.get("old"))


def _name(urn: str) -> str:
    """The resource's name, which is clear enough for a person, because it begins with its parents' names."""
    return urn.rpartition("::")[2]
