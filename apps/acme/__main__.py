"""`python -m apps.acme`: keeps the page's certificate until SIGTERM."""

import socket
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
    # A container that starts again in its pod has the same name.
    keeper = Keeper(settings, api, api.namespace, pod=socket.gethostname())
    while not stopping.is_set():
        keeper.look()
        stopping.wait(keeper.wait)
    return 0


if __name__ == "__main__":
    sys.exit(run(Settings, work))
