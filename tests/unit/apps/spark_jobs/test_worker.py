import itertools
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

from apps.messages import (
    OVERLOAD,
    STILL,
    Detection,
    Frame,
    FrameError,
    Skipped,
    frame_from_kafka,
    frame_headers,
    result_from_json,
)
from apps.model_api.jpeg import decode
from apps.spark_jobs import worker
from apps.spark_jobs.gate import Gate
from apps.spark_jobs.models import Model
from apps.spark_jobs.overload import Thinning
from apps.spark_jobs.spec import Offsets
from apps.spark_jobs.worker import Record, answer, from_arrow, prepare, process, reject, to_arrow
from tests.jobs import job_spec
from tests.unit.apps.spark_jobs.frames import frame, scene

SPEC = job_spec("motion", score_threshold=0.4, max_frame_bytes=100_000)


class Seeing:
    """A model with the same detection in every frame."""

    version = "v1"

    def detect(self, frame: Frame) -> tuple[Detection, ...]:
        return (Detection(label="cat", score=0.5, box=(1.0, 2.0, 3.0, 4.0)),)


class Failing:
    version = "v1"

    def __init__(self, error: Exception) -> None:
        self.error = error

    def detect(self, frame: Frame) -> tuple[Detection, ...]:
        raise self.error


def record(of: Frame, partition: int = 7, **changes: object) -> Record:
    fields = {"key": of.camera.encode(), "value": of.jpeg, "headers": frame_headers(of), **changes}
    return Record(topic="", partition=partition, **fields)


def test_a_frame_becomes_one_result_in_its_own_partition() -> None:
    written = answer(record(frame(scene(), 42)), Seeing(), SPEC)
    assert (written.topic, written.partition, written.key) == ("results.motion", 7, b"gate/42/motion")
    result = result_from_json(written.value)
    assert (result.camera, result.sequence, result.width, result.height) == ("gate", 42, 640, 360)
    assert result.model_version == "v1"
    assert [found.label for found in result.detections] == ["cat"]


def test_a_still_frame_s_result_carries_the_last_detections_and_is_marked_for_the_driver() -> None:
    gate = Gate(seconds=5)
    looked, carried = (answer(record(frame(scene(), at)), Seeing(), SPEC, gate) for at in (42, 43))
    assert (looked.headers, carried.headers) == ([], [("skipped", b"still")])
    first, second = result_from_json(looked.value), result_from_json(carried.value)
    assert (first.skipped, second.skipped) == (None, Skipped(reason=STILL, carried_from=42))
    assert (second.sequence, second.detections) == (43, first.detections)
    assert (carried.topic, carried.partition, carried.key) == ("results.motion", 7, b"gate/43/motion")


def test_a_failure_of_a_gated_model_sets_its_frame_aside_and_is_not_carried() -> None:
    gate = Gate(seconds=5)
    written = [answer(record(frame(scene(), at)), Failing(MemoryError()), SPEC, gate) for at in (1, 2)]
    assert [one.topic for one in written] == ["rejected", "rejected"]
    assert result_from_json(answer(record(frame(scene(), 3)), Seeing(), SPEC, gate).value).skipped is None


def test_a_job_with_a_gate_uses_it() -> None:
    spec = replace(SPEC, gate_seconds=5.0)
    (written,) = process([batch([record(frame(scene(), sequence)) for sequence in range(3)])], [spec], {})
    assert [len(one.headers) for one in from_arrow(written)] == [0, 1, 1]


def test_a_frame_that_is_left_out_by_overload_has_a_result_that_says_so() -> None:
    thinning = Thinning(seconds=10)
    first, second = (
        answer(record(frame(scene(), at)), Seeing(), SPEC, thinning=thinning, share=0.5) for at in (42, 43)
    )
    assert (first.headers, second.headers) == ([], [("skipped", b"overload")])
    result = result_from_json(second.value)
    assert (result.sequence, result.detections) == (43, ())
    assert result.skipped == Skipped(reason=OVERLOAD, carried_from=None)
    assert (second.topic, second.partition, second.key) == ("results.motion", 7, b"gate/43/motion")


