import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from apps.messages import (
    SEQUENCE_SHIFT,
    Detection,
    Frame,
    FrameError,
    Result,
    Skipped,
    detection_from_document,
    first_sequence,
    follows,
    format_timestamp,
    frame_from_kafka,
    frame_headers,
    frame_path,
    parse_timestamp,
    result_from_json,
    result_id,
    result_path,
    result_to_json,
)

MOMENT = datetime(2026, 11, 23, 22, 14, 55, 123000, tzinfo=UTC)
FRAME = Frame(camera="gate-1", sequence=7, captured_at=MOMENT, width=640, height=360, jpeg=b"\xff\xd8\xff\xd9")
RESULT = Result(
    camera="gate-1",
    sequence=7,
    captured_at=MOMENT,
    width=640,
    height=360,
    model="objects",
    model_version="1",
    processed_at=MOMENT + timedelta(seconds=1),
    detections=(Detection(label="car", score=0.9, box=(1.0, 2.0, 30.5, 40.0)),),
)


def test_a_frame_survives_the_way_through_kafka() -> None:
    assert frame_from_kafka(b"gate-1", FRAME.jpeg, frame_headers(FRAME)) == FRAME


def test_a_result_survives_the_way_through_kafka() -> None:
    assert result_from_json(result_to_json(RESULT)) == RESULT


@pytest.mark.parametrize(
    ("skipped", "said"),
    [
        (None, None),
        (Skipped(reason="still", carried_from=5), {"skipped": "still", "carried_from": 5}),
        (Skipped(reason="overload", carried_from=None), {"skipped": "overload"}),
    ],
)
def test_why_a_model_did_not_look_survives_the_way(skipped: Skipped | None, said: dict[str, Any] | None) -> None:
    result = replace(RESULT, skipped=skipped)
    document = json.loads(result_to_json(result))
    assert document.get("inference") == said
    assert result_from_json(json.dumps(document)) == result


@pytest.mark.parametrize("unusable", ["still", {}, {"skipped": 1}, {"skipped": "still", "carried_from": "last"}])
def test_an_unusable_reason_is_refused(unusable: object) -> None:
    document = json.loads(result_to_json(RESULT)) | {"inference": unusable}
    with pytest.raises(ValueError):
        result_from_json(json.dumps(document))


WHOLE = Detection(
    label="člověk",
    score=0.25,
    box=(1.0, 2.0, 30.5, 40.0),
    polygon=((1.0, 2.5), (30.5, 2.0), (12.0, 40.0)),
    keypoints=((3.0, 4.0, 0.125), (5.5, 6.0, 1.0)),
    angle=-0.5,
)


def test_all_parts_of_a_detection_survive_the_way() -> None:
    assert detection_from_document(json.loads(json.dumps(WHOLE.document))) == WHOLE


def test_a_detection_names_only_what_its_model_gave() -> None:
    assert RESULT.detections[0].document.keys() == {"label", "score", "box"}
    assert detection_from_document(
        {"label": "a", "score": 1, "box": [0, 0, 1, 1], "of a newer writer": 3}
    ) == Detection(label="a", score=1.0, box=(0.0, 0.0, 1.0, 1.0))


@pytest.mark.parametrize(
    "part",
    [
        {"label": None},
        {"label": 3},
        {"label": "\ud800"},
        {"score": "0.5"},
        {"score": True},
        {"score": float("nan")},
        {"box": [1, 2, 3]},
        {"box": "1234"},
        {"box": [1, 2, 3, float("inf")]},
        {"box": [1, 2, 3, 10**400]},
        {"polygon": "unknown"},
        {"polygon": None},
        {"polygon": 5},
        {"polygon": [1, 2, 3, 4, 5, 6]},
        {"polygon": [[1, 2], [3, 4]]},
        {"polygon": [[1, 2], [3, 4], [5]]},
        {"polygon": [[1, 2], [3, 4], [5, 6, 7]]},
        {"polygon": [[1, 2], [3, 4], [5, float("nan")]]},
        {"polygon": ["12", "34", "56"]},
        {"polygon": {"x": [1, 2, 3], "y": [1, 2, 3]}},
        {"keypoints": [[1, 2]]},
        {"keypoints": [[1, 2, None]]},
        {"keypoints": [[1, float("inf"), 0.5]]},
        {"angle": "steep"},
        {"angle": float("nan")},
        {"angle": [1]},
    ],
)
def test_a_result_with_a_part_that_cannot_be_drawn_is_refused(part: dict[str, Any]) -> None:
    document = json.loads(result_to_json(RESULT))
    document["detections"].append(WHOLE.document | part)
    with pytest.raises(ValueError):
        result_from_json(json.dumps(document))


@pytest.mark.parametrize(("part", "name"), [("camera", "name"), ("model", "name"), ("model", "version")])
def test_names_are_text(part: str, name: str) -> None:
    document = json.loads(result_to_json(RESULT))
    document[part][name] = ["gate"]
    with pytest.raises(ValueError, match="no text"):
        result_from_json(json.dumps(document))


@pytest.mark.parametrize(
    ("key", "value", "headers", "reason"),
    [
        (None, b"x", frame_headers(FRAME), "no key"),
        (b"gate-1", None, frame_headers(FRAME), "no value"),
        (b"gate-1", b"x", None, "no header 'sequence'"),
        (b"gate-1", b"x", [("sequence", b"seven"), *frame_headers(FRAME)[1:]], "malformed"),
        (
            b"gate-1",
            b"x",
            [(name, b"" if name == "captured_at" else data) for name, data in frame_headers(FRAME)],
            "malf",
        ),
        (b"\xff\xfe", b"x", frame_headers(FRAME), "malformed"),
    ],
)
def test_a_record_that_is_no_frame_says_why(
    key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes]] | None, reason: str
) -> None:
    with pytest.raises(FrameError, match=reason):
        frame_from_kafka(key, value, headers)


