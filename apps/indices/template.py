"""`python -m apps.indices.template FILE...` installs or replaces index templates, each named as its file."""

import logging
import sys
import urllib.error
from pathlib import Path

from apps.indices import ask
from apps.indices.settings import Settings
from apps.service.process import run

logger = logging.getLogger("apps.indices.template")


def work(settings: Settings) -> int:
    """Returns the process's exit status: 1 if Elasticsearch refuses or does not answer."""
    for file in map(Path, sys.argv[1:]):
        url = f"{settings.base_url}/_index_template/{file.stem}"
        try:
            ask("PUT", url, file.read_bytes())
        except urllib.error.HTTPError as refused:
            logger.error("%s: %d %s", url, refused.code, refused.read().decode(errors="replace"))
            return 1
        except (OSError, ValueError) as error:
            logger.error("%s: %s", url, error)
            return 1
        logger.info("%s is in place", url)
    return 0


if __name__ == "__main__":
    sys.exit(run(Settings, work))
