"""Results that a search does not find: what the last comparison with the index reports, and what Filebeat counts."""

import asyncio
import logging
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from apps.messages.names import (
    COMPARISON,
    FILEBEAT,
    FILEBEAT_EVENT_KINDS,
    FILEBEAT_EVENTS,
    METRICS_HOST,
    METRICS_PORT_NAME,
)
from apps.messages.report import Report
from apps.service.http import METRICS
from apps.service.kubernetes import ACCOUNT
from apps.service.token import Token
from apps.ui import metrics
from apps.ui.pods import poll_pods

POLL_SECONDS = 15.0
TIMEOUT_SECONDS = 3.0
PATIENCE = timedelta(hours=2)
"""A comparison is made every 15 minutes; one that is older than this is not made any more."""

NAME = "app.kubernetes.io/name"
AS_METRICS = {"sni_hostname": METRICS_HOST}
"""A Filebeat is asked by its pod's address, and known by this name."""

logger = logging.getLogger(__name__)


def last_report(pods: Iterable[Mapping[str, Any]]) -> Report | None:
    """The report of the comparison that ended last; None if there is none."""
    found: list[tuple[str, Report]] = []
    for pod in pods:
        if pod["metadata"]["labels"].get(NAME) != COMPARISON:
            continue
        for status in pod["status"].get("containerStatuses") or ():
            ended = (status.get("state") or {}).get("terminated")
            if ended is None:
                continue
            try:
                found.append((ended["finishedAt"] or "", Report.from_json(ended.get("message", ""))))
            except ValueError as error:
                logger.warning("%s left no report: %s", pod["metadata"]["name"], error)
    return max(found, key=lambda each: each[0], default=("", None))[1]


def metrics_urls(pods: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """The URL of the counters of each running Filebeat, by its pod's name; none of a pod of an earlier version."""
    return {
        pod["metadata"]["name"]: f"https://{pod['status']['podIP']}:{port['containerPort']}{METRICS}"
        for pod in pods
        if pod["metadata"]["labels"].get(NAME) == FILEBEAT and pod["status"].get("podIP")
        for container in pod["spec"]["containers"]
        for port in container.get("ports") or ()
        if port.get("name") == METRICS_PORT_NAME
    }


def output_events(text: str) -> dict[str, int]:
    """Filebeat's counters of events at its output, from its metrics. Raises ValueError if they do not have them."""
    found = {
        sample.labels.get("kind"): int(sample.value)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == FILEBEAT_EVENTS
    }
    if not found:
        raise ValueError("no counters of Filebeat")
    return {kind: found.get(kind, 0) for kind in FILEBEAT_EVENT_KINDS}


def notice(report: Report | None, dropped: int, now: datetime) -> str | None:
    """One line for the operator; None if every result is searchable or on its way.

    `dropped` is what Filebeat gave up since the report.
    """
    said = []
    if report is not None:
        at = f"{datetime.fromisoformat(report.at).astimezone(UTC):%H:%M} UTC"
        if report.error is not None:
            said.append(f"Whether all results are searchable could not be found out at {at}: {report.error}.")
        elif now - datetime.fromisoformat(report.at) > PATIENCE:
            said.append(f"Whether all results are searchable has not been looked at since {at}.")
        if report.not_searchable:
            reason = next(iter(report.reasons), "")
            kept = (
                "They are kept, and are sent again every 15 minutes."
                if not report.gone
                else (f"{report.gone} of them are not found any more, the others are sent again every 15 minutes.")
            )
            said.append(
                f"{report.not_searchable} results are not searchable, the oldest of {report.oldest}: {reason} {kept}"
            )
        if report.stored_again:
            said.append(
                f"{report.stored_again} frames and results were missing on disk, and were stored again at {at}."
            )
        if report.not_on_disk or report.frames_not_on_disk:
            said.append(
                f"{report.not_on_disk} results and {report.frames_not_on_disk} frames are missing on disk: no consumer "
                "has room for them, or Kafka has them no more."
            )
        if report.expired:
            said.append(f"Kafka deleted {report.expired} results before they were compared with the index.")
    if dropped:
        said.append(f"The index has refused {dropped} results just now; they are looked for within 15 minutes.")
    return " ".join(said) or None


class NotSearchable:
    """Asks the API server for the comparison's report, and each Filebeat for its counters."""

    def __init__(self, client: httpx.AsyncClient, token: Token, account: Path = ACCOUNT) -> None:
        """`token` is what pods ask of who reads their metrics."""
        self._client, self._token, self._account = client, token, account
        self._dropped: dict[str, int] = {}
        """What each Filebeat gave up in all, by pod."""
        self._before: dict[str, int] = {}
        """The same when the last report was first seen."""
        self._report: Report | None = None

    @property
    def notice(self) -> str | None:
        """The page's line, as of the last answers."""
        since = sum(max(0, count - self._before.get(pod, 0)) for pod, count in self._dropped.items())
        return notice(self._report, since, datetime.now(UTC))

    async def run(self) -> None:
        """Poll until cancelled; returns at once if there is no service account."""
        await poll_pods(
            f"labelSelector={NAME}%20in%20({COMPARISON},{FILEBEAT})",
            self.take,
            seconds=POLL_SECONDS,
            account=self._account,
            what="it is not shown whether all results are searchable",
        )

    async def take(self, pods: list[Mapping[str, Any]]) -> None:
        """Take over what these pods say. Raises KeyError if they are no pods."""
        urls = metrics_urls(pods)
        answers = await asyncio.gather(*(self._events(url) for url in urls.values()))
        counted = {pod: events for pod, events in zip(urls, answers, strict=True) if events is not None}
        for kind in FILEBEAT_EVENT_KINDS:
            metrics.FILEBEAT_EVENTS.labels(kind).set(sum(events[kind] for events in counted.values()))
        self._dropped = {pod: events["dropped"] for pod, events in counted.items()}
        report = last_report(pods)
        if report is not None and (self._report is None or report.at != self._report.at):
            self._report, self._before = report, dict(self._dropped)
            _measure(report)

    async def _events(self, url: str) -> dict[str, int] | None:
        try:
            asked = self._client.get(url, headers=self._token.headers, timeout=TIMEOUT_SECONDS, extensions=AS_METRICS)
            return output_events((await asked).raise_for_status().text)
        except (httpx.HTTPError, ValueError) as error:
            logger.debug("%s: %s", url, error)
            return None


def _measure(report: Report) -> None:
    if report.error is not None:
        return
    for where in ("refused", "waiting", "gone"):
        metrics.NOT_SEARCHABLE.labels(where).set(getattr(report, where))
    metrics.SENT_AGAIN.set(report.sent)
    metrics.NOT_ON_DISK.set(report.not_on_disk or 0)
    metrics.FRAMES_NOT_ON_DISK.set(report.frames_not_on_disk or 0)
    metrics.STORED_AGAIN.set(report.stored_again)
    metrics.COMPARED_AT.set(datetime.fromisoformat(report.at).timestamp())
