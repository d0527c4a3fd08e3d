"""The consumer against a real Kafka: exactly the produced set is on disk after kills, stops and bad records."""

import signal
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from apps.consumer.storage import REMOVED
from apps.messages import Frame, frame_path, hour_of, result_path, result_to_json
from tests.integration.processes import App, app
from tests.integration.services import wait_for
from tests.integration.topics import (
    Topics,
    committed,
    ends,
    frame_times,
    make_frame,
    make_result,
    producer,
    send_frame,
    send_result,
)

JPEG = b"\xff\xd8 an image \xff\xd9"
PARTITIONS = 4
CAMERAS = [f"gate-{number}" for number in range(8)]


def start(topics: Topics, folder: Path, group: str, member: str = "consumer-0"):  # type: ignore[no-untyped-def]
    return app(
        "apps.consumer",
        folder / "log",
        kafka_bootstrap_servers=topics.bootstrap,
        frames_topic=topics.frames,
        results_topics=",".join(topics.results),
        consumer_group=group,
        consumer_member=member,
        data_dir=str(folder / "data"),
        batch_seconds="0.3",
        retention_seconds="1",
    )


def send(topics: Topics, frames: Iterable[Frame]) -> set[str]:
    """Send frames, and each frame's results to its partition. Returns the expected paths on disk."""
    frames = list(frames)
    to = producer(topics.bootstrap)
    for frame in frames:
        send_frame(to, topics, frame)
        for model in topics.models:
            send_result(to, topics, make_result(frame, model), murmur2_partition(frame.camera.encode(), PARTITIONS))
    assert to.flush(30) == 0
    expected = {str(frame_path(f.camera, f.captured_at, f.sequence)) for f in frames}
    return expected | {str(result_path(f.camera, f.captured_at, f.sequence, m)) for f in frames for m in topics.models}


def murmur2_partition(key: bytes, partitions: int) -> int:
    """Kafka's default partitioner, as in Java's clients."""
    mask = 0xFFFFFFFF
    h = (0x9747B28C ^ len(key)) & mask
    whole = len(key) // 4 * 4
    for at in range(0, whole, 4):
        k = int.from_bytes(key[at : at + 4], "little") * 0x5BD1E995 & mask
        k = (k ^ (k >> 24)) * 0x5BD1E995 & mask
        h = (h * 0x5BD1E995 & mask) ^ k
    rest = key[whole:]
    if rest:
        h = (h ^ int.from_bytes(rest, "little")) * 0x5BD1E995 & mask
    h = (h ^ (h >> 13)) * 0x5BD1E995 & mask
    return ((h ^ (h >> 15)) & 0x7FFFFFFF) % partitions


def frames(first: int, count: int, at: datetime) -> list[Frame]:
    return [
        make_frame(camera, first + number, at + timedelta(milliseconds=number), JPEG + f"{camera}{number}".encode())
        for number in range(count)
        for camera in CAMERAS
    ]


def stored(folder: Path) -> set[str]:
    root = folder / "data"
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file() and path.name != REMOVED}


def metric(served: App, name: str) -> float:
    for line in served.metrics().splitlines():
        if line.startswith(f"{name} "):
            return float(line.rsplit(" ", 1)[1])
    return 0.0


