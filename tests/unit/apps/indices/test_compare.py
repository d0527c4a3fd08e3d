"""The comparison of Kafka, disk and index: after it each result is in the index, set aside, or counted and named."""

import json
import random
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from apps import indices
from apps.indices import archive
from apps.indices.archive import Stored
from apps.indices.compare import Comparison, InKafka, frames_not_on_disk, names, not_indexed, not_on_disk
from apps.indices.identities import Identities, Slot
from apps.indices.results_log import Place, Window
from apps.indices.settings import ComparisonSettings
from apps.messages import Result, frame_path, hour_of, result_from_json, result_path, result_to_json
from apps.service.peer import Client
from tests.environments import AUTHORITY_FILE, TOKEN_FILE

NOW = datetime(2026, 11, 23, 12, 40, tzinfo=UTC)
TOPIC, FRAMES = "results.objects", "frames"
INDEX = "results-objects-2026.11.23"
BLOCKED = f"403: cluster_block_exception: index [{INDEX}] blocked by: [FORBIDDEN/8/index write (api)];"


def result(sequence: int, camera: str = "gate", at: datetime = NOW, model: str = "objects") -> Result:
    return Result(
        camera=camera,
        sequence=sequence,
        captured_at=at,
        width=640,
        height=360,
        model=model,
        model_version="1",
        processed_at=at,
        detections=(),
    )


class Search:
    """An Elasticsearch that keeps documents by index and name, and refuses what it is told to."""

    def __init__(self) -> None:
        self.kept: dict[str, dict[str, dict[str, Any]]] = {}
        self.blocked: set[str] = set()
        self.rest: list[dict[str, Any]] = []
        """What the last search found and has not answered yet."""
        self.faulty: set[str] = set()
        """The names of results that no index of results takes."""

    def ask(self, method: str, url: str, body: bytes | None = None, **_: Any) -> Any:
        path = url.removeprefix("http://search:9200/").partition("?")[0]
        if path.endswith("/_refresh"):
            return {}
        if path == "_bulk":
            return {"items": list(self._bulk((body or b"").decode().splitlines()))}
        if path == "_search/scroll":
            return {"_scroll_id": "s", "hits": {"hits": []}} if method == "DELETE" or not self.rest else self._page()
        if path.endswith("/_search"):
            return self._search(path.removesuffix("/_search"), json.loads(body or b""))
        if method == "PUT":
            self.kept.setdefault(path, {})
            return {}
        raise AssertionError(url)

    def names(self, kind: str) -> set[str]:
        return {name for index, found in self.kept.items() if index.startswith(kind) for name in found}

    def put(self, one: Result) -> None:
        self.kept.setdefault(f"results-{one.model}-{one.captured_at:%Y.%m.%d}", {})[one.id] = json.loads(
            result_to_json(one)
        )

    def _bulk(self, lines: list[str]) -> Iterator[dict[str, Any]]:
        rest = iter(lines)
        for line in rest:
            ((action, target),) = json.loads(line).items()
            index, name = target["_index"], target["_id"]
            if action == "delete":
                yield {action: {"status": 200 if self.kept[index].pop(name, None) else 404}}
                continue
            document = json.loads(next(rest))
            if index in self.blocked:
                reason = f"index [{index}] blocked by: [FORBIDDEN/8/index write (api)];"
                yield {action: {"status": 403, "error": {"type": "cluster_block_exception", "reason": reason}}}
            elif name in self.faulty and not index.startswith("refused"):
                reason = f"[1:9] failed to parse field [x] of type [long] in document with id '{name}'. Preview of "
                error = {"type": "document_parsing_exception", "reason": f"{reason}field's value: 'y'"}
                yield {action: {"status": 400, "error": error}}
            elif name in self.kept.setdefault(index, {}):
                yield {action: {"status": 409, "error": {"type": "version_conflict_engine_exception"}}}
            else:
                self.kept[index][name] = document
                yield {action: {"status": 201}}

    def _search(self, pattern: str, body: dict[str, Any]) -> dict[str, Any]:
        found = [
            {"_index": index, "_id": name, "_source": document}
            for index, kept in self.kept.items()
            if index.startswith(pattern.removesuffix("*"))
            for name, document in kept.items()
            if _matches(document, body.get("query", {}))
        ]
        if "aggs" in body:
            return {"aggregations": {name: _aggregated(found, asked) for name, asked in body["aggs"].items()}}
        for hit in found:
            hit["fields"] = {"@timestamp": [hit["_source"]["@timestamp"][:13]]}
        if body.get("sort") != ["_doc"]:
            return {"hits": {"hits": found[: body["size"]]}}
        self.rest = found
        return self._page()

    def _page(self) -> dict[str, Any]:
        # Smaller than asked, so that a few results take several pages.
        page, self.rest = self.rest[:7], self.rest[7:]
        return {"_scroll_id": "s", "hits": {"hits": page}}


