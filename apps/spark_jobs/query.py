"""The streaming query: Kafka, the model on Arrow batches, Kafka."""

import shutil
from collections.abc import Iterable, Iterator
from functools import partial

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.streaming.query import StreamingQuery

from apps.spark_jobs.progress import Start
from apps.spark_jobs.settings import Settings
from apps.spark_jobs.spec import JobSpec
from apps.spark_jobs.worker import SINK_SCHEMA, process

OUTCOME = "outcome"
"""The name under which a batch's progress holds the number of rejected records."""

RECORD_OVERHEAD = 65_536
"""Room above the largest value for a record's key, headers and framing."""


def start_query(spark: SparkSession, settings: Settings, start: Start, executors: int) -> StreamingQuery:
    """Start the job's query at the given offsets, on a checkpoint of its own, for so many executors."""
    shutil.rmtree(settings.checkpoint, ignore_errors=True)
    tasks = executors * settings.cores_per_executor
    records = run_model(read_frames(spark, settings, start, tasks), settings.spec, tasks)
    return (
        records.observe(OUTCOME, F.count_if(F.col("topic") == settings.rejected_topic).alias("rejected"))
        .writeStream.format("kafka")
        .queryName(settings.model_name)
        .option("kafka.bootstrap.servers", settings.kafka_bootstrap_servers)
        .option("kafka.client.id", settings.consumer_group)
        .option("kafka.acks", "all")
        .option("kafka.enable.idempotence", "true")
        .option("kafka.compression.type", "lz4")
        .option("kafka.linger.ms", "20")
        .option("kafka.max.request.size", settings.max_frame_bytes + RECORD_OVERHEAD)
        .option("checkpointLocation", str(settings.checkpoint))
        .trigger(processingTime=f"{round(settings.trigger_seconds * 1000)} milliseconds")
        .start()
    )


def read_frames(spark: SparkSession, settings: Settings, start: Start, tasks: int) -> DataFrame:
    """The frames topic from the given offsets on. Partitions that are added later are read from their beginning.

    A batch is at most so much that each task gets through its share in some seconds: with more tasks, more.
    """
    return (
        spark.readStream.format("kafka")
        .option("kafka.bootstrap.servers", settings.kafka_bootstrap_servers)
        .option("subscribe", settings.frames_topic)
        .option("startingOffsets", start.to_spark(settings.frames_topic))
        .option("includeHeaders", "true")
        .option("maxOffsetsPerTrigger", tasks * settings.max_offsets_per_task)
        # Records that retention removed while the job was behind: counted (watch.py), not fatal. They are gone.
        .option("failOnDataLoss", "false")
        # One consumer a partition stays open and holds what it fetched ahead; a larger record still comes whole.
        .option("kafka.max.partition.fetch.bytes", 262_144)
        .option("kafka.fetch.max.wait.ms", 100)
        .load()
        .select("partition", "key", "value", "headers")
    )


def run_model(frames: DataFrame, spec: JobSpec, parallelism: int) -> DataFrame:
    """One row for Kafka's sink for every row read.

    `coalesce` runs many Kafka partitions in one task without a shuffle: one task a core, so a Python worker's model
    is not waited for 40 times a batch. The rows' order within a partition is kept.
    """
    return frames.coalesce(parallelism).mapInArrow(partial(run, spec=spec), SINK_SCHEMA)


def run(batches: Iterable[pa.RecordBatch], *, spec: JobSpec) -> Iterator[pa.RecordBatch]:
    """`process`, by a name that is imported in the worker rather than pickled."""
    return process(batches, spec)