def test_a_batch_that_is_late_is_thinned_and_a_new_one_is_not() -> None:
    spec = replace(SPEC, overload_seconds=10.0)
    records = [record(frame(scene(), sequence)) for sequence in range(4)]
    late, new = (datetime.now(UTC) - timedelta(seconds=ago) for ago in (19, 1))
    batches = [batch(records, sent_at=late), batch(records, sent_at=new)]
    first, second = process(batches, [spec], {})
    assert [len(one.headers) for one in from_arrow(first)] == [0, 1, 0, 1]
    assert [len(one.headers) for one in from_arrow(second)] == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"key": None}, b"no key"),
        ({"value": None}, b"no value"),
        ({"headers": []}, b"no header 'sequence'"),
        ({"headers": [("sequence", b"x"), ("captured_at", b""), ("width", b"1"), ("height", b"1")]}, b"malformed"),
        ({"value": b"x" * 100_001}, b"100001 bytes, more than 100000"),
    ],
)
def test_what_is_no_frame_is_set_aside_with_the_reason(changes: dict[str, object], reason: bytes) -> None:
    written = answer(record(frame(scene()), **changes), Seeing(), SPEC)
    headers = dict(written.headers)
    assert (written.topic, written.partition) == ("rejected", None)
    assert reason in headers["reason"]
    assert headers["model"] == b"motion"


@pytest.mark.parametrize("error", [FrameError("corrupt"), ZeroDivisionError("oops"), MemoryError()])
def test_a_frame_that_the_model_fails_on_is_set_aside_as_it_came(error: Exception) -> None:
    read = record(frame(scene()))
    written = answer(read, Failing(error), SPEC)
    assert written.topic == "rejected"
    assert (written.key, written.value) == (read.key, read.value)
    assert written.headers[: len(read.headers)] == read.headers


def test_a_result_too_large_for_kafka_is_set_aside() -> None:
    class Crowded(Seeing):
        def detect(self, frame: Frame) -> tuple[Detection, ...]:
            return super().detect(frame) * 3000

    written = answer(record(frame(scene())), Crowded(), SPEC)
    assert written.topic == "rejected"
    assert dict(written.headers)["reason"].startswith(b"3000 detections, ")


def test_a_rejected_value_is_cut_to_fit_under_the_limit_with_its_headers() -> None:
    written = reject(record(frame(scene()), value=b"x" * 120_000), "too large", SPEC)
    assert dict(written.headers)["truncated"] == b"120000"
    size = len(written.value) + len(written.key) + sum(len(name) + len(data) for name, data in written.headers)
    assert size < SPEC.max_frame_bytes


LARGE = b"x" * 90_000
OWN_HEADERS = frame_headers(frame(scene(size=(64, 48))))


def size_in_kafka(written: Record) -> int:
    """An upper bound of what Kafka's format makes of a record in a batch of its own: 61 bytes, and lengths."""
    parts = [written.key or b"", written.value or b"", *(data or b"" for _, data in written.headers)]
    names = [name.encode() for name, _ in written.headers]
    return 61 + 30 + 10 * len(names) + sum(map(len, [*parts, *names]))


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"key": LARGE}, id="a key"),
        pytest.param({"key": LARGE, "value": LARGE}, id="a key and a value"),
        pytest.param({"headers": [*OWN_HEADERS, ("note", LARGE)]}, id="a header's value"),
        pytest.param({"headers": [(LARGE.decode(), b"1"), *OWN_HEADERS]}, id="a header's name"),
        pytest.param({"headers": [("n", b"")] * 30_000}, id="many headers"),
        pytest.param({"headers": [("n", None)] * 30_000, "key": LARGE, "value": LARGE}, id="all of it"),
        pytest.param({"key": LARGE, "value": None, "headers": []}, id="nothing but a key"),
        pytest.param({"key": "\u20ac".encode() * 30_000}, id="a key of many-byte letters"),
    ],
)
def test_a_record_as_large_as_kafka_allows_is_set_aside_and_costs_no_other(changes: dict[str, Any]) -> None:
    sound = frame(scene(), 2)
    large = record(frame(scene(), 1), **{"value": b"no picture", **changes})
    (written,) = process([batch([large, record(sound)])], [SPEC], {})
    aside, result = from_arrow_with_topic(written)
    assert (aside.topic, result.topic) == ("rejected", "results.motion")
    assert size_in_kafka(aside) <= SPEC.max_frame_bytes
    said = dict(aside.headers)
    assert said["model"] == b"motion" and said["reason"].decode()
    if "key" in changes:
        assert said["truncated_key"] == str(len(changes["key"])).encode()
        assert aside.key and changes["key"].startswith(aside.key)


