"""`python -m apps.acme`: keeps the page's certificate until SIGTERM."""

import sys
import threading

from apps.acme.kept import Keeper
from apps.acme.settings import Settings
from apps.service.kubernetes import ApiServer
from apps.service.process import on_stop, run


def work(settings: Settings) -> int:
    """Look now and then whether the certificate is due, until told to stop. Returns the process's exit status."""
    stopping = threading.Event()
    on_stop(stopping.set)
    api = ApiServer()
    keeper, failures = Keeper(settings, api, api.namespace), 0
    while not stopping.is_set():
        failures = 0 if keeper.look() else failures + 1
        stopping.wait(pause(settings, failures))
    return 0


def pause(settings: Settings, failures: int) -> float:
    """Seconds until the next look, after so many failures one after the other."""
    if not failures:
        return settings.look_seconds
    return min(settings.look_seconds, settings.retry_seconds * 2.0 ** min(failures - 1, 16))


if __name__ == "__main__":
    sys.exit(run(Settings, work))
