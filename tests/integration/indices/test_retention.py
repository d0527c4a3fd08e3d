"""The retention of indices in a real Elasticsearch, also of those of a day to come."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import httpx
import pytest

from apps.indices.retention import FOUND_AHEAD, work
from apps.indices.settings import RetentionSettings
from apps.messages.names import results_index
from components.pipeline.elasticsearch import index_template

DAYS = 7


@pytest.fixture
def today(elasticsearch: str) -> Iterator[date]:
    """Today's date, with the template of results; indices that remain are deleted after the test."""
    httpx.put(f"{elasticsearch}/_index_template/results", json=index_template(0), timeout=30).raise_for_status()
    today = datetime.now(UTC).date()
    yield today
    for name in indices(elasticsearch):
        httpx.delete(f"{elasticsearch}/{name}", timeout=60).raise_for_status()


def indices(url: str) -> set[str]:
    rows = httpx.get(f"{url}/_cat/indices/results-kept-*?format=json&h=index", timeout=30).raise_for_status().json()
    return {row["index"] for row in rows}


def index_of(day: date) -> str:
    return results_index("kept", f"{day:%Y.%m.%d}")


def meta(url: str, name: str) -> dict[str, str]:
    mapping = httpx.get(f"{url}/{name}/_mapping", timeout=30).raise_for_status().json()
    return dict(mapping[name]["mappings"].get("_meta", {}))


def make(url: str, name: str) -> None:
    document = {"@timestamp": "2026-11-23T22:14:55.123Z"}
    httpx.post(f"{url}/{name}/_doc?refresh=true", json=document, timeout=60).raise_for_status()


def test_an_index_of_a_day_to_come_goes_with_those_of_the_day_on_which_it_was_found(
    elasticsearch: str, today: date
) -> None:
    old, kept, ahead = (index_of(today + timedelta(days=days)) for days in (-DAYS, 1 - DAYS, 400))
    for name in (old, kept, ahead):
        make(elasticsearch, name)
    settings = RetentionSettings.model_validate(
        {"elasticsearch_url": elasticsearch, "retention_days": DAYS, "audit_retention_days": DAYS}
    )
    assert work(settings) == 0
    assert indices(elasticsearch) == {kept, ahead}
    before = meta(elasticsearch, ahead)
    assert before[FOUND_AHEAD] == today.isoformat()
    assert FOUND_AHEAD not in meta(elasticsearch, kept)

    found = {"_meta": {**before, FOUND_AHEAD: (today - timedelta(days=DAYS)).isoformat()}}
    httpx.put(f"{elasticsearch}/{ahead}/_mapping", json=found, timeout=30).raise_for_status()
    assert work(settings) == 0
    assert indices(elasticsearch) == {kept}
