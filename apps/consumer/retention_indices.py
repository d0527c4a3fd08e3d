"""`python -m apps.consumer.retention_indices`: deletes Elasticsearch's daily indices of results past their age, once.

Run daily by the platform. Whole indices are deleted, since deleting documents would cost as much as indexing them.
"""

import json
import logging
import sys
import urllib.error
import urllib.request
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from http import HTTPStatus
from typing import Any

from pydantic import Field, HttpUrl, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from apps.consumer.errors import describe_settings_error
from apps.messages import RESULT_INDICES, day_of

TIMEOUT_SECONDS = 60

logger = logging.getLogger("apps.consumer.retention_indices")


class Settings(BaseSettings):
    """Each field is the variable `ARGUS_<FIELD>`."""

    model_config = SettingsConfigDict(env_prefix="ARGUS_", frozen=True)

    elasticsearch_url: HttpUrl
    retention_days: int = Field(default=7, ge=1)
    log_level: str = "INFO"


def expired_indices(names: Iterable[str], today: date, retention_days: int) -> list[str]:
    """The indices of days before the last `retention_days`, today being one of them. Other names are left alone."""
    first_kept = today - timedelta(days=retention_days - 1)
    return sorted(name for name in names if (day := day_of(name)) is not None and day < first_kept)


def _call(method: str, url: str) -> Any:
    request = urllib.request.Request(url, method=method, headers={"Accept": "application/json"})
    with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:
        return json.load(response)


def main() -> int:
    """Returns the process's exit status: 1 where an index could not be deleted, so that the job is tried again."""
    try:
        settings = Settings()
    except ValidationError as error:
        print(describe_settings_error(error), file=sys.stderr)
        return 2
    logging.basicConfig(level=settings.log_level, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    base = str(settings.elasticsearch_url).rstrip("/")
    failed = 0
    try:
        names = [row["index"] for row in _call("GET", f"{base}/_cat/indices/{RESULT_INDICES}?format=json&h=index")]
    except (OSError, ValueError) as error:
        logger.error("could not list the indices at %s: %s", base, error)
        return 1
    doomed = expired_indices(names, datetime.now(UTC).date(), settings.retention_days)
    for name in doomed:
        try:
            _call("DELETE", f"{base}/{name}")
            logger.info("deleted %s", name)
        except urllib.error.HTTPError as error:
            if error.code != HTTPStatus.NOT_FOUND:
                logger.error("could not delete %s: %s", name, error)
                failed += 1
        except (OSError, ValueError) as error:
            logger.error("could not delete %s: %s", name, error)
            failed += 1
    logger.info("%d of %d indices were past %d days", len(doomed), len(names), settings.retention_days)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
