"""`python -m apps.indices.template FILE` installs or replaces the index template of the results."""

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
    url = f"{settings.base_url}/_index_template/results"
    try:
        ask("PUT", url, Path(sys.argv[1]).read_bytes())
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