def _matches(document: dict[str, Any], query: dict[str, Any]) -> bool:
    if "range" in query:
        bounds = query["range"]["@timestamp"]
        return bool(bounds["gte"] <= document["@timestamp"] < bounds["lt"])
    if "function_score" in query:
        (term,) = query["function_score"]["query"]["bool"]["filter"]
        return bool(document["refused"]["index"] == term["term"]["refused.index"])
    return True


def _aggregated(found: list[dict[str, Any]], asked: dict[str, Any]) -> dict[str, Any]:
    if "min" in asked:
        times = [datetime.fromisoformat(hit["_source"]["@timestamp"]).timestamp() * 1000 for hit in found]
        return {"value": min(times, default=None)}
    values = [hit["_source"]["refused"][asked["terms"]["field"].removeprefix("refused.")] for hit in found]
    return {"buckets": [{"key": value, "doc_count": values.count(value)} for value in set(values)]}


@dataclass
class Log:
    """Kafka: one partition with records, of which some are shipped and stored."""

    values: list[bytes] = field(default_factory=list)
    shipped: int = 0
    stored: int = 0
    since: datetime | None = None
    start: int = 0
    later: list[bytes] = field(default_factory=list)
    """What comes while the comparison runs."""
    committed: dict[Place, int] | None = None
    pictures: list[Result | None] = field(default_factory=list)
    """The frames topic: the frame of each of these results; None where Kafka has deleted it."""
    stored_frames: int = 0

    def window(self, from_time: datetime | None = None) -> Window:
        place = (TOPIC, 0)
        found = Window(
            starts={place: self.start},
            ends={place: len(self.values)},
            shipped={place: self.shipped},
            stored={place: self.stored},
            stored_frames={(FRAMES, 0): self.stored_frames},
            since=from_time or self.since,
            expired=0,
        )
        self.values += self.later
        return found

    def ends(self) -> dict[Place, int]:
        return {(TOPIC, 0): len(self.values)}

    def records(self, starts: Mapping[Place, int], ends: Mapping[Place, int]) -> Iterator[tuple[Place, int, bytes]]:
        for place, end in ends.items():
            for offset in range(starts[place], end):
                yield place, offset, self.values[offset]

    def frames(self, since: datetime) -> Iterator[tuple[Place, int, Slot, int]]:
        for offset, one in enumerate(self.pictures):
            if one is not None:
                yield (FRAMES, 0), offset, Slot.of(one).frames, one.sequence

    def commit(self, offsets: Mapping[Place, int], at: datetime) -> None:
        assert at == NOW
        self.committed = dict(offsets)


