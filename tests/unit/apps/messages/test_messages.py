from datetime import UTC, datetime, timedelta, timezone

import pytest

from apps.messages import (
    SEQUENCE_SHIFT,
    Detection,
    Frame,
    FrameError,
    Result,
    first_sequence,
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
