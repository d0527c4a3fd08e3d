"""A driver on Kubernetes and its executor know each other by the application's secret; nobody else is listened to."""

import contextlib
import json
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from components.pipeline.model_job import AUTHENTICATION, SECRET_FILE, executor_template
from tests.e2e.knock import GADGET, spark_request
from tests.integration.services import free_port, image
from tests.integration.spark.driver import ENVIRONMENT, Driver, driver, mounted
from tests.integration.spark.pods import Pod, Pods, api
from tests.integration.spark.test_jobs import (
    Job,
    check_every_frame_has_its_answer,
    create_job,
    send,
    wait_until_done,
)

MADE_BY_SPARK = Path(__file__).parents[2] / "unit/components/pipeline/executor-pod.json"
LOOPBACK = "127.0.0.1"
ME = "driver-0"
EXECUTORS = {"spark-role": "executor"}
SECONDS = 600
"""For a JVM to start on a busy machine."""


class Stack:
    """A driver that makes its executors by the API of `pods`."""

    def __init__(self, job: Job, pods: Pods, url: str, *, authenticated: bool = True) -> None:
        self.pods = pods
        self.port, self.blocks, self.executors_blocks = free_port(), free_port(), free_port()
        self._job, self._url, self._authenticated = job, url, authenticated
        pods.add(
            {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": ME, "labels": {}}, "spec": {}},
            phase="Running",
            podIP=LOOPBACK,
            conditions=[{"type": "Ready", "status": "True"}],
        )

    @contextlib.contextmanager
    def driver(self, secret: str) -> Iterator[Driver]:
        """The driver, with this secret."""
        properties = {
            "spark.submit.deployMode": "client",
            "spark.kubernetes.namespace": "argus",
            "spark.kubernetes.container.image": image("spark"),
            "spark.kubernetes.executor.podTemplateFile": "/etc/argus/executor.yaml",
            "spark.kubernetes.executor.podTemplateContainerName": "executor",
            "spark.kubernetes.authenticate.executor.serviceAccountName": "default",
            "spark.kubernetes.executor.disableConfigMap": "true",
            "spark.kubernetes.driver.ownPersistentVolumeClaim": "false",
            "spark.kubernetes.driver.reusePersistentVolumeClaim": "false",
            "spark.kubernetes.driver.requestTimeout": "120000",
            "spark.kubernetes.executor.enableApiWatcher": "false",
            "spark.kubernetes.executor.apiPollingInterval": "1s",
            "spark.executor.instances": 1,
            "spark.executor.cores": 1,
            "spark.executor.memoryOverhead": "744m",
            "spark.executorEnv.PYTHONPATH": "/opt/argus",
            "spark.driver.port": self.port,
            "spark.driver.blockManager.port": self.blocks,
            "spark.blockManager.port": self.executors_blocks,
            "spark.pyspark.python": "/opt/venv/bin/python",
            "spark.network.timeout": f"{SECONDS}s",
            **(AUTHENTICATION if self._authenticated else {}),
        }
        files = {
            "/etc/argus/executor.yaml": executor_template("objects", "model-objects-rpc-0123456789abcdef"),
            SECRET_FILE: secret,
        }
        settings = {**self._job.settings, "cores_per_executor": 1, "driver_pod_name": ME}
        with driver(f"k8s://{self._url}", properties=properties, files=files, **settings) as running:
            yield running

    def executor(self) -> Pod:
        """The pod of an executor that the driver has made."""
        return self.pods.wait_for(EXECUTORS, SECONDS)


@contextlib.contextmanager
def executor(pod: Pod, secret: str, changes: Mapping[str, str] = MappingProxyType({})) -> Iterator[str]:
    """Run the executor of a pod as its machine would, with this secret. Yields the container's name.

    `changes` are other values of Spark's properties than the pod's.
    """
    (container,) = pod["spec"]["containers"]
    fields = {"status.podIP": LOOPBACK, "metadata.name": pod["metadata"]["name"]}
    variables = {
        each["name"]: each.get("value") or fields[each["valueFrom"]["fieldRef"]["fieldPath"]]
        for each in container["env"]
    }
    for name, value in changes.items():
        (variable,) = (key for key, said in variables.items() if said.startswith(f"-D{name}="))
        variables[variable] = f"-D{name}={value}"
    started = f"argus-test-executor-{uuid.uuid4().hex[:8]}"
    arguments = ["--detach", "--network", "host", "--name", started, "--read-only", "--tmpfs", "/tmp:rw,mode=1777"]
    for name, value in variables.items():
        arguments += ["--env", f"{name}={value}"]
    with tempfile.TemporaryDirectory(prefix="argus-test-") as folder:
        Path(folder).chmod(0o755)
        arguments += mounted(Path(folder), {SECRET_FILE: secret})
        podman("run", *arguments, container["image"], *container["args"])
        try:
            yield started
        finally:
            podman("rm", "--force", "--time", "0", started)


def podman(*arguments: str) -> str:
    done = subprocess.run(
        ["podman", *arguments], env=ENVIRONMENT, text=True, capture_output=True, timeout=SECONDS, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def answer(port: int, sent: bytes) -> tuple[str, bool]:
    """What a stranger is answered, and whether the connection is closed then."""
    with socket.create_connection((LOOPBACK, port), timeout=30) as connection:
        connection.sendall(sent)
        said = b""
        try:
            while part := connection.recv(65536):
                said += part
        except TimeoutError:
            return said.decode(errors="replace"), False
        except ConnectionResetError:
            pass
        return said.decode(errors="replace"), True


def listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((LOOPBACK, port), timeout=1):
        return True
    return False


@pytest.fixture
def cluster() -> Iterator[tuple[Pods, str]]:
    with api() as served:
        yield served


@pytest.fixture
def job(kafka: str) -> Job:
    return create_job(kafka, "motion")


def shape(of: Any) -> Any:
    """What is in an object, without the values that differ from run to run."""
    if isinstance(of, dict):
        return {key: shape(value) for key, value in of.items()}
    if isinstance(of, list):
        return [shape(of[0])] if of else []
    return type(of).__name__


def test_an_executor_with_the_secret_does_the_job_and_strangers_are_not_heard(
    job: Job, cluster: tuple[Pods, str]
) -> None:
    pods, url = cluster
    stack, secret = Stack(job, pods, url), uuid.uuid4().hex
    send(job, range(1, 11))
    with stack.driver(secret) as running:
        # Not even while there is no executor.
        for port in (stack.port, stack.blocks):
            running.wait_until("the driver's ports", partial(listens, port), seconds=SECONDS)
            said, closed = answer(port, spark_request())
            assert GADGET not in said, "it was deserialized"
            assert closed
        made = stack.executor()
        assert secret not in json.dumps(made), "everybody reads it who may list pods"
        known = json.loads(MADE_BY_SPARK.read_text())
        assert shape(made["spec"]) == shape(known["spec"]), "the policy's unit tests look at another pod"

        for wrong, changes in (("another secret", {}), (secret, {"spark.authenticate": "false"})):
            with executor(made, wrong, changes) as stranger:
                ended = podman("wait", stranger).strip()
                assert ended != "0", podman("logs", "--tail", "20", stranger)
        assert running.metric("batches_total") == 0

        with executor(made, secret):
            pods.run(made["metadata"]["name"], LOOPBACK)
            wait_until_done(job, running)
            said, closed = answer(stack.executors_blocks, spark_request())
            assert GADGET not in said and closed
            assert running.stop() == 0
    check_every_frame_has_its_answer(job)


@pytest.mark.full
def test_the_stranger_s_request_would_be_deserialized_by_a_driver_without_a_secret(
    job: Job, cluster: tuple[Pods, str]
) -> None:
    stack = Stack(job, *cluster, authenticated=False)
    with stack.driver("") as running:
        running.wait_until("the driver's port", lambda: listens(stack.port), seconds=SECONDS)
        deadline = time.monotonic() + SECONDS
        while GADGET not in (said := answer(stack.port, spark_request())[0]):
            assert time.monotonic() < deadline, f"the test above could not fail: {said}"
