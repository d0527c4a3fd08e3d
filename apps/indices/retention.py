"""`python -m apps.indices.retention` deletes the daily indices that are too old, once.

They hold results, refused results and the audit log. Kubernetes runs it hourly. Whole indices are deleted, because
deleting documents would cost as much as indexing them.
An index of a day to come, made while some clock was wrong, counts as of the day on which this job first found it.
What is deleted is too old by this machine's clock and by Elasticsearch's, so that one wrong clock deletes nothing.
"""

import contextlib
import json
import logging
import sys
import urllib.error
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from http import HTTPStatus

from apps.indices import Search
from apps.indices.settings import RetentionSettings
from apps.messages.names import AUDIT_INDICES, REFUSED_INDICES, RESULT_INDICES, day_of
from apps.service.process import run

logger = logging.getLogger("apps.indices.retention")

FOUND_AHEAD = "found_ahead_on"
"""The key of an index's `_meta` with the day on which it was first found to be of a day to come."""


def oldest_kept(today: date, retention_days: int) -> date:
    """The first of the last `retention_days`, which include today."""
    return today - timedelta(days=retention_days - 1)


def expired_indices(names: Iterable[str], today: date, retention_days: int) -> list[str]:
    """The indices of days before the last `retention_days`. Other names are ignored."""
    first_kept = oldest_kept(today, retention_days)
    return sorted(name for name in names if (day := day_of(name)) is not None and day < first_kept)


def indices_ahead(names: Iterable[str], today: date) -> list[str]:
    """The indices of days after tomorrow. Tomorrow's may be right: clocks differ by some minutes."""
    return sorted(name for name in names if (day := day_of(name)) is not None and day > today + timedelta(days=1))


def earlier_day(search: Search, now: datetime) -> date:
    """The day of `now`, which is this machine's time, or Elasticsearch's if that is earlier.

    Raises OSError or ValueError if Elasticsearch does not answer.
    """
    (health,) = search.ask("GET", "/_cat/health?format=json&h=epoch")
    return min(now, datetime.fromtimestamp(int(health["epoch"]), UTC)).date()


def found_ahead_on(search: Search, name: str, today: date) -> date:
    """The day on which an index was first found to be of a day to come; recorded in the index if that is today.

    Raises OSError or ValueError if Elasticsearch refuses or does not answer.
    """
    meta = search.ask("GET", f"/{name}/_mapping")[name]["mappings"].get("_meta", {})
    with contextlib.suppress(ValueError, TypeError):
        found = date.fromisoformat(meta.get(FOUND_AHEAD))
        # A later day was recorded by a clock that was wrong itself.
        if found <= today:
            return found
    noted = {"_meta": {**meta, FOUND_AHEAD: today.isoformat()}}
    search.ask("PUT", f"/{name}/_mapping", json.dumps(noted).encode())
    logger.warning("%s is of a day to come: it is kept as if it were of %s", name, today)
    return today


def work(settings: RetentionSettings) -> int:
    """Returns the process's exit status: 1 if an index could not be deleted, so that the job is retried."""
    search = Search.of(settings)
    try:
        today = earlier_day(search, datetime.now(UTC))
        kept = {
            f"{RESULT_INDICES},{REFUSED_INDICES}": settings.retention_days,
            AUDIT_INDICES: settings.audit_retention_days,
        }
        listed = {
            patterns: [row["index"] for row in search.ask("GET", f"/_cat/indices/{patterns}?format=json&h=index")]
            for patterns in kept
        }
    except (OSError, ValueError) as error:
        logger.error("could not list the indices at %s: %s", search.url, error)
        return 1
    return max(_expire(search, names, today, kept[patterns]) for patterns, names in listed.items())


def _expire(search: Search, names: Sequence[str], today: date, retention_days: int) -> int:
    """Delete those of these indices that are too old; the process's exit status."""
    failed = 0
    doomed = expired_indices(names, today, retention_days)
    for name in indices_ahead(names, today):
        try:
            if found_ahead_on(search, name, today) < oldest_kept(today, retention_days):
                doomed.append(name)
        except (OSError, ValueError) as error:
            logger.error("could not find out how old %s is: %s", name, error)
            failed += 1
    for name in doomed:
        try:
            search.ask("DELETE", f"/{name}")
            logger.info("deleted %s", name)
        except (OSError, ValueError) as error:
            if isinstance(error, urllib.error.HTTPError) and error.code == HTTPStatus.NOT_FOUND:
                continue
            logger.error("could not delete %s: %s", name, error)
            failed += 1
    logger.info("%d of %d indices were past %d days", len(doomed), len(names), retention_days)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(run(RetentionSettings, work))
