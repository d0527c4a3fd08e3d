"""What the page says of results that a search does not find."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from apps.messages.names import METRICS_HOST
from apps.messages.report import Report
from apps.service.token import HEADER, Token
from apps.ui.not_searchable import NotSearchable, last_report, metrics_urls, notice, output_events
from tests.environments import TOKEN_FILE

TOKEN = Token(TOKEN_FILE)

NOW = datetime(2026, 11, 23, 12, 45, tzinfo=UTC)
AT = "2026-11-23T12:40:00.000Z"
REFUSED = Report(at=AT, refused=1474, oldest="2026-11-23T12:31:07+00:00", reasons={"403: blocked": 1474})


PROBES = {"name": "probes", "containerPort": 8081}


def counters(**events: int) -> str:
    return "# HELP other\nother 1.0\n" + "".join(
        f'argus_filebeat_output_events{{kind="{kind}"}} {float(count)}\n' for kind, count in events.items()
    )


def comparison(message: str | None, finished: str = "2026-11-23T12:40:09Z") -> dict[str, Any]:
    state = {"running": {}} if message is None else {"terminated": {"finishedAt": finished, "message": message}}
    return {
        "metadata": {"name": "comparison-1", "labels": {"app.kubernetes.io/name": "comparison"}},
        "spec": {"containers": [{"name": "compare"}]},
        "status": {"containerStatuses": [{"state": state}]},
    }


def filebeat(name: str, address: str | None) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "labels": {"app.kubernetes.io/name": "filebeat"}},
        "spec": {
            "containers": [
                {"name": "filebeat"},
                {"name": "metrics", "ports": [PROBES, {"name": "metrics", "containerPort": 8082}]},
            ]
        },
        "status": {} if address is None else {"podIP": address},
    }


def test_the_report_is_that_of_the_comparison_that_ended_last() -> None:
    old = comparison(Report(at="2026-11-23T12:25:00.000Z").json(), "2026-11-23T12:25:09Z")
    assert last_report([comparison(REFUSED.json()), old, comparison(None), filebeat("a", "10.0.0.1")]) == REFUSED
    assert last_report([comparison("Killed"), comparison(None)]) is None


def test_results_that_are_kept_are_a_state_with_its_reason() -> None:
    said = notice(REFUSED, 0, NOW)
    assert said == (
        "1474 results are not searchable, the oldest of 2026-11-23T12:31:07+00:00: 403: blocked "
        "They are kept, and are sent again every 15 minutes."
    )
    assert notice(Report(at=AT, kafka=9, sent=9), 0, NOW) is None
    assert notice(None, 0, NOW) is None


@pytest.mark.parametrize(
    ("report", "dropped", "part"),
    [
        (Report(at=AT, error="OSError: no route"), 0, "could not be found out at 12:40 UTC: OSError: no route"),
        (Report(at="2026-11-23T09:00:00.000Z"), 0, "has not been looked at since 09:00 UTC"),
        (Report(at=AT, refused=2, gone=1), 0, "1 of them are not found any more"),
        (Report(at=AT, expired=7), 0, "Kafka deleted 7 results"),
        (Report(at=AT, stored_again=12, not_on_disk=0, frames_not_on_disk=0), 0, "12 frames and results were missing"),
        (Report(at=AT, not_on_disk=0, frames_not_on_disk=3), 0, "0 results and 3 frames are missing on disk"),
        (None, 5, "The index has refused 5 results just now"),
    ],
)
def test_each_cause_is_said(report: Report | None, dropped: int, part: str) -> None:
    said = notice(report, dropped, NOW)
    assert said is not None and part in said


def test_counters_are_asked_of_each_filebeat_that_has_an_address() -> None:
    # One of an earlier version answered in plain, at a port of another name.
    before = {**filebeat("c", "10.0.0.3"), "spec": {"containers": [{"ports": [{"name": "stats", "containerPort": 1}]}]}}
    assert metrics_urls([filebeat("a", "10.0.0.1"), filebeat("b", None), before, comparison(None)]) == {
        "a": "https://10.0.0.1:8082/metrics"
    }
    assert output_events(counters(dropped=3, acked=9))["dropped"] == 3
    assert output_events(counters(acked=9))["dropped"] == 0
    for answer in ("", "other 1.0\n", "<html>", counters(), 'argus_filebeat_output_events{kind="dropped"} x\n'):
        with pytest.raises(ValueError):
            output_events(answer)


def test_what_filebeat_gives_up_is_said_until_it_was_looked_for() -> None:
    dropped = {"10.0.0.1": 3, "10.0.0.2": 0}

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.host == "10.0.0.3":
            raise httpx.ConnectError("no route")
        assert (request.url.path, request.headers[HEADER]) == ("/metrics", TOKEN.headers[HEADER])
        assert request.extensions["sni_hostname"] == METRICS_HOST
        return httpx.Response(200, text=counters(dropped=dropped[request.url.host]))

    async def watch() -> list[str | None]:
        pods = [filebeat("a", "10.0.0.1"), filebeat("b", "10.0.0.2"), filebeat("c", "10.0.0.3")]
        at = datetime.now(UTC)
        reports = [comparison(Report(at=(at + timedelta(seconds=n)).isoformat()).json()) for n in range(2)]
        async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
            shown = NotSearchable(client, TOKEN)
            said = []
            for report, more in ((reports[0], 0), (reports[0], 40), (reports[1], 0)):
                dropped["10.0.0.2"] += more
                await shown.take([report, *pods])
                said.append(shown.notice)
            return said

    first, second, third = asyncio.run(watch())
    assert (first, third) == (None, None)
    assert second is not None and "refused 40 results" in second


def test_outside_a_cluster_there_is_no_notice(tmp_path: Path) -> None:
    shown = NotSearchable(httpx.AsyncClient(), TOKEN, account=tmp_path)
    asyncio.run(shown.run())
    assert shown.notice is None
