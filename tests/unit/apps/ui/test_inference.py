from datetime import UTC, datetime

import pytest

from apps.messages import STILL, Result, Skipped
from apps.ui.inference import inference_json

MOMENT = datetime(2026, 11, 23, tzinfo=UTC)


def result(skipped: Skipped | None) -> Result:
    return Result(
        camera="gate",
        sequence=7,
        captured_at=MOMENT,
        width=640,
        height=360,
        model="objects",
        model_version="1",
        processed_at=MOMENT,
        detections=(),
        skipped=skipped,
    )


@pytest.mark.parametrize(
    ("skipped", "text"),
    [
        (Skipped(reason=STILL, carried_from=123), "as in frame 123: nothing moved"),
        (Skipped(reason="overload", carried_from=123), "as in frame 123: not inferred: overload"),
        (Skipped(reason="overload", carried_from=None), "not inferred: overload"),
    ],
)
def test_a_reason_is_said_in_words(skipped: Skipped, text: str) -> None:
    shown = inference_json(result(skipped))
    assert shown is not None and shown["text"] == text and shown["skipped"] == skipped.reason


def test_nothing_is_said_of_a_frame_that_was_looked_at() -> None:
    assert inference_json(result(None)) is None
