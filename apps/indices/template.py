"""`python -m apps.indices.template FILE...` installs or replaces index templates, each named as its file."""

import logging
import sys
import urllib.error
from pathlib import Path

from apps.indices import Search
from apps.service.elasticsearch import ElasticsearchSettings
from apps.service.process import run

logger = logging.getLogger("apps.indices.template")


def work(settings: ElasticsearchSettings) -> int:
    """Returns the process's exit status: 1 if Elasticsearch refuses or does not answer."""
    search = Search.of(settings)
    for file in map(Path, sys.argv[1:]):
        path = f"/_index_template/{file.stem}"
        url = f"{search.url}{path}"
        try:
            search.ask("PUT", path, file.read_bytes())
        except urllib.error.HTTPError as refused:
            logger.error("%s: %d %s", url, refused.code, refused.read().decode(errors="replace"))
            return 1
        except (OSError, ValueError) as error:
            logger.error("%s: %s", url, error)
            return 1
        logger.info("%s is in place", url)
    return 0


if __name__ == "__main__":
    sys.exit(run(ElasticsearchSettings, work))
