"""The streaming query: from Kafka, through the model in Arrow batches, to Kafka."""

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
from apps.spark_jobs.worker import SINK_SCHEMA, SKIPPED, process

OUTCOME = "outcome"
"""The observation in a batch's progress that counts rejected records, and results without a look at the frame."""

RECORD_OVERHEAD = 65_536
"""Bytes allowed for a record's key, headers and framing, beside the largest value."""


def start_query(spark: SparkSession, settings: Settings, start: Start, executors: int) -> StreamingQuery:
    """Start the job's query at the given offsets, with a new checkpoint, for this many executors."""
    shutil.rmtree(settings.checkpoint, ignore_errors=True)
    tasks = executors * settings.cores_per_executor
    records = run_model(read_frames(spark, settings, start, tasks), settings.spec, tasks)
    rejected = F.col("topic") == settings.rejected_topic
    # A rejected record keeps the headers that its sender gave it.
    carried = ~rejected & F.exists("headers", lambda header: header["key"] == SKIPPED)
    return (
        records.observe(OUTCOME, F.count_if(rejected).alias("rejected"), F.count_if(carried).alias("carried"))
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

    A batch's size is limited by the number of tasks, so that each task needs only seconds for its share.
    """
    return (
        spark.readStream.format("kafka")
        .option("kafka.bootstrap.servers", settings.kafka_bootstrap_servers)
        .option("subscribe", settings.frames_topic)
        .option("startingOffsets", start.to_spark(settings.frames_topic))
        .option("includeHeaders", "true")
        .option("maxOffsetsPerTrigger", tasks * settings.max_offsets_per_task)
        # Records that retention removed while the job was behind are counted (watch.py); failing restores none.
        .option("failOnDataLoss", "false")
        # One consumer per partition stays open with what it prefetched. A larger record still arrives whole.
        .option("kafka.max.partition.fetch.bytes", 262_144)
        .option("kafka.fetch.max.wait.ms", 100)
        .load()
        .select("partition", "key", "value", "headers")
    )


def run_model(frames: DataFrame, spec: JobSpec, parallelism: int) -> DataFrame:
    """One row for the Kafka sink for each row read.

    `coalesce` puts many Kafka partitions into one task without a shuffle: one task per core instead of one per
    partition, which would be 40 calls of a Python worker per batch. Order within a partition is kept.
    """
    return frames.coalesce(parallelism).mapInArrow(partial(run, spec=spec), SINK_SCHEMA)


def run(batches: Iterable[pa.RecordBatch], *, spec: JobSpec) -> Iterator[pa.RecordBatch]:
    """Call `process`. As a module's function it is imported by the worker rather than pickled."""
    return process(batches, spec)
