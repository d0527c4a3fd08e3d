"""`python -m apps.indices.retention` deletes the daily results indices that are too old, once.

Kubernetes runs it hourly. Whole indices are deleted, because deleting documents would cost as much as indexing them.
"""

import logging
import sys
import urllib.error
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from http import HTTPStatus

from apps.indices import ask
from apps.indices.settings import RetentionSettings
from apps.messages.names import RESULT_INDICES, day_of
from apps.service.process import run

logger = logging.getLogger("apps.indices.retention")


def expired_indices(names: Iterable[str], today: date, retention_days: int) -> list[str]:
    """The indices of days before the last `retention_days`, which include today. Other names are ignored."""
    first_kept = today - timedelta(days=retention_days - 1)
    return sorted(name for name in names if (day := day_of(name)) is not None and day < first_kept)


def work(settings: RetentionSettings) -> int:
    """Returns the process's exit status: 1 if an index could not be deleted, so that the job is retried."""
    base, failed = settings.base_url, 0
    try:
        names = [row["index"] for row in ask("GET", f"{base}/_cat/indices/{RESULT_INDICES}?format=json&h=index")]
    except (OSError, ValueError) as error:
        logger.error("could not list the indices at %s: %s", base, error)
        return 1
    doomed = expired_indices(names, datetime.now(UTC).date(), settings.retention_days)
    for name in doomed:
        try:
            ask("DELETE", f"{base}/{name}")
            logger.info("deleted %s", name)
        except (OSError, ValueError) as error:
            if isinstance(error, urllib.error.HTTPError) and error.code == HTTPStatus.NOT_FOUND:
                continue
            logger.error("could not delete %s: %s", name, error)
            failed += 1
    logger.info("%d of %d indices were past %d days", len(doomed), len(names), settings.retention_days)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(run(RetentionSettings, work))
