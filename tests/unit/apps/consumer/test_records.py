import contextlib
import json
from datetime import UTC, datetime, timedelta

import pytest

from apps.consumer.records import RejectedError, frame_file, result_file
from apps.messages import Detection, Frame, Result, Skipped, frame_headers, result_to_json
from tests.unit.apps.mutants import mutants

NOW = datetime(2026, 11, 23, 22, 14, 55, tzinfo=UTC)
JPEG = b"\xff\xd8 an image"


def frame(**changes: object) -> Frame:
    fields = {"camera": "gate-1", "sequence": 7, "captured_at": NOW, "width": 640, "height": 360, "jpeg": JPEG}
    return Frame(**{**fields, **changes})  # type: ignore[arg-type]


def result(**changes: object) -> Result:
    fields = {
        "camera": "gate-1",
        "sequence": 7,
        "captured_at": NOW,
        "width": 640,
        "height": 360,
        "model": "objects",
        "model_version": "1",
        "processed_at": NOW,
        "detections": (Detection(label="car", score=0.9, box=(1, 2, 3, 4)),),
    }
    return Result(**{**fields, **changes})  # type: ignore[arg-type]


def test_a_frame_lies_by_camera_and_hour() -> None:
    file = frame_file(b"gate-1", JPEG, list(frame_headers(frame())), NOW)
    assert (str(file.path), file.data, file.kind) == ("gate-1/2026-11-23T22/7.jpg", JPEG, "frame")


def test_a_result_lies_beside_its_frame_as_it_came() -> None:
    value = result_to_json(result())
    file = result_file(value, NOW)
    assert (str(file.path), file.data, file.kind) == ("gate-1/2026-11-23T22/7.objects.json", value, "result")


@pytest.mark.parametrize("name", ["..", "../x", "a/b", "", "A", "gate 1", "x" * 64, ".trash", "gate\n"])
def test_a_name_cannot_leave_its_directory(name: str) -> None:
    with pytest.raises(RejectedError):
        frame_file(name.encode(), JPEG, list(frame_headers(frame())), NOW)
    for changes in ({"camera": name}, {"model": name}):
        with pytest.raises(RejectedError, match="name"):
            result_file(result_to_json(result(**changes)), NOW)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"jpeg": b"GIF89a"}, "not_jpeg"),
        ({"sequence": -1}, "malformed"),
        ({"sequence": 2**63}, "malformed"),
        ({"captured_at": NOW + timedelta(hours=2)}, "future"),
    ],
)
def test_what_cannot_be_a_frame_is_refused_with_its_reason(changes: dict[str, object], reason: str) -> None:
    changed = frame(**changes)
    with pytest.raises(RejectedError) as refused:
        frame_file(changed.camera.encode(), changed.jpeg, list(frame_headers(changed)), NOW)
    assert refused.value.reason == reason


@pytest.mark.parametrize("days", [-20_000, -1, 1, 27_000])
def test_a_frame_of_a_wrong_clock_lies_where_kafka_took_it(days: int) -> None:
    wrong = frame(captured_at=NOW + timedelta(days=days))
    file = frame_file(b"gate-1", JPEG, list(frame_headers(wrong)), NOW, NOW)
    assert (str(file.path), file.captured_at) == ("gate-1/2026-11-23T22/7.jpg", NOW)


def test_nothing_is_refused_because_this_machine_s_clock_was_set_back() -> None:
    behind, taken_at = NOW - timedelta(days=400), NOW
    kept = frame_file(b"gate-1", JPEG, list(frame_headers(frame())), behind, taken_at)
    assert str(kept.path) == "gate-1/2026-11-23T22/7.jpg"
    assert str(result_file(result_to_json(result()), behind, taken_at).path) == "gate-1/2026-11-23T22/7.objects.json"


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"\xff\xfe",
        b"null",
        b"[" * 100_000,
        b"{}",
        result_to_json(result()).replace(b'"sequence":7', b'"sequence":1e999'),
        result_to_json(result()).replace(b"2026-11-23T22:14:55.000Z", b"0001-01-01T00:00:00+14:00"),
        result_to_json(result()).replace(b"[1,2,3,4]", b"[1,2,3]"),
    ],
)
def test_hostile_results_are_malformed(value: bytes | None) -> None:
    with pytest.raises(RejectedError) as refused:
        result_file(value, NOW)
    assert refused.value.reason == "malformed"


def test_no_result_whatever_it_holds_ends_the_consumer_or_leaves_its_directory() -> None:
    document = json.loads(result_to_json(result(skipped=Skipped(reason="still", carried_from=5))))
    tried = 0
    for mutant in mutants(document):
        tried += 1
        with contextlib.suppress(RejectedError):
            file = result_file(json.dumps(mutant).encode(), NOW, NOW)
            assert len(file.path.parts) == 3 and len(str(file.path)) < 150
    assert tried > 400
