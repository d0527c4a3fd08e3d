"""A process from its start to its end."""

import logging
import signal
import sys
from collections.abc import Callable

from apps.service.settings import S, SettingsError, read


def run(settings: type[S], work: Callable[[S], int]) -> int:
    """Does the work with the environment's settings, its log on stderr. Returns the process's exit status.

    It is 2 where the settings are unusable, with what is wrong as the last line on stderr.
    """
    try:
        given = read(settings)
        logging.basicConfig(level=given.log_level, format="%(asctime)s %(levelname)s %(name)s %(message)s")
        return work(given)
    except SettingsError as wrong:
        print(f"the settings are not valid: {wrong}", file=sys.stderr)
        return 2


def on_stop(stop: Callable[[], object]) -> None:
    """Has `stop` called when the process is told to end, by Kubernetes or from a keyboard."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop())
