"""Runs a program of this repository inside the network of the lab's pods.

Kafka's brokers are known to each other, and so to every client, by names that only the pods' network resolves. So the
program runs on the host, with the host's files, but in the network and with the name servers of one of the page's pods,
which reads Kafka and Elasticsearch itself.
"""

import base64
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from components.pipeline.certificates import BLOCK
from components.pipeline.elasticsearch_grants import UI
from components.pipeline.elasticsearch_identities import secret_of
from components.pipeline.kafka_grants import ADMIN
from components.pipeline.kafka_identities import AUTHORITY, PAIR
from lab.config import ROOT, LabError
from lab.shell import ending
from tests.bench.frames.watch import OVER, READY, Order, Seen
from tests.e2e.cluster import NAMESPACE, ClusterClient, is_ready

PAGE = "app.kubernetes.io/name=ui"
_CONFIG = "ui"
"""The page's ConfigMap, which has the addresses of Kafka and Elasticsearch."""
_RESOLVER = "/etc/resolv.conf"


@dataclass(frozen=True)
class Entrance:
    """A process in the pods' network, and how Kafka and Elasticsearch are reached there."""

    process: int
    kafka: Mapping[str, str]
    """librdkafka's settings, which may have a private key in them."""
    search: str
    search_tls: Mapping[str, str] | None
    """The files by which the page shows itself to Elasticsearch, with its private key; None: it connects in plain."""

    @classmethod
    def find(cls, cluster: ClusterClient, proc: Path = Path("/proc")) -> "Entrance":
        """The network of one of the page's pods. Raises LabError if none is ready."""
        ready = [pod for pod in cluster.pods(PAGE) if is_ready(pod) and "deletionTimestamp" not in pod["metadata"]]
        if not ready:
            raise LabError("no pod of the page is ready, in whose network Kafka could be asked")
        container = ready[0]["status"]["containerStatuses"][0]["containerID"].rpartition("/")[2]
        settings = cluster.get(f"/api/v1/namespaces/{NAMESPACE}/configmaps/{_CONFIG}")["data"]
        return cls(
            process_of(container, proc),
            connection(cluster, settings),
            settings["ARGUS_ELASTICSEARCH_URL"],
            search_tls(cluster, settings),
        )

    def command(self, *program: str) -> list[str]:
        """The command line that runs a program there. Needs root."""
        # The mount belongs to the program's own mount namespace alone. It is of a copy: `mount` would follow the path
        # below /proc to the host's own file.
        copy = 'copy=$(mktemp) && cat "$1" >"$copy"'
        bind = f'{copy} && mount --bind "$copy" {_RESOLVER} && rm "$copy" && shift && exec "$@"'
        there = f"/proc/{self.process}"
        return [
            *("nsenter", f"--net={there}/ns/net", "unshare", "--mount"),
            *("sh", "-c", bind, "sh", f"{there}/root{_RESOLVER}", *program),
        ]


def connection(cluster: ClusterClient, settings: Mapping[str, str]) -> dict[str, str]:
    """librdkafka's settings that reach the brokers of the page with these settings.

    Where its clients show certificates, they are those of the jobs that make topics, who may read everything.
    """
    found = {"bootstrap.servers": settings["ARGUS_KAFKA_BOOTSTRAP_SERVERS"]}
    if "ARGUS_KAFKA_TLS_DIR" not in settings:
        return found
    files = _files_of(cluster, f"kafka-{ADMIN}")
    key, certificate = BLOCK.findall(files[PAIR])
    return found | {
        "security.protocol": "SSL",
        "ssl.ca.pem": files[AUTHORITY],
        "ssl.certificate.pem": certificate,
        "ssl.key.pem": key,
    }


def search_tls(cluster: ClusterClient, settings: Mapping[str, str]) -> Mapping[str, str] | None:
    """The files of the page with these settings for Elasticsearch; None where it connects in plain."""
    return _files_of(cluster, secret_of(UI)) if "ARGUS_ELASTICSEARCH_TLS_DIR" in settings else None


def _files_of(cluster: ClusterClient, secret: str) -> Mapping[str, str]:
    data = cluster.get(f"/api/v1/namespaces/{NAMESPACE}/secrets/{secret}")["data"]
    return {file: base64.b64decode(data[file]).decode() for file in (PAIR, AUTHORITY)}


def process_of(container: str, proc: Path = Path("/proc")) -> int:
    """A process on this host of a container. Raises LabError if there is none."""
    for process in processes_of(container, proc):
        return process
    raise LabError(f"no process on this host is of the container {container}: the lab does not run here")


def processes_of(container: str, proc: Path = Path("/proc")) -> Iterator[int]:
    """The processes on this host of a container, the oldest number first."""
    for each in sorted(int(path.name) for path in proc.iterdir() if path.name.isdigit()):
        # It may have ended meanwhile.
        with suppress(OSError):
            if container in (proc / str(each) / "cgroup").read_text():
                yield each


class Watching:
    """A step that is followed."""

    def __init__(self, process: "subprocess.Popen[str]", errors: IO[str]) -> None:
        self._process, self._errors = process, errors

    def wait_for_the_end(self) -> None:
        """Wait until the step's time is over. Raises LabError if the watch failed."""
        self.expect(OVER)

    def seen(self) -> Seen:
        """What was seen, once the late results have come or not. Raises LabError if the watch failed."""
        return Seen(**self._next())

    def expect(self, word: str) -> None:
        """Wait for the watch to say this. Raises LabError if it failed."""
        if (said := self._next()) != word:
            raise LabError(f"the watch says {said!r} and not {word!r}")

    def _next(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._errors.seek(0)
            raise LabError(
                f"the watch in the pods' network failed:\n{ending(self._errors.read().strip().splitlines())}"
            )
        return json.loads(line)


@contextmanager
def watching(entrance: Entrance, models: Sequence[str], seconds: float) -> Iterator[Watching]:
    """Follow a step that begins with the block. Raises LabError with the end of the watch's errors."""
    order = Order(
        kafka=entrance.kafka,
        search=entrance.search,
        search_tls=entrance.search_tls,
        models=tuple(models),
        seconds=seconds,
    )
    program = entrance.command(sys.executable, "-m", "tests.bench.frames.watch")
    with (
        tempfile.TemporaryFile("w+") as errors,
        subprocess.Popen(
            program, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=errors, stdin=subprocess.PIPE
        ) as process,
    ):
        assert process.stdin is not None
        # Not an argument, which everybody on the host may read. Why a watch ends at once is in its errors.
        with suppress(BrokenPipeError), process.stdin as orders:
            orders.write(json.dumps(asdict(order)))
        watched = Watching(process, errors)
        try:
            watched.expect(READY)
            yield watched
        finally:
            if process.poll() is None:
                process.kill()
