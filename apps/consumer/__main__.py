"""`python -m apps.consumer`: runs until SIGTERM, then finishes its batch and commits it."""

import logging
import signal
import sys
import threading

from pydantic import ValidationError

from apps.consumer.errors import describe_settings_error
from apps.consumer.http_server import ConsumerServer
from apps.consumer.ingest import Health, Ingest
from apps.consumer.retention import Retention
from apps.consumer.settings import Settings
from apps.consumer.storage import DiskStore

logger = logging.getLogger("apps.consumer")


def main() -> int:
    """Returns the process's exit status."""
    try:
        settings = Settings()
    except ValidationError as error:
        print(describe_settings_error(error), file=sys.stderr)
        return 2
    logging.basicConfig(level=settings.log_level, format="%(asctime)s %(levelname)s %(name)s %(message)s")

    store = DiskStore(settings.data_dir)
    leftovers = store.remove_leftovers()
    if leftovers:
        logger.info("removed %d unfinished files of an interrupted run", leftovers)
    retention = Retention(
        store,
        retention_hours=settings.retention_hours,
        max_bytes=settings.max_disk_bytes,
        every_seconds=settings.retention_seconds,
    )
    health = Health()
    ingest = Ingest(settings, store, health, retention.make_room)
    server = ConsumerServer(settings.http_port, store, health)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ingest.stop())

    threading.Thread(target=server.serve_forever, name="http", daemon=True).start()
    logger.info("serving %s on port %d", settings.data_dir, server.server_port)
    retention.start()
    try:
        ingest.run()
    finally:
        retention.stop()
        server.shutdown()
        store.close()
    logger.info("stopped")
    return 0


if __name__ == "__main__":
    sys.exit(main())