class Disks:
    """The consumers' disks: frames and results by file, and those that do not answer."""

    def __init__(self, log: Log) -> None:
        self.files: dict[str, bytes] = {}
        self.silent = False
        self.removed: dict[str, str] = {}
        self.kept_from = ""
        self.outcome = "stored"
        """What becomes of each record that is to be stored again."""
        self.asked: list[tuple[str, int]] = []
        """The records that were to be stored again: topic and offset."""
        self._log = log

    def put(self, one: Result) -> None:
        path = result_path(one.camera, one.captured_at, one.sequence, one.model)
        self.files[f"/frames/{path}"] = result_to_json(one)
        self.files[f"/frames/{frame_path(one.camera, one.captured_at, one.sequence)}"] = b"a picture"

    def _store(self, records: list[tuple[str, int, int]]) -> dict[str, Any]:
        for topic, _, offset in records:
            self.asked.append((topic, offset))
            if self.outcome != "stored":
                continue
            one = result_from_json(self._log.values[offset]) if topic == TOPIC else self._log.pictures[offset]
            assert one is not None
            path, content = result_path(one.camera, one.captured_at, one.sequence, one.model), result_to_json(one)
            if topic == FRAMES:
                path, content = frame_path(one.camera, one.captured_at, one.sequence), b"a picture"
            self.files[f"/frames/{path}"] = content
        return {"outcomes": [self.outcome] * len(records)}

    def list(self, method: str, url: str, body: bytes | None = None, *, pod: Client) -> Any:
        assert pod.token.headers, "no token"
        assert pod.trust.verify_mode is ssl.CERT_REQUIRED
        path = url.removeprefix("https://consumer-0:8080")
        if self.silent:
            raise OSError("no route")
        if method == "POST":
            assert path == "/store-again"
            return self._store(json.loads(body or b"")["records"])
        parts = [name.split("/")[2:] for name in self.files]
        match path.strip("/").split("/"):
            case ["frames"]:
                cameras = sorted({camera for camera, _, _ in parts})
                return {"cameras": cameras, "removed": self.removed, "kept_from": self.kept_from}
            case ["frames", camera]:
                return {"hours": sorted({hour for one, hour, _ in parts if one == camera})}
            case ["frames", camera, hour]:
                return {"files": [name for one, at, name in parts if (one, at) == (camera, hour)]}
        raise AssertionError(url)

    def fetch(self, _: Any, slot: Slot, sequence: int, __: Client) -> bytes | None:
        return self.files.get(f"/frames/{slot.camera}/{slot.hour}/{sequence}.{slot.model}.json")


