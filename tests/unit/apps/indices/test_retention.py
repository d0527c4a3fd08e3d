import json
from datetime import UTC, date, datetime, timedelta
from fnmatch import fnmatch
from typing import Any

import pytest

import apps.indices
from apps.indices import retention
from apps.indices.retention import expired_indices, work
from apps.indices.settings import RetentionSettings
from apps.messages.names import results_index


def test_only_old_indices_of_results_and_of_refused_ones_go() -> None:
    names = [
        "results-objects-2026.11.15",
        "results-objects-2026.11.16",
        "results-objects-2026.11.17",
        "results-new-model-2025.01.01",
        "results-objects-2026.13.01",
        "refused-2026.11.16",
        "refused-2026.11.17",
        "results-objects",
        "logs-2020.01.01",
        "audit-log-2020.01.01",
        ".internal",
    ]
    assert expired_indices(names, date(2026, 11, 23), 7) == [
        "refused-2026.11.16",
        "results-new-model-2025.01.01",
        "results-objects-2026.11.15",
        "results-objects-2026.11.16",
    ]


class Indices:
    """What Elasticsearch keeps of indices, by name: the `_meta` of their mappings."""

    def __init__(self, *names: str) -> None:
        self.meta: dict[str, dict[str, Any]] = {name: {} for name in names}
        self.blocked: set[str] = set()
        self.clock: datetime | None = None
        """What Elasticsearch's clock shows; None: the same as the job's."""

    def ask(self, method: str, url: str, body: bytes | None = None, **_: Any) -> Any:
        name = url.removeprefix("http://search:9200/").split("/")[0]
        if url.endswith("/_cat/health?format=json&h=epoch"):
            return [{"epoch": str(int((self.clock or Clock.today).timestamp()))}]
        if name == "_cat":
            patterns = url.partition("/_cat/indices/")[2].partition("?")[0].split(",")
            return [{"index": each} for each in self.meta if any(fnmatch(each, pattern) for pattern in patterns)]
        if method != "GET" and name in self.blocked:
            raise OSError("blocked")
        if method == "DELETE":
            del self.meta[name]
        elif method == "PUT":
            self.meta[name] = json.loads(body or b"")["_meta"]
        return {name: {"mappings": {"_meta": self.meta[name]} if self.meta.get(name) else {}}}


class Clock(datetime):
    """What the job's clock shows."""

    today = datetime(2026, 11, 23, tzinfo=UTC)

    @classmethod
    def now(cls, tz: Any = None) -> datetime:
        return cls.today


SETTINGS = RetentionSettings.model_validate(
    {"elasticsearch_url": "http://search:9200", "retention_days": 7, "audit_retention_days": 90}
)


def kept_on(indices: Indices, day: datetime, monkeypatch: pytest.MonkeyPatch, status: int = 0) -> list[str]:
    """The indices that a run of the job on that day leaves."""
    monkeypatch.setattr(Clock, "today", day)
    monkeypatch.setattr(retention, "datetime", Clock)
    monkeypatch.setattr(apps.indices, "ask", indices.ask)
    assert work(SETTINGS) == status
    return sorted(indices.meta)


DAY = datetime(2026, 11, 23, 12, tzinfo=UTC)


def test_the_audit_log_is_kept_for_days_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["audit-2026.08.25", "audit-2026.08.26", "results-objects-2026.11.16", "results-objects-2026.11.17"]
    assert kept_on(Indices(*names), DAY, monkeypatch) == ["audit-2026.08.26", "results-objects-2026.11.17"]


TODAY, TOMORROW, AHEAD = (results_index("objects", day) for day in ("2026.11.23", "2026.11.24", "2099.01.01"))


def test_an_index_of_a_day_to_come_goes_with_those_of_the_day_on_which_it_was_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    indices = Indices(TODAY, TOMORROW, AHEAD)
    assert kept_on(indices, DAY, monkeypatch) == [TODAY, TOMORROW, AHEAD]
    assert indices.meta == {TODAY: {}, TOMORROW: {}, AHEAD: {"found_ahead_on": "2026-11-23"}}
    assert kept_on(indices, DAY + timedelta(days=6), monkeypatch) == [TODAY, TOMORROW, AHEAD]
    assert kept_on(indices, DAY + timedelta(days=7), monkeypatch) == [TOMORROW]


def test_a_job_whose_clock_was_set_back_deletes_nothing_and_goes_on_when_it_is_right(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    indices = Indices(TODAY, TOMORROW)
    assert kept_on(indices, DAY - timedelta(days=3000), monkeypatch) == [TODAY, TOMORROW]
    assert kept_on(indices, DAY, monkeypatch) == [TODAY, TOMORROW]
    assert kept_on(indices, DAY + timedelta(days=7), monkeypatch) == [TOMORROW]


@pytest.mark.parametrize("found", ["2098-12-31", "soon", 7, None])
def test_what_a_wrong_clock_recorded_is_recorded_anew(monkeypatch: pytest.MonkeyPatch, found: object) -> None:
    indices = Indices(AHEAD)
    indices.meta[AHEAD] = {"found_ahead_on": found, "other": 1}
    assert kept_on(indices, DAY, monkeypatch) == [AHEAD]
    assert indices.meta[AHEAD] == {"found_ahead_on": "2026-11-23", "other": 1}


def test_an_index_that_refuses_keeps_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    old = results_index("objects", "2026.11.01")
    indices = Indices(old, AHEAD)
    indices.blocked.add(AHEAD)
    assert kept_on(indices, DAY, monkeypatch, status=1) == [AHEAD]


@pytest.mark.parametrize("wrong", ["the job's", "Elasticsearch's"])
def test_one_clock_that_is_ahead_deletes_nothing(monkeypatch: pytest.MonkeyPatch, wrong: str) -> None:
    indices = Indices(TODAY, TOMORROW)
    job, indices.clock = DAY, DAY + timedelta(days=400)
    if wrong == "the job's":
        job, indices.clock = indices.clock, job
    assert kept_on(indices, job, monkeypatch) == [TODAY, TOMORROW]
    assert indices.meta == {TODAY: {}, TOMORROW: {}}