@pytest.mark.parametrize("letter", ["x", "\u20ac", "\U0001f408", "\ud800"])
def test_a_reason_of_any_letters_leaves_room_for_the_rest(letter: str) -> None:
    full = record(frame(scene()), key=LARGE, value=LARGE, headers=[("n", b"x" * 2000)])
    written = reject(full, letter * 5000, replace(SPEC, model="m" * 40))
    assert size_in_kafka(written) <= SPEC.max_frame_bytes
    assert dict(written.headers)["reason"].decode()


@pytest.mark.parametrize("count", range(1330, 1480, 3))
def test_a_result_is_never_larger_than_kafka_allows(count: int) -> None:
    class Crowded(Seeing):
        def detect(self, frame: Frame) -> tuple[Detection, ...]:
            return super().detect(frame) * count

    assert size_in_kafka(answer(record(frame(scene())), Crowded(), SPEC)) <= SPEC.max_frame_bytes


def test_records_survive_the_way_through_arrow() -> None:
    records = [
        record(frame(scene(size=(64, 48)))),
        Record(topic="", partition=0, key=None, value=None, headers=[]),
        Record(topic="", partition=1, key=b"k", value=b"", headers=[("a", None), ("a", b"2")]),
    ]
    assert list(from_arrow(to_arrow(records))) == records


def test_a_record_without_headers_may_have_none_at_all() -> None:
    batch = to_arrow([Record(topic="", partition=0, key=b"k", value=b"v", headers=[])])
    batch = batch.set_column(4, batch.schema.field(4), pa.array([None], batch.schema.field(4).type))
    assert next(from_arrow(batch)).headers == []


def test_every_record_gives_exactly_one() -> None:
    frames = [record(frame(scene(), sequence)) for sequence in range(5)]
    frames[3] = record(frame(scene()), value=b"junk")
    (written,) = process([batch(frames)], [SPEC], {})
    assert [one.topic for one in from_arrow_with_topic(written)] == ["results.motion"] * 3 + [
        "rejected",
        "results.motion",
    ]


def batch(
    records: list[Record],
    offsets: Iterable[int] = itertools.count(),
    sent_at: datetime | None = None,
    *,
    by_broker: bool = False,
) -> pa.RecordBatch:
    """What Spark sends to a worker."""
    numbers = list(itertools.islice(offsets, len(records)))
    moments = [sent_at or datetime.now(UTC)] * len(records)
    columns = {
        "offset": pa.array(numbers, pa.int64()),
        "timestamp": pa.array(moments, pa.timestamp("us", "UTC")),
        "timestampType": pa.array([int(by_broker)] * len(records), pa.int32()),
    }
    made = to_arrow(records)
    for name, column in columns.items():
        made = made.append_column(name, column)
    return made


@pytest.mark.parametrize("days", [-10_000, -1, 1, 10_000])
def test_a_frame_of_a_wrong_clock_has_a_result_with_the_time_at_which_kafka_took_it(days: int) -> None:
    wrong, right = frame(scene(), 1), frame(scene(), 2)
    taken_at = right.captured_at + timedelta(seconds=3, milliseconds=7)
    wrong = replace(wrong, captured_at=taken_at + timedelta(days=days))
    (written,) = process([batch([record(wrong), record(right)], sent_at=taken_at, by_broker=True)], [SPEC], {})
    times = [result_from_json(one.value).captured_at for one in from_arrow(written)]
    assert times == [taken_at, right.captured_at]
    (unknown,) = process([batch([record(wrong)], sent_at=taken_at)], [SPEC], {})
    assert [result_from_json(one.value).captured_at for one in from_arrow(unknown)] == [wrong.captured_at]


class Looking(Seeing):
    """A model that looks at the picture, and notes the frame."""

    def __init__(self, *, grey: bool) -> None:
        self.grey, self.seen, self.pictures = grey, list[Frame](), list[object]()

    def detect(self, frame: Frame) -> tuple[Detection, ...]:
        self.seen.append(frame)
        self.pictures.append(decode(frame, (160, 160) if self.grey else (320, 192), grey=self.grey))
        return super().detect(frame)


OBJECTS, FACES = job_spec("objects"), job_spec("objects", model="faces", results_topic="results.faces")


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch) -> dict[str, Model]:
    """The models of a shared application, by name."""
    found: dict[str, Model] = {"objects": Looking(grey=False), "faces": Looking(grey=False)}
    monkeypatch.setattr(worker, "load_model", lambda spec: found[spec.model])
    return found


