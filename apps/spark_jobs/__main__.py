"""The driver of one Spark application: `python -m apps.spark_jobs`, configured by `ARGUS_…` and spark.properties."""

import logging
import os
import sys
import threading

from pyspark.sql import SparkSession
from pyspark.sql.streaming.query import StreamingQuery

from apps.service.kubernetes import ACCOUNT, ApiServer
from apps.service.peer import Door
from apps.service.process import on_stop, run
from apps.spark_jobs import lost_executors
from apps.spark_jobs.executors import Allocation, SparkExecutors
from apps.spark_jobs.progress import CommonStart, Progress, ProgressError
from apps.spark_jobs.query import start_query
from apps.spark_jobs.settings import Settings
from apps.spark_jobs.status import Status, serve
from apps.spark_jobs.takeover import takeover_of
from apps.spark_jobs.watch import SparkEvents, Watcher

logger = logging.getLogger("apps.spark_jobs")

CHECK_SECONDS = 5.0
"""How often the driver asks the JVM whether the query is alive and which executors exist."""


def work(settings: Settings) -> int:
    """Run the job until it is told to stop (0) or fails (1)."""
    logging.getLogger("py4j").setLevel(logging.WARNING)
    # Python starts the JVM, not the other way round, so that SIGTERM reaches this process, which finishes its batch.
    os.environ["PYSPARK_SUBMIT_ARGS"] = settings.submit_arguments
    stopping = threading.Event()
    on_stop(stopping.set)
    try:
        return _run(settings, stopping)
    except ProgressError as error:
        logger.error("%s", error)
        return 1


def _run(settings: Settings, stopping: threading.Event) -> int:
    status = Status([each.model_name for each in settings.models], stall_seconds=settings.stall_seconds)
    servers = serve(status, settings.http_port, settings.metrics_port, Door.of_metrics(settings))
    takeover = takeover_of(settings)
    try:
        if takeover is None:
            return _follow_frames(settings, status, stopping)
        if not takeover.wait(status.waiting, stopping):
            return 0
        try:
            return _follow_frames(settings, status, stopping)
        finally:
            takeover.leave()
    finally:
        for server in servers:
            server.close()


def _follow_frames(settings: Settings, status: Status, stopping: threading.Event) -> int:
    groups = {each.model_name: each.consumer_group for each in settings.models}
    progress = Progress(settings.kafka_connection, groups, settings.frames_topic)
    spark = SparkSession.builder.appName(f"model-{settings.model_name}").getOrCreate()
    # The batch size bounds a worker's memory.
    spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", settings.batch_size)
    if ACCOUNT.exists():
        lost_executors.watch(lost_executors.ExecutorPods(spark.sparkContext.applicationId, ApiServer()), stopping)
    allocation = Allocation(settings.limits, SparkExecutors(spark, settings.specs, settings.cores_per_executor))
    watcher = Watcher(settings.frames_topic, progress, status, allocation)
    SparkEvents(spark, watcher).listen()
    try:
        while True:
            start = progress.start()
            _note(start, status)
            watcher.terminated.clear()
            query = start_query(spark, settings, start, allocation.used)
            for model in start.models:
                logger.info("model %s reads %d partitions of %s", model, len(start.offsets), settings.frames_topic)
            ended = _follow(query, watcher, allocation, stopping, settings.stop_seconds)
            if status.failure is not None:
                logger.error("the query failed: %s", status.failure)
                return 1
            if stopping.is_set():
                return 0
            if ended:
                logger.error("the query ended by itself")
                return 1
            allocation.apply()
    finally:
        spark.stop()
        progress.close()


def _note(start: CommonStart, status: Status) -> None:
    """Report what waits for each model, and what expired.

    Nothing else reports the lag before the first batch ends, and a first batch with a large lag takes long.
    """
    for model, found in start.models.items():
        status.models[model].lag.set(found.waiting)
        if found.expired:
            status.models[model].expired.inc(found.expired)
            logger.warning("%d records were gone from the log before model %s read them", found.expired, model)


def _follow(
    query: StreamingQuery,
    watcher: Watcher,
    allocation: Allocation,
    stopping: threading.Event,
    stop_seconds: float,
) -> bool:
    """Wait for the query to end, and return whether it ended by itself.

    On a stop, or when the number of executors changes, the running batch is finished and committed first.
    """
    while not stopping.wait(CHECK_SECONDS):
        if not query.isActive or allocation.due():
            break
    ended = not query.isActive
    if not ended:
        watcher.batch_finished.clear()
        if query.status["isTriggerActive"]:
            logger.info("stopping after this batch")
            watcher.batch_finished.wait(stop_seconds)
        query.stop()
    watcher.terminated.wait(stop_seconds)
    return ended


if __name__ == "__main__":
    sys.exit(run(Settings, work))
