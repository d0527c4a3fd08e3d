"""Real ZooKeeper, Kafka and Elasticsearch on loopback for a test session, from the project's own images."""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from components.config.sections import ARGUS_WEIGHTS
from components.images import context
from components.pipeline.stages import STAGES, every_image
from lab.toolchain.images import ensure_base

REPOSITORY = Path(__file__).parents[2]
BUILD_SECONDS = 1800
START_SECONDS = 300
"""For a host that is busy with other work."""
CODE = REPOSITORY / "tests/integration/spark/code"
TEST_MODELS = REPOSITORY / "tests/models"
_DOCUMENT: dict[str, Any] = json.loads((TEST_MODELS / "expected.json").read_text(encoding="utf-8"))
EXPECTED: dict[str, Any] = _DOCUMENT["models"]
"""The test models by name, with Ultralytics' detections."""
DRAWN: dict[str, list[dict[str, Any]]] = _DOCUMENT["drawn"]
"""The test models' frames by file name, with the kind and box of each thing in them."""
MODELS = {
    **{f"weights/{name}": ARGUS_WEIGHTS / name for name in ("nanodet", "scenes")},
    "code/faulty": CODE / "faulty",
    "code/view": REPOSITORY / "docs/examples/python-model",
    **{f"weights/{name}": TEST_MODELS / model["path"] for name, model in EXPECTED.items()},
}
"""The models in the tests' Spark image."""