class Site:
    """All three, and a run between them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.search, self.log = Search(), Log()
        self.disks = Disks(self.log)
        monkeypatch.setattr(indices, "ask", self.search.ask)
        monkeypatch.setattr(archive, "ask", self.disks.list)
        monkeypatch.setattr(archive, "fetch", self.disks.fetch)

    def compare(self, **settings: Any) -> Comparison:
        given = ComparisonSettings.model_validate(
            {
                "elasticsearch_url": "http://search:9200",
                "kafka_bootstrap_servers": "kafka:9092",
                "frames_topic": FRAMES,
                "results_topics": TOPIC,
                "consumer_urls": "https://consumer-0:8080",
                "token_file": TOKEN_FILE,
                "authority_file": AUTHORITY_FILE,
                **settings,
            }
        )
        one = Comparison(given, self.log, NOW)  # type: ignore[arg-type]
        one.run()
        return one

    def fill(self, count: int) -> set[str]:
        """Results that are in Kafka, shipped and stored; their names."""
        results = [result(sequence) for sequence in range(count)]
        self.log.values = [result_to_json(one) for one in results]
        self.log.pictures = list(results)
        self.log.shipped = self.log.stored = self.log.stored_frames = count
        for one in results:
            self.disks.put(one)
        return {one.id for one in results}


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Site:
    return Site(monkeypatch)


def test_what_is_lacking_is_what_the_sets_say() -> None:
    drawn = random.Random(20261129)
    slots = [Slot("2026-11-23T12", camera, "objects") for camera in ("gate", "yard")]
    for _ in range(200):
        everything = [(slot, sequence) for slot in slots for sequence in range(12)]

        def some(pool: list[tuple[Slot, int]]) -> list[tuple[Slot, int]]:
            return [one for one in pool if drawn.random() < 0.6]

        seen = some(everything)
        shipped, stored, disk, index, refused = some(seen), some(seen), some(everything), some(everything), some(seen)
        kafka = InKafka(seen=identities(seen), shipped=identities(shipped), stored=identities(stored))
        lacking = not_indexed(kafka, identities(disk), identities(index), identities(refused))
        wanted = set(shipped) | (set(disk) - set(seen))
        assert pairs(lacking) == wanted - set(index) - set(refused)
        frames = [(slot.frames, sequence) for slot, sequence in some(everything)]
        disks = Stored(results=identities(disk), frames=identities(frames))
        assert pairs(not_on_disk(kafka, disks)) == set(stored) - set(disk)
        of_results = {(slot.frames, sequence) for slot, sequence in stored}
        assert pairs(frames_not_on_disk(kafka, disks)) == of_results - set(frames)
        # What retention has taken of a camera, or would take, is not missing.
        disks.removed = {"gate": "2026-11-23T12"}
        kept = {(slot, sequence) for slot, sequence in stored if slot.camera != "gate"}
        assert pairs(not_on_disk(kafka, disks)) == kept - set(disk)
        disks.kept_from = "2026-11-23T13"
        assert pairs(not_on_disk(kafka, disks)) == pairs(frames_not_on_disk(kafka, disks)) == set()


def identities(pairs: list[tuple[Slot, int]]) -> Identities:
    found = Identities()
    for slot, sequence in [*pairs, *pairs[:3]]:
        found.add(slot, sequence)
    return found


def pairs(lacking: dict[Slot, set[int]]) -> set[tuple[Slot, int]]:
    return {(slot, sequence) for slot, sequences in lacking.items() for sequence in sequences}


def test_a_result_that_was_given_up_is_sent_from_kafka(site: Site) -> None:
    everything = site.fill(20)
    for sequence in range(0, 20, 3):
        site.search.put(result(sequence))
    report = site.compare().report
    assert site.search.names("results-") == everything
    assert (report.sent, report.not_searchable, report.kafka, report.disk) == (13, 0, 20, 20)
    assert site.search.kept[INDEX]["gate/1/objects"] == json.loads(result_to_json(result(1)))
    assert site.log.committed == {(TOPIC, 0): 20}


def test_what_kafka_has_no_more_is_sent_from_a_disk(site: Site) -> None:
    everything = site.fill(20)
    site.log.start, site.log.since = 15, NOW - timedelta(hours=2)
    report = site.compare().report
    assert site.search.names("results-") == everything
    assert (report.sent, report.kafka, report.disk) == (20, 5, 20)


def test_what_is_on_its_way_is_left_to_filebeat(site: Site) -> None:
    site.fill(20)
    site.log.shipped = 12
    site.log.later = [result_to_json(result(20))]
    site.disks.put(result(20))
    report = site.compare().report
    assert site.search.names("results-") == {result(sequence).id for sequence in range(12)}
    assert (report.sent, report.on_their_way, report.not_searchable) == (12, 8, 0)
    assert site.log.committed == {(TOPIC, 0): 12}


def test_a_result_that_is_twice_in_kafka_is_shipped_if_one_of_them_is(site: Site) -> None:
    site.fill(4)
    site.log.values += site.log.values
    assert site.compare().report.on_their_way == 0
    assert len(site.search.kept[INDEX]) == 4


def test_what_a_blocked_index_refuses_is_set_aside_and_sent_when_it_is_open(site: Site) -> None:
    everything = site.fill(1200)
    site.search.blocked = {INDEX}
    report = site.compare().report
    assert (site.search.names("results-"), site.search.names("refused-")) == (set(), everything)
    assert (report.sent, report.refused, report.waiting) == (0, 1200, 0)
    assert report.reasons == {BLOCKED: 1200}
    assert report.oldest == "2026-11-23T12:40:00+00:00"
    assert site.log.committed == {(TOPIC, 0): 1200}

    site.log.start = 1200
    again = site.compare().report
    assert (again.sent, again.refused) == (0, 1200)

    site.search.blocked = set()
    last = site.compare().report
    assert (site.search.names("results-"), site.search.names("refused-")) == (everything, set())
    assert (last.sent, last.refused, last.not_searchable) == (1200, 0, 0)


def test_results_that_are_always_refused_do_not_hold_up_others(site: Site) -> None:
    everything = site.fill(30)
    site.search.faulty = {"gate/3/objects", "gate/4/objects"}
    report = site.compare().report
    assert site.search.names("results-") == everything - site.search.faulty
    assert site.search.names("refused-") == site.search.faulty
    reason = "400: document_parsing_exception: failed to parse field [x] of type [long]"
    assert (report.sent, report.refused, report.reasons) == (28, 2, {reason: 2})


def test_while_everything_is_refused_it_all_waits_and_nothing_is_committed(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    everything = site.fill(1200)
    site.search.blocked = {INDEX, "refused-2026.11.23"}
    report = site.compare().report
    assert (report.sent, report.refused, report.waiting) == (0, 0, 1200)
    assert sum(report.reasons.values()) == 1200
    assert site.log.committed is None
    assert "gate/0/objects" in caplog.text
    assert "and 1100 more" in caplog.text

    site.search.blocked = set()
    assert site.compare().report.sent == 1200
    assert site.search.names("results-") == everything
    assert site.log.committed == {(TOPIC, 0): 1200}


def test_a_comparison_of_some_hours_leaves_the_progress_of_the_others(site: Site) -> None:
    site.fill(5)
    old = result(9, at=NOW - timedelta(hours=5))
    site.log.values.append(result_to_json(old))
    site.log.shipped = site.log.stored = 6
    report = site.compare(hours=2).report
    assert site.search.names("results-") == {result(sequence).id for sequence in range(5)}
    assert (report.kafka, report.since) == (5, "2026-11-23T10:00:00.000Z")
    assert site.log.committed is None


def test_a_consumer_that_does_not_answer_is_named_and_its_disk_not_counted(site: Site) -> None:
    everything = site.fill(5)
    site.disks.silent = True
    report = site.compare().report
    assert (report.unanswered, report.not_on_disk) == (["https://consumer-0:8080"], None)
    assert site.search.names("results-") == everything


def test_what_is_no_result_is_counted(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    site.fill(5)
    site.log.values.append(b"{}")
    site.log.shipped = site.log.stored = 6
    report = site.compare().report
    assert (report.not_on_disk, report.unreadable) == (0, 1)
    assert f"{TOPIC}[0]@5 is no result" in caplog.text


def test_what_is_on_no_disk_is_stored_again(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """More of it than a consumer takes at once, and frames without their results too."""
    site.fill(250)
    everything = set(site.disks.files)
    for name in sorted(everything)[::3]:
        del site.disks.files[name]
    lost = everything - set(site.disks.files)
    report = site.compare().report
    assert set(site.disks.files) == everything
    assert (report.stored_again, report.not_on_disk, report.frames_not_on_disk) == (len(lost), 0, 0)
    assert len(site.disks.asked) == len(lost)
    assert "results in Kafka and on no disk: gate/" in caplog.text

    site.log.start = 0
    again = site.compare(hours=24).report
    assert (again.stored_again, again.not_on_disk) == (0, 0)


@pytest.mark.parametrize(
    ("outcome", "left"), [("full", 2), ("gone", 2), ("expired", 0), ("removed", 0), ("rejected", 0)]
)
def test_what_a_consumer_does_not_store_counts_unless_it_should_not_be_there(
    site: Site, outcome: str, left: int
) -> None:
    site.fill(5)
    for name in [name for name in site.disks.files if name.split("/")[-1].startswith(("1.", "2."))]:
        del site.disks.files[name]
    site.disks.outcome = outcome
    report = site.compare().report
    assert (report.stored_again, report.not_on_disk, report.frames_not_on_disk) == (0, left, left)


def test_a_disk_that_is_lost_is_filled_from_what_kafka_has(site: Site) -> None:
    """Also where no consumer has anything of the camera any more; frames that Kafka has no more stay counted."""
    site.fill(6)
    everything = set(site.disks.files)
    site.disks.files.clear()
    site.log.pictures[0] = None
    report = site.compare().report
    assert everything - set(site.disks.files) == {f"/frames/gate/{hour_of(NOW)}/0.jpg"}
    assert (report.stored_again, report.not_on_disk, report.frames_not_on_disk) == (11, 0, 1)


def test_frames_and_results_on_their_way_to_the_disk_are_left_to_the_consumer(site: Site) -> None:
    site.fill(6)
    site.disks.files = {name: content for name, content in site.disks.files.items() if "/5." not in name}
    site.log.stored, site.log.stored_frames = 5, 5
    assert site.compare().report.frames_not_on_disk == 0
    # A result may overtake its frame.
    site.log.stored = 6
    report = site.compare().report
    assert site.disks.asked == [(TOPIC, 5)]
    assert (report.stored_again, report.not_on_disk, report.frames_not_on_disk) == (1, 0, 0)


def test_what_retention_has_removed_is_not_missing(site: Site) -> None:
    site.fill(5)
    site.disks.files.clear()
    site.disks.removed = {"gate": hour_of(NOW)}
    report = site.compare().report
    assert (report.stored_again, report.not_on_disk, report.frames_not_on_disk) == (0, 0, 0)
    assert site.disks.asked == []


def test_names_say_how_many_more_there_are() -> None:
    slot = Slot(hour_of(NOW), "gate", "objects")
    assert names({slot: {2, 1}}) == "gate/1/objects, gate/2/objects"
    assert names({slot: set(range(103))}).endswith("gate/99/objects and 3 more")