def answers(frames: list[Record], answered: dict[str, Offsets], offsets: Iterable[int]) -> list[tuple[str, str, int]]:
    """By model, topic and number of the frame what the models have answered."""
    (written,) = process([batch(frames, offsets)], [OBJECTS, FACES], answered)
    keys = [key.as_py().decode().split("/") for key in written.column("key")]
    names, topics = written.column("model").to_pylist(), written.column("topic").to_pylist()
    return list(zip(names, topics, [int(key[1]) if len(key) > 1 else -1 for key in keys], strict=True))


def test_models_that_share_an_application_each_answer_each_frame(models: dict[str, Model]) -> None:
    frames = [record(frame(scene(), sequence)) for sequence in (1, 2)]
    assert answers(frames, {}, [7, 8]) == [
        ("objects", "results.objects", 1),
        ("faces", "results.faces", 1),
        ("objects", "results.objects", 2),
        ("faces", "results.faces", 2),
    ]


def test_each_model_of_an_application_has_its_own_gate(models: dict[str, Model]) -> None:
    gated = replace(OBJECTS, gate_seconds=5.0)
    (written,) = process([batch([record(frame(scene(), sequence)) for sequence in (1, 2)])], [gated, FACES], {})
    skipped = [bool(one.headers) for one in from_arrow(written)]
    assert list(zip(written.column("model").to_pylist(), skipped, strict=True)) == [
        ("objects", False),
        ("faces", False),
        ("objects", True),
        ("faces", False),
    ]


def test_a_frame_is_parsed_and_decoded_once_for_all(models: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[bytes | None] = []

    def counted(key: bytes | None, value: bytes | None, *others: Any) -> Frame:
        parsed.append(value)
        return frame_from_kafka(key, value, *others)

    monkeypatch.setattr(worker, "frame_from_kafka", counted)
    answers([record(frame(scene(), 1))], {}, [7])
    assert len(parsed) == 1
    assert models["objects"].seen[0] is models["faces"].seen[0]
    assert models["objects"].pictures[0] is models["faces"].pictures[0]


@pytest.mark.parametrize("failing", ["objects", "faces"])
def test_a_model_that_fails_is_not_in_the_way_of_others(models: dict[str, Model], failing: str) -> None:
    models[failing] = Failing(ZeroDivisionError("oops"))
    (written,) = process([batch([record(frame(scene(), 1)), record(frame(scene(), 2))])], [OBJECTS, FACES], {})
    for model in ("objects", "faces"):
        own = [
            one
            for name, one in zip(written.column("model").to_pylist(), from_arrow_with_topic(written), strict=True)
            if name == model
        ]
        assert {one.topic for one in own} == {"rejected" if model == failing else f"results.{model}"}
        assert len(own) == 2
        if model == failing:
            assert dict(own[0].headers)["model"] == model.encode()
            assert b"oops" in dict(own[0].headers)["reason"]


def test_what_no_model_can_read_is_set_aside_for_each(models: dict[str, Model]) -> None:
    assert answers([record(frame(scene()), value=b"junk")], {}, [7]) == [
        ("objects", "rejected", -1),
        ("faces", "rejected", -1),
    ]


def test_a_model_leaves_out_what_it_has_answered_before(models: dict[str, Model]) -> None:
    frames = [record(frame(scene(), sequence), partition=sequence % 2) for sequence in (1, 2, 3, 4)]
    assert [(model, number) for model, _, number in answers(frames, {"faces": {1: 12}}, [10, 11, 12, 13])] == [
        ("objects", 1),
        ("objects", 2),
        ("faces", 2),
        ("objects", 3),
        ("faces", 3),
        ("objects", 4),
        ("faces", 4),
    ]


def test_a_worker_that_is_prepared_has_every_model(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[str] = []
    monkeypatch.setattr(worker, "load_model", lambda spec: loaded.append(spec.model))
    assert list(prepare([1, 2], [OBJECTS, FACES])) == [1, 2]
    assert loaded == ["objects", "faces"]


def from_arrow_with_topic(batch: pa.RecordBatch) -> list[Record]:
    return [
        Record(topic=topic, partition=read.partition, key=read.key, value=read.value, headers=read.headers)
        for topic, read in zip(batch.column("topic").to_pylist(), from_arrow(batch), strict=True)
    ]
