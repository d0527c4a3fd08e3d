"""`python -m apps.ui`: serves until SIGTERM."""

import logging
import signal
import sys

import uvicorn
from pydantic import ValidationError

from apps.ui.app import create_app
from apps.ui.settings import Settings, describe_settings_error

GRACEFUL_SECONDS = 5


def main() -> int:
    """Returns the process's exit status."""
    try:
        settings = Settings()
    except ValidationError as error:
        print(describe_settings_error(error), file=sys.stderr)
        return 2
    logging.basicConfig(level=settings.log_level, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    for chatty in ("httpx", "elastic_transport"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    # Once it has stopped, uvicorn raises the signal again for the handler that was there before it: a wanted stop
    # is no failure.
    signal.signal(signal.SIGTERM, lambda *_: None)
    uvicorn.run(
        create_app(settings),
        host="0.0.0.0",
        port=settings.http_port,
        access_log=False,
        log_config=None,
        timeout_graceful_shutdown=GRACEFUL_SECONDS,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
