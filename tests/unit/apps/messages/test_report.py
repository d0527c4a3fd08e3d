"""The report of a comparison, from the job to the page."""

import json
from collections import Counter
from datetime import UTC, datetime

import pytest

from apps.messages.report import MOST_BYTES, Report

AT = "2026-11-23T12:40:00.000Z"


def test_the_page_reads_what_the_job_wrote() -> None:
    report = Report(at=AT, kafka=3, refused=2, unanswered=["http://consumer-1:8080"])
    report.tell(datetime(2026, 11, 23, 12, tzinfo=UTC), Counter({"403": 2, "400": 5}))
    read = Report.from_json(report.json())
    assert read == report
    assert list(read.reasons) == ["400", "403"]
    assert read.not_searchable == 2


def test_a_later_version_may_say_more() -> None:
    assert Report.from_json(json.dumps({"at": AT, "colour": "red"})) == Report(at=AT)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"at": "yesterday"}', f'{{"at": "{AT}", "refused": "x"}}', "Traceback"]
)
def test_what_is_no_report_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        Report.from_json(text)


def test_it_fits_into_a_pods_message() -> None:
    report = Report(at=AT, error="x" * 9000)
    report.tell(None, Counter({f"{number}{'y' * 299}": 1 for number in range(9)}))
    assert len(report.json()) <= MOST_BYTES
    assert Report.from_json(report.json()).at == AT


def test_an_operator_reads_what_is_not_searchable() -> None:
    report = Report(at=AT, kafka=9, disk=9, index=4, sent=2, refused=3, expired=1, unreadable=1, not_on_disk=4)
    report.frames_not_on_disk, report.stored_again = 5, 6
    report.tell(datetime(2026, 11, 23, 12, tzinfo=UTC), Counter({"blocked": 3}))
    text = "\n".join(report.lines())
    for part in (
        "3 are not searchable",
        "3 x blocked",
        "2 were missing",
        "1 records were deleted",
        "4 results in Kafka and 5 frames are on no disk",
        "6 frames and results were on no disk, and were stored again",
    ):
        assert part in text
    assert list(Report(at=AT, error="no route").lines()) == ["not compared: no route"]
