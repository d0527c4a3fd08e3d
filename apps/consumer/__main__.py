"""`python -m apps.consumer`: runs until SIGTERM, then finishes its batch and commits it."""

import logging
import sys

from apps.consumer.again import StoreAgain
from apps.consumer.clocks import BrokersClock
from apps.consumer.files import file_handler
from apps.consumer.ingest import Ingest
from apps.consumer.retention import Retention
from apps.consumer.settings import Settings
from apps.consumer.storage import DiskStore
from apps.service.http import MAX_BODY, Server, metrics_handler, probes
from apps.service.peer import Door
from apps.service.process import on_stop, run

logger = logging.getLogger("apps.consumer")


def work(settings: Settings) -> int:
    """Run until told to stop. Returns the process's exit status."""
    door, metrics_door = Door.of(settings), Door.of_metrics(settings)
    store = DiskStore(settings.data_dir)
    leftovers = store.remove_leftovers()
    if leftovers:
        logger.info("removed %d unfinished files of an interrupted run", leftovers)
    brokers_clock = BrokersClock()
    retention = Retention(
        store,
        retention_hours=settings.retention_hours,
        max_bytes=settings.max_disk_bytes,
        every_seconds=settings.retention_seconds,
        brokers_clock=brokers_clock,
    )
    ingest = Ingest(settings, store, retention.make_room, brokers_clock)
    on_stop(ingest.stop)
    again = StoreAgain(settings, store, brokers_clock)
    server = Server(
        settings.http_port, again.handler(file_handler(store, retention.kept_from)), door, max_body=MAX_BODY
    )
    measured = Server(settings.metrics_port, metrics_handler(), metrics_door)
    probed = Server(settings.probe_port, probes(ingest.health, ingest.readiness, beside=[server, measured]))
    logger.info("serving %s on port %d", settings.data_dir, server.port)
    retention.start()
    try:
        ingest.run()
    finally:
        retention.stop()
        for each in (server, measured, probed):
            each.close()
        again.close()
        store.close()
    logger.info("stopped")
    return 0


if __name__ == "__main__":
    sys.exit(run(Settings, work))
