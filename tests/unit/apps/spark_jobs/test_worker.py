from dataclasses import replace

import pyarrow as pa
import pytest

from apps.messages import STILL, Detection, Frame, FrameError, Skipped, frame_headers, result_from_json
from apps.spark_jobs.gate import Gate
from apps.spark_jobs.worker import Record, answer, from_arrow, process, reject, to_arrow
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
    (written,) = process([to_arrow([record(frame(scene(), sequence)) for sequence in range(3)])], spec)
    assert [len(one.headers) for one in from_arrow(written)] == [0, 1, 1]


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
    (written,) = process([to_arrow(frames)], SPEC)
    assert [one.topic for one in from_arrow_with_topic(written)] == ["results.motion"] * 3 + [
        "rejected",
        "results.motion",
    ]


def from_arrow_with_topic(batch: pa.RecordBatch) -> list[Record]:
    return [
        Record(topic=topic, partition=read.partition, key=read.key, value=read.value, headers=read.headers)
        for topic, read in zip(batch.column("topic").to_pylist(), from_arrow(batch), strict=True)
    ]