def test_every_record_becomes_its_file_and_is_served(topics: Topics, tmp_path: Path) -> None:
    sent = frames(100, 20, datetime.now(UTC))
    expected = send(topics, sent)
    with start(topics, tmp_path, topics.frames) as consumer:
        wait_for("all files", lambda: stored(tmp_path) == expected)
        one = sent[0]
        hour = hour_of(one.captured_at)
        image = consumer.get(f"/frames/{one.camera}/{hour}/{one.sequence}.jpg")
        assert (image.status_code, image.content) == (200, one.jpeg)
        assert "immutable" in image.headers["cache-control"]
        assert image.headers["content-type"] == "image/jpeg"
        result = consumer.get(f"/frames/{one.camera}/{hour}/{one.sequence}.{topics.models[0]}.json")
        assert result.content == result_to_json(make_result(one, topics.models[0]))
        assert consumer.get(f"/frames/{one.camera}/").json() == {"hours": [hour]}
        assert len(consumer.get(f"/frames/{one.camera}/{hour}/").json()["files"]) == 60
        assert consumer.probe("/healthz").status_code == 200
    assert stored(tmp_path) == expected
    assert committed(topics, topics.frames) == ends(topics)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_is_lost_when_it_is_stopped_amid_a_stream(topics: Topics, tmp_path: Path, number: int) -> None:
    at = datetime.now(UTC)
    expected = send(topics, frames(0, 40, at))
    with start(topics, tmp_path, topics.frames) as first:
        wait_for("the first files", lambda: len(stored(tmp_path)) > 50)
        status = first.stop(number)
    assert status == (0 if number == signal.SIGTERM else -signal.SIGKILL)
    for (topic, partition), offset in committed(topics, topics.frames).items():
        assert offset <= ends(topics)[topic, partition]
    expected |= send(topics, frames(1000, 20, at))
    with start(topics, tmp_path, topics.frames):
        wait_for("all files", lambda: stored(tmp_path) == expected, seconds=60)
    assert committed(topics, topics.frames) == ends(topics)


def test_two_members_share_the_cameras_and_keep_a_frame_with_its_results(topics: Topics, tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("a", "b")]
    for folder in folders:
        folder.mkdir()
    with start(topics, folders[0], topics.frames, "a"), start(topics, folders[1], topics.frames, "b") as second:
        wait_for("a shared group", lambda: metric(second, "argus_consumer_assigned_partitions") == 6)
        expected = send(topics, frames(0, 10, datetime.now(UTC)))
        wait_for("all files", lambda: stored(folders[0]) | stored(folders[1]) == expected)
        assert not stored(folders[0]) & stored(folders[1])
        stems = [{path.split(".")[0] for path in stored(folder)} for folder in folders]
        assert stems[0] and stems[1] and not stems[0] & stems[1]


