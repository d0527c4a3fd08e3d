"""A model job in the project's own image, with Spark in the driver's container: local, or as several processes."""

import contextlib
import os
import re
import subprocess
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from components.pipeline.model_job import CHECKPOINT, properties_file
from tests.environments import METRICS_DIR, variables
from tests.integration.processes import scraped
from tests.integration.services import REPOSITORY, free_port, image, wait_for

START_SECONDS = 300
ENVIRONMENT = {"CONTAINERS_CONF": str(REPOSITORY / "lab" / "containers.conf"), **os.environ}
PROPERTIES = {
    **CHECKPOINT,
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.memory": "256m",
    "spark.executor.memory": "256m",
    "spark.testing.reservedMemory": 33554432,
    "spark.driver.extraJavaOptions": "-XX:+UseSerialGC -XX:TieredStopAtLevel=1",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.local.dir": "/tmp/spark",
    "spark.sql.adaptive.enabled": "false",
}


class Driver:
    """One container with a driver, started at once."""

    def __init__(
        self,
        folder: Path,
        settings: dict[str, object],
        reference: str,
        files: Mapping[str, str],
        folders: Mapping[str, Path],
    ) -> None:
        self.name = f"argus-test-spark-{uuid.uuid4().hex[:8]}"
        self._metrics_port = free_port()
        folder.chmod(0o755)
        arguments = [
            "--detach",
            "--network",
            "host",
            "--name",
            self.name,
            "--read-only",
            "--tmpfs",
            "/tmp:rw,mode=1777",
            # The workers of Spark's own cluster manager keep their executors' files here.
            "--tmpfs",
            "/opt/spark/work:rw,mode=1777",
        ]
        arguments += mounted(folder, files)
        for target, source in folders.items():
            arguments += ["--volume", f"{source}:{target}:ro"]
        given = {name: str(value) for name, value in settings.items()}
        given |= {"http_port": str(free_port()), "metrics_port": str(self._metrics_port)}
        arguments += ["--volume", f"{METRICS_DIR}:{METRICS_DIR}:ro"]
        for name, value in variables("apps.spark_jobs", **given).items():
            arguments += ["--env", f"{name}={value}"]
        self.podman("run", *arguments, reference, "driver")
        self._ended = subprocess.Popen(["podman", "wait", self.name], env=ENVIRONMENT, stdout=subprocess.DEVNULL)

    def podman(self, *arguments: str) -> str:
        command = ["podman", *arguments]
        done = subprocess.run(command, env=ENVIRONMENT, text=True, capture_output=True, timeout=180, check=False)
        if done.returncode:
            raise RuntimeError(f"podman {arguments[0]}: {done.stderr.strip()}")
        return done.stdout + done.stderr

    def metric(self, name: str, model: str = "[^}]*") -> float:
        """The value of `argus_spark_<name>` of a model; by default of the application's first."""
        found = re.search(rf'^argus_spark_{name}{{model="{model}"}} (\S+)$', scraped(self._metrics_port), re.MULTILINE)
        if found is None:
            raise KeyError(name)
        return float(found[1])

    def wait_until(self, what: str, condition, seconds: float = START_SECONDS) -> None:  # type: ignore[no-untyped-def]
        """Wait for an effect of this driver. Fails with its log, at once if the driver has ended."""
        try:
            wait_for(what, lambda: self._ended.poll() is not None or condition(), seconds=seconds, every=0.2)
        except TimeoutError as error:
            raise TimeoutError(f"{error}\n{self._log()}") from error
        if self._ended.poll() is not None:
            raise RuntimeError(f"the driver ended while the test waited for {what}\n{self._log()}")

    def _log(self) -> str:
        return self.podman("logs", "--tail", "60", self.name)

    def kill(self) -> None:
        """Kill it with its JVM, as the loss of a machine would."""
        self.podman("kill", "--signal", "KILL", self.name)
        self.podman("wait", self.name)

    def stop(self) -> int:
        """Stop it gracefully, as Kubernetes does. Returns the exit status."""
        self.podman("stop", "--time", "60", self.name)
        return int(self.podman("wait", self.name))

    def remove(self) -> None:
        """Remove the container."""
        self.podman("rm", "--force", "--time", "0", self.name)
        self._ended.wait(timeout=60)


def mounted(folder: Path, files: Mapping[str, str]) -> list[str]:
    """podman's arguments for a container with these files, by their path in it."""
    arguments = []
    for target, text in files.items():
        source = folder / Path(target).name
        source.write_text(text)
        source.chmod(0o644)
        arguments += ["--volume", f"{source}:{target}:ro"]
    return arguments


@contextlib.contextmanager
def driver(
    master: str = "local[2]",
    reference: str | None = None,
    properties: Mapping[str, object] = MappingProxyType({}),
    files: Mapping[str, str] = MappingProxyType({}),
    folders: Mapping[str, Path] = MappingProxyType({}),
    **settings: object,
) -> Iterator[Driver]:
    """Run a driver of the image `reference` (default: the tests') during the block. `settings` lack the ARGUS_.

    `properties` are further ones of Spark, `files` further files by their path in the container, `folders`
    folders of this computer likewise.
    """
    with tempfile.TemporaryDirectory(prefix="argus-test-") as folder:
        spark = properties_file({"spark.master": master, **PROPERTIES, **properties})
        files = {**files, "/etc/argus/spark.properties": spark}
        started = Driver(Path(folder), settings, reference or image("spark"), files, folders)
        try:
            yield started
        finally:
            started.remove()
