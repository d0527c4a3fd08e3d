"""Runs an app's process."""

import logging
import signal
import sys
from collections.abc import Callable

from apps.service import expiry
from apps.service.settings import S, SettingsError, read


def run(settings: type[S], work: Callable[[S], int]) -> int:
    """Call `work` with the environment's settings, logging to stderr. Returns the process's exit status.

    It is 2 if the settings are invalid, with the reason as the last line on stderr. Metrics say when the app's
    certificates end.
    """
    try:
        given = read(settings)
        logging.basicConfig(level=given.log_level, format="%(asctime)s %(levelname)s %(name)s %(message)s")
        expiry.show(given.certificates)
        return work(given)
    except SettingsError as wrong:
        print(f"the settings are not valid: {wrong}", file=sys.stderr)
        return 2


def on_stop(stop: Callable[[], object]) -> None:
    """Call `stop` on SIGTERM or SIGINT."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop())
