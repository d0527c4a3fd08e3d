"""The running lab under the measurement: its stack changed and restored, its machines frozen, and when it is steady."""

import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lab.cameras import container as cameras
from lab.config import ROOT, LabError, machines
from lab.podman import pause, podman, running
from lab.progress import say
from lab.shell import ending
from tests.bench.clock import LOGS
from tests.bench.frames.programs import Pods
from tests.bench.frames.stack import Fragment, measured
from tests.e2e.cluster import ClusterClient, is_ready
from tests.e2e.conftest import Stack
from tests.e2e.load import lag
from tests.e2e.machines import EVERYBODY, stack_with, unready_nodes
from tests.e2e.waiting import wait_until

STEADY_LIMIT_S = 300
BACKLOG_S = 5.0
"""A model is up to date when at most the frames of so many seconds wait for it: about two batches."""
DRAIN_LIMIT_S = 1200


def is_up() -> bool:
    """Whether all machines of the lab run."""
    return all(running(machine.container) for machine in machines())


class Lab:
    """The lab with the dev stack, changed for the measurement and restored at the end."""

    def __init__(self, folder: Path, models: Fragment, settings: Fragment, *, moving: float = 1.0) -> None:
        """`moving`: the share of the cameras that something moves before."""
        self._folder, self._models, self._settings, self._moving = folder, models, settings, moving
        self.stack = Stack(folder)
        self.stack.connect()
        self.sections: list[dict[str, Any]] = []
        """The models' sections as they are measured."""
        self._changed = False

    @property
    def cluster(self) -> ClusterClient:
        """The cluster, as the end-to-end tests read it."""
        return self.stack.cluster

    @property
    def models(self) -> list[str]:
        """The names of the models."""
        return [section["name"] for section in self.sections]

    def pods(self) -> list[dict[str, Any]]:
        """All pods of the cluster."""
        found: list[dict[str, Any]] = self.cluster.get("/api/v1/pods")["items"]
        return found

    def apply(self, rate: float) -> None:
        """Let the cameras make this many frames a second all together, and wait until all is steady."""
        change = measured(rate, self._models, self._settings, moving=self._moving)

        def edit(config: dict[str, Any]) -> None:
            change(config)
            self.sections = config["argus:models"]

        file = stack_with(self._folder, edit)
        self._changed = True
        say(f"{rate:g} frames/s: pulumi up")
        _up("--config-file", str(file))
        self.wait_until_steady()

    def wait_until_steady(self) -> None:
        """Wait until every machine, pod and camera does its work."""
        wait_until("every machine", lambda: unready_nodes(self.cluster, EVERYBODY), STEADY_LIMIT_S)
        wait_until("every pod", lambda: unready_pods(self.cluster.pods()), STEADY_LIMIT_S)
        wait_until("every camera", self._idle_cameras, STEADY_LIMIT_S)

    def wait_until_drained(self, rate: float, limit_s: float) -> bool:
        """Wait until no model is behind at this rate. Returns whether that came true in time."""
        deadline = time.monotonic() + limit_s
        while time.monotonic() < deadline:
            lags = [lag(self.cluster, model) for model in self.models]
            if all(each is not None and each <= max(BACKLOG_S * rate, 20) for each in lags):
                return True
            time.sleep(5)
        return False

    def restore(self) -> None:
        """Give the dev stack back as it is committed."""
        if self._changed:
            say("restoring the dev stack: pulumi up")
            _up()
            self._changed = False

    def _idle_cameras(self) -> str | None:
        idle = sorted(
            name for name, each in self.cluster.cameras().items() if each.state != "streaming" or each.last is None
        )
        return f"cameras that do not stream: {idle}" if idle else None


@contextmanager
def restored(lab: Lab) -> Iterator[None]:
    """Restore the stack after the block, also after an error, Ctrl-C or SIGTERM."""
    # Not by raising SIGINT, which a shell's background job ignores.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            lab.restore()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


@contextmanager
def frozen() -> Iterator[None]:
    """All machines and the cameras stopped where they are, until the end of the block."""
    names = [*(machine.container for machine in machines()), cameras.CONTAINER]
    try:
        for name in names:
            pause(name)
        yield
    finally:
        # In the reverse order, and each also where one of the others fails.
        for name in reversed(names):
            podman("unpause", name, check=False)


def unready_pods(pods: Sequence[dict[str, Any]]) -> str | None:
    """None once no pod comes or goes; until then which do."""
    found = sorted(
        pod["metadata"]["name"]
        for pod in pods
        if pod["status"]["phase"] not in {"Succeeded", "Failed"}
        and (not is_ready(pod) or "deletionTimestamp" in pod["metadata"])
    )
    return f"not ready, or going: {found}" if found else None


def known(pods: Pods, lab: Lab) -> Pods:
    """The same pods with those that the cluster has now."""
    pods.add(lab.pods())
    return pods


def _up(*options: str) -> None:
    """`pulumi up` of the lab. Ctrl-C comes after its end: a killed one would leave the stack locked."""
    LOGS.mkdir(parents=True, exist_ok=True)
    log = LOGS / "frames-pulumi.log"
    command = [sys.executable, "-m", "lab", "pulumi", "--whole", "--", "up", "--yes", "--skip-preview", *options]
    interrupted = False
    with log.open("a") as written, tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(
            command, cwd=ROOT, text=True, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
        while process.poll() is None:
            try:
                process.wait()
            except KeyboardInterrupt:
                interrupted = True
                say("this pulumi up is finished first")
        output.seek(0)
        text = output.read()
        written.write(text)
    if interrupted:
        raise KeyboardInterrupt
    if process.returncode:
        raise LabError(f"pulumi up failed (all of it: {log})\n{ending(text.strip().splitlines())}")
