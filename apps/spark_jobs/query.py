"""The streaming query: from Kafka, through the models in Arrow batches, to Kafka."""

import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial

import pyarrow as pa
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.streaming.query import StreamingQuery

from apps.messages import OVERLOAD, STILL
from apps.spark_jobs.progress import CommonStart
from apps.spark_jobs.settings import Settings
from apps.spark_jobs.spec import JobSpec, Offsets
from apps.spark_jobs.worker import ANSWERS_SCHEMA, MODEL, SKIPPED, process

OUTCOME = "outcome"
"""The observation in a batch's progress: each model's `answered_by`, `rejected_by`, `carried_by` and `thinned_by`."""

RECORD_OVERHEAD = 65_536
"""Bytes allowed for a record's key, headers and framing, beside the largest value."""


def answered_by(model: str) -> str:
    """The count of all frames that the model has answered, by a result or by rejecting them."""
    return f"answered by {model}"


def rejected_by(model: str) -> str:
    """The count of the frames that were rejected for this model."""
    return f"rejected by {model}"


def carried_by(model: str) -> str:
    """The count of the frames whose result this model carried from an earlier one."""
    return f"carried by {model}"


def thinned_by(model: str) -> str:
    """The count of the frames that this model did not look at because it was behind."""
    return f"thinned by {model}"


def start_query(spark: SparkSession, settings: Settings, start: CommonStart, executors: int) -> StreamingQuery:
    """Start the application's query at the given offsets, with a new checkpoint, for this many executors."""
    shutil.rmtree(settings.checkpoint, ignore_errors=True)
    tasks = executors * settings.cores_per_executor
    records = run_models(read_frames(spark, settings, start, tasks), settings.specs, start.answered, tasks)
    return (
        records.observe(OUTCOME, *counts(settings))
        .drop(MODEL)
        .writeStream.format("kafka")
        .queryName(settings.model_name)
        .options(**settings.spark_connection)
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


def counts(settings: Settings) -> Iterator[Column]:
    """The columns of the observation."""
    rejected = F.col("topic") == settings.rejected_topic
    carried, thinned = (~rejected & _skipped(reason) for reason in (STILL, OVERLOAD))
    for model in settings.models:
        own = F.col(MODEL) == model.model_name
        yield F.count_if(own).alias(answered_by(model.model_name))
        yield F.count_if(own & rejected).alias(rejected_by(model.model_name))
        yield F.count_if(own & carried).alias(carried_by(model.model_name))
        yield F.count_if(own & thinned).alias(thinned_by(model.model_name))


def _skipped(reason: str) -> Column:
    """Whether a result's frame was not looked at for this reason. A rejected record has its sender's headers."""
    said = F.lit(reason.encode())
    return F.exists("headers", lambda header: (header["key"] == SKIPPED) & (header["value"] == said))


def read_frames(spark: SparkSession, settings: Settings, start: CommonStart, tasks: int) -> DataFrame:
    """The frames topic from the given offsets on. Partitions that are added later are read from their beginning.

    A batch's size is limited by the number of tasks, so that each task needs only seconds for its share.
    """
    return (
        spark.readStream.format("kafka")
        .options(**settings.spark_connection)
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
        .select("partition", "offset", "timestamp", "timestampType", "key", "value", "headers")
    )


def run_models(
    frames: DataFrame, specs: Sequence[JobSpec], answered: Mapping[str, Offsets], parallelism: int
) -> DataFrame:
    """For each row read, one row for the Kafka sink from each model that has not answered it before.

    `coalesce` puts many Kafka partitions into one task without a shuffle: one task per core instead of one per
    partition, which would be 40 calls of a Python worker per batch. Order within a partition is kept.
    """
    return frames.coalesce(parallelism).mapInArrow(partial(run, specs=specs, answered=answered), ANSWERS_SCHEMA)


def run(
    batches: Iterable[pa.RecordBatch], *, specs: Sequence[JobSpec], answered: Mapping[str, Offsets]
) -> Iterator[pa.RecordBatch]:
    """Call `process`. As a module's function it is imported by the worker rather than pickled."""
    return process(batches, specs, answered)
