"""`make bench-drain`: what one consumer and one Filebeat get through of a backlog, and the CPU that a record costs.

Real Kafka, one broker; the consumer writes to this computer's disk, Filebeat into a real Elasticsearch node. All share
its cores, so what is measured is the least that a pod gets through. Frames and results are as large as the lab's.
"""

import argparse
import json
import os
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx

from apps.messages import Detection
from apps.messages.names import FILEBEAT_GROUP
from components.pipeline.elasticsearch import index_template
from components.pipeline.filebeat import STATS_PORT, filebeat_yml
from components.production.measured import FRAME_BYTES
from lab.progress import step
from tests.bench.table import footer, spread, table
from tests.e2e.waiting import wait_until
from tests.integration import services
from tests.integration.processes import app
from tests.integration.topics import (
    Topics,
    committed,
    create_topics,
    ends,
    make_frame,
    make_result,
    producer,
    send_frame,
    send_result,
)

CAMERAS, PARTITIONS = 40, 4
HEADER = ("stage", "records", "records/s", "CPU of a record (ms)")
DETECTIONS = tuple(Detection(label="person", score=0.9, box=(0.1, 0.2, 0.3 + n / 10, 0.4)) for n in range(5))
_LIMIT_SECONDS, _PAUSE_SECONDS = 600.0, 0.5


@dataclass(frozen=True)
class Drained:
    """The processing of a backlog from its first record: elapsed time, and CPU time of its reader."""

    records: int
    seconds: float
    cpu_seconds: float


def main(arguments: list[str] | None = None) -> int:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.drain", description=__doc__)
    parser.add_argument("--repeat", type=int, default=1, help="measurements of each stage")
    parser.add_argument("--frames", type=int, default=6000, help="frames of the backlog; each has two results")
    options = parser.parse_args(arguments)
    found: dict[str, list[Drained]] = {"consumer": [], "filebeat": []}
    with services.zookeeper() as zookeeper, services.kafka(zookeeper) as kafka, services.elasticsearch() as search:
        httpx.put(f"{search}/_index_template/results", json=index_template(0), timeout=120).raise_for_status()
        for _ in range(options.repeat):
            with step(f"{options.frames} frames and their results"):
                topics = backlog(kafka, options.frames)
            with step("the consumer"):
                found["consumer"].append(_consumer(topics))
            with step("Filebeat"):
                found["filebeat"].append(_filebeat(topics, search))
    rows = [
        [
            stage,
            str(runs[0].records),
            spread([run.records / run.seconds for run in runs]),
            spread([run.cpu_seconds / run.records * 1000 for run in runs]),
        ]
        for stage, runs in found.items()
    ]
    print(table(HEADER, rows))
    print(footer(options.repeat, "make bench-drain"))
    return 0


def backlog(kafka: str, frames: int) -> Topics:
    """New topics with this many frames, spread over the cameras, and two results for each."""
    topics = create_topics(kafka, suffix=uuid.uuid4().hex[:8], models=("objects", "motion"), partitions=PARTITIONS)
    to, began, jpeg = producer(kafka), datetime.now(UTC), os.urandom(round(FRAME_BYTES.value))
    for number in range(frames):
        camera = f"cam-{number % CAMERAS:02d}"
        frame = make_frame(camera, number, began + timedelta(milliseconds=number), jpeg)
        while len(to) > 500:
            to.poll(0.1)
        send_frame(to, topics, frame)
        for model in topics.models:
            send_result(to, topics, make_result(frame, model, DETECTIONS), number % PARTITIONS)
    assert to.flush(120) == 0
    return topics


def _consumer(topics: Topics) -> Drained:
    with (
        tempfile.TemporaryDirectory(prefix="argus-bench-") as folder,
        app(
            "apps.consumer",
            Path(folder, "log"),
            kafka_bootstrap_servers=topics.bootstrap,
            frames_topic=topics.frames,
            results_topics=",".join(topics.results),
            consumer_group=f"consumer-{topics.frames}",
            consumer_member="consumer-0",
            data_dir=str(Path(folder, "data")),
        ) as consumer,
    ):
        total = sum(ends(topics).values())
        return _drained(
            consumer.process.pid,
            total,
            lambda: sum(committed(topics, f"consumer-{topics.frames}").values()),
        )


def _filebeat(topics: Topics, search: str) -> Drained:
    config = json.loads(filebeat_yml(topics.bootstrap, search, topics.results))
    (source,) = config["filebeat.inputs"]
    source["group_id"] = f"{FILEBEAT_GROUP}-{topics.frames}"
    total = sum(end for (topic, _), end in ends(topics).items() if topic != topics.frames)
    indices = ",".join(f"results-{model}-*" for model in topics.models)

    def indexed() -> int:
        # Not a count of documents, which would make Elasticsearch refresh its indices at each poll.
        answer = httpx.get(f"{search}/{indices}/_stats/indexing", timeout=120).raise_for_status().json()
        return int(answer["_all"]["primaries"].get("indexing", {}).get("index_total", 0))

    with services.container(
        "filebeat",
        files={"/etc/argus/filebeat.yml": json.dumps(config)},
        command=["-e", "--strict.perms=false", "-c", "/etc/argus/filebeat.yml"],
        environment={},
        ready=lambda: httpx.get(f"http://127.0.0.1:{STATS_PORT}", timeout=3).is_success,
        data="/usr/share/filebeat/data",
    ) as filebeat:
        return _drained(services.process_of(filebeat), total, indexed)


def _drained(process: int, total: int, done: Callable[[], int]) -> Drained:
    """Watch a process from its first record to its last one."""

    def fewer_than(wanted: int) -> str | None:
        seen = done()
        return f"{seen} records" if seen < wanted else None

    wait_until("the first record", lambda: fewer_than(1), _LIMIT_SECONDS, _PAUSE_SECONDS)
    first, began, cpu = done(), time.monotonic(), _cpu_seconds(process)
    wait_until(f"{total} records", lambda: fewer_than(total), _LIMIT_SECONDS, _PAUSE_SECONDS)
    return Drained(total - first, time.monotonic() - began, _cpu_seconds(process) - cpu)


def _cpu_seconds(process: int) -> float:
    """A process's CPU time, in user and system mode."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    sys.exit(main())
