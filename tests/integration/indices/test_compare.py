"""Real Kafka, Filebeat, consumer and Elasticsearch: what the index refuses is in it at the end, or counted and kept.

Everything is compared as sets of results' names.
"""

import itertools
import json
import os
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from apps.consumer.storage import REMOVED, DiskStore
from apps.indices.compare import work
from apps.indices.counters import serve
from apps.indices.settings import ComparisonSettings, CountersSettings
from apps.messages.names import CONSUMER_GROUP, FILEBEAT_GROUP, REFUSED_INDICES, RESULT_INDICES, results_index
from apps.messages.report import Report
from apps.ui.not_searchable import output_events
from components.pipeline.elasticsearch import index_template
from components.pipeline.filebeat import filebeat_yml
from tests.environments import AUTHORITY_FILE, METRICS_DIR, TOKEN_FILE
from tests.integration import services
from tests.integration.processes import app, scraped
from tests.integration.services import free_port, wait_for
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

LIMIT_SECONDS = 600
CAMERAS = ("gate", "yard", "lobby")
JPEG = b"\xff\xd8\xff\xd9"


class Site:
    """The servers, with a consumer and a Filebeat of this test."""

    def __init__(self, topics: Topics, elasticsearch: str, consumer: str, counters: int, folder: Path) -> None:
        self.topics, self.url, self.consumer, self.counters = topics, elasticsearch, consumer, counters
        self.report_file, self.data = folder / "report", folder / "data"
        self.sent: set[str] = set()
        self._numbers = itertools.count()
        self._producer = producer(topics.bootstrap)

    def index(self, model: str) -> str:
        return results_index(model, f"{datetime.now(UTC):%Y.%m.%d}")

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        answer = httpx.request(method, f"{self.url}/{path}", json=body, timeout=120)
        return answer.raise_for_status().json()

    def block(self, name: str, on: bool | None, *models: str) -> None:
        """Set or remove a block of the indices of these models."""
        for model in models:
            self.ask("PUT", f"{self.index(model)}/_settings", {f"index.blocks.{name}": on})

    def feed(self, count: int) -> set[str]:
        """Send this many frames, each with the results of all models. Returns the results' names."""
        names = set()
        for number in itertools.islice(self._numbers, count):
            frame = make_frame(CAMERAS[number % len(CAMERAS)], number, datetime.now(UTC), JPEG)
            send_frame(self._producer, self.topics, frame)
            for model in self.topics.models:
                result = make_result(frame, model)
                send_result(self._producer, self.topics, result, number % 4)
                names.add(result.id)
        assert self._producer.flush(LIMIT_SECONDS) == 0
        self.sent |= names
        return names

    def settle(self) -> None:
        """Wait until Filebeat and the consumer have committed everything."""

        def done() -> bool:
            last = ends(self.topics)
            results = {place: end for place, end in last.items() if place[0] != self.topics.frames}
            shipped, stored = (committed(self.topics, group) for group in (FILEBEAT_GROUP, CONSUMER_GROUP))
            return all(shipped[place] >= end for place, end in results.items()) and all(
                stored[place] >= end for place, end in last.items()
            )

        wait_for("Filebeat and the consumer", done, seconds=LIMIT_SECONDS, every=1)

    def counted(self, kind: str) -> int:
        """One of Filebeat's counters of events at its output."""
        return output_events(scraped(self.counters))[kind]

    def in_index(self, pattern: str = RESULT_INDICES) -> set[str]:
        """The names of this test's results in the index, or set aside."""
        self.ask("POST", f"{pattern}/_refresh")
        body = {"size": 10_000, "_source": False, "query": {"terms": {"model.name": list(self.topics.models)}}}
        return {hit["_id"] for hit in self.ask("POST", f"{pattern}/_search", body)["hits"]["hits"]}

    def on_disk(self) -> dict[str, bytes]:
        """The consumer's files by their paths."""
        found = [path for path in self.data.glob("*/*/*") if path.is_file()]
        return {str(path.relative_to(self.data)): path.read_bytes() for path in found}

    def compare(self, hours: float | None = None) -> tuple[int, Report]:
        settings = ComparisonSettings.model_validate(
            {
                "elasticsearch_url": self.url,
                "kafka_bootstrap_servers": self.topics.bootstrap,
                "frames_topic": self.topics.frames,
                "results_topics": ",".join(self.topics.results),
                "consumer_urls": self.consumer,
                "token_file": TOKEN_FILE,
                "authority_file": AUTHORITY_FILE,
                "hours": hours,
                "report_file": self.report_file,
            }
        )
        status = work(settings)
        return status, Report.from_json(self.report_file.read_text())


