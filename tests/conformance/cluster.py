"""Runs Hydrophone, which runs Kubernetes' conformance image as a pod, and cleans up after it."""

import subprocess
import threading
import time
from pathlib import Path

from lab.config import LabError, machines
from lab.machines import ssh
from lab.progress import say, wait_for
from lab.shell import output, run
from lab.toolchain import Toolchain
from lab.toolchain.conformance import BUSYBOX

NAMESPACE = "argus-conformance"
"""The namespace of the test program; each test makes its own namespace."""
UPSTREAM = "registry.k8s.io"
"""Machines ask the lab's registry first, which has these images under the same names."""

# Machines keep images that they have, so without this the next run would not use rebuilt ones.
_FORGET = (
    f"ctr --namespace k8s.io images ls --quiet | grep -E '^{UPSTREAM}/(conformance:|e2e-test-images/)' "
    "| xargs --no-run-if-empty ctr --namespace k8s.io images rm"
)
_CLEANUP_SECONDS = 300
_OVERTIME_SECONDS = 15 * 60
"""Beyond the tests' own limit: to pull images, check the cluster, end running tests and fetch results."""
_PAUSE_SECONDS = 10
_SHOWN_LINES = 20


class Cluster:
    """The lab's cluster, for the runner and kubectl."""

    def __init__(self, tools: Toolchain, kubeconfig: Path, folder: Path) -> None:
        self._log, self._report = folder / "hydrophone.log", folder / "junit_01.xml"
        self._image = f"{UPSTREAM}/conformance:{tools.release.version}"
        self._hydrophone = (
            str(tools.program("hydrophone")),
            *("--kubeconfig", str(kubeconfig), "--namespace", NAMESPACE, "--output-dir", str(folder)),
        )
        self._kubectl = (str(tools.program("kubectl")), "--kubeconfig", str(kubeconfig))

    def run_tests(self, skip: str, parallel: int, minutes: int, focus: str = "") -> Path:
        """Run the conformance tests that `skip` does not match and `focus`, if given, does. Returns the report's path.

        Failed tests are in the report and raise no error here. Raises LabError if there is no report.
        """
        command = (
            *self._hydrophone,
            *(("--focus", focus) if focus else ("--conformance",)),
            *("--conformance-image", self._image),
            *("--busybox-image", f"{UPSTREAM}/{BUSYBOX}"),
            *("--skip", skip),
            *("--parallel", str(parallel)),
            *("--extra-ginkgo-args", f"--timeout={minutes}m"),
        )
        deadline = time.monotonic() + minutes * 60 + _OVERTIME_SECONDS
        ended = self._watch(command, deadline)
        # Hydrophone ends without its pod if it polls before the tests have printed their number, or while the API moves
        # to another machine. When started again, it continues with that pod.
        while not self._reported() and time.monotonic() < deadline:
            time.sleep(_PAUSE_SECONDS)
            if not self._running():
                break
            say(f"  Hydrophone ended with {ended} before the tests did; it is told to go on")
            ended = self._watch((*command, "--continue"), deadline)
        if not self._reported():
            tail = "\n".join(self._log.read_text().splitlines()[-_SHOWN_LINES:])
            raise LabError(f"Hydrophone ended with {ended} and without a report (log: {self._log})\n{tail}")
        return self._report

    def clean_up(self) -> None:
        """Remove the remains of this or an interrupted run: the runner, the tests' namespaces, the machines' images."""
        run([*self._hydrophone, "--cleanup"], timeout=_CLEANUP_SECONDS)
        label = ("--selector", "e2e-run")
        run([*self._kubectl, "delete", "namespaces", *label, "--wait=false"], timeout=_CLEANUP_SECONDS)

        def left() -> str | None:
            namespaces = output([*self._kubectl, "get", "namespaces", *label, "--output", "name"]).split()
            for namespace in namespaces:
                self._let_go(namespace.removeprefix("namespace/"))
            return " ".join(namespaces) or None

        wait_for("the tests' namespaces to go", left, timeout=_CLEANUP_SECONDS, interval=2)
        for machine in machines():
            run(ssh.command(machine, _FORGET))

    def _let_go(self, namespace: str) -> None:
        """Release pods that wait for an interrupted test."""
        pods = output([*self._kubectl, "--namespace", namespace, "get", "pods", "--output", "name"]).split()
        for pod in pods:
            patch = '{"metadata":{"finalizers":null}}'
            run(
                [*self._kubectl, "--namespace", namespace, "patch", pod, "--type=merge", "--patch", patch],
                timeout=_CLEANUP_SECONDS,
                check=False,
            )

    def _watch(self, command: tuple[str, ...], deadline: float) -> int:
        """Run Hydrophone to its end or the deadline, with its output in the log. Returns its exit status."""
        with (
            self._log.open("a") as record,
            subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
            ) as process,
        ):
            assert process.stdout is not None
            # It would wait forever for tests whose pod ended without a result.
            limit = threading.Timer(max(0, deadline - time.monotonic()), process.kill)
            limit.start()
            try:
                for line in process.stdout:
                    record.write(line)
                    record.flush()
                    if "Progress: " in line:
                        say(f"  {line.partition('Progress: ')[2].strip()}")
            except BaseException:
                process.terminate()
                raise
            finally:
                limit.cancel()
        return process.returncode

    def _reported(self) -> bool:
        """Whether there is a report. If it could not be fetched, the file is empty."""
        return self._report.exists() and self._report.stat().st_size > 0

    def _running(self) -> bool:
        """Whether the pod runs, which it does until its results are fetched."""
        pod = ("--namespace", NAMESPACE, "get", "pod", "e2e-conformance-test", "--output", "jsonpath={.status.phase}")
        result = run([*self._kubectl, *pod], check=False)
        return result.stdout.strip() == "Running"