ENDLESS = result_to_json(RESULT).replace(b'"sequence":', b'"sequence":1e999,"was":')


@pytest.mark.parametrize("value", [b"", b"[]", b"{}", b'{"camera": null}', b"null", b"\xff", b"[" * 100_000, ENDLESS])
def test_what_is_no_result_is_a_value_error(value: bytes) -> None:
    with pytest.raises(ValueError):
        result_from_json(value)


@pytest.mark.parametrize(
    ("off", "kept"),
    [
        (timedelta(minutes=59), True),
        (timedelta(minutes=-59), True),
        (timedelta(hours=2), False),
        (timedelta(days=27_000), False),
        (timedelta(hours=-2), False),
        (timedelta(days=-20_000), False),
    ],
)
def test_a_capture_time_far_from_when_kafka_took_the_frame_is_replaced(off: timedelta, kept: bool) -> None:
    claimed = replace(FRAME, captured_at=MOMENT + off)
    frame = frame_from_kafka(b"gate-1", FRAME.jpeg, frame_headers(claimed), MOMENT)
    assert frame == (claimed if kept else FRAME)
    assert frame_from_kafka(b"gate-1", FRAME.jpeg, frame_headers(claimed)) == claimed


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("sequence", b"-1"),
        ("sequence", str(2**63).encode()),
        ("sequence", b"9" * 4000),
        ("sequence", b"9" * 5000),
        ("width", b"0"),
        ("height", b"65536"),
        ("width", b"9" * 4000),
        ("captured_at", b"0001-01-01T00:00:00+14:00"),
        ("captured_at", b"9999-12-31T23:59:59-14:00"),
        ("captured_at", b"x" * 700_000),
    ],
)
def test_a_header_out_of_range_is_refused_in_few_words(header: str, value: bytes) -> None:
    headers = [(name, value if name == header else data) for name, data in frame_headers(FRAME)]
    with pytest.raises(FrameError, match="malformed") as refused:
        frame_from_kafka(b"gate-1", FRAME.jpeg, headers, MOMENT)
    assert len(str(refused.value)) < 300


@pytest.mark.parametrize("key", [b"x" * 700_000, b"../etc", b"Gate", b"gate\n", b" "])
def test_a_key_that_is_no_camera_is_refused_in_few_words(key: bytes) -> None:
    with pytest.raises(FrameError, match="camera name") as refused:
        frame_from_kafka(key, FRAME.jpeg, frame_headers(FRAME))
    assert refused.value.reason == "name"
    assert len(str(refused.value)) < 300


@pytest.mark.parametrize(
    ("part", "name", "value"),
    [
        ("frame", "sequence", -1),
        ("frame", "sequence", 2**63),
        ("frame", "width", 0),
        ("frame", "height", 10**400),
        ("inference", "carried_from", 2**63),
    ],
)
def test_a_result_out_of_range_is_refused(part: str, name: str, value: int) -> None:
    document = json.loads(result_to_json(replace(RESULT, skipped=Skipped(reason="still", carried_from=5))))
    document[part][name] = value
    with pytest.raises(ValueError):
        result_from_json(json.dumps(document))


@pytest.mark.parametrize("year", [1, 1969, 1970, 2026, 2106, 9999])
def test_a_run_has_numbers_that_json_keeps_exact_however_wrong_the_clock_is(year: int) -> None:
    assert 0 <= first_sequence(MOMENT.replace(year=year)) < 2**53


def test_a_frame_of_a_run_that_a_clock_set_back_started_follows() -> None:
    last, back = first_sequence(MOMENT) + 9, first_sequence(MOMENT - timedelta(seconds=7))
    assert follows(last + 1, last) and follows(back, last) and follows(last, back)
    assert not follows(last, last) and not follows(last - 1, last)


def test_times_and_paths_are_in_order_for_any_year() -> None:
    early = MOMENT.replace(year=999)
    assert str(frame_path("gate-1", early, 7)) == "gate-1/0999-11-23T22/7.jpg"
    assert format_timestamp(early) == "0999-11-23T22:14:55.123Z"
    assert parse_timestamp(format_timestamp(early)) == early


def test_a_later_run_has_higher_sequences_and_json_keeps_them_exact() -> None:
    first, later = first_sequence(MOMENT), first_sequence(MOMENT + timedelta(seconds=1))
    assert later - first == 1 << SEQUENCE_SHIFT
    assert later < 2**53


def test_paths_follow_the_hour_in_utc() -> None:
    local = MOMENT.astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert str(frame_path("gate-1", local, 7)) == "gate-1/2026-11-23T22/7.jpg"
    assert str(result_path("gate-1", local, 7, "objects")) == "gate-1/2026-11-23T22/7.objects.json"
    assert result_id("gate-1", 7, "objects") == RESULT.id == "gate-1/7/objects"


def test_timestamps_keep_milliseconds_and_need_a_zone() -> None:
    assert format_timestamp(MOMENT) == "2026-11-23T22:14:55.123Z"
    assert parse_timestamp("2026-11-24T03:44:55.123+05:30") == MOMENT
    with pytest.raises(ValueError, match="time zone"):
        format_timestamp(MOMENT.replace(tzinfo=None))
    with pytest.raises(ValueError, match="time zone"):
        parse_timestamp("2026-11-23T22:14:55")