def test_a_wrong_clock_loses_no_frame(topics: Topics, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    to = producer(topics.bootstrap)
    clocks = {"ahead": now + timedelta(days=400), "behind": now - timedelta(days=400), "right": now}
    for number, (camera, at) in enumerate(clocks.items(), 1):
        send_frame(to, topics, make_frame(camera, number, at, JPEG))
    assert to.flush(30) == 0
    taken = {camera: moment for (camera, _), moment in frame_times(topics).items()}
    assert all(abs(moment - now) < timedelta(minutes=5) for moment in taken.values())
    stored_as = {**taken, "right": now}
    expected = {str(frame_path(camera, stored_as[camera], number)) for number, camera in enumerate(clocks, 1)}
    with start(topics, tmp_path, topics.frames) as consumer:
        wait_for("all files", lambda: stored(tmp_path) == expected)
        assert metric(consumer, "argus_consumer_expired_total") == 0
    assert committed(topics, topics.frames) == ends(topics)


def test_a_frame_of_the_future_is_refused_where_only_its_sender_says_the_time(
    topics_of_senders_times: Topics, tmp_path: Path
) -> None:
    topics, now = topics_of_senders_times, datetime.now(UTC)
    to = producer(topics.bootstrap)
    send_frame(to, topics, make_frame("gate-0", 3, now + timedelta(days=400), JPEG))
    assert to.flush(30) == 0
    expected = send(topics, frames(10, 5, now))
    with start(topics, tmp_path, topics.frames) as consumer:
        wait_for("all files", lambda: stored(tmp_path) == expected)
        wait_for("the count", lambda: metric(consumer, 'argus_consumer_rejected_total{reason="future"}') == 1)


def test_poison_is_counted_and_skipped(topics: Topics, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    to = producer(topics.bootstrap)
    to.produce(topics.frames, key="gate-0", value=JPEG)
    to.produce(topics.frames, value=JPEG)
    send_frame(to, topics, make_frame("../../etc", 1, now, JPEG))
    send_frame(to, topics, make_frame("gate-0", 2, now, b"no image"))
    to.produce(topics.results[0], key="x", value=b'{"@timestamp": 7}')
    to.produce(topics.results[0], key="x", value=b"\xff\xfe")
    to.produce(topics.results[0], key="x", value=b"[" * 100_000)
    to.produce(topics.results[0], key="x", value=b"{}")
    to.produce(topics.results[0], key="x")
    assert to.flush(30) == 0
    expected = send(topics, frames(10, 5, now))
    with start(topics, tmp_path, topics.frames) as consumer:
        wait_for("all files", lambda: stored(tmp_path) == expected)
        wait_for("all rejections", lambda: metric(consumer, 'argus_consumer_rejected_total{reason="malformed"}') == 7)
        assert metric(consumer, 'argus_consumer_rejected_total{reason="name"}') == 1
        assert metric(consumer, 'argus_consumer_rejected_total{reason="not_jpeg"}') == 1
        for path in ("/frames/..%2f..%2fetc/passwd", "/frames/gate-0/%2e%2e/x", "/frames/", "/frames/gate-0//x"):
            assert "root:" not in consumer.get(path).text
        assert consumer.get("/frames/gate-0/..%2f..%2flog").status_code == 404
    assert committed(topics, topics.frames) == ends(topics)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A consumer's data on a disk of 8 MiB, of which something else uses 5 MiB; the path of that."""
    data = tmp_path / "data"
    data.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "none", data], check=True)
    ballast = data / "ballast"
    ballast.write_bytes(b"x" * 5 * 2**20)
    yield ballast
    subprocess.run(["umount", "--lazy", data], check=True)


def test_on_a_full_disk_it_waits_and_stores_the_rest_once_there_is_room(
    topics: Topics, tmp_path: Path, small_disk: Path
) -> None:
    expected = send(
        topics, (replace(frame, jpeg=frame.jpeg + b"x" * 20_000) for frame in frames(0, 20, datetime.now(UTC)))
    )

    def there() -> set[str]:
        return {path for path in stored(tmp_path) if path != small_disk.name and not path.endswith(".tmp")}

    with start(topics, tmp_path, topics.frames) as first:
        wait_for("a full disk", lambda: metric(first, "argus_consumer_disk_full") == 1)
        waiting = there()
        assert waiting and waiting < expected
        assert first.probe("/healthz").status_code == first.probe("/readyz").status_code == 200
        # A picture or a result: what was read first has taken the room.
        assert first.get(f"/frames/{sorted(waiting)[0]}").status_code == 200
        first.stop(signal.SIGKILL)
    with start(topics, tmp_path, topics.frames) as second:
        wait_for("a full disk again", lambda: metric(second, "argus_consumer_disk_full") == 1)
        small_disk.unlink()
        wait_for("all files", lambda: there() == expected, seconds=60)
        wait_for("the end of it", lambda: metric(second, "argus_consumer_disk_full") == 0)
        assert second.process.poll() is None
    assert committed(topics, topics.frames) == ends(topics)


def test_retention_removes_old_hours_and_keeps_the_current_one(topics: Topics, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    stale = tmp_path / "data" / "gate-0" / hour_of(now - timedelta(hours=60))
    stale.mkdir(parents=True)
    (stale / "1.jpg").write_bytes(JPEG)
    (stale.parent / hour_of(now)).mkdir()
    (stale.parent / hour_of(now) / ".7.jpg.tmp").write_bytes(b"half")
    expected = send(topics, frames(0, 2, now))
    with start(topics, tmp_path, topics.frames):
        wait_for("the rest", lambda: stored(tmp_path) == expected)
    assert not stale.exists()