def free_port() -> int:
    """An unused loopback port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(what: str, condition: Callable[[], object], *, seconds: float = 30, every: float = 0.1) -> None:
    """Wait until the condition is truthy. Fails after `seconds` with `what` and the last error."""
    deadline = time.monotonic() + seconds
    last: Exception | None = None
    while time.monotonic() < deadline:
        try:
            if condition():
                return
            last = None
        except Exception as error:
            last = error
        time.sleep(every)
    raise TimeoutError(f"waited {seconds:.0f} s for {what}" + (f"; the last error was {last!r}" if last else ""))


@contextlib.contextmanager
def zookeeper(instance: str = "") -> Iterator[str]:
    """One ZooKeeper; its connect string. `instance` tells it from others of this session."""
    port, admin = free_port(), free_port()
    lines = [
        "tickTime=2000",
        "dataDir=/data",
        f"clientPort={port}",
        "clientPortAddress=127.0.0.1",
        f"admin.serverPort={admin}",
        "admin.enableServer=false",
    ]
    with container(
        "zookeeper",
        files={"/conf/zoo.cfg": "\n".join(lines)},
        command=["zkServer.sh", "start-foreground", "/conf/zoo.cfg"],
        environment={"JVMFLAGS": "-Xmx96m"},
        ready=lambda: listens(port),
        instance=instance,
    ):
        yield f"127.0.0.1:{port}"


@contextlib.contextmanager
def kafka(zookeeper_connect: str) -> Iterator[str]:
    """One Kafka broker; its bootstrap string."""
    port = free_port()
    lines = [
        "broker.id=0",
        f"listeners=PLAINTEXT://127.0.0.1:{port}",
        f"zookeeper.connect={zookeeper_connect}",
        "log.dirs=/data/kafka",
        "offsets.topic.replication.factor=1",
        "transaction.state.log.replication.factor=1",
        "transaction.state.log.min.isr=1",
        "group.initial.rebalance.delay.ms=0",
        "auto.create.topics.enable=false",
        "message.max.bytes=2000000",
    ]
    with container(
        "kafka",
        files={"/conf/server.properties": "\n".join(lines)},
        command=["/opt/kafka/bin/kafka-server-start.sh", "/conf/server.properties"],
        environment={"KAFKA_HEAP_OPTS": "-Xmx320m", "LOG_DIR": "/tmp"},
        ready=lambda: listens(port),
    ):
        yield f"127.0.0.1:{port}"


@contextlib.contextmanager
def elasticsearch() -> Iterator[str]:
    """One Elasticsearch node; its URL."""
    port, transport = free_port(), free_port()
    lines = [
        "cluster.name: argus-test",
        "network.host: 127.0.0.1",
        f"http.port: {port}",
        f"transport.port: {transport}",
        "discovery.type: single-node",
        # Otherwise it would create no index while less than a tenth of this computer's disk is free.
        "cluster.routing.allocation.disk.threshold_enabled: false",
    ]
    url = f"http://127.0.0.1:{port}"
    with container(
        "elasticsearch",
        files={"/usr/share/elasticsearch/config/elasticsearch.yml": "\n".join(lines)},
        command=[],
        environment={"ES_JAVA_OPTS": "-Xms384m -Xmx384m"},
        ready=lambda: _answers(f"{url}/_cluster/health?wait_for_status=yellow&timeout=1s"),
        data="/usr/share/elasticsearch/data",
    ):
        yield url


@cache
def image(name: str) -> str:
    """The image of containers/<name>: from ARGUS_TEST_IMAGE_<NAME>, or built here once a session."""
    given = os.environ.get(f"ARGUS_TEST_IMAGE_{name.upper().replace('-', '_')}")
    return given or build_image(name, tag=f"localhost/argus-test/{name}", models=MODELS)


def build_image(name: str, *, tag: str, models: Mapping[str, Path], seconds: float = BUILD_SECONDS) -> str:
    """Build the image of containers/<name>, with these models if it is Spark's. Returns the tag.

    Raises RuntimeError with the end of the output if a step fails.
    """
    ensure_base()
    # The lab's own flags, so that its layers are reused.
    command = ["podman", "build", "--quiet", "--layers", "--network=host", "--isolation=chroot", "--format=docker"]
    with tempfile.TemporaryDirectory(prefix="argus-test-") as folder:
        for part in context(every_image(STAGES)[name], models):
            for target, source in part.files():
                staged = Path(folder, target)
                staged.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, staged)
        command += [f"--tag={tag}", f"--file={folder}/containers/{name}/Dockerfile", folder]
        done = subprocess.run(command, env=_environment(), text=True, capture_output=True, timeout=seconds, check=False)
    if done.returncode:
        raise RuntimeError(f"{tag} was not built: {done.stderr.strip()[-2000:]}")
    return tag


@contextlib.contextmanager
def container(
    name: str,
    *,
    files: dict[str, str],
    command: list[str],
    environment: dict[str, str],
    ready: Callable[[], bool],
    data: str = "/data",
    disk: Path | None = None,
    folders: Mapping[str, Path] | None = None,
    instance: str = "",
    grace_seconds: int = 0,
    hosts: Mapping[str, str] | None = None,
    network: str = "host",
) -> Iterator[str]:
    """Run one of the project's images with these files and a disk at `data`. Yields the container's name.

    The disk is a new one, which goes with the container, or `disk`, which stays. `folders` are mounted by their paths
    in the container. `instance` tells it from others of the same image. At its end it is stopped, or killed after
    `grace_seconds`. The names `hosts` have these addresses there; `network` is podman's word for its network.
    """
    reference = image(name)
    started = f"argus-test-{name}{instance and f'-{instance}'}-{os.getpid()}"
    with tempfile.TemporaryDirectory(prefix="argus-test-") as folder:
        Path(folder).chmod(0o755)
        disk = disk or Path(folder, "disk")
        disk.mkdir(exist_ok=True)
        disk.chmod(0o777)
        arguments = ["--detach", "--network", network, "--name", started, "--volume", f"{disk}:{data}"]
        for target, source in (folders or {}).items():
            arguments += ["--volume", f"{source}:{target}:ro"]
        for target, text in files.items():
            source = Path(folder, Path(target).name)
            source.write_text(f"{text}\n")
            arguments += ["--volume", f"{source}:{target}:ro"]
        for host, address in (hosts or {}).items():
            arguments += ["--add-host", f"{host}:{address}"]
        for key, value in environment.items():
            arguments += ["--env", f"{key}={value}"]
        _podman("run", *arguments, reference, *command)
        try:
            wait_for(name, ready, seconds=START_SECONDS, every=0.5)
            yield started
        except TimeoutError as error:
            logs = _podman("logs", "--tail", "30", started)
            raise TimeoutError(f"{error}\n{logs}") from error
        finally:
            # By default at once, because its data goes too.
            _podman("rm", "--force", "--time", str(grace_seconds), "--volumes", started)


def restart(name: str) -> None:
    """Restart the running container of one of the project's images; its disk stays."""
    _podman("restart", "--time", "30", f"argus-test-{name}-{os.getpid()}")


def logs(container: str) -> str:
    """What a container has printed."""
    return _podman("logs", container)


def output(container: str, *command: str) -> str:
    """What a command prints that runs in a container. Raises RuntimeError where it fails."""
    return _podman("exec", container, *command)


def process_of(container: str) -> int:
    """The process id of a running container."""
    return int(_podman("inspect", "--format", "{{.State.Pid}}", container))


def _podman(*arguments: str) -> str:
    done = subprocess.run(
        ["podman", *arguments], env=_environment(), text=True, capture_output=True, timeout=120, check=False
    )
    if done.returncode:
        raise RuntimeError(f"podman {arguments[0]}: {done.stderr.strip()}")
    return done.stdout + done.stderr


def _environment() -> dict[str, str]:
    return {"CONTAINERS_CONF": str(REPOSITORY / "lab" / "containers.conf"), **os.environ}


def listens(port: int, address: str = "127.0.0.1") -> bool:
    """Whether somebody listens at a port of this computer. Raises OSError where nobody does."""
    with socket.create_connection((address, port), timeout=1):
        return True


def _answers(url: str) -> bool:
    with urllib.request.urlopen(url, timeout=3) as response:
        return bool(response.status == 200)