@contextmanager
def filebeat(topics: Topics, elasticsearch: str) -> Iterator[int]:
    """A Filebeat with the stack's configuration, and what answers for it; the port of its counters."""
    config = json.loads(filebeat_yml(topics.bootstrap, elasticsearch, topics.results))
    port = free_port()
    config["http"] |= {"port": port}
    # The default is 60 s, which a test would spend waiting.
    config["output.elasticsearch"]["backoff"] = {"init": "200ms", "max": "2s"}
    with services.container(
        "filebeat",
        files={"/etc/argus/filebeat.yml": json.dumps(config)},
        command=["-e", "--strict.perms=false", "-c", "/etc/argus/filebeat.yml"],
        environment={},
        ready=lambda: httpx.get(f"http://127.0.0.1:{port}", timeout=3).is_success,
        data="/usr/share/filebeat/data",
    ):
        beside = {"probe_port": 0, "metrics_port": 0, "metrics_dir": METRICS_DIR, "filebeat_port": port}
        servers = serve(CountersSettings.model_validate(beside))
        yield servers[1].port
        for server in servers:
            server.close()


@pytest.fixture(scope="module")
def site(kafka: str, elasticsearch: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("compare")
    suffix = uuid.uuid4().hex[:8]
    topics = create_topics(kafka, suffix=suffix, models=("objects", "motion", "odd"), partitions=4)
    httpx.put(f"{elasticsearch}/_index_template/results", json=index_template(0), timeout=60).raise_for_status()
    # A mapping that takes no result of the model odd, as a camera is an object, and that does not sort as others do.
    sequence = {"properties": {"sequence": {"type": "text"}}}
    conflict = {"mappings": {"properties": {"camera": {"type": "keyword"}, "frame": sequence}}}
    index = results_index(topics.models[2], f"{datetime.now(UTC):%Y.%m.%d}")
    httpx.put(f"{elasticsearch}/{index}", json=conflict, timeout=60).raise_for_status()
    with ExitStack() as stack:
        counters = stack.enter_context(filebeat(topics, elasticsearch))
        consumer = stack.enter_context(
            app(
                "apps.consumer",
                folder / "consumer.log",
                kafka_bootstrap_servers=kafka,
                frames_topic=topics.frames,
                results_topics=",".join(topics.results),
                consumer_group=CONSUMER_GROUP,
                consumer_member=f"consumer-{suffix}",
                data_dir=str(folder / "data"),
            )
        )
        yield Site(topics, elasticsearch, consumer.url, counters, folder)
    for pattern in (*(f"results-{model}-*" for model in topics.models), REFUSED_INDICES):
        rows = httpx.get(f"{elasticsearch}/_cat/indices/{pattern}?format=json&h=index", timeout=60).json()
        for row in rows:
            httpx.delete(f"{elasticsearch}/{row['index']}", timeout=60).raise_for_status()


def of_model(names: set[str], *models: str) -> set[str]:
    return {name for name in names if name.rpartition("/")[2] in models}


def test_every_result_is_searchable_or_kept_counted_and_sent_again(site: Site) -> None:
    objects, motion, odd = site.topics.models
    site.feed(60)
    site.settle()

    # A blocked index: Filebeat gives its results up.
    site.block("write", True, objects)
    site.feed(60)
    wait_for("refused results", lambda: site.counted("dropped") >= 60 + 120, seconds=LIMIT_SECONDS, every=1)
    # Elasticsearch starts anew meanwhile.
    if "ARGUS_TEST_ELASTICSEARCH" not in os.environ:
        services.restart("elasticsearch")
    site.feed(60)
    wait_for("Elasticsearch", lambda: site.ask("GET", "_cluster/health"), seconds=LIMIT_SECONDS, every=1)
    site.settle()
    kept = of_model(site.sent, objects, odd) - site.in_index()
    assert of_model(kept, objects) and of_model(kept, odd) == of_model(site.sent, odd)

    # While it is blocked: everything that is refused is set aside, with its reason.
    status, report = site.compare()
    assert site.in_index(REFUSED_INDICES) == kept
    assert site.in_index() == site.sent - kept
    assert (status, report.refused, report.waiting, report.gone) == (1, len(kept), 0, 0)
    assert (report.kafka, report.disk, report.not_on_disk) == (len(site.sent), len(site.sent), 0)
    said = " ".join(report.reasons)
    assert "index write (api)" in said and "document_parsing_exception" in said
    assert sum(report.reasons.values()) == len(kept)

    # Open again: one run sends what its index takes; what has a conflict stays.
    site.block("write", None, objects)
    status, report = site.compare()
    assert site.in_index() == of_model(site.sent, objects, motion)
    assert site.in_index(REFUSED_INDICES) == of_model(site.sent, odd)
    assert (status, report.sent, report.refused) == (1, len(of_model(kept, objects)), len(of_model(site.sent, odd)))

    # The conflict is removed.
    site.ask("DELETE", site.index(odd))
    status, report = site.compare()
    assert site.in_index() == site.sent
    assert site.in_index(REFUSED_INDICES) == set()
    assert (status, report.not_searchable) == (0, 0)

    # Nothing more to do, and nothing is read twice.
    status, report = site.compare()
    assert (status, report.sent, report.kafka) == (0, 0, 0)


def test_at_the_flood_stage_filebeat_waits_and_nothing_counts_as_missing(site: Site) -> None:
    site.compare()
    before, dropped, told_to_wait = site.in_index(), site.counted("dropped"), site.counted("toomany")
    # Elasticsearch itself takes this block away again while it finds room on its disks.
    site.block("read_only_allow_delete", True, *site.topics.models)
    new = site.feed(30)
    wait_for("refusals", lambda: site.counted("toomany") > told_to_wait, seconds=LIMIT_SECONDS, every=0.2)
    status, report = site.compare()
    assert (status, report.sent, report.not_searchable) == (0, 0, 0)
    site.block("read_only_allow_delete", None, *site.topics.models)
    site.settle()
    assert site.in_index() == before | new
    assert site.counted("dropped") == dropped
    status, report = site.compare()
    assert (status, report.sent, report.not_searchable) == (0, 0, 0)


def test_while_elasticsearch_refuses_everything_results_wait_in_kafka(site: Site) -> None:
    site.settle()
    site.compare()
    before = site.in_index()
    # As if Filebeat had given them up: later versions do even where a block is of the whole cluster.
    new = site.feed(20)
    site.settle()
    lost = sorted(new)
    delete(site, lost)
    block = {"persistent": {"cluster.blocks.read_only": True}}
    site.ask("PUT", "_cluster/settings", block)
    try:
        status, report = site.compare()
        assert (status, report.waiting, report.refused) == (1, len(lost), 0)
        assert any("cluster read-only" in reason for reason in report.reasons)
    finally:
        site.ask("PUT", "_cluster/settings", {"persistent": {"cluster.blocks.read_only": None}})
    status, report = site.compare()
    assert (status, report.sent) == (0, len(lost))
    assert site.in_index() == before | new


def test_what_is_in_kafka_and_on_no_disk_is_stored_again(site: Site) -> None:
    site.settle()
    site.compare()
    site.feed(40)
    site.settle()
    everything = site.on_disk()
    assert {name.rpartition(".")[2] for name in everything} == {"jpg", "json"}

    # The next run finds what was lost since the last one, frames and results.
    lost = set()
    for name in sorted(everything, key=lambda name: (int(name.rpartition("/")[2].partition(".")[0]), name))[-80::3]:
        (site.data / name).unlink()
        lost.add(name)
    assert {name.rpartition(".")[2] for name in lost} == {"jpg", "json"}
    report = site.compare()[1]
    assert site.on_disk() == everything
    assert (report.stored_again, report.not_on_disk, report.frames_not_on_disk) == (len(lost), 0, 0)

    # The whole disk, as where a machine is replaced: one command for the last hours.
    for name in everything:
        (site.data / name).unlink()
    report = site.compare(hours=24)[1]
    assert site.on_disk() == everything
    assert (report.stored_again, report.not_on_disk, report.frames_not_on_disk) == (len(everything), 0, 0)
    assert site.compare(hours=24)[1].stored_again == 0

    # What retention has removed is not missing.
    store = DiskStore(site.data)
    hours = store.hours()
    for directory in hours:
        store.remove(directory)
    store.note_removed(hours)
    report = site.compare(hours=24)[1]
    assert site.on_disk() == {}
    assert (report.stored_again, report.not_on_disk, report.frames_not_on_disk) == (0, 0, 0)

    # It is again where it is not known that it was removed; what is then in Kafka no more is counted.
    (site.data / REMOVED).unlink()
    assert site.compare(hours=24)[1].stored_again == len(everything)
    assert site.on_disk() == everything


def test_the_last_hours_are_compared_whatever_was_compared_before(site: Site) -> None:
    site.settle()
    site.compare()
    everything = site.in_index()
    assert everything == site.sent
    lost = sorted(everything)[::7]
    delete(site, lost)
    assert site.compare(hours=24)[1].sent == len(lost)
    assert site.in_index() == everything

    # Kafka has them no more: the disk has.
    delete(site, lost)
    admin = AdminClient({"bootstrap.servers": site.topics.bootstrap})
    last = [TopicPartition(*place, end) for place, end in ends(site.topics).items() if place[0] != site.topics.frames]
    for future in admin.delete_records(last).values():
        future.result()
    status, report = site.compare(hours=24)
    assert (status, report.sent, report.kafka, report.disk) == (0, len(lost), 0, len(everything))
    assert site.in_index() == everything


def delete(site: Site, names: list[str]) -> None:
    """Remove documents from the index behind everybody's back."""
    lines = [json.dumps({"delete": {"_index": site.index(name.rpartition("/")[2]), "_id": name}}) for name in names]
    answer = httpx.post(
        f"{site.url}/_bulk?refresh=true",
        content="\n".join(lines) + "\n",
        headers={"content-type": "application/x-ndjson"},
        timeout=120,
    ).raise_for_status()
    assert not answer.json()["errors"]
